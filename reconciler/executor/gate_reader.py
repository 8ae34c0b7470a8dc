"""Asks about everything that a cut-over watches. What cannot be read is an answer as well: a check
that nobody could make must not count as passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from reconciler.errors import DENIED, AwsError
from reconciler.executor.interrupt import Flights, Interrupt
from reconciler.executor.outcomes import CORRECT, advice, refusal
from reconciler.executor.retry_rules import Told, Tries, not_told, way_budget
from reconciler.model.checks import InRegion, alarm_of, group_name, group_of
from reconciler.model.partitions import IAM_REGIONS
from reconciler.model.resources import Identity
from reconciler.plan.cut_over import CutOver
from reconciler.plan.gates import (
    AlarmState,
    DeniedCall,
    DeniedCalls,
    GateAnswers,
    TargetState,
    UnreadGate,
    WatchedSession,
)
from reconciler.ports import Clock, Gates, repeating

_T = TypeVar("_T")
TOO_MANY = "it makes more calls than can be looked through"
SHORTER = "shorten the window of cutover.checks.denied, or leave denied out, then apply again"
_UNKNOWN = frozenset({"TargetGroupNotFound", "TargetGroupNotFoundException", "ValidationError"})


@dataclass
class GateReader:
    """``gates`` is ``None`` where nothing can be asked. ``told`` is told of waits."""

    gates: Gates | None
    clock: Clock
    stop: Interrupt
    identity: Identity
    told: Told = not_told
    _unread: list[UnreadGate] = field(default_factory=list)

    def ask(self, cutover: CutOver, sessions: Sequence[WatchedSession]) -> GateAnswers:
        """Never raises ``AwsError``: what could not be read is in the answers."""
        self._unread = []
        asked_at = self.clock.now()
        alarms = self._alarms(cutover)
        targets = self._targets(cutover)
        denied = self._denied(sessions)
        return GateAnswers(
            asked_at=asked_at,
            answered_at=self.clock.now(),
            alarms=tuple(alarms),
            targets=tuple(targets),
            sessions=tuple(sessions),
            denied=tuple(denied),
            unread=tuple(self._unread),
        )

    def _alarms(self, cutover: CutOver) -> list[AlarmState]:
        wanted: dict[str, list[str]] = {}
        for alarm in map(alarm_of, cutover.limits.checks.alarms):
            for region in cutover.home_regions if alarm.region is None else (alarm.region,):
                wanted.setdefault(region, []).append(alarm.name)
        found: list[AlarmState] = []
        for region, names in sorted(wanted.items()):
            told = f"{_listed('alarm', names)} in {region}"
            found += self._read(told, region, partial(_alarms, region, names)) or ()
        return found

    def _targets(self, cutover: CutOver) -> list[TargetState]:
        found: list[TargetState] = []
        for arn in cutover.limits.checks.target_groups:
            group = group_of(arn) or InRegion("", arn)
            region, told = group.region or "", f"the target group {group_name(arn)}"
            found += self._read(told, region, partial(_targets, region, arn)) or ()
        return found

    def _denied(self, sessions: Sequence[WatchedSession]) -> list[DeniedCall]:
        """Calls to global services are recorded in one region of the partition."""
        everywhere = IAM_REGIONS[self.identity.partition]
        found: list[DeniedCall] = []
        for session in sessions:
            if self.stop.is_set():
                self._unread.append(UnreadGate("denied calls", "interrupted"))
                return found
            for region in dict.fromkeys((session.key.region, everywhere)):
                told = f"denied calls of {session.key.instance} in {region}"
                calls = self._read(told, region, partial(_denied, region, session))
                if calls is None:
                    # What one of them is refused, all are.
                    return found
                found += calls.calls
                if not calls.is_whole:
                    self._unread.append(UnreadGate(told, TOO_MANY, SHORTER))
        return found

    def _read(self, what: str, region: str, read: Callable[[Gates], _T]) -> _T | None:
        if self.gates is None:
            self._unread.append(UnreadGate(what, "this run has nothing to ask with"))
            return None
        try:
            return self._with_retries(self.gates, read)
        except AwsError as error:
            self._unread.append(_unread(what, region, error))
            return None

    @repeating()
    def _with_retries(self, gates: Gates, read: Callable[[Gates], _T]) -> _T:
        tries = Tries(self.clock, self.stop, Flights())
        while True:
            try:
                return read(gates)
            except AwsError as error:
                if not tries.wait(error, way_budget(error), self.told):
                    raise


def _alarms(region: str, names: Sequence[str], gates: Gates) -> tuple[AlarmState, ...]:
    return gates.alarms(region, names)


def _targets(region: str, group: str, gates: Gates) -> tuple[TargetState, ...]:
    return gates.targets(region, group)


def _denied(region: str, session: WatchedSession, gates: Gates) -> DeniedCalls:
    return gates.denied(region, session)


def _listed(noun: str, names: Sequence[str]) -> str:
    return f"the {noun} {names[0]}" if len(names) == 1 else f"{len(names)} {noun}s"


def _unread(what: str, region: str, error: AwsError) -> UnreadGate:
    wanted = f"{error.call} on * in {region}" if error.code in DENIED else ""
    todo = CORRECT if error.code in _UNKNOWN else advice(error, wanted)
    return UnreadGate(what, refusal(error, wanted), todo)
