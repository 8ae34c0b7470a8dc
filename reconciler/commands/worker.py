"""What a worker of an engine does for one target.

Each function is a task: its arguments and its result are pickled, and credentials are in neither. A
worker finds its own, and assumes the role of the target with them.

An engine runs a task again whose worker died. So an apply on a worker plans its target first, and
applies what is left of what was approved: that is all of it, or after a death the rest, in the way
in which any later run goes on with one that died.
"""

from __future__ import annotations

import copyreg
import pickle
import secrets
import threading
import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from reconciler import __version__
from reconciler.commands.one_target import read_target
from reconciler.commands.planned import PlannedTarget
from reconciler.commands.recorder import FailureRecorder
from reconciler.commands.request import Connection, Request, RunPorts, ahead_of_us, asked_once
from reconciler.commands.selection import interpreted_offline, targets_of
from reconciler.diagnostics import Diagnostic
from reconciler.errors import AwsError, RefusedError
from reconciler.executor.executor import Executor, ExecutorDeps
from reconciler.executor.interrupt import Deadline, Interrupt
from reconciler.executor.outcomes import Outcome, Result
from reconciler.exit_codes import ExitCode
from reconciler.model.address import EVERYTHING, Address
from reconciler.model.resources import Identity
from reconciler.plan.plan import TargetPlan, intended_of
from reconciler.planner.patterns import Matchable
from reconciler.spec.loader import Interpreter, ParsedSet, for_target

MOST_KEPT = 2
"""How many sets a worker keeps."""


def _pickled(proxy: MappingProxyType[Any, Any]) -> tuple[Any, tuple[dict[Any, Any]]]:
    return _made_again, (dict(proxy),)


def _made_again(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


# Tags and marks are held by views that cannot be changed, of which pickle knows nothing.
copyreg.pickle(MappingProxyType, _pickled)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What all tasks of a run have in common, unpacked once by each worker: what makes its ports,
    the request, and the specs."""

    version: str
    digest: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose account it is, with the calls that were made to find out."""

    identity: Identity
    calls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What was found out about a target; ``diagnostics`` are of the specs."""

    plan: TargetPlan
    diagnostics: tuple[Diagnostic, ...]
    matchable: Matchable
    idle: frozenset[Diagnostic]
    calls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """What was done. ``failures`` are the arguments of ``Progress.failed``: on a worker nobody was
    told of them."""

    result: Result
    failures: tuple[tuple[Address, str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Of an apply: ``ends_at`` in seconds of the epoch, as ``Apply`` has them."""

    ends_at: float | None
    max_rps: float | None
    parallelism: int


@dataclass
class _Here:
    """A parcel, unpacked."""

    ports: RunPorts
    request: Request
    parsed: ParsedSet
    interpreter: Interpreter = field(default_factory=Interpreter)


_unpacked: OrderedDict[str, _Here] = OrderedDict()
_lock = threading.Lock()


def _here(parcel: Parcel) -> _Here:
    if parcel.version != __version__:
        message = (
            f"a worker has reconciler {__version__}, and {parcel.version} is needed: install the "
            "same version everywhere"
        )
        raise RefusedError(message, ExitCode.ERROR)
    with _lock:
        if parcel.digest not in _unpacked:
            site, request, parsed = pickle.loads(zlib.decompress(parcel.content))
            _unpacked[parcel.digest] = _Here(site(), request, parsed)
            while len(_unpacked) > MOST_KEPT:
                _unpacked.popitem(last=False)
        return _unpacked[parcel.digest]


@contextmanager
def _connected(here: _Here, name: str) -> Iterator[tuple[Connection, Counter[str]]]:
    """The connection of a target; after the block it is released, and the counter has the calls."""
    target = targets_of(here.request, here.parsed.settings)[name]
    connection = here.ports.connect(target, here.parsed.settings)
    before, calls = Counter(connection.reader.calls), Counter[str]()
    try:
        yield connection, calls
    finally:
        calls.update(Counter(connection.reader.calls) - before)
        connection.release()


def identity(parcel: Parcel, name: str) -> Whose:
    """Raises ``AwsError``."""
    with _connected(_here(parcel), name) as (connection, calls):
        found = connection.reader.identity()
    return Whose(found, calls)


def read(
    parcel: Parcel,
    name: str,
    whose: Identity,
    written: frozenset[Address] | None,
    several: bool,
) -> WorkerPlan:
    """As ``read_target``."""
    here = _here(parcel)
    with _connected(here, name) as (connection, calls):
        made = _planned(here, name, whose, connection, here.ports, written, several)
    return WorkerPlan(made.plan, made.spec.diagnostics, made.matchable, made.idle, calls)


def _planned(
    here: _Here,
    name: str,
    whose: Identity,
    connection: Connection,
    ports: RunPorts,
    written: frozenset[Address] | None,
    several: bool,
) -> PlannedTarget:
    target = targets_of(here.request, here.parsed.settings)[name]
    parsed = for_target(here.parsed, target)
    offline = interpreted_offline(parsed, here.request, target, here.interpreter)
    own = connection.reader.identity()
    if own.account_id != whose.account_id:
        message = f"a worker's credentials are for account {own.account_id}, not {whose.account_id}"
        raise AwsError("", "WrongAccount", message, hint="set role_arn for the target")
    request = here.request if written is None else asked_once(here.request)
    return read_target(
        name, target, offline, whose, connection, request, ports, written, several=several
    )


def apply(
    parcel: Parcel, name: str, whose: Identity, approved: Mapping[str, Any], limits: Limits
) -> WorkerResult:
    """Plans the target, and applies that if it is a part of what was ``approved``, which is as
    ``intended_of`` has it. Raises ``AwsError`` if it cannot be read, and ``RefusedError``."""
    here = _here(parcel)
    told = FailureRecorder()
    # The marks of a worker that died are those of another run.
    ports = replace(here.ports, run=secrets.token_hex(6), progress=told)
    with _connected(here, name) as (connection, _):
        made = _planned(here, name, whose, connection, ports, None, several=False)
        if why := not_approved(made.plan, approved):
            return WorkerResult(
                Result((undone(why, "plan again: it was changed outside of this run"),))
            )
        deps = ExecutorDeps(
            reader=connection.reader,
            writer=connection.writer(),
            clock=ports.clock,
            progress=told,
            run=ports.run,
            deadline=Deadline(ports.clock, limits.ends_at, connection.outlives),
            parallelism=limits.parallelism,
            max_rps=limits.max_rps,
            gates=None if connection.gates is None else connection.gates(ports.clock),
            evidence=connection.evidence(ports.clock),
            ahead=partial(ahead_of_us, connection),
        )
        result = Executor(made.plan, deps, Interrupt()).execute()
    return WorkerResult(result, tuple(told.failures))


def undone(why: str, advice: str) -> Outcome:
    """The outcome of a target of which nothing, or not all, was done."""
    return Outcome(EVERYTHING, "apply", "failed", why, advice=advice)


def not_approved(plan: TargetPlan, approved: Mapping[str, Any]) -> str | None:
    """Why the plan is not a part of what was approved (as ``intended_of`` has it); ``None`` if it
    is. A part has changes of the same resources, in the same attributes where it is not made anew,
    and deletes nothing that was to stay."""
    if plan.conflicts:
        return f"{plan.conflicts[0].address}: {plan.conflicts[0].reason}"
    if plan.guards:
        return f"not approved: {plan.guards[0].reason}"
    now = intended_of(plan)
    for part in ("account_id", "regions", "rules", "settings"):
        if now[part] != approved[part]:
            return f"not approved: {part} differ"
    known = {(one["address"], one["region"]): one for one in approved["changes"]}
    for change in now["changes"]:
        was = known.get((change["address"], change["region"]))
        if was is None or not _is_part(change, was):
            return f"not approved: {change['address']} ({', '.join(change['actions'])})"
    return None


def _is_part(change: Mapping[str, Any], was: Mapping[str, Any]) -> bool:
    if "delete" in change["actions"] and "delete" not in was["actions"]:
        return False
    if was["before"] is None or "delete" in was["actions"]:
        return True
    return (change["after"] or {}).keys() <= (was["after"] or {}).keys()
