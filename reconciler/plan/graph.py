"""What must come before what."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Generic, TypeVar

from reconciler.errors import CycleError, UnmetRequirementError
from reconciler.model.address import Address

_A_co = TypeVar("_A_co", covariant=True)


_N = TypeVar("_N", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Label:
    """Something that holds once every draft that gives it has ended well. ``of`` is what it is
    about: an address, or an instance in its region."""

    state: str
    of: Hashable

    def __str__(self) -> str:
        return f"{self.state} {self.of}"


def exists(address: Address) -> Label:
    """The resource is there."""
    return Label("exists", address)


def ready(address: Address) -> Label:
    """The resource is as the specs want it."""
    return Label("ready", address)


def free(address: Address) -> Label:
    """Nothing uses the resource any longer: the steps that end its use have succeeded."""
    return Label("free", address)


def gone(address: Address) -> Label:
    """The resource was deleted, to be created again."""
    return Label("gone", address)


def emptied(address: Address) -> Label:
    """The profile has no role inside."""
    return Label("emptied", address)


def released(address: Address) -> Label:
    """It is recorded that consumers lose the profile and its role."""
    return Label("released", address)


@dataclass(frozen=True, slots=True)
class PendingStep(Generic[_A_co]):
    """A step before it has a number. It comes after every draft that gives one of its ``requires``
    or of its ``after``."""

    address: Address
    action: _A_co
    requires: frozenset[Label] = frozenset()
    """What must hold: given by another draft, or there already."""
    after: frozenset[Label] = frozenset()
    """Order alone: where no draft gives it, there is nothing to come after."""
    provides: frozenset[Label] = frozenset()
    is_cleanup: bool = False
    """Puts right what an earlier draft began: once that is done, it runs though asked to stop."""
    group: str | None = None
    """Once one of a group has begun, all of it runs though asked to stop."""


@dataclass(frozen=True, slots=True)
class OrderedStep(Generic[_A_co]):
    """A draft and the places, in the list of all, of those that come before it."""

    pending: PendingStep[_A_co]
    after: tuple[int, ...]


def topological_order(
    drafts: Sequence[PendingStep[_A_co]], there: Collection[Address] = frozenset()
) -> tuple[OrderedStep[_A_co], ...]:
    """Every draft after all that it needs; otherwise in the order given.

    ``there`` are the resources that exist already. Raises ``UnmetRequirementError`` and
    ``CycleError``.
    """
    givers: dict[Label, list[int]] = {}
    for number, pending in enumerate(drafts):
        for label in pending.provides:
            givers.setdefault(label, []).append(number)
    before: dict[int, set[int]] = {}
    for number, pending in enumerate(drafts):
        found = {giver for label in pending.after for giver in givers.get(label, ())}
        for need in sorted(pending.requires, key=str):
            found.update(_required(pending, need, givers, there))
        before[number] = found - {number}
    try:
        sequence = _sorted(before)
    except graphlib.CycleError as error:
        members = tuple(sorted(set(error.args[1])))
        named = sorted({str(drafts[place].address) for place in members})
        raise CycleError(", ".join(named), members) from error
    place = {number: at for at, number in enumerate(sequence)}
    return tuple(
        OrderedStep(drafts[n], tuple(sorted(place[other] for other in before[n]))) for n in sequence
    )


def _required(
    pending: PendingStep[_A_co],
    need: Label,
    givers: Mapping[Label, list[int]],
    there: Collection[Address],
) -> list[int]:
    """No step provides readiness for a resource that is created complete, and an existing one needs
    no step."""
    if need in givers:
        return givers[need]
    about = need.of
    if isinstance(about, Address):
        if exists(about) in givers:
            return givers[exists(about)]
        if about in there:
            return []
    raise UnmetRequirementError(f"{pending.address} needs '{need}', which no step provides")


def _sorted(before: dict[int, set[int]]) -> list[int]:
    """The order given, bent only where something must come first. Raises graphlib's
    ``CycleError``."""
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

    TopologicalSorter(before).prepare()
    for number in sorted(before):
        visit(number)
    return done


def cyclic(edges: Mapping[_N, Iterable[_N]]) -> frozenset[_N]:
    """Every node that can be reached from itself."""
    graph = {node: set(targets) & edges.keys() for node, targets in edges.items()}

    def reach(start: _N) -> set[_N]:
        found: set[_N] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting.extend(graph[node])
        return found

    return frozenset(node for node in graph if node in reach(node))
