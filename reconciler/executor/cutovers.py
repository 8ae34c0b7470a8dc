"""Runs a cut-over: observe, decide, act, until it is done or cannot go on."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from reconciler.cutover import memory as remembering
from reconciler.cutover.batches import POLL_SECONDS
from reconciler.cutover.decide import decide
from reconciler.cutover.value import (
    Act,
    Ask,
    CutOver,
    Decision,
    Done,
    EndBatch,
    GiveUp,
    List,
    Lose,
    Memory,
    Pause,
    Seen,
)
from reconciler.executor.denied import needed
from reconciler.executor.observing import Observer
from reconciler.executor.outcomes import Outcome, Status
from reconciler.executor.sending import Sender
from reconciler.executor.window import Window
from reconciler.model import Identity
from reconciler.ownership import InstanceKey
from reconciler.ports import DENIED, THROTTLED, AwsError, Clock, Progress, Reader
from reconciler.requests import ApiCall

LOST_ANSWERS = 10
FIRST_LOOK_SECONDS = 0.25
OF_ONE_INSTANCE = (
    "AssociateIamInstanceProfile",
    "DisassociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "StopInstances",
    "StartInstances",
)
"""Calls whose refusal loses one instance; that of any other ends the cut-over."""
HOPED_FOR = frozenset({"LimitExceeded", "EntityAlreadyExists"})
"""The answers to the question whether a role may be put in while another is inside."""
LOOK_AGAIN = frozenset(
    {
        "IncorrectState",
        "IncorrectInstanceState",
        "InvalidAssociationID.NotFound",
        "InvalidInstanceID.NotFound",
        "EntityAlreadyExists",
    }
)
"""Something is not as it was seen: somebody else acted, an instance starts, stops or ends, or IAM
did not show yet what a run before this one made."""


@dataclass
class CutOverRun:
    """One cut-over of one apply."""

    cutover: CutOver
    identity: Identity
    run: str
    reader: Reader
    sender: Sender
    clock: Clock
    progress: Progress
    stop: threading.Event
    window: Window
    notes: list[str] = field(default_factory=list)
    _taken: set[InstanceKey] = field(default_factory=set)
    _given: set[InstanceKey] = field(default_factory=set)
    """Those that this run took something from, and those of them that have it back."""
    _gone: set[InstanceKey] = field(default_factory=set)
    _again: int = 0
    _looks: int = 0

    def __post_init__(self) -> None:
        self._observer = Observer(self.identity, self.run, self.reader, self.clock, self.stop)

    def execute(self) -> Outcome:
        """Never raises ``AwsError``: what went wrong is in the outcome."""
        try:
            return self._loop(self.cutover)
        except AwsError as error:
            reason = f"{error.call}: {error.code}: {error.message}"
            return self._outcome("failed", reason, error.request_id)

    def _loop(self, cutover: CutOver) -> Outcome:
        seen = self._observer.observe(cutover)
        memory = remembering.beginning(seen, self.run)
        for instance in remembering.noted_as_done(seen):
            note = f"{instance.key.instance} is left alone: a tag on it says that it has the role"
            self.notes.append(note)
            self.progress.started(cutover.address, note)
        while True:
            closed = self.window.forbids_batch()
            memory = replace(memory, stopping=self.stop.is_set(), closed=closed)
            self._gone = {k for k in self._given if _is_gone(seen, k)}
            decision = decide(cutover, seen, memory)
            match decision:
                case Done():
                    return self._outcome("applied", "; ".join(self.notes))
                case GiveUp(reason, roll_back) if roll_back:
                    return self._roll_back(cutover.reversed(seen.target, memory), reason)
                case GiveUp(reason, is_stop=is_stop):
                    return self._outcome("skipped" if is_stop else "failed", reason)
                case _:
                    seen, memory = self._step(cutover, decision, seen, memory)

    def _until_next_look(self, most: float) -> float:
        """Soon at first, since most things are done in a second; then less and less often."""
        self._looks += 1
        return min(most, FIRST_LOOK_SECONDS * 2.0 ** (self._looks - 1))

    def _roll_back(self, cutover: CutOver, reason: str) -> Outcome:
        """The role that was there goes back in, and to whoever may have taken up the new one."""
        self.progress.failed(cutover.address, "cut-over", f"{reason}; rolling back")
        ended = self._loop(cutover)
        if ended.status == "applied":
            return self._outcome("failed", f"{reason}; rolled back, the old role is in again")
        return self._outcome("failed", f"{reason}; rolling back failed too: {ended.reason}")

    def _step(
        self, cutover: CutOver, decision: Decision, seen: Seen, memory: Memory
    ) -> tuple[Seen, Memory]:
        match decision:
            case Ask(calls, refusal="LimitExceeded"):
                return self._ask_iam(cutover, decision, calls[0], seen, memory)
            case Ask():
                return self._ask_ec2(cutover, decision, seen, memory)
            case Act():
                return self._act(cutover, decision, seen, memory)
            case Pause(seconds, why, watch, is_poll):
                self.progress.waiting(cutover.address, why, seconds)
                self._sleep(self._until_next_look(seconds) if is_poll else seconds)
                return self._observer.look(cutover, seen, watch), memory
            case List():
                return self._observer.observe(cutover, memory), memory
            case EndBatch():
                return seen, remembering.ended_batch(memory, self.clock.now())
            case Lose(key, reason):
                self.progress.failed(f"association/{key.instance}", "cut-over", reason)
                return seen, remembering.lost(memory, key, reason)
            case _:
                return seen, memory

    def _ask_iam(
        self, cutover: CutOver, ask: Ask, call: ApiCall, seen: Seen, memory: Memory
    ) -> tuple[Seen, Memory]:
        """``LimitExceeded`` is the answer hoped for. Any other refusal ends it, nothing changed."""
        try:
            self.sender.send(call, is_fresh=True, hoped_for=HOPED_FOR)
        except AwsError as error:
            if error.code not in HOPED_FOR:
                raise _explained(call, error) from error
        return self._observer.look(cutover, seen, ()), remembering.answered(memory, ask, seen)

    def _ask_ec2(
        self, cutover: CutOver, ask: Ask, seen: Seen, memory: Memory
    ) -> tuple[Seen, Memory]:
        """Whoever is refused keeps what it has. Who answers neither *allowed* nor *denied* does not
        know such questions, or the instance is not as it was: then it is looked at again."""
        doubtful: list[InstanceKey] = []
        memory = remembering.answered(memory, ask, seen)
        for call in ask.calls:
            keys = remembering.instances_of(call, seen)
            try:
                self.sender.send(call, is_fresh=True)
            except AwsError as error:
                if error.code in DENIED:
                    why = f"{error.code}: {error.message}{needed(call, error)}"
                    for key in keys:
                        memory = remembering.refused(memory, key, why)
                elif error.code in THROTTLED or error.is_uncertain:
                    raise
                elif error.code != ask.refusal:
                    doubtful.extend(keys)
            else:
                self.notes.append(f"{call.name}: DryRun is not known there, so nobody was asked")
                doubtful.extend(keys)
        return self._observer.look(cutover, seen, doubtful), memory

    def _act(self, cutover: CutOver, act: Act, seen: Seen, memory: Memory) -> tuple[Seen, Memory]:
        touched: list[InstanceKey] = []
        self._looks = 0
        for call in act.calls:
            before = replace(seen, now=self.clock.now())
            self._tell(cutover, act, call, before, memory)
            problem = self._send(call, act, before)
            if problem is None or act.is_hint:
                memory = remembering.remember(memory, call, before, self.clock.now())
                seen = remembering.after_call(cutover, before, call)
                touched.extend(remembering.instances_of(call, before))
                self._count(call, before)
                continue
            if problem.is_uncertain or problem.code in LOOK_AGAIN:
                if call.service == "iam":
                    self._observer.forget()
                return self._after_doubt(cutover, problem, memory), memory
            key = next(iter(remembering.instances_of(call, before)), None)
            if key is None or call.operation not in OF_ONE_INSTANCE:
                self._undo(act)
                raise _explained(call, problem)
            why = f"{problem.code}: {problem.message}{needed(call, problem)}"
            memory = remembering.lost(memory, key, why)
        self._again = 0
        if any(call.service == "iam" for call in act.calls):
            self._observer.wrote(seen)
        return self._observer.look(cutover, seen, touched), memory

    def _count(self, call: ApiCall, seen: Seen) -> None:
        keys = remembering.instances_of(call, seen)
        match call.operation:
            case "DisassociateIamInstanceProfile" | "StopInstances":
                self._taken.update(keys)
            case "ReplaceIamInstanceProfileAssociation":
                is_home = call.params["IamInstanceProfile"]["Arn"] == seen.profile.arn
                self._given.update(keys if is_home else ())
            case "AssociateIamInstanceProfile" | "StartInstances":
                self._given.update(self._taken.intersection(keys))

    def _tell(self, cutover: CutOver, act: Act, call: ApiCall, seen: Seen, memory: Memory) -> None:
        """An instance that has the role is told with how long it was without a profile."""
        keys = remembering.instances_of(call, seen)
        if call.operation == "CreateTags" and cutover.after is not None:
            for key in keys:
                away = seen.now - memory.away.get(key, seen.now)
                text = f"taking up role/{cutover.after.name}"
                self.progress.done(f"association/{key.instance}", text, away)
        elif len(keys) == 1:
            self.progress.started(f"association/{keys[0].instance}", act.why)
        else:
            self.progress.started(cutover.address, act.why)

    def _send(self, call: ApiCall, act: Act, seen: Seen) -> AwsError | None:
        key = next(iter(remembering.instances_of(call, seen)), None)
        try:
            self.sender.send(call, is_fresh=True, instance=key.instance if key else None)
        except AwsError as error:
            if act.is_hint:
                self.notes.append(f"{call.name}: {error.code}; harmless: {act.why}")
            return error
        return None

    def _undo(self, act: Act) -> None:
        for call in act.undo:
            self.sender.send(call, is_fresh=True)

    def _after_doubt(self, cutover: CutOver, problem: AwsError, memory: Memory) -> Seen:
        """What the call did is not known, so it is looked at, and decided anew."""
        self._again += 1
        if self._again > LOST_ANSWERS:
            raise problem
        self._sleep(POLL_SECONDS)
        return self._observer.observe(cutover, memory)

    def _sleep(self, seconds: float) -> None:
        """In pieces, so that a person need not wait for the end of a pause."""
        until = self.clock.now() + seconds
        while (left := until - self.clock.now()) > 0 and not self.stop.is_set():
            self.clock.sleep(min(left, 1.0))
        if self.stop.is_set():
            self.clock.sleep(min(seconds, 1.0))

    def _outcome(self, status: Status, reason: str, request_id: str = "") -> Outcome:
        address = self.cutover.address
        left = f"the cut-over of {address}; apply again to go on"
        remaining = () if status == "applied" else (left,)
        done = Outcome(address, "cut-over", status, reason, remaining, request_id)
        return replace(done, cut_over=len(self._given - self._gone))


def _is_gone(seen: Seen, key: InstanceKey) -> bool:
    return key not in seen.instances or seen.instances[key].is_gone


def _explained(call: ApiCall, error: AwsError) -> AwsError:
    """The same refusal, with the permission that is missing."""
    message = error.message + needed(call, error)
    return AwsError(
        error.call, error.code, message, status=error.status, request_id=error.request_id
    )
