"""The plan for a person, in Terraform's words; a plan of ten changes fits on one screen. Equal
changes of a large plan are one, and so are the instances of a large cut-over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from reconciler.executor.estimate import duration, estimate
from reconciler.model.live import LiveProfile
from reconciler.plan.blast_radius import BlastRadius
from reconciler.plan.changes import (
    WHICH_REGIONS,
    Adopt,
    Change,
    Conflict,
    Create,
    CutOverInstance,
    Delete,
    Guard,
    Replace,
    Restore,
    Unmet,
    Unread,
    Update,
)
from reconciler.plan.plan import Plan, TargetPlan, summary
from reconciler.render.phrases import assumed_in_words, note, stops_in_words
from reconciler.render.styled_text import Line, Piece, data, line, plain
from reconciler.render.text.consumers import impact_lines, radius_lines
from reconciler.render.text.cut_over import cut_over_lines, folded_instances
from reconciler.render.text.header import header_lines
from reconciler.render.text.look import Look
from reconciler.render.text.values import difference_lines, made_lines, unchanged_lines

FEW_CONSUMERS = 5
MANY_CHANGES = 12
"""A plan with more is grouped by kind, and equal changes are folded."""
FEW_NAMES = 5
SHORT_LINES = 2
_PLURAL = {"policy": "policies", "instance-profile": "instance profiles"}


def plan_lines(plan: Plan, look: Look) -> list[Line]:
    lines = header_lines(plan)
    for target in plan.targets:
        if len(plan.targets) > 1:
            lines.append(line("Target ", data(target.target, "bold")))
        lines.extend(_target(target, look))
    lines.extend(_headline(plan))
    if not plan.is_empty:
        lasts = f"Estimated duration: {duration(estimate(plan), is_full=look.is_full)}."
        lines.append(line(Piece(lasts, "dim")))
    if count := sum(_assumed(target) for target in plan.targets):
        lines.append(line(Piece(f"{assumed_in_words(count)}.", "yellow")))
    for target in plan.targets:
        if (count := len(target.preview)) > target.most_cutovers:
            told = f"{count} profiles are cut over, at most {target.most_cutovers} at a time"
            lines.append(line(Piece(f"{told} (max_cutovers).", "dim")))
        if look.is_full and target.tag_index is not None:
            told = f"Tags were read one by one, not from AWS's index: {target.tag_index}"
            lines.append(line(data(told, "dim")))
        lines.extend(_notes(target, look))
    lines.append(line(Piece(f"Digest: {plan.digest}", "dim")))
    return lines


def _headline(plan: Plan) -> Iterator[Line]:
    """The state: what would change, and what could not be planned. ``No changes`` only where
    everything was compared and is right."""
    if not plan.is_empty:
        yield summary_line(plan)
    if plan.is_empty and plan.held:
        held = len(plan.held)
        told = f"{held} resource is kept." if held == 1 else f"{held} resources are kept."
        yield line(Piece("Nothing can be destroyed: ", "bold yellow"), told)
    if stops := stops_in_words(len(plan.conflicts), len(plan.unmet), len(plan.unread)):
        yield line(Piece("Not everything could be planned: ", "bold red"), f"{stops}.")
    elif not plan.targets:
        yield line(Piece("No targets.", "bold"), " Nothing was compared.")
    elif plan.is_empty and not plan.held:
        managed = sum(target.managed for target in plan.targets)
        left = sum(kept.status in ("left", "released") for t in plan.targets for kept in t.kept)
        count = managed - left
        words = "managed resource matches" if count == 1 else "managed resources match"
        found = f" {count} {words} the specs." if count > 0 else ""
        yield line(Piece("No changes.", "bold green"), found)


def _assumed(target: TargetPlan) -> int:
    """Of how many running instances an adoption takes for granted what they are served."""
    found = 0
    for change in target.changes:
        live = target.based_on.get(change.address)
        if not isinstance(change, Adopt) or not isinstance(live, LiveProfile):
            continue
        is_recorded = live.claimed_by is not None and live.mark is not None
        if live.role_id is not None and not is_recorded and "strategy" not in change.intent:
            found += len(change.consumers)
    return found


def _target(target: TargetPlan, look: Look) -> Iterator[Line]:
    if not target.changes:
        return
    yield _legend(target.changes, look)
    instances = [c for c in target.changes if isinstance(c, CutOverInstance)]
    changes: list[Change] = [c for c in target.changes if not isinstance(c, CutOverInstance)]
    is_large = len(changes) > MANY_CHANGES and not look.is_full
    if is_large:
        blocks = [*_folded(changes, target, look)]
    else:
        blocks = [_in_full(c, target, look) for c in changes]
    blocks.extend(folded_instances(instances, look, symbol))
    was_long = True
    for block in blocks:
        # What has several lines of details stands apart, the rest together.
        if was_long or len(block) > SHORT_LINES:
            yield ()
        yield from block
        was_long = len(block) > SHORT_LINES
    yield ()


def _in_full(change: Change, target: TargetPlan, look: Look) -> list[Line]:
    radius, impacts = target.blast_radius.get(change.address), target.impact.get(change.address, ())
    return [*change_lines(change, look, radius), *impact_lines(impacts, look)]


def _folded(changes: list[Change], target: TargetPlan, look: Look) -> Iterator[list[Line]]:
    """The changes by kind, each kind with its counts; those that read alike are one, but for those
    that reach running instances or take something away."""
    apart = target.blast_radius.keys() | target.impact.keys()
    for kind, of_kind in groupby(changes, key=lambda change: change.kind):
        alike: dict[tuple[object, ...], list[Change]] = {}
        for change in of_kind:
            body = plain([*_details(change, look)])
            reached = change.address if change.address in apart else None
            alike.setdefault((type(change), body, _what(change), reached), []).append(change)
        for same in alike.values():
            if len(same) < 3:
                yield from (_in_full(c, target, look) for c in same)
                continue
            head = line(
                *_sign(same[0], look), data(f"{len(same)} {_PLURAL.get(kind, f'{kind}s')}", "bold")
            )
            names = [change.name for change in same]
            more = f" and {len(names) - FEW_NAMES} more (-v)" if len(names) > FEW_NAMES else ""
            listed = line("      ", data(f"{', '.join(names[:FEW_NAMES])}{more}", "dim"))
            yield [head, listed, *_details(same[0], look)]


def symbol(change: Change, look: Look) -> Piece:
    match change:
        case Create():
            return Piece("+", "green")
        case Adopt():
            return Piece(">", "cyan")
        case Update() | Restore():
            return Piece("~", "yellow")
        case Replace():
            return Piece("-/+", "red")
        case Delete():
            return Piece("-", "red")
        case CutOverInstance():
            return Piece("↻" if look.unicode else "R", "magenta")


_MEANING = (
    (Delete, "destroy"),
    (Replace, "destroy and then create"),
    (Create, "create"),
    (Adopt, "adopt"),
    (Update, "update in place"),
    (Restore, "update in place"),
    (CutOverInstance, "cut over to the new role"),
)


def _legend(changes: tuple[Change, ...], look: Look) -> Line:
    pieces: list[Piece | str] = []
    for kind, meaning in _MEANING:
        found = next((c for c in changes if isinstance(c, kind)), None)
        if found is None or any(p == f" {meaning}" for p in pieces):
            continue
        pieces.extend([symbol(found, look), f" {meaning}", "   "])
    return line(*pieces[:-1])


def _sign(change: Change, look: Look) -> tuple[Piece | str, ...]:
    sign = symbol(change, look)
    return " " * (4 - len(sign.text)), sign, " "


def change_lines(change: Change, look: Look, radius: BlastRadius | None = None) -> Iterator[Line]:
    """The change, and below it what differs and whom it reaches."""
    where = f" ({change.region})" if change.region else ""
    pieces = [*_sign(change, look), data(change.address, "bold"), data(where), data(_what(change))]
    if change.source is not None:
        pieces.append(data(f"  {change.source}", "dim"))
    yield line(*pieces)
    yield from _details(change, look)
    if radius is not None:
        yield from radius_lines(change, radius, look)


def _details(change: Change, look: Look) -> Iterator[Line]:
    if change.reason:
        yield line("      # ", data(change.reason, "dim"))
    for difference in change.differences:
        yield from difference_lines(difference, is_full=look.is_full)
    if isinstance(change, Create) and change.kind != "association":
        yield from made_lines(change.after or {}, "+", "green", is_full=look.is_full)
    if isinstance(change, Delete):
        yield from made_lines(change.before or {}, "-", "red", is_full=look.is_full)
    if change.differences and change.unchanged:
        yield from unchanged_lines(change.unchanged, is_full=look.is_full)
    for widening in change.widens:
        yield line(Piece("      ! widens: ", "bold red"), data(widening.in_words, "red"))
    if "strategy" in change.intent and change.consumers:
        yield from cut_over_lines(change)
    elif change.consumers:
        yield _consumers(change, look)


def _what(change: Change) -> str:
    match change:
        case Create(after=after) if after and "instance_profile" in after:
            return f'  "{after["instance_profile"]}"'
        case Create(after=after) if after and "role" in after:
            return f"  holds role/{after['role']}" if after["role"] else "  without a role"
        case _:
            return ""


def _consumers(change: Change, look: Look) -> Line:
    ids = change.consumers
    few = ids if look.is_full else ids[:FEW_CONSUMERS]
    more = f" and {len(ids) - len(few)} more" if len(few) < len(ids) else ""
    noun = "instance" if len(ids) == 1 else "instances"
    return line(
        Piece(f"      # {len(ids)} running {noun}: ", "dim"), data(f"{' '.join(few)}{more}", "dim")
    )


def summary_line(plan: Plan) -> Line:
    """``Plan: 0 to adopt, 2 to add, 1 to change, 0 to destroy, 3 instances to cut over.``"""
    n = summary(plan)
    replaced = f", {n['replace']} to replace" if n["replace"] else ""
    moved = ""
    if n["cutover"]:
        noun = "instance" if n["cutover"] == 1 else "instances"
        moved = f", {n['cutover']} {noun} to cut over"
    text = (
        f"{n['adopt']} to adopt, {n['add']} to add, {n['change']} to change{replaced}, "
        f"{n['destroy']} to destroy{moved}."
    )
    return line(Piece("Plan: ", "bold"), text)


def guard_line(guard: Guard) -> Line:
    lift = f"Override with {guard.lift}" if guard.lift.startswith("--") else guard.lift
    return line(Piece("! ", "bold red"), data(guard.reason), "; apply is blocked. ", data(lift))


def unread_line(one: Unread) -> Line:
    needs = "changes of its instances" if one.region else "its changes"
    if one.what == WHICH_REGIONS:
        needs = "instances in other regions than those of the plan"
    text = f"{one.what} cannot be read ({one.reason}): {needs} are not known"
    return line(Piece("! ", "bold red"), data(text))


def unmet_line(unmet: Unmet, look: Look) -> Line:
    # stderr has the whole reason, with the line of the specs.
    return line(
        Piece("! ", "bold red"),
        data(unmet.needed_by or unmet.address, "bold"),
        " is left out: ",
        data(unmet.found.message if look.is_alone else unmet.found.code),
        data(f"  {unmet.found.location}", "dim"),
    )


def conflict_line(conflict: Conflict) -> Line:
    where = f"  {conflict.source}" if conflict.source else ""
    return line(
        Piece("! ", "bold red"),
        data(conflict.address, "bold"),
        " ",
        data(conflict.reason),
        data(f"; use {conflict.lift} to manage it"),
        data(where, "dim"),
    )


def _notes(target: TargetPlan, look: Look) -> Iterator[Line]:
    yield from (unread_line(one) for one in target.unread)
    yield from (unmet_line(unmet, look) for unmet in target.unmet)
    yield from (conflict_line(conflict) for conflict in target.conflicts)
    yield from (guard_line(guard) for guard in target.guards)
    for kept in (*target.kept, *target.ignored):
        yield line(Piece("  ", "dim"), data(note(str(kept.address), kept.reason), "dim"))
