"""What the sandbox knows beside moto: the requests so far, IAM as it was a while ago (for reads
that lag behind the writes), associations and their states, and whose credentials each instance is
served. Resources themselves are those of moto.

Time is that of a clock, so that tests move it; states follow from when things happened.
"""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from reconciler.clock import SystemClock
from reconciler.ports import Clock
from reconciler.sandbox.fault_config import Broken, Chaos, Lags
from reconciler.sandbox.sessions import Sessions

READS = (
    *("Get", "List", "Describe", "Simulate", "Lookup", "Validate", "Check"),
    "GenerateServiceLastAccessedDetails",
)
_PREFIXES = {
    "tagging": "tag",
    "resourcegroupstaggingapi": "tag",
    "elbv2": "elasticloadbalancing",
    "monitoring": "cloudwatch",
}
"""Services whose actions begin with another name."""


@dataclass(frozen=True, slots=True)
class Logged:
    service: str
    operation: str
    account: str
    region: str
    params: dict[str, Any]
    user_agent: str
    at: float = 0.0
    """Seconds of the epoch, on the clock of the sandbox."""

    @property
    def name(self) -> str:
        """Such as ``iam:CreateRole``, with the service as it is in the action."""
        return f"{_PREFIXES.get(self.service, self.service)}:{self.operation}"

    @property
    def is_read(self) -> bool:
        return self.operation.startswith(READS) or self.is_dry_run

    @property
    def is_dry_run(self) -> bool:
        """It asks, and changes nothing."""
        return str(self.params.get("DryRun", "")).casefold() == "true"


_PARTS = ("roles", "instance_profiles", "managed_policies", "users", "groups")


@dataclass
class Past:
    """By account, how IAM was before each write."""

    _kept: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)

    def keep(self, account: str, backend: Any, now: float, longest: float) -> None:
        """Called before a write. A state older than ``longest`` seconds is never shown again."""
        kept = [(at, then) for at, then in self._kept.get(account, ()) if at >= now - longest]
        if not kept or kept[-1][0] < now:
            # In one copy, so that things that name each other still do.
            kept.append((now, copy.deepcopy({part: getattr(backend, part) for part in _PARTS})))
        self._kept[account] = kept

    @contextmanager
    def shown(self, account: str, backend: Any, at: float) -> Iterator[None]:
        """IAM as it was at a time, inside the block."""
        # Of each moment the first write is kept, and what was before it.
        then = next((state for when, state in self._kept.get(account, ()) if when > at), None)
        if then is None:
            yield
            return
        now = {part: getattr(backend, part) for part in _PARTS}
        _put(backend, then)
        try:
            yield
        finally:
            _put(backend, now)


def _put(backend: Any, state: dict[str, Any]) -> None:
    for part, value in state.items():
        setattr(backend, part, value)


EC2_TRUST = '"ec2.amazonaws.com'


@dataclass(slots=True)
class Row:
    """One association. ``leaving_since`` is set once it was disassociated or replaced, ``shown``
    while DescribeInstances still shows it."""

    id: str
    account: str
    region: str
    instance: str
    profile_arn: str
    profile_id: str
    made_at: float
    leaving_since: float | None = None
    shown: bool = True
    settled: bool = False


_ASSOCIATING = ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")


@dataclass(frozen=True, slots=True)
class Alarm:
    """``role``: the state is that only while an instance is served the role of that name."""

    state: str
    is_composite: bool = False
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Of a load balancer. ``role``: as with an alarm, of this very instance."""

    state: str
    reason: str = "Target.FailedHealthChecks"
    role: str | None = None


@dataclass(frozen=True, slots=True)
class App:
    """What runs on the instances calls ``action`` on ``resource`` every so many seconds. CloudTrail
    shows its calls ``late_seconds`` later; ``instance`` is ``None`` for all of them."""

    action: str
    resource: str
    since: float
    every_seconds: float = 10.0
    late_seconds: float = 0.0
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An event of CloudTrail: a request that changed something, and the names in it.
    ``association`` is the id of the association that it made, ``instance`` of what."""

    logged: Logged
    resources: frozenset[str]
    association: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class SentCommand:
    """What was sent to instances at a time; ``seconds`` is how long it waits for their agents."""

    id: str
    account: str
    region: str
    instances: tuple[str, ...]
    text: str
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class RoleUse:
    """The last use. ``at`` is in seconds of the epoch."""

    at: float
    region: str


@dataclass(frozen=True, slots=True)
class Job:
    """A report of what a role has used, by action or only by service."""

    account: str
    arn: str
    made_at: float
    has_actions: bool


def _no_wire(how: Broken) -> NoReturn:
    raise AssertionError(f"this server cannot {how}")


def _no_listener(delay: float, seconds: float) -> None:
    """Nothing listens if requests never leave the process; incoming ones are refused."""


Before = Callable[[Logged], None]
"""Called before a request is answered; it may raise one of moto's errors in its place."""

_Key = tuple[str, str, str]


@dataclass
class World:
    """All of it, for every account; one lock, since moto is not safe under threads."""

    clock: Clock = field(default_factory=SystemClock)
    lags: Lags = field(default_factory=Lags)
    regions: tuple[str, ...] = ("us-east-1", "eu-west-1", "ap-southeast-2")
    account: str = "123456789012"
    """That of callers whose access key is not of another one."""
    chaos: Chaos = field(default_factory=Chaos)
    cut: Callable[[Broken], Any] = _no_wire
    """Ends a request without an answer: how, depends on what carries it."""
    goes_out: Callable[[float, float], None] = _no_listener
    """Called with the seconds until an outage, and its duration in seconds."""
    seed: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    rows: list[Row] = field(default_factory=list)
    served: dict[_Key, str | None] = field(default_factory=dict)
    alarms: dict[_Key, Alarm] = field(default_factory=dict)
    """By account, region and name."""
    targets: dict[tuple[str, str, str, str], Target] = field(default_factory=dict)
    """By account, region, target group and instance."""
    apps: list[App] = field(default_factory=list)
    sessions: Sessions = field(default_factory=Sessions)
    commands: dict[str, SentCommand] = field(default_factory=dict)
    """Those of Systems Manager, by id."""
    log: list[Logged] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """Of these, what changed something."""
    before: list[Before] = field(default_factory=list)
    after: list[Before] = field(default_factory=list)
    """Called when the request has taken effect; an error raised here is a lost response."""
    hiding: set[tuple[str, str]] = field(default_factory=set)
    """Accounts and regions that hide instances which AWS services manage."""
    unseen: set[str] = field(default_factory=set)
    """Instances that DescribeInstances does not show, whatever it is asked: as EC2 has it for a
    while after a launch."""
    windows: set[str] = field(default_factory=set)
    """Instances that run Windows, whatever moto has of their image."""
    moves: dict[_Key, tuple[float, str]] = field(default_factory=dict)
    """Instances that start or stop: until when, and the state that they will have then."""
    _roles: dict[str, list[tuple[float, Any]]] = field(default_factory=dict)
    _issued: set[str] = field(default_factory=set)
    past: Past = field(default_factory=Past)
    used: dict[tuple[str, str], dict[str, RoleUse]] = field(default_factory=dict)
    """By account and id of a role: an action as ``s3:PutObject``, or a service alone (``sqs``) of
    which single actions are not recorded."""
    jobs: dict[str, Job] = field(default_factory=dict)
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def note(self, logged: Logged, resources: frozenset[str]) -> None:
        """An association is known by its instance too."""
        off = {row.id: row.instance for row in self.rows}
        also = {off[name] for name in resources if name in off}
        made = self._made(logged, resources | also) if logged.operation in _ASSOCIATING else None
        named = (made.id, made.instance) if made is not None else (None, None)
        self.changes.append(Change(logged, resources | also, *named))

    def _made(self, logged: Logged, named: frozenset[str]) -> Row | None:
        """The association that a request has made."""
        rows = self.rows_of(logged.account, logged.region)
        there = (row for row in rows if row.instance in named and row.leaving_since is None)
        return max(there, key=lambda row: row.made_at, default=None)

    def meets_chaos(self, logged: Logged) -> bool:
        return not self.chaos.is_calm and self.chaos.only in logged.user_agent

    def indexed(self, account: str, backend: Any) -> AbstractContextManager[None]:
        """IAM as the index of tags has it, inside the block."""
        late = self.chaos.stale_index
        if not late:
            return nullcontext()
        return self.past.shown(account, backend, self.clock.now() - late)

    def page(self, asked: int) -> int:
        """How many items a page holds: AWS may answer fewer than were asked for."""
        return asked if self.chaos.page is None else min(asked, self.chaos.page)

    def moment(self) -> datetime:
        """Now, as moto keeps its dates."""
        return datetime.fromtimestamp(self.clock.now(), tz=UTC).replace(tzinfo=None)

    def new_id(self, start: str, length: int = 17) -> str:
        made = start + "".join(self._dice.choice("0123456789abcdef") for _ in range(length))
        self._issued.add(made)
        return made

    def copied(self, ids: Iterable[str]) -> None:
        """The sandbox has these ids already, as a copy of something that issued them. If that was a
        sandbox, its dice would fall in the same way again."""
        self._issued.update(ids)
        self._dice = random.Random("".join(sorted(self._issued)))

    def unique_id(self, start: str) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        return start + "".join(self._dice.choice(letters) for _ in range(17))

    def was_issued(self, association: str) -> bool:
        return association in self._issued

    def note_role(self, profile_id: str, role: Any) -> None:
        """The role inside a profile is ``role`` from now on, ``None`` for none."""
        self._roles.setdefault(profile_id, []).append((self.clock.now(), role))

    def role_seen_by_ec2(self, profile: Any, at: float) -> Any:
        """The role that EC2 saw in the profile at a time. Profiles that were not made through the
        sandbox are seen as they are."""
        history = self._roles.get(profile.id)
        if history is None:
            return profile.roles[0] if profile.roles else None
        seen = [role for when, role in history if when <= at - self.lags.ec2_sees_iam]
        return seen[-1] if seen else None

    def is_seen_by_ec2(self, profile: Any) -> bool:
        history = self._roles.get(profile.id)
        return history is None or history[0][0] <= self.clock.now() - self.lags.ec2_sees_iam

    def rows_of(self, account: str, region: str) -> list[Row]:
        """Rows that are listed now, without those that have disappeared."""
        limit = self.clock.now() - self.lags.disassociating
        self.rows[:] = [r for r in self.rows if r.leaving_since is None or r.leaving_since > limit]
        return [row for row in self.rows if (row.account, row.region) == (account, region)]

    def associate(self, account: str, region: str, instance: str, profile: Any) -> Row:
        """A new association, from now on."""
        row = Row(
            id=self.new_id("iip-assoc-"),
            account=account,
            region=region,
            instance=instance,
            profile_arn=profile.arn,
            profile_id=profile.id,
            made_at=self.clock.now(),
        )
        self.rows.append(row)
        return row

    def instances_of(self, logged: Logged) -> frozenset[str]:
        """The instances that a request is about: it may name their associations."""
        params = logged.params
        named = [params.get("InstanceId"), *params.get("InstanceIds", ())]
        named += params.get("Resources", ())
        found = {row.instance for row in self.rows if row.id == params.get("AssociationId")}
        return frozenset({*found, *(str(name) for name in named if name)})

    def staying(self, account: str, region: str, instance: str) -> Row | None:
        rows = self.rows_of(account, region)
        return next((r for r in rows if r.instance == instance and r.leaving_since is None), None)

    def state(self, row: Row, is_running: bool, profile: Any) -> str:
        """The current state of the row. An association needs a running instance and a role that
        trusts EC2; an empty profile is associated, and gives no credentials."""
        if row.leaving_since is not None:
            return "disassociating"
        if row.settled:
            if is_running:
                self._renew(row, profile)
            return "associated"
        ready = row.made_at + self.lags.associating
        if not is_running or self.clock.now() < ready:
            return "associating"
        since = max(ready, row.made_at)
        role = self.role_seen_by_ec2(profile, since) if profile else None
        return "associated" if self.settle(row, role, since) else "associating"

    def settle(self, row: Row, role: Any, since: float) -> bool:
        """Whether the association is in effect with this role, ``None`` for none."""
        if role is not None and EC2_TRUST not in role.assume_role_policy_document:
            return False
        row.settled = True
        self.serve(row, role, since)
        return True

    def _renew(self, row: Row, profile: Any) -> None:
        """EC2 renews credentials with those of the role that it sees in the profile then."""
        key = (row.account, row.region, row.instance)
        while self.lags.renewing > 0 and (held := self.sessions.now(key)) is not None:
            at = held.issued_at + self.lags.renewing
            if profile is None or at > self.clock.now():
                return
            self.serve(row, self.role_seen_by_ec2(profile, at), at)

    def has_been_there(self) -> None:
        """EC2 sees IAM as it is now: nothing of it is new."""
        self._roles.clear()

    def serve(self, row: Row, role: Any, since: float) -> None:
        key = (row.account, row.region, row.instance)
        self.served[key] = role.id if role else None
        self.sessions.issue(key, role, since)

    def forget(self, account: str, region: str, instance: str) -> None:
        self.served[account, region, instance] = None
        self.sessions.lose((account, region, instance), self.clock.now())
