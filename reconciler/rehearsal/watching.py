"""What a rehearsal notes of the requests of a run: writes, instances, and the moment of a death."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model.ownership import InstanceKey
from reconciler.ports import Clock
from reconciler.sandbox.state import Logged, World

_TAKEN = ("DisassociateIamInstanceProfile", "StopInstances")
_GIVEN = ("AssociateIamInstanceProfile", "StartInstances")
_MOVED = "ReplaceIamInstanceProfileAssociation"


class Killed(BaseException):
    """The run is dead: nothing catches this, and nothing more of it reaches AWS."""


@dataclass
class Life:
    """The clock of one run. Once the run is dead, whatever of it still waits ends too: in this
    process its threads would go on."""

    clock: Clock
    is_over: bool = False

    def now(self) -> float:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        self._goes_on()
        self.clock.sleep(seconds)
        self._goes_on()

    def _goes_on(self) -> None:
        if self.is_over:
            raise Killed


@dataclass
class InstanceTrace:
    """Seconds on the clock of the sandbox: ``at`` since the beginning, ``without_profile`` and
    ``stopped`` in all."""

    key: InstanceKey
    at: float
    without_profile: float = 0.0
    stopped: float = 0.0


@dataclass
class Watch:
    """Listens to a sandbox. Of the requests of ``run``, which has ``life``, the one with the number
    ``dies_after`` among those that change something is its last, or the first of the operation
    ``dies_at``."""

    world: World
    run: str
    life: Life
    dies_after: int | None = None
    dies_at: str | None = None
    writes: list[Logged] = field(default_factory=list)
    traces: dict[InstanceKey, InstanceTrace] = field(default_factory=dict)
    _taken: dict[tuple[InstanceKey, str], float] = field(default_factory=dict)
    """When an instance lost its profile, or was stopped."""

    def __post_init__(self) -> None:
        self.began = self.world.clock.now()
        self.world.before.append(self._before)
        self.world.after.append(self._after)

    def end(self) -> None:
        """Whatever was not given back is missing until now."""
        for key, what in list(self._taken):
            self._given(key, what, self.world.clock.now())

    @property
    def longest(self) -> float:
        """Seconds for which some instance was without its profile, at the most."""
        return max((t.without_profile for t in self.traces.values()), default=0.0)

    def _before(self, logged: Logged) -> None:
        if self.life.is_over and self.run in logged.user_agent:
            raise Killed

    def _after(self, logged: Logged) -> None:
        if logged.is_read:
            return
        if logged.service == "ec2":
            self._note(logged)
        if self.run not in logged.user_agent:
            return
        self.writes.append(logged)
        if len(self.writes) == self.dies_after or logged.operation == self.dies_at:
            self.life.is_over = True
            raise Killed

    def _note(self, logged: Logged) -> None:
        now, lags = self.world.clock.now(), self.world.lags
        for name in sorted(self.world.instances_of(logged)):
            key = InstanceKey(logged.region, name)
            if logged.operation in (*_TAKEN, *_GIVEN, _MOVED) and key not in self.traces:
                self.traces[key] = InstanceTrace(key, now - self.began)
            if logged.operation in _TAKEN:
                self._taken[key, _GIVEN[_TAKEN.index(logged.operation)]] = now
            elif logged.operation == "AssociateIamInstanceProfile":
                self._given(key, logged.operation, now + lags.associating)
            elif logged.operation == "StartInstances":
                self._given(key, logged.operation, now + lags.restarting)

    def _given(self, key: InstanceKey, what: str, at: float) -> None:
        since = self._taken.pop((key, what), None)
        if since is None:
            return
        if what == "StartInstances":
            self.traces[key].stopped += at - since
        else:
            self.traces[key].without_profile += at - since
