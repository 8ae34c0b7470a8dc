"""Runs a cut-over: observe, decide, act, until it is done or cannot continue."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial

from reconciler.cutover import run_state as states
from reconciler.cutover.decide import decide, is_half_done
from reconciler.cutover.decisions import (
    AGAIN,
    Act,
    Ask,
    AskEvidence,
    AskGates,
    BatchDone,
    BatchPassed,
    Decision,
    Done,
    GiveUp,
    GiveUpInstance,
    List,
    Pause,
    RunCheck,
    Verified,
)
from reconciler.cutover.run_state import RunState
from reconciler.cutover.simulate import simulate
from reconciler.errors import DENIED, THROTTLED, AwsError
from reconciler.executor.gate_reader import GateReader
from reconciler.executor.interrupt import Deadline, Flights, Interrupt
from reconciler.executor.observer import Observer
from reconciler.executor.outcomes import (
    MEND,
    Outcome,
    Status,
    advice,
    missing_permission,
    refusal,
)
from reconciler.executor.record import Recorder
from reconciler.executor.sender import Sender
from reconciler.executor.waiter import FIRST_LOOK_SECONDS
from reconciler.executor.witness import Witness
from reconciler.model import ownership
from reconciler.model.address import Address, instance_address
from reconciler.model.ownership import InstanceKey, Pending
from reconciler.model.resources import Identity
from reconciler.plan.calls import POLL_SECONDS, ApiCall
from reconciler.plan.cut_over import CutOver, Observation
from reconciler.plan.gates import GateAnswers
from reconciler.ports import Batch, BatchCheck, Clock, Progress, Reader, Within

LOST_ANSWERS = 10

TAKES = frozenset(
    {
        "DisassociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
        "StopInstances",
        "RemoveRoleFromInstanceProfile",
    }
)
"""Calls before which it is checked that no other run has marked the profile."""
SETTLES = ("DisassociateIamInstanceProfile", "AssociateIamInstanceProfile")
"""Calls that EC2 completes some time after it has answered."""
FRESH_SECONDS = 5.0
"""How old a read of the profile may be that is compared with the plan before the first write."""
OF_ONE_INSTANCE = (
    "AssociateIamInstanceProfile",
    "DisassociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "StopInstances",
    "StartInstances",
)
"""Calls whose refusal gives up one instance. A refusal of any other call ends the cut-over."""
HOPED_FOR = frozenset({"LimitExceeded", "EntityAlreadyExists"})
"""Codes that show that a role may be added while another one is in the profile."""
LOOK_AGAIN = frozenset(
    {
        "IncorrectState",
        "IncorrectInstanceState",
        "InvalidAssociationID.NotFound",
        "InvalidInstanceID.NotFound",
        "EntityAlreadyExists",
    }
)
"""Codes that mean that the observation is outdated: another actor changed something, an instance
starts, stops or ends, or IAM did not yet show the writes of an earlier run."""


@dataclass
class CutOverRunner:
    """One cut-over of one apply."""

    cutover: CutOver
    identity: Identity
    run: str
    reader: Reader
    sender: Sender
    clock: Clock
    progress: Progress
    stop: Interrupt
    deadline: Deadline
    check: Callable[[Observation | None], None]
    """Raises ``AwsError`` if the profile is no longer as planned; it is read again unless there is
    an observation."""
    gates: GateReader
    witness: Witness = field(default_factory=Witness)
    batch_check: BatchCheck | None = None
    flights: Flights = field(default_factory=Flights)
    notes: list[str] = field(default_factory=list)
    _taken: set[InstanceKey] = field(default_factory=set)
    _given: set[InstanceKey] = field(default_factory=set)
    """Instances that this run disassociated or stopped, and those that are restored."""
    _gone: set[InstanceKey] = field(default_factory=set)
    _again: int = 0
    _looks: int = 0
    _has_written: bool = False
    _has_checked: bool = False
    """Whether the profile was read since this run last took something away."""
    _met: set[InstanceKey] = field(default_factory=set)
    _ended: tuple[Address, ...] = ()
    _calls: int = 0
    _flying: tuple[InstanceKey, ...] = ()
    _advice: str = MEND
    _brief: str = ""
    _at_checkpoint: bool = False
    _wanted: str = ""
    """The permission for which the whole cut-over ended."""
    _told: set[str] = field(default_factory=set)
    """Reasons that ``progress`` has been told."""
    _wait: tuple[str, float] = ("", 0.0)
    """What is polled for, and since when."""
    _answers: GateAnswers | None = None
    """The last answers about what is watched."""

    def __post_init__(self) -> None:
        self._observer = Observer(self.identity, self.run, self.reader, self.clock, self.stop)
        self._recorder = Recorder(self.cutover, self.clock.now())

    def execute(self) -> Outcome:
        """Never raises ``AwsError``: what went wrong is in the outcome."""
        outcome = self._executed()
        return replace(outcome, record=self._recorder.record(self.cutover, self.clock.now()))

    def _executed(self) -> Outcome:
        try:
            return self._loop(self.cutover, self._observer.begin(self.cutover))
        except AwsError as error:
            if error.code == "NoSuchEntity" and not self._has_written:
                try:
                    self.check(None)
                except AwsError as changed:
                    # What became of the profile since it was planned says more.
                    error = changed
            self._went_wrong(error, self._wanted)
            reason = f"{error.call}: {refusal(error, self._wanted)}"
            return self._outcome("failed", reason, error.request_id)
        finally:
            self.flights.note(self.cutover.address, is_open=False)

    def _note_flights(self, cutover: CutOver, observed: Observation, run_state: RunState) -> None:
        half_done = is_half_done(cutover, observed, run_state)
        self.flights.note(self.cutover.address, is_open=half_done)

    def _went_wrong(self, error: AwsError, wanted: str = "") -> None:
        self._brief, self._advice = f"{error.call}: {error.code}", advice(error, wanted)

    def _loop(self, cutover: CutOver, observed: Observation) -> Outcome:
        self._has_checked = True
        run_state = states.initial_state(cutover, observed, self.run)
        for instance in states.noted_as_done(observed):
            note = f"{instance.key.instance} is skipped: its tag says that it has the role"
            self.notes.append(note)
            self.progress.started(cutover.address, note)
        while True:
            self._note_flights(cutover, observed, run_state)
            is_roll_back = cutover.settle_as is not None
            closed = self.deadline.forbids_batch(is_roll_back=is_roll_back)
            asked, hurries = self.stop.is_set(), self.stop.hurries
            run_state = replace(
                run_state,
                stopping=asked,
                hurrying=hurries,
                closed=closed,
                has_command=self.batch_check is not None,
            )
            self._met.update(i.key for i in observed.instances.values() if i.is_running)
            there = {key for key, i in observed.instances.items() if not i.is_gone}
            self._gone = self._given - there
            decision = decide(cutover, observed, run_state)
            match decision:
                case Done():
                    self._ended = self._those_ended(observed)
                    return self._outcome("applied", "; ".join(self.notes))
                case GiveUp(reason, roll_back) if roll_back:
                    return self._roll_back(
                        cutover.reversed(observed.target, run_state.untouched), reason
                    )
                case GiveUp(reason, is_stop=is_stop, advice=advised):
                    if decision.is_checkpoint:
                        self._brief, self._at_checkpoint = reason, True
                    self._advice = advised or (AGAIN if is_stop else self._advice)
                    return self._outcome("skipped" if is_stop else "failed", reason)
                case _:
                    observed, run_state = self._step(cutover, decision, observed, run_state)

    def _those_ended(self, observed: Observation) -> tuple[Address, ...]:
        """Instances that were running and have terminated since: they are no longer listed."""
        missing = [
            k for k in self._met if k not in observed.instances or observed.instances[k].is_gone
        ]
        found = {i.key: i for i in self.reader.instances(missing)} if missing else {}
        ended = [k for k in sorted(missing) if k not in found or found[k].is_gone]
        return tuple(instance_address(key.instance) for key in ended)

    def _roll_back(self, cutover: CutOver, reason: str) -> Outcome:
        """Restore the previous role, for the profile and for every instance that may have the new
        one."""
        self._fail(cutover.address, f"{reason}; rolling back", "rolling back")
        self._told.add(reason)
        self._brief = ""
        self._recorder.turned_back(cutover)
        ended = self._loop(cutover, self._observer.observe(cutover))
        if ended.status == "applied":
            self._brief = "rolled back, the profile has the old role again"
            self._advice = (
                f"find the cause; --allow retry={cutover.address} tries this role once more, and "
                "another role needs no flag"
            )
            return self._outcome(
                "failed", f"{reason}; rolled back, the profile has the old role again"
            )
        # AWS's own words are long, and most often the same.
        brief = self._brief if self._is_told(ended.reason) else ""
        again = f"the roll-back failed too: {brief or ended.reason}"
        self._advice = ended.advice
        self._brief = again
        return self._outcome("failed", f"{reason}; {again}")

    def _step(
        self, cutover: CutOver, decision: Decision, observed: Observation, run_state: RunState
    ) -> tuple[Observation, RunState]:
        if isinstance(decision, Ask | Act) and not self._has_written:
            is_fresh = self._observer.is_recent(FRESH_SECONDS)
            self.check(observed if is_fresh else None)
            self._has_written = isinstance(decision, Act)
        if isinstance(decision, Act) and not self._has_checked and takes(decision):
            return self._look(cutover, observed, ()), run_state
        match decision:
            case Ask(calls, refusal="LimitExceeded"):
                return self._ask_iam(decision, calls[0], observed, run_state)
            case Ask():
                return self._ask_ec2(cutover, decision, observed, run_state)
            case Act():
                return self._act(cutover, decision, observed, run_state)
            case Pause():
                return self._pause(cutover, decision, observed), run_state
            case AskGates() | RunCheck() | AskEvidence() | Verified() | BatchPassed():
                return self._prove(cutover, decision, observed, run_state)
            case List():
                return self._observe(cutover, run_state), run_state
            case BatchDone():
                run_state = states.ended_batch(run_state, self.clock.now())
                self._recorder.batch_ended(run_state.batches, self.clock.now())
                return observed, run_state
            case GiveUpInstance(key, reason):
                self._fail(instance_address(key.instance), reason)
                self._recorder.failed(key, reason)
                self._brief, self._advice = f"{key.instance} was not cut over", MEND
                return observed, states.lost(run_state, key, reason)
            case _:
                return observed, run_state

    def _pause(self, cutover: CutOver, pause: Pause, observed: Observation) -> Observation:
        if pause.is_poll:
            # Soon at first, since most is done in a second; then less and less often.
            seconds = min(pause.seconds, FIRST_LOOK_SECONDS * 2.0**self._looks)
            self._looks += 1
            self._tell_poll(pause.why)
            self._sleep(seconds)
            return self._observer.poll(cutover, observed, pause.watch)
        whole = pause.seconds if pause.whole is None else pause.whole
        piece = pause.seconds if pause.at_most is None else min(pause.seconds, pause.at_most)
        self._sleep(piece, pause.why, whole - pause.seconds, whole)
        return self._look(cutover, observed, pause.watch)

    def _prove(
        self,
        cutover: CutOver,
        decision: AskGates | RunCheck | AskEvidence | Verified | BatchPassed,
        observed: Observation,
        run_state: RunState,
    ) -> tuple[Observation, RunState]:
        match decision:
            case AskGates(sessions):
                self._answers = self.gates.ask(cutover, sessions)
                self._recorder.asked(run_state.batches, self._answers)
                return replace(observed, now=self.clock.now(), gates=self._answers), run_state
            case RunCheck():
                failure = self._check_batch(cutover, decision)
                self._recorder.commanded(run_state.batches, failure)
                run_state = states.answered_command(run_state, failure)
                return self._look(cutover, observed, ()), run_state
            case AskEvidence(expected):
                found = self.witness.judged(expected, cutover.limits.verify.sources)
                self._recorder.proved(run_state.batches, found)
                run_state = states.found_evidence(run_state, found, self.clock.now())
                return self._look(cutover, observed, ()), run_state
            case Verified(unknown):
                for note in self.witness.noted(unknown):
                    self.progress.started(cutover.address, note)
                return observed, states.verified(run_state)
            case BatchPassed():
                self._recorder.passed(run_state.batches, self.clock.now())
                return observed, states.passed_batch(run_state)

    def _check_batch(self, cutover: CutOver, asked: RunCheck) -> str:
        if self.batch_check is None:
            return ""
        self.progress.started(cutover.address, f"the check of batch {asked.number}")
        batch = Batch(
            number=asked.number,
            account_id=self.identity.account_id,
            profile=cutover.profile,
            role=cutover.after.name if cutover.after else "",
            before=cutover.before.name if cutover.before else None,
            instances=asked.batch,
        )
        began, what = self.clock.now(), f"the check of batch {asked.number}"

        def is_over() -> bool:
            self.progress.waiting(cutover.address, what, self.clock.now() - began)
            return self.stop.is_set()

        return self.batch_check.failure(batch, is_over)

    def _ask_iam(
        self, ask: Ask, call: ApiCall, observed: Observation, run_state: RunState
    ) -> tuple[Observation, RunState]:
        """``LimitExceeded`` is the answer hoped for. Any other refusal ends it, nothing changed."""
        try:
            self.sender.send(call, is_fresh=True, hoped_for=HOPED_FOR)
        except AwsError as error:
            if error.code not in HOPED_FOR:
                self._wanted = missing_permission(call, error)
                raise
        return replace(observed, now=self.clock.now()), states.answered(run_state, ask, observed)

    def _ask_ec2(
        self, cutover: CutOver, ask: Ask, observed: Observation, run_state: RunState
    ) -> tuple[Observation, RunState]:
        """An instance that is refused keeps what it has. If the answer is neither *allowed* nor
        *denied*, the endpoint does not support DryRun, or the instance has changed: then it is
        observed again."""
        doubtful: list[InstanceKey] = []
        run_state = states.answered(run_state, ask, observed)
        for call in ask.calls:
            keys = states.instances_of(call, observed)
            try:
                self.sender.send(call, is_fresh=True)
            except AwsError as error:
                if error.code in DENIED:
                    wanted = missing_permission(call, error, keys[0].instance if keys else None)
                    self._advice = advice(error, wanted)
                    why = refusal(error, wanted)
                    for key in keys:
                        run_state = states.refused(run_state, key, why)
                elif error.code in THROTTLED or error.is_uncertain or error.was_not_sent:
                    raise
                elif error.code != ask.refusal:
                    doubtful.extend(keys)
            else:
                self.notes.append(
                    f"{call.name}: the endpoint does not support DryRun, so nothing was checked"
                )
                doubtful.extend(keys)
        observed = self._observer.recheck(observed, doubtful)
        return self._observer.poll(cutover, observed, ()), run_state

    def _look(
        self, cutover: CutOver, observed: Observation, keys: Collection[InstanceKey]
    ) -> Observation:
        self._has_checked = True
        return self._observer.look(cutover, observed, keys)

    def _observe(self, cutover: CutOver, run_state: RunState) -> Observation:
        self._has_checked = True
        return replace(self._observer.observe(cutover, run_state), gates=self._answers)

    def _act(
        self, cutover: CutOver, act: Act, observed: Observation, run_state: RunState
    ) -> tuple[Observation, RunState]:
        touched: list[InstanceKey] = []
        self._looks, self._wait = 0, ("", 0.0)
        for call, why in act.explained():
            before = replace(observed, now=self.clock.now())
            self._tell(cutover, why, call, before, run_state)
            problem = self._send(call, act, before)
            if problem is None or act.is_hint:
                run_state = states.after_own_call(run_state, call, before, self.clock.now())
                if problem is None:
                    observed = simulate(cutover, before, call)
                # What a call about tags did is known, unless it was refused.
                if problem is not None or not call.operation.endswith("Tags"):
                    touched.extend(states.instances_of(call, before))
                self._note_flights(cutover, observed, run_state)
                self._calls += problem is None
                self._flying = tuple(k for k in run_state.away if k not in run_state.back)
                self._count(call, before)
                if problem is None:
                    keys = states.instances_of(call, before)
                    self._recorder.called(call, keys, self.clock.now(), run_state.batches)
                continue
            if problem.is_uncertain or problem.code in LOOK_AGAIN:
                if call.service == "iam":
                    self._observer.forget()
                return self._after_doubt(cutover, problem, observed, run_state), run_state
            key = next(iter(states.instances_of(call, before)), None)
            if key is None or call.operation not in OF_ONE_INSTANCE:
                if before.profile.role_id is None:
                    for undoing in act.undo:
                        self.sender.send(undoing, is_fresh=True)
                self._wanted = missing_permission(call, problem)
                raise problem
            wanted = missing_permission(call, problem, key.instance)
            self._went_wrong(problem, wanted)
            reason = refusal(problem, wanted)
            run_state = states.not_given(cutover, before, run_state, key, reason)
            self._recorder.failed(key, reason)
            if key in run_state.failed:
                self._fail(instance_address(key.instance), reason)
        return self._seen_after(cutover, act, observed, touched), run_state

    def _seen_after(
        self, cutover: CutOver, act: Act, observed: Observation, touched: Collection[InstanceKey]
    ) -> Observation:
        """``observed`` is what the calls of ``act`` should have made."""
        self._again = 0
        if any(call.service == "iam" for call in act.calls):
            self._observer.wrote(observed)
        if _may_meet_another(act, observed):
            return self._look(cutover, observed, touched)
        if any(call.operation in SETTLES for call in act.calls):
            # It takes EC2 a moment, so a read at once would show nothing new.
            self.stop.rest(self.clock, FIRST_LOOK_SECONDS)
        return self._observer.poll(cutover, observed, touched, touched)

    def _count(self, call: ApiCall, observed: Observation) -> None:
        keys = states.instances_of(call, observed)
        match call.operation:
            case "DisassociateIamInstanceProfile" | "StopInstances":
                self._taken.update(keys)
            case "ReplaceIamInstanceProfileAssociation":
                is_home = call.params["IamInstanceProfile"]["Arn"] == observed.profile.arn
                self._given.update(keys if is_home else ())
            case "AssociateIamInstanceProfile" | "StartInstances":
                self._given.update(self._taken.intersection(keys))

    def _tell(
        self, cutover: CutOver, why: str, call: ApiCall, observed: Observation, run_state: RunState
    ) -> None:
        """Reports each instance that has the role, with the seconds that it was without a
        profile."""
        keys = states.instances_of(call, observed)
        if call.operation == "CreateTags" and cutover.after is not None:
            for key in keys:
                away = observed.now - run_state.away.get(key, observed.now)
                text = f"refresh to role/{cutover.after.name}"
                self.progress.done(instance_address(key.instance), text, away)
        elif len(keys) == 1:
            within = Within(cutover.address, keys[0].region)
            self.progress.started(instance_address(keys[0].instance), why, within)
        else:
            self.progress.started(cutover.address, why)

    def _send(self, call: ApiCall, act: Act, observed: Observation) -> AwsError | None:
        if call.service == "iam":
            self._observer.passed(observed)
        self._has_checked = self._has_checked and call.operation not in TAKES
        key = next(iter(states.instances_of(call, observed)), None)
        # In a hurry no instance waits while another could get its profile.
        hoped_for = LOOK_AGAIN if self.stop.hurries else frozenset[str]()

        try:
            self.sender.send(
                call,
                is_fresh=True,
                instance=key.instance if key else None,
                hoped_for=hoped_for,
                told=partial(self.progress.waiting, self.cutover.address),
            )
        except AwsError as error:
            if act.is_hint:
                self.notes.append(f"{call.name}: {error.code}; harmless: {act.why}")
            return error
        return None

    def _after_doubt(
        self, cutover: CutOver, problem: AwsError, observed: Observation, run_state: RunState
    ) -> Observation:
        """The effect of the call is not known, so observe and decide again. In a hurry a profile is
        restored that way: the call is refused until AWS accepts it."""
        if self.stop.hurries:
            self.stop.rest(self.clock, POLL_SECONDS)
            return self._look(cutover, observed, tuple(run_state.away))
        self._again += 1
        if self._again > LOST_ANSWERS:
            raise problem
        self._sleep(POLL_SECONDS)
        return self._observe(cutover, run_state)

    def _fail(self, address: Address, reason: str, brief: str = "") -> None:
        """Tells it, each reason once in full."""
        self.progress.failed(address, "cut-over", reason, brief if self._is_told(reason) else "")
        self._told.add(reason)

    def _is_told(self, reason: str) -> bool:
        """Whether the reason, or that of the instance in it, was told."""
        return any(told in reason for told in self._told)

    def _tell_poll(self, why: str) -> None:
        if self._wait[0] != why:
            self._wait = (why, self.clock.now())
        self.progress.waiting(self.cutover.address, why, self.clock.now() - self._wait[1])

    def _sleep(
        self, seconds: float, why: str = "", passed: float = 0.0, whole: float = 0.0
    ) -> None:
        """In pieces, so that a person need not wait for the end of a pause, and is told in each
        ``why`` it is. Of the ``whole`` wait some seconds have ``passed`` already."""
        until = self.clock.now() + seconds
        while (left := until - self.clock.now()) > 0 and not self.stop.is_set():
            if why:
                so_far = passed + seconds - left
                self.progress.waiting(self.cutover.address, why, so_far, whole)
            self.clock.sleep(min(left, 1.0))
        if self.stop.is_set():
            self.stop.rest(self.clock, min(seconds, 1.0))

    def _outcome(self, status: Status, reason: str, request_id: str = "") -> Outcome:
        address = self.cutover.address
        remaining = () if status == "applied" else (f"the cut-over of {address}",)
        made = Outcome(address, "cut-over", status, reason, remaining, request_id)
        return replace(
            made,
            brief=self._brief,
            is_told=status == "failed" and self._is_told(reason),
            advice=self._advice,
            calls=self._calls,
            cut_over=len(self._given - self._gone),
            in_flight=self._flying,
            ended=self._ended,
            at_checkpoint=self._at_checkpoint,
            unproved=tuple(self.witness.notes()),
        )


def takes(act: Act) -> bool:
    """Whether a profile or an instance has less afterwards."""
    return any(call.operation in TAKES for call in act.calls)


def _may_meet_another(act: Act, observed: Observation) -> bool:
    """Whether the profiles are read again after ``act``. A mark that begins something may meet that
    of another run, and a temporary profile has an id that only AWS knows."""
    tagged = [
        tag["Key"]
        for call in act.calls
        if call.operation == "TagInstanceProfile"
        for tag in call.params["Tags"]
    ]
    begins = bool(tagged) and (
        isinstance(observed.profile.mark, Pending)
        or any(ownership.IN_FLIGHT in key for key in tagged)
    )
    is_temporary = any(
        call.service == "iam" and states.is_temporary(call, observed)
        for call in act.calls
        if "InstanceProfileName" in call.params
    )
    return begins or is_temporary
