"""The plan for a person, in Terraform's words; a plan of ten changes fits on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.executor.estimate import duration, estimate
from reconciler.model.policy_document import as_list
from reconciler.plan.changes import (
    Adopt,
    Change,
    Create,
    CutOverInstance,
    Delete,
    Guard,
    Replace,
    Restore,
    Update,
)
from reconciler.plan.plan import Plan, TargetPlan, summary
from reconciler.render.phrases import stops_in_words
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.values import difference_lines, shown

FEW_CONSUMERS = 5


@dataclass(frozen=True, slots=True)
class Look:
    """``is_full`` shows unabridged values."""

    unicode: bool = True
    is_full: bool = False


def plan_lines(plan: Plan, look: Look) -> list[Line]:
    lines: list[Line] = []
    for target in plan.targets:
        if len(plan.targets) > 1 or target.target != "default":
            lines.append(line("Target ", data(target.target, "bold")))
        lines.extend(_target(target, look))
    lines.extend(_headline(plan))
    if not plan.is_empty:
        seconds = estimate(plan)
        lasts = f"Estimated duration: {duration(seconds.least, seconds.most)}."
        lines.append(line(Piece(lasts, "dim")))
    for target in plan.targets:
        lines.extend(_notes(target))
    lines.append(line(Piece(f"Digest: {plan.digest}", "dim")))
    return lines


def _headline(plan: Plan) -> Iterator[Line]:
    """The state: what would change, and what could not be planned. ``No changes`` only where
    everything was compared and is right."""
    if not plan.is_empty:
        yield summary_line(plan)
    if plan.is_empty and plan.held:
        yield line(Piece("Nothing can be destroyed: ", "bold yellow"), f"{_kept(len(plan.held))}.")
    if stops := stops_in_words(len(plan.conflicts), len(plan.unmet), len(plan.unread)):
        yield line(Piece("Not everything could be planned: ", "bold red"), f"{stops}.")
    elif plan.is_empty and not plan.held:
        managed = sum(target.managed for target in plan.targets)
        left = sum(kept.status in ("left", "released") for t in plan.targets for kept in t.kept)
        found = f" {managed - left} managed resources match the specs." if managed > left else ""
        yield line(Piece("No changes.", "bold green"), found)


def _kept(count: int) -> str:
    return f"{count} resource is kept" if count == 1 else f"{count} resources are kept"


def _target(target: TargetPlan, look: Look) -> Iterator[Line]:
    if target.changes:
        yield _legend(target.changes, look)
        yield ()
    for change in target.changes:
        yield from _change(change, look)
    if target.changes:
        yield ()


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


def _change(change: Change, look: Look) -> Iterator[Line]:
    sign = symbol(change, look)
    where = f" ({change.region})" if change.region else ""
    pieces: list[Piece | str] = [
        " " * (4 - len(sign.text)),
        sign,
        " ",
        data(change.address, "bold"),
    ]
    pieces.extend([data(where), data(_what(change))])
    if change.source is not None:
        pieces.append(data(f"  {change.source}", "dim"))
    yield line(*pieces)
    if change.reason:
        yield line("      # ", data(change.reason, "dim"))
    for difference in change.differences:
        yield from difference_lines(difference)
    if isinstance(change, Create):
        yield from _created(change, look)
    if change.differences and change.unchanged:
        noun = "attribute" if change.unchanged == 1 else "attributes"
        yield line(Piece(f"      # ({change.unchanged} unchanged {noun} hidden)", "dim"))
    if change.consumers:
        yield _consumers(change, look)


def _what(change: Change) -> str:
    match change:
        case CutOverInstance():
            before, after = (change.before or {}).get("role"), (change.after or {}).get("role")
            return f'  "{before}" -> "{after}"' if before else f'  "{after}"'
        case Create(after=after) if after and "instance_profile" in after:
            return f'  "{after["instance_profile"]}"'
        case Create(after=after) if after and "role" in after:
            return f"  holds role/{after['role']}" if after["role"] else "  without a role"
        case _:
            return ""


_QUIET: tuple[Any, ...] = ("", None, {}, [], "/", 3600)


def _created(change: Create, look: Look) -> Iterator[Line]:
    """A creation in a line: names, not documents."""
    words = []
    for name, value in (change.after or {}).items():
        if value in _QUIET or name in ("instance_profile", "role"):
            continue
        if isinstance(value, dict) and name == "tags":
            pairs = [f"{key}={text}" for key, text in sorted(value.items())]
            words.append(f"{name}: {' '.join(pairs)}")
        elif isinstance(value, dict) and name in ("managed_policies", "inline_policies"):
            words.append(f"{name}: {' '.join(sorted(value))}")
        elif isinstance(value, dict):
            count = len(as_list(value.get("Statement", [])))
            words.append(f"{name}: {count} statement{'' if count == 1 else 's'}")
        else:
            words.append(f"{name}: {shown(value)}")
    if words and (look.is_full or change.kind != "association"):
        yield line("      ", data(", ".join(words), "dim"))


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


def _notes(target: TargetPlan) -> Iterator[Line]:
    for one in target.unread:
        needs = "changes of its instances are" if one.region else "its changes are"
        text = f"{one.what} cannot be read ({one.reason}): {needs} not known"
        yield line(Piece("! ", "bold red"), data(text))
    for unmet in target.unmet:
        needing = f": {unmet.needed_by} is not changed" if unmet.needed_by else ""
        yield line(
            Piece("! ", "bold red"),
            data(f"{unmet.found.message}{needing}"),
            data(f"  {unmet.found.location}", "dim"),
        )
    for conflict in target.conflicts:
        where = f"  {conflict.source}" if conflict.source else ""
        yield line(
            Piece("! ", "bold red"),
            data(conflict.address, "bold"),
            " ",
            data(conflict.reason),
            data(f"; use {conflict.lift} to manage it"),
            data(where, "dim"),
        )
    yield from (guard_line(guard) for guard in target.guards)
    for kept in (*target.kept, *target.ignored):
        yield line(Piece("  ", "dim"), data(f"{kept.address}: {kept.reason}", "dim"))
