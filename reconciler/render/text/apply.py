"""What an apply did, for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from reconciler.commands.apply import Applied
from reconciler.executor.idempotency import ended
from reconciler.executor.outcomes import Outcome, Result
from reconciler.model.hours import hour_of
from reconciler.plan.changes import Change, Kept
from reconciler.plan.plan import Plan, TargetPlan, summary
from reconciler.render.json.apply import advised, stranded_json
from reconciler.render.old_sessions import old_sessions
from reconciler.render.phrases import lacking, not_begun, sentence, steps_applied
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.look import Look
from reconciler.render.text.plan import symbol

_PARTS = {"destroy": "Destroyed in part: "}


def nothing_told(_outcome: Outcome) -> bool:
    return False


def result_lines(
    applied: Applied,
    verb: str = "apply",
    told: Callable[[Outcome], bool] = nothing_told,
) -> list[Line]:
    """All but the stranded resources, which are printed last. The reason of an outcome that
    somebody was ``told`` already is not repeated."""
    plan, result, left = applied.planned.plan, applied.result, applied.left
    lines: list[Line] = []
    for outcome in result.outcomes:
        # What waits for a step of the same address is left out with it.
        if outcome.status != "applied" and outcome.cause != outcome.address:
            lines.extend(_broken(outcome, is_told=told(outcome)))
        lines.extend(_unproved(outcome))
    lines.extend(
        line(Piece("not begun ", "yellow"), "target ", data(name, "bold"))
        for name in result.not_begun
    )
    over = _over(plan, result)
    lines.extend(line("  ", data(f"{change.address}: {why}")) for change, why in over)
    lines.extend(_old_sessions(applied))
    if result.is_complete and left is not None and left.is_done:
        lines.append(
            line(
                Piece(f"{verb.capitalize()} complete! ", "bold green"),
                counts(_without(plan, over), result),
            )
        )
        return lines
    lines.append(
        line(
            Piece(_PARTS.get(verb, "Applied in part: "), "bold red"),
            f"{steps_applied(result.steps_applied)}, {result.count('failed')} failed, "
            f"{result.count('skipped')} skipped{not_begun(len(result.not_begun))}.",
        )
    )
    lines.extend(_left(applied))
    lines.extend(line(data(sentence(advice))) for advice in advised(applied))
    return lines


def stranded_lines(applied: Applied) -> list[Line]:
    """What a run removed and did not restore, each with the command that restores it."""
    lines: list[Line] = []
    for one in map(stranded_json, applied.result.stranded):
        lines.append(line(data(lacking(one), "bold red")))
        lines.append(line("  To restore it: ", data(one["command"], "bold")))
    return lines


def held_lines(held: tuple[Kept, ...]) -> list[Line]:
    return [line("  kept: ", data(k.address, "bold"), data(f": {k.reason}")) for k in held]


def _over(plan: Plan, result: Result) -> list[tuple[Change, str]]:
    """Changes of instances that have terminated, each with its text."""
    several = len(plan.targets) > 1
    found: list[tuple[Change, str]] = []
    for target in plan.targets:
        name = target.target if several else None
        for change in target.changes:
            if (name, change.address) in result.ended:
                # The specs name an instance by its id where nothing selects it.
                is_by_id = change.source is not None and "select" not in change.intent
                advice = "; the specs name it: remove it from them" if is_by_id else ""
                found.append((change, ended(change.name) + advice))
    return found


def _without(plan: Plan, over: list[tuple[Change, str]]) -> Plan:
    gone = [change for change, _ in over]

    def rest(target: TargetPlan) -> TargetPlan:
        return replace(target, changes=tuple(c for c in target.changes if c not in gone))

    return replace(plan, targets=tuple(rest(target) for target in plan.targets))


def _broken(outcome: Outcome, *, is_told: bool) -> Iterator[Line]:
    reason = outcome.brief if is_told else outcome.reason
    style = "bold red" if outcome.status == "failed" else "yellow"
    yield line(
        Piece(f"{outcome.status} ", style),
        data(f"{outcome.target}: " if outcome.target else ""),
        data(outcome.address, "bold"),
        data(f" {outcome.what}: {reason}" if reason else f" {outcome.what}"),
        data(f" (request {outcome.request_id})" if outcome.request_id else ""),
    )
    if outcome.source is not None:
        yield line("  at ", data(outcome.source))
    for remaining in outcome.remaining:
        yield line("  not done: ", data(remaining))


def _unproved(outcome: Outcome) -> Iterator[Line]:
    where = f"{outcome.target}: " if outcome.target else ""
    for told in outcome.unproved:
        note = Piece("note ", "yellow")
        yield line(note, data(where), data(outcome.address, "bold"), data(f": {told}"))


def _old_sessions(applied: Applied) -> Iterator[Line]:
    for one in old_sessions(applied):
        where = f"{one.target}: " if one.target else ""
        told = f": processes may use older credentials of it until {hour_of(one.until)}"
        how = f"; to deny them everything: {one.command}" if one.command else ""
        yield line(Piece("note ", "yellow"), data(where), data(one.role, "bold"), data(told + how))


def _left(applied: Applied) -> Iterator[Line]:
    left = applied.left
    if left is None:
        why = f" ({applied.unplanned})" if applied.unplanned else ""
        yield line(
            "The remaining changes could not be planned", data(why), "; run plan to see them."
        )
        return
    several = len(left.targets) > 1
    for target in left.targets:
        of = data(f"{target.target}: " if several else "")
        for change in target.changes:
            yield line("  remaining: ", of, symbol(change, Look()), " ", data(change.address))
    for unmet in left.unmet:
        yield line(
            "  remaining: ",
            data(unmet.needed_by or unmet.address),
            data(f"  {unmet.found.location}", "dim"),
        )
    for unread in left.unread:
        yield line("  unknown: ", data(unread.what), data(f": {unread.reason}"))
    yield from held_lines(left.held)


def counts(plan: Plan, result: Result) -> str:
    """``Resources: 2 added, 1 changed, 0 destroyed.``, and whatever else there was; instances count
    only if they were cut over, whatever was planned."""
    n = summary(plan)
    cut_over = result.cut_over
    adopted = f"{n['adopt']} adopted, " if n["adopt"] else ""
    replaced = f", {n['replace']} replaced" if n["replace"] else ""
    moved = ""
    if cut_over:
        noun = "instance" if cut_over == 1 else "instances"
        moved = f"; {cut_over} {noun} cut over"
    return (
        f"Resources: {adopted}{n['add']} added, {n['change']} changed{replaced}, "
        f"{n['destroy']} destroyed{moved}."
    )
