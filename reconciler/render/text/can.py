"""What a role is allowed, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.commands.can import RoleAnswer
from reconciler.impact.allowed import Answer, DecidingStatement, Outcome
from reconciler.render.styled_text import Line, Piece, data, line

_STYLES: dict[Outcome, str] = {
    "allowed": "bold green",
    "partly": "bold yellow",
    "denied": "bold red",
    "unknown": "bold cyan",
}
_WIDTH = 8
"""Of the outcome."""


def can_lines(found: Sequence[RoleAnswer]) -> list[Line]:
    return [one for number, role in enumerate(found) for one in _role(role, len(found), number)]


def _role(found: RoleAnswer, count: int, number: int) -> Iterator[Line]:
    if count > 1 or found.target != "default":
        if number:
            yield ()
        yield line("Target ", data(found.target, "bold"))
    for answer in found.answers:
        yield from _answer(answer)
    yield line(Piece("Not counted:", "dim"))
    for what in found.not_counted:
        yield line(Piece("  - ", "dim"), data(what, "dim"))


def _answer(answer: Answer) -> Iterator[Line]:
    where = f" on {answer.resource}" if answer.resource is not None else ""
    asked = data(f"{answer.action}{where}", "bold")
    outcome = Piece(f"{answer.outcome:<{_WIDTH}}", _STYLES[answer.outcome])
    yield line(outcome, asked, data(f": {answer.why}"))
    for resource in answer.on:
        yield line("  on ", data(resource))
    for statement in answer.by:
        yield from _statement(statement)


def _statement(statement: DecidingStatement) -> Iterator[Line]:
    verb = "allowed by" if statement.effect == "Allow" else "denied by"
    place = f"  {statement.place}" if statement.place is not None else ""
    named = f"{statement.policy}, {statement.name}"
    yield line(Piece(f"  {verb} ", "dim"), data(named), data(place, "dim"))
    if statement.keys:
        yield line("    depends on ", data(", ".join(statement.keys)))
