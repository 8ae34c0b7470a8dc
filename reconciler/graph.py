"""What must come before what."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Generic, TypeVar

_A_co = TypeVar("_A_co", covariant=True)


def exists(address: str) -> str:
    """The resource is there."""
    return f"exists {address}"


def ready(address: str) -> str:
    """The resource is as the specs want it."""
    return f"ready {address}"


def free(address: str) -> str:
    """Nothing uses the resource any more: what takes it out of use has ended well."""
    return f"free {address}"


def gone(address: str) -> str:
    """The resource was deleted, to be made again."""
    return f"gone {address}"


def emptied(address: str) -> str:
    """The profile has no role inside."""
    return f"emptied {address}"


def released(address: str) -> str:
    """It is noted that consumers let go of the profile and its role."""
    return f"released {address}"


@dataclass(frozen=True, slots=True)
class Draft(Generic[_A_co]):
    """A step before it has a number. It comes after every draft that gives one of its needs; a
    need that nobody gives holds already."""

    address: str
    action: _A_co
    needs: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()
    closes: bool = False
    """Puts right what an earlier draft began: once that is done, it runs though asked to stop."""
    group: str | None = None
    """Once one of a group has begun, all of it runs though asked to stop."""


@dataclass(frozen=True, slots=True)
class Ordered(Generic[_A_co]):
    """A draft and the places, in the list of all, of those that come before it."""

    draft: Draft[_A_co]
    after: tuple[int, ...]


class Deadlock(Exception):  # noqa: N818 - the name says it
    """Drafts wait for each other. A bug of ours: cycles of trusts are broken before."""


def in_order(drafts: Sequence[Draft[_A_co]]) -> tuple[Ordered[_A_co], ...]:
    """Every draft after all that it needs; otherwise in the order given."""
    givers: dict[str, list[int]] = {}
    for number, draft in enumerate(drafts):
        for label in draft.gives:
            givers.setdefault(label, []).append(number)
    before = {n: _givers(draft, n, givers) for n, draft in enumerate(drafts)}
    sequence = _sorted(before)
    place = {number: at for at, number in enumerate(sequence)}
    return tuple(
        Ordered(drafts[n], tuple(sorted(place[other] for other in before[n]))) for n in sequence
    )


def _givers(draft: Draft[_A_co], number: int, givers: dict[str, list[int]]) -> set[int]:
    found = (giver for need in draft.needs for giver in givers.get(need, ()))
    return {giver for giver in found if giver != number}


def _sorted(before: dict[int, set[int]]) -> list[int]:
    """The order given, bent only where something must come first."""
    done: list[int] = []
    seen: set[int] = set()

    def visit(number: int) -> None:
        stack = [(number, iter(sorted(before[number])))]
        while stack:
            top, rest = stack[-1]
            following = next((n for n in rest if n not in seen), None)
            if following is not None:
                stack.append((following, iter(sorted(before[following]))))
            else:
                stack.pop()
                if top not in seen:
                    seen.add(top)
                    done.append(top)

    _refuse_cycles(before)
    for number in sorted(before):
        visit(number)
    return done


def _refuse_cycles(before: dict[int, set[int]]) -> None:
    try:
        TopologicalSorter(before).prepare()
    except graphlib.CycleError as error:
        raise Deadlock(str(error.args[1])) from error


def cyclic(edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Every node that can be reached from itself."""
    graph = {node: set(targets) & edges.keys() for node, targets in edges.items()}

    def reach(start: str) -> set[str]:
        found: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting.extend(graph[node])
        return found

    return frozenset(node for node in graph if node in reach(node))
