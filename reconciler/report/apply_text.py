"""What an apply did, for a person."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.executor.outcomes import Outcome, Result
from reconciler.plan import Plan, summary
from reconciler.report.plan_text import Look, symbol
from reconciler.report.styled import Line, Piece, data, line


def result_lines(plan: Plan, result: Result, left: Plan | None, verb: str = "apply") -> list[Line]:
    """``left`` is the plan made again, ``None`` where it could not be."""
    lines: list[Line] = []
    for outcome in result.outcomes:
        # What waits for a step of the same address is left out with it.
        if outcome.status != "applied" and outcome.cause != outcome.address:
            lines.extend(_broken(outcome))
    is_whole = result.is_complete and left is not None and left.is_empty
    if is_whole:
        lines.append(
            line(Piece(f"{verb.capitalize()} complete! ", "bold green"), counts(plan, result))
        )
        return lines
    lines.append(
        line(
            Piece("Applied in part: ", "bold red"),
            f"{result.count('applied')} steps applied, {result.count('failed')} failed, "
            f"{result.count('skipped')} skipped.",
        )
    )
    lines.extend(_left(left))
    return lines


def _broken(outcome: Outcome) -> Iterator[Line]:
    style = "bold red" if outcome.status == "failed" else "yellow"
    yield line(
        Piece(f"{outcome.status} ", style),
        data(f"{outcome.target}: " if outcome.target else ""),
        data(outcome.address, "bold"),
        data(f" {outcome.what}: {outcome.reason}"),
        data(f" (request {outcome.request_id})" if outcome.request_id else ""),
    )
    for remaining in outcome.remaining:
        yield line("  left undone: ", data(remaining))


def _left(left: Plan | None) -> Iterator[Line]:
    if left is None:
        yield line("What is left could not be read; run plan to see it.")
        return
    for change in left.changes:
        yield line("  still to do: ", symbol(change, Look()), " ", data(change.address))
    if not left.is_empty:
        yield line("Apply again to go on.")


def counts(plan: Plan, result: Result) -> str:
    """``Resources: 2 added, 1 changed, 0 destroyed.``, and what else there was; of instances as
    many as were brought over, whatever was planned."""
    n = summary(plan)
    cut_over = sum(outcome.cut_over for outcome in result.outcomes)
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
