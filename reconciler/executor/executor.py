"""Runs the work of a plan: as parallel as its order allows, one thing at a time per address."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.errors import AwsError, InstanceEndedError, StoppedError
from reconciler.executor.cutover_runner import CutOverRunner
from reconciler.executor.idempotency import ended, taken
from reconciler.executor.interrupt import Deadline, Flights, Interrupt
from reconciler.executor.outcomes import (
    AGAIN,
    Outcome,
    Result,
    Stranded,
    failed,
    missing_permission,
)
from reconciler.executor.precondition import CHANGED, PreconditionCheck
from reconciler.executor.retrying_reader import RetryingReader
from reconciler.executor.sender import Pace, Sender
from reconciler.executor.spec_places import place_of
from reconciler.executor.stranded import stranded
from reconciler.executor.waiter import TEXT, Waiter
from reconciler.model.address import POLICY, ROLE, Address, same_name
from reconciler.model.ownership import InstanceKey
from reconciler.plan.calls import NOW, RUN, ApiCall, Ref, Wait, filled, refs_in
from reconciler.plan.changes import Delete, Replace
from reconciler.plan.cut_over import CutOver
from reconciler.plan.graph import Label, PendingStep, exists
from reconciler.plan.plan import TargetPlan, Work
from reconciler.ports import Clock, Progress, Reader, Writer

ASSOCIATE = "AssociateIamInstanceProfile"
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ExecutorDeps:
    """What an apply works with. ``run`` is the id of this run."""

    reader: Reader
    writer: Writer
    clock: Clock
    progress: Progress
    run: str
    deadline: Deadline
    parallelism: int = 10


@dataclass
class Executor:
    """Executes the plan of one target, once. ``stop`` may be set from any thread, or by a signal:
    then nothing new starts, and unfinished work is restored."""

    plan: TargetPlan
    tools: ExecutorDeps
    stop: Interrupt = field(default_factory=Interrupt)
    _flights: Flights = field(default_factory=Flights)
    _known: dict[Ref, str] = field(default_factory=dict)
    _made: set[Label] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        identity, tools = self.plan.identity, self.tools
        start = identity.arns.of(POLICY, "", "")
        pace = Pace(tools.clock)
        clock, stop, flights = tools.clock, self.stop, self._flights
        self._reader: Reader = RetryingReader(tools.reader, clock, stop, flights, self._told)
        self._sender = Sender(
            tools.writer, self._reader, clock, stop, start, pace=pace, flights=flights
        )
        self._changes = {c.address: c for c in self.plan.changes}
        self._waiter = Waiter(self._reader, tools.clock, tools.progress, self.stop)
        self._comparison = PreconditionCheck(
            self._reader,
            tools.clock,
            self.plan.based_on,
            self.plan.begins,
            tools.run,
            frozenset(c.address for c in self.plan.changes if isinstance(c, Delete | Replace)),
            identity,
            self.plan.users,
        )

    def execute(self) -> Result:
        outcomes: dict[int, Outcome] = {}
        running: dict[Future[Outcome], int] = {}
        with ThreadPoolExecutor(self.tools.parallelism) as pool:
            while len(outcomes) < len(self.plan.work):
                self._skip(outcomes, running)
                for place in self._startable(outcomes, running):
                    is_cleanup = self._is_cleanup(place, _begun(outcomes, set(running.values())))
                    running[pool.submit(self._work, place, is_cleanup)] = place
                if not running:
                    continue
                # A signal that arrives just before a wait is handled after it: so no wait is long.
                while not (finished := wait(running, LOOK_SECONDS, FIRST_COMPLETED).done):
                    pass
                for future in finished:
                    outcomes[running.pop(future)] = future.result()
        ordered = tuple(outcomes[place] for place in sorted(outcomes))
        lost = () if all(o.status == "applied" for o in ordered) else self._stranded(outcomes)
        return Result(ordered, self.stop.is_set(), lost)

    def _stranded(self, outcomes: Mapping[int, Outcome]) -> tuple[Stranded, ...]:
        given: list[ApiCall] = []
        for place, ordered in enumerate(self.plan.work):
            action = ordered.pending.action
            if not isinstance(action, ApiCall) or outcomes[place].status == "applied":
                continue
            is_known = all(ref in self._known for ref in refs_in(action.params))
            if action.operation == ASSOCIATE and ordered.pending.is_cleanup and is_known:
                given.append(replace(action, params=filled(action.params, self._known)))
        return stranded(self.plan, outcomes, given, self._reader)

    def _startable(
        self, outcomes: Mapping[int, Outcome], running: Mapping[Future[Outcome], int]
    ) -> list[int]:
        """Work whose predecessors are done and whose address is free, in the plan's order."""
        started = {*outcomes, *running.values()}
        busy = {self.plan.work[place].pending.address for place in running.values()}
        chosen: list[int] = []
        room = self.tools.parallelism - len(running)
        for place, ordered in enumerate(self.plan.work):
            if place in started or len(chosen) >= room:
                continue
            address = ordered.pending.address
            if address not in busy and all(before in outcomes for before in ordered.after):
                busy.add(address)
                chosen.append(place)
        return chosen

    def _skip(self, outcomes: dict[int, Outcome], running: Mapping[Future[Outcome], int]) -> None:
        """Steps that depend on a failed one are skipped, and steps that depend on those; no
        others."""
        started = set(running.values())
        for place, ordered in enumerate(self.plan.work):
            if place in outcomes or place in started:
                continue
            ended = [before for before in ordered.after if before in outcomes]
            broken = [before for before in ended if outcomes[before].status != "applied"]
            pending = ordered.pending
            if broken:
                cause = outcomes[broken[0]]
                how = "failed" if cause.status == "failed" else "was skipped"
                reason = f"depends on {cause.address} ({cause.what}), which {how}"
                what = describe(pending)
                outcomes[place] = Outcome(
                    pending.address, what, "skipped", reason, cause=cause.address
                )
            elif (why := self._ending()) and not self._is_cleanup(place, _begun(outcomes, started)):
                outcomes[place] = Outcome(
                    pending.address, describe(pending), "skipped", why, advice=AGAIN
                )

    def _told(self, error: AwsError, seconds: float) -> None:
        self.tools.progress.waiting(
            Address("AWS"), f"the retry of {error.call} ({error.code})", 0.0, seconds
        )

    def _ending(self) -> str | None:
        """Why nothing new begins."""
        return "interrupted" if self.stop.is_set() else self.tools.deadline.is_over()

    def _is_cleanup(self, place: int, begun: set[int]) -> bool:
        """Whether a cleanup step must run although something failed, since what it restores is done
        or in progress: its predecessors have started, or wait for the same step; or part of its
        group has."""
        work = self.plan.work
        pending, after = work[place].pending, work[place].after
        if pending.group is not None:
            return any(work[other].pending.group == pending.group for other in begun)
        return pending.is_cleanup and all(b in begun or work[b].pending.is_cleanup for b in after)

    def _work(self, place: int, is_cleanup: bool) -> Outcome:
        pending = self.plan.work[place].pending
        what, address = describe(pending), pending.address
        began = self.tools.clock.now()
        self.tools.progress.started(address, what)
        with self._flights.noted(f"step {place}", is_open=is_cleanup):
            outcome = self._outcome(pending, what)
        seconds = self.tools.clock.now() - began
        if outcome.status == "failed":
            change = self._changes.get(address)
            outcome = replace(outcome, source=place_of(change, pending.action, outcome.brief))
        if outcome.status == "applied":
            is_over = address in outcome.ended
            self.tools.progress.done(address, outcome.reason if is_over else what, seconds)
        elif outcome.status == "skipped":
            self.tools.progress.skipped(address, what, outcome.reason)
        else:
            brief = outcome.brief if outcome.is_told else ""
            self.tools.progress.failed(address, what, outcome.reason, brief)
        return outcome

    def _outcome(self, pending: PendingStep[Work], what: str) -> Outcome:
        try:
            match pending.action:
                case ApiCall():
                    self._comparison.check(pending.address)
                    self._comparison.check_unused(pending.address, pending.action)
                    self._call(pending, pending.action)
                case Wait():
                    is_closing = pending.is_cleanup or pending.group is not None
                    self._waiter.wait(pending.address, pending.action, to_the_end=is_closing)
                case CutOver():
                    return self._cut_over(pending.action)
        except InstanceEndedError as error:
            return Outcome(
                pending.address, what, "applied", error.message, ended=(pending.address,)
            )
        except AwsError as error:
            wanted = (
                missing_permission(pending.action, error)
                if isinstance(pending.action, ApiCall)
                else ""
            )
            return failed(pending.address, what, error, wanted)
        except StoppedError:
            return Outcome(pending.address, what, "skipped", "interrupted", advice=AGAIN)
        return Outcome(pending.address, what, "applied")

    def _cut_over(self, cutover: CutOver) -> Outcome:
        tools = self.tools
        with self._lock:
            made_id = self._known.get(Ref(cutover.address, "id"))
        return CutOverRunner(
            cutover=cutover,
            identity=self.plan.identity,
            run=tools.run,
            reader=self._reader,
            sender=self._sender,
            clock=tools.clock,
            progress=tools.progress,
            stop=self.stop,
            deadline=tools.deadline,
            flights=self._flights,
            check=lambda: self._comparison.check_cut_over(cutover, made_id),
        ).execute()

    def _call(self, pending: PendingStep[Work], call: ApiCall) -> None:
        refs = refs_in(call.params)
        for ref in refs:
            if ref == NOW:
                self._known[ref] = str(int(self.tools.clock.now()))
            elif ref == RUN:
                self._known[ref] = self.tools.run
            elif ref.address.is_instance:
                self._resolve_association(ref, call.region or "")
            else:
                self._resolve_ref(ref)
        ready = ApiCall(call.service, call.operation, filled(call.params, self._known), call.region)
        address = pending.address

        def told(error: AwsError, seconds: float) -> None:
            self.tools.progress.waiting(
                address, f"the retry of {call.name} ({error.code})", 0.0, seconds
            )

        instance = address.name if address.is_instance else None
        with self._lock:
            # Whether this run made something that the call may refer to.
            is_fresh = bool(self._made & pending.requires)
        answer = self._sender.send(
            ready, is_fresh=is_fresh, was_made=self._was_made, instance=instance, told=told
        )
        self._note(address, pending, answer)

    def _was_made(self, address: Address) -> bool:
        with self._lock:
            return exists(address) in self._made

    def _note(
        self, address: Address, pending: PendingStep[Work], answer: Mapping[str, Any]
    ) -> None:
        """Remember what was created, and the ids that AWS assigned."""
        if exists(address) not in pending.provides:
            return
        found = answer.get("Role") or answer.get("InstanceProfile") or answer.get("Policy") or {}
        with self._lock:
            self._made.update(pending.provides)
            for key, value in found.items():
                if key in ("RoleId", "InstanceProfileId", "PolicyId"):
                    self._known[Ref(address, "id")] = value
                elif key == "Arn":
                    self._known[Ref(address, "arn")] = value

    def _resolve_ref(self, ref: Ref) -> None:
        """A value whose answer was lost is read."""
        with self._lock:
            if ref in self._known:
                return
        reader, name = self._reader, ref.address.name
        found = reader.role(name) if ref.address.kind == ROLE else reader.profile(name)
        if found is None:
            raise AwsError(f"read:{ref.address}", "NoSuchEntity", f"{ref.address} does not exist")
        with self._lock:
            self._known[Ref(ref.address, "id")] = found.id
            self._known[Ref(ref.address, "arn")] = found.arn

    def _resolve_association(self, ref: Ref, region: str) -> None:
        """Always read: a cut-over may have given the instance a new association. Only the planned
        profile is disassociated."""
        key, call = InstanceKey(region, ref.address.name), f"read:{ref.address}"
        found = next(iter(self._reader.instances([key])), None)
        if found is None or found.is_gone:
            raise InstanceEndedError(call, "InvalidInstanceID.NotFound", ended(key.instance))
        if found.row is None:
            message = f"{key.instance} no longer has an association; plan again"
            raise AwsError(call, "InvalidAssociationID.NotFound", message)
        changes = [c for c in self.plan.changes if (c.address, c.region) == (ref.address, region)]
        planned = [(c.before or {}).get("instance_profile") for c in changes]
        before = next((name for name in planned if name is not None), None)
        if before is not None and not same_name(found.row.profile_name, before):
            raise AwsError(call, CHANGED, taken(key.instance, found.row))
        with self._lock:
            self._known[ref] = found.row.id


def describe(pending: PendingStep[Work]) -> str:
    match pending.action:
        case ApiCall():
            return pending.action.name
        case Wait(condition):
            return f"wait for {TEXT[condition]}"
        case CutOver():
            return "cut-over"


def _begun(outcomes: Mapping[int, Outcome], started: set[int]) -> set[int]:
    return {place for place, one in outcomes.items() if one.status != "skipped"} | started
