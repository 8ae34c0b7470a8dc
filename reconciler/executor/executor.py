"""Runs the work of a plan: as parallel as its order allows, one thing at a time per address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import Any

from reconciler.cutover.decisions import AGAIN
from reconciler.errors import AwsError, InstanceEndedError, StoppedError
from reconciler.executor.cutover_runner import CutOverRunner
from reconciler.executor.evidence import Gatherer
from reconciler.executor.gate_reader import GateReader
from reconciler.executor.idempotency import ended, taken
from reconciler.executor.interrupt import Deadline, Flights, Interrupt
from reconciler.executor.outcomes import (
    Outcome,
    Result,
    Stranded,
    failed,
    missing_permission,
)
from reconciler.executor.pace import Pace
from reconciler.executor.places import PlacedClock, Places
from reconciler.executor.precondition import CHANGED, PreconditionCheck
from reconciler.executor.retrying_reader import RetryingReader
from reconciler.executor.schedule import Schedule
from reconciler.executor.sender import Sender
from reconciler.executor.shared_reader import SharedReader
from reconciler.executor.spec_places import place_of
from reconciler.executor.stranded import stranded
from reconciler.executor.waiter import TEXT, Waiter
from reconciler.executor.witness import Witness
from reconciler.model.address import POLICY, ROLE, Address, same_name
from reconciler.model.ownership import InstanceKey
from reconciler.model.revocation import moment
from reconciler.plan.calls import BEGAN, NOW, RUN, ApiCall, Ref, Wait, filled, refs_in
from reconciler.plan.changes import Delete, Replace
from reconciler.plan.cut_over import CutOver
from reconciler.plan.graph import Label, PendingStep, exists
from reconciler.plan.plan import TargetPlan, Work
from reconciler.ports import BatchCheck, Clock, EvidenceReader, Gates, Progress, Reader, Writer

ASSOCIATE = "AssociateIamInstanceProfile"
LOOK_SECONDS = 0.5
MOST_BEGUN = 256
"""Steps that have begun and not ended: most of them wait, each in a thread of its own."""


_Finished = SimpleQueue[tuple[int, Future[Outcome]]]


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
    max_rps: float | None = None
    """Calls a second that change something, of each service; ``None`` for no limit of our own."""
    gates: Gates | None = None
    """Asks about what a cut-over watches; without it, one that watches something is refused."""
    evidence: EvidenceReader | None = None
    """Says which role instances are served; without it, that is unknown."""
    batch_check: BatchCheck | None = None
    """A person's own check after each batch."""
    ahead: Callable[[], float] = float
    """By how many seconds AWS's clock is ahead of ours, as far as is known."""


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
        self._began = tools.clock.now()
        start = identity.arns.of(POLICY, "", "")
        paces = {service: Pace(tools.max_rps) for service in ("iam", "ec2")}
        self._places = Places(tools.parallelism)
        self._clock: Clock = PlacedClock(tools.clock, self._places)
        clock, stop, flights = self._clock, self.stop, self._flights
        shared = SharedReader(tools.reader, clock, self._places, self._listed())
        told = partial(tools.progress.waiting, Address("AWS"))
        self._reader: Reader = RetryingReader(shared, clock, stop, flights, told)
        self._sender = Sender(
            tools.writer, self._reader, clock, stop, start, paces=paces, flights=flights
        )
        self._changes = {c.address: c for c in self.plan.changes}
        self._waiter = Waiter(self._reader, clock, tools.progress, stop)
        self._comparison = PreconditionCheck(
            self._reader,
            clock,
            self.plan.based_on,
            self.plan.begins,
            tools.run,
            frozenset(c.address for c in self.plan.changes if isinstance(c, Delete | Replace)),
            identity,
            self.plan.users,
        )

    def execute(self) -> Result:
        outcomes: dict[int, Outcome] = {}
        work, schedule = self.plan.work, Schedule(self.plan.work, self.plan.most_cutovers)
        places, finished = self._places, _Finished()
        is_closed = False
        with ThreadPoolExecutor(MOST_BEGUN) as pool:
            while not schedule.is_over:
                seen = places.changes
                while not finished.empty():
                    place, done = finished.get()
                    outcome = outcomes[place] = done.result()
                    for following, cause in schedule.ended(place, outcome.status):
                        outcomes[following] = _after(work[following].pending, outcomes[cause])
                if not is_closed and (why := self._ending()):
                    is_closed = True
                    for n, before in schedule.close():
                        of = work[n].pending
                        skipped = Outcome(of.address, describe(of), "skipped", why, advice=AGAIN)
                        outcomes[n] = skipped if before is None else _after(of, outcomes[before])
                if schedule.is_over or self._begin(schedule, pool, finished):
                    continue
                if not schedule.running:
                    raise RuntimeError("nothing runs, and nothing can begin")
                # A signal that arrives just before a wait is handled after it: no wait is long.
                places.wait(seen, LOOK_SECONDS)
        ordered = tuple(outcomes[place] for place in sorted(outcomes))
        lost = () if all(o.status == "applied" for o in ordered) else self._stranded(outcomes)
        return Result(ordered, self.stop.is_set(), lost)

    def _begin(self, schedule: Schedule, pool: ThreadPoolExecutor, finished: _Finished) -> bool:
        """Whether one more piece of work has begun. It has a place from here on."""
        if schedule.running >= MOST_BEGUN or not self._places.take():
            return False
        place = schedule.begin()
        if place is None:
            self._places.leave()
            return False
        is_cleanup = schedule.is_cleanup(place)

        def work() -> Outcome:
            with self._places.held():
                return self._work(place, is_cleanup)

        def ended(done: Future[Outcome]) -> None:
            # The place first: once its end is seen, the next step finds it free.
            self._places.give()
            finished.put((place, done))
            self._places.stir()

        # In the context of the target that is applied, for those who tell of it.
        pool.submit(copy_context().run, work).add_done_callback(ended)
        return True

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

    def _ending(self) -> str | None:
        """Why nothing new begins."""
        return "interrupted" if self.stop.is_set() else self.tools.deadline.is_over()

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
        told = partial(tools.progress.waiting, cutover.address)
        return CutOverRunner(
            cutover=cutover,
            identity=self.plan.identity,
            run=tools.run,
            reader=self._reader,
            sender=self._sender,
            clock=self._clock,
            progress=tools.progress,
            stop=self.stop,
            deadline=tools.deadline,
            flights=self._flights,
            check=lambda seen: self._comparison.check_cut_over(cutover, made_id, seen),
            gates=GateReader(tools.gates, self._clock, self.stop, self.plan.identity, told),
            witness=Witness(self._gatherer()),
            batch_check=tools.batch_check,
        ).execute()

    def _listed(self) -> frozenset[str]:
        """ARNs of the profiles whose consumers the plan asks for."""
        found = {observed.profile.arn for observed in self.plan.begins.values()}
        gone = (self.plan.based_on.get(address) for address in self.plan.users)
        return frozenset(found | {entity.arn for entity in gone if entity is not None})

    def _gatherer(self) -> Gatherer | None:
        """It may wait, and lets others have its place meanwhile."""
        tools, reader = self.tools, self.tools.evidence
        if reader is None:
            return None
        return Gatherer(reader, self._clock, tools.progress, tools.parallelism, self.stop)

    def _call(self, pending: PendingStep[Work], call: ApiCall) -> None:
        refs = refs_in(call.params)
        for ref in refs:
            if ref == NOW:
                self._known[ref] = str(int(self.tools.clock.now()))
            elif ref == BEGAN:
                if ref not in self._known:
                    # Compared with times of AWS's clock.
                    self._known[ref] = moment(self._began + self.tools.ahead())
            elif ref == RUN:
                self._known[ref] = self.tools.run
            elif ref.address.is_instance:
                self._resolve_association(ref, call.region or "")
            else:
                self._resolve_ref(ref)
        ready = ApiCall(call.service, call.operation, filled(call.params, self._known), call.region)
        address = pending.address
        self._comparison.check_written(address, ready)

        told = partial(self.tools.progress.waiting, address)
        instance = address.name if address.is_instance else None
        with self._lock:
            # Whether this run made something that the call may refer to.
            is_fresh = bool(self._made & pending.requires)
        answer = self._sender.send(
            ready, is_fresh=is_fresh, was_made=self._was_made, instance=instance, told=told
        )
        self._comparison.note_written(address, ready)
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


def _after(pending: PendingStep[Work], cause: Outcome) -> Outcome:
    """Of a step that depends on one that was not applied."""
    how = "failed" if cause.status == "failed" else "was skipped"
    reason = f"depends on {cause.address} ({cause.what}), which {how}"
    return Outcome(pending.address, describe(pending), "skipped", reason, cause=cause.address)
