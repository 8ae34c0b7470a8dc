"""What became of a cut-over, instance by instance, for those who have to account for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from reconciler.model.evidence import Judgement
from reconciler.model.ownership import HOLDS, InstanceKey
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import CutOver
from reconciler.plan.gates import AlarmState, DeniedCall, GateAnswers, TargetState

Lost = Literal["profile", "running", "nothing"]
_LOSES: dict[str, Lost] = {
    "DisassociateIamInstanceProfile": "profile",
    "StopInstances": "running",
    "ReplaceIamInstanceProfileAssociation": "nothing",
}
_RETURNS = ("AssociateIamInstanceProfile", "StartInstances")


@dataclass(frozen=True, slots=True)
class Turn:
    """What an instance went through to be served ``role``, ``None`` for no role: what it lost, when
    that was taken and given back, and when it was seen in effect; in seconds of the epoch, ``None``
    for what did not happen. ``batch`` counts from 1."""

    role: str | None
    batch: int
    lost: Lost
    taken_at: float | None
    given_at: float | None = None
    in_effect_at: float | None = None


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    key: InstanceKey
    turns: tuple[Turn, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """What spoke for a batch: the last answers of everything that is watched. ``command`` is what
    the command found wrong, empty for nothing and ``None`` if it was not run; ``passed_at`` is
    ``None`` if something spoke against it."""

    number: int
    ended_at: float
    passed_at: float | None = None
    asked: int = 0
    alarms: tuple[AlarmState, ...] = ()
    unhealthy: tuple[TargetState, ...] = ()
    denied: tuple[DeniedCall, ...] = ()
    command: str | None = None
    evidence: Mapping[InstanceKey, Judgement] = field(default_factory=dict)
    """What was known last of the role that each instance is served."""


@dataclass(frozen=True, slots=True)
class CutOverRecord:
    """One cut-over of a run, its roll-back included."""

    cutover: CutOver
    began_at: float
    ended_at: float
    was_rolled_back: bool = False
    instances: tuple[InstanceRecord, ...] = ()
    batches: tuple[BatchRecord, ...] = ()


@dataclass
class Recorder:
    """Notes what a run does in one cut-over."""

    cutover: CutOver
    began_at: float
    _instances: dict[InstanceKey, InstanceRecord] = field(default_factory=dict)
    _batches: dict[int, BatchRecord] = field(default_factory=dict)
    _rolls_back: bool = False

    def called(self, call: ApiCall, keys: Collection[InstanceKey], at: float, batch: int) -> None:
        """A call about these instances has taken effect; ``batch`` is the number of those that
        ended before."""
        is_note = call.operation == "CreateTags" and any(
            tag["Key"].endswith(HOLDS) for tag in call.params["Tags"]
        )
        for key in keys:
            one = self._instances.get(key, InstanceRecord(key))
            if call.operation in _LOSES:
                lost = _LOSES[call.operation]
                role = self.cutover.after.name if self.cutover.after else None
                turn = Turn(role, batch + 1, lost, at, at if lost == "nothing" else None)
                turns = (*one.turns, turn)
            elif call.operation in _RETURNS:
                turns = _changed(one.turns, given_at=at)
            elif is_note:
                turns = _changed(one.turns, in_effect_at=at)
            else:
                continue
            self._instances[key] = replace(one, turns=turns)

    def failed(self, key: InstanceKey, reason: str) -> None:
        one = self._instances.get(key, InstanceRecord(key))
        self._instances[key] = replace(one, failure=reason)

    def turned_back(self, cutover: CutOver) -> None:
        """From here on it is rolled back: what is noted is of ``cutover``."""
        self.cutover, self._rolls_back = cutover, True

    def batch_ended(self, number: int, at: float) -> None:
        if not self._rolls_back:
            self._batches[number] = BatchRecord(number, at)

    def asked(self, number: int, answers: GateAnswers) -> None:
        if number not in self._batches:
            return
        one = self._batches[number]
        self._batches[number] = replace(
            one,
            asked=one.asked + 1,
            alarms=answers.alarms,
            unhealthy=tuple(t for t in answers.targets if t.state == "unhealthy"),
            denied=answers.denied,
        )

    def commanded(self, number: int, failure: str) -> None:
        if number in self._batches:
            self._batches[number] = replace(self._batches[number], command=failure)

    def proved(self, number: int, found: Mapping[InstanceKey, Judgement]) -> None:
        if number in self._batches:
            one = self._batches[number]
            self._batches[number] = replace(one, evidence={**one.evidence, **found})

    def passed(self, number: int, at: float) -> None:
        if number in self._batches:
            self._batches[number] = replace(self._batches[number], passed_at=at)

    def record(self, planned: CutOver, at: float) -> CutOverRecord:
        """Of ``planned``, up to ``at``."""
        return CutOverRecord(
            planned,
            self.began_at,
            at,
            self._rolls_back,
            tuple(self._instances[key] for key in sorted(self._instances)),
            tuple(self._batches[number] for number in sorted(self._batches)),
        )


def _changed(turns: tuple[Turn, ...], **times: float) -> tuple[Turn, ...]:
    """The last turn with a further time. An instance that an earlier run had taken has none."""
    if not turns:
        return ()
    last = turns[-1]
    return (
        *turns[:-1],
        replace(
            last,
            given_at=times.get("given_at", last.given_at),
            in_effect_at=times.get("in_effect_at", last.in_effect_at),
        ),
    )
