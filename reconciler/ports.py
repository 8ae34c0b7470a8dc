"""What the pure packages need from AWS, as protocols. Reader and writer are different ports: code
that plans has no writer."""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from reconciler.model.address import Address
from reconciler.model.evidence import Associated, LastUsed, Metadata, RoleSession, Silence
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import (
    AssociationRow,
    LiveEntity,
    LiveInstance,
    LivePrincipal,
    LiveProfile,
    LiveState,
)
from reconciler.model.ownership import InstanceKey
from reconciler.model.policy_document import PolicyUse
from reconciler.model.resources import Identity
from reconciler.plan.authorization import Question, Simulated, Verdict
from reconciler.plan.calls import ApiCall
from reconciler.plan.gates import AlarmState, DeniedCalls, TargetState, WatchedSession
from reconciler.plan.impact import Usage


@dataclass(frozen=True, slots=True)
class Named:
    """What the specs name, to be read one by one: ``policies`` by ARN, all else by name. A policy
    whose ARN is a guess is looked for by its name."""

    roles: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.roles) + len(self.profiles) + len(self.policies)


@dataclass(frozen=True, slots=True)
class Expected:
    """A profile or a policy that needs nothing: its tags, with our owner tag among them, and of a
    profile the role inside."""

    tags: Mapping[str, str]
    path: str = "/"
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a bulk read.

    ``policies`` and ``profiles`` are names in lower case whose tags are read, one call each;
    ``all_tags`` reads the tags of all. ``prefix`` and ``owner`` say which marks are ours.
    """

    regions: tuple[str, ...]
    prefix: str
    owner: str
    policies: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()
    all_tags: bool = False
    named: Named = field(default_factory=Named)
    """What is read if a bulk read is denied, or not wanted."""
    one_by_one: bool = False
    expected: Mapping[Address, Expected] = field(default_factory=dict)
    """Resources whose tags may be taken from AWS's index of tags if it shows them like this; empty
    where the index is not to be asked."""
    released_since: float = 0.0
    """If a role has let consumers go since then, in seconds of the epoch, the index is not asked:
    it may show a profile as it was before that cut-over."""


@dataclass(frozen=True, slots=True)
class LaunchQuery:
    """What is asked of one region about the start of new instances: groups by name, fleets and
    launch templates by id; ``None`` for all that there are. Of templates those are read besides
    that the groups and fleets name."""

    region: str
    groups: frozenset[str] | None = None
    fleets: frozenset[str] | None = None
    spot_fleets: frozenset[str] | None = None
    templates: frozenset[str] | None = None
    asks_ecs: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """One role or policy, read by itself. ``document`` is a policy's default version."""

    id: str
    arn: str
    tags: Mapping[str, str]
    document: Any = None


class Reader(Protocol):
    """Reads AWS; nothing it can do changes anything. Every method raises ``AwsError``."""

    @property
    def calls(self) -> Mapping[str, int]:
        """Calls made so far, by name, pages counted one by one."""
        ...

    def identity(self) -> Identity: ...

    def read(self, identity: Identity, scope: Scope) -> LiveState: ...

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        """Asked in the region ``near``."""
        ...

    def quotas(self) -> Mapping[str, int]:
        """The account's own, by the names of ``GetAccountSummary``."""
        ...

    def users_and_groups(self) -> tuple[LivePrincipal, ...]:
        """All of the account, sorted; only a copy of an account needs them."""
        ...

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        """Instances and associations alone; a region that refuses is in ``unread_regions``."""
        ...

    def consumers(
        self,
        identity: Identity,
        regions: Collection[str],
        arns: Collection[str],
        since: float | None = None,
    ) -> LiveState:
        """The same of those instances that have, or that an association gives, one of these
        profiles; it may have others, too. A listing for somebody else serves as well if it began
        at ``since``, in seconds of the epoch, or later: its ``listed_at`` says when."""
        ...

    def entity(self, address: Address, arn: str) -> LiveEntity | None:
        """A role, a policy or a profile as it is now, ``None`` if it is gone. Policies are asked
        for by ARN, all else by name."""
        ...

    def profile(self, name: str) -> LiveProfile | None: ...

    def role(self, name: str) -> Facts | None: ...

    def role_names(self) -> Mapping[str, str]:
        """The name of every role of the account, by id."""
        ...

    def policy(self, arn: str) -> Facts | None: ...

    def profiles_with(self, role: str) -> tuple[str, ...]:
        """Names of the profiles that hold the role, sorted."""
        ...

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]: ...

    def associations(
        self, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, tuple[AssociationRow, ...]]:
        """Those of these instances alone; an instance without any is not in it."""
        ...

    def launch_sources(self, queries: Collection[LaunchQuery]) -> LaunchSources:
        """What new instances are started from. Nothing is decided by it: a call that is refused is
        in ``unread``, and raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """A change recorded by CloudTrail; ``at`` is in seconds of the epoch, ``by`` an ARN or a
    service."""

    id: str
    name: str
    at: float
    by: str | None
    user_agent: str


class Trail(Protocol):
    """The history of an account. Raises ``AwsError``."""

    def events(self, region: str, resource: str) -> Iterable[Event]:
        """Changes of the resource of that name, the newest first."""
        ...


class Gates(Protocol):
    """What a cut-over watches. Nothing it can do changes anything. Every method raises
    ``AwsError``."""

    def alarms(self, region: str, names: Collection[str]) -> tuple[AlarmState, ...]:
        """Those of the alarms that exist, composite ones too."""
        ...

    def targets(self, region: str, group: str) -> tuple[TargetState, ...]:
        """The targets of a target group, which is given by its ARN."""
        ...

    def denied(self, region: str, session: WatchedSession) -> DeniedCalls:
        """Calls that AWS refused, in that region, to sessions that EC2 made for the instance."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of a cut-over that has ended: its instances have the role ``role`` from the profile.
    ``number`` counts from 1; ``before`` is the role that the profile had, ``None`` for none."""

    number: int
    account_id: str
    profile: str
    role: str
    before: str | None
    instances: tuple[InstanceKey, ...]


class BatchCheck(Protocol):
    """A person's own check of a batch."""

    def failure(self, batch: Batch, is_over: Callable[[], bool]) -> str:
        """What it found wrong; empty if nothing. Ends early once ``is_over`` says so."""
        ...


@dataclass(frozen=True, slots=True)
class Associations:
    """The newest call of each instance that gave it a profile, by its id; all of them that were
    made from ``since`` on."""

    made: Mapping[str, Associated]
    since: float


TOO_MANY_EVENTS = "TooManyEvents"
"""Not one of AWS's codes: there are more events than are looked through."""


class EvidenceReader(Protocol):
    """Asks AWS which role an instance is served. Nothing it can do changes anything, and nothing
    it reads is secret. Times are in seconds of the epoch. Every method raises ``AwsError``."""

    @property
    def calls(self) -> Mapping[str, int]:
        """Calls made so far, by name, pages counted one by one."""
        ...

    def sessions(self, region: str, instance: str) -> Iterable[RoleSession]:
        """Calls that were made with credentials of the instance, the newest first; read as far as
        they are taken, and never far."""
        ...

    def associations(self, region: str, since: float) -> Associations:
        """Of the whole region, from then on; from later on where there are many."""
        ...

    def association(self, region: str, instance: str, since: float) -> Associated | None:
        """The newest one of that instance, ``None`` for none since. The code of the error is
        ``TOO_MANY_EVENTS`` where that could not be found out."""
        ...

    def metadata(
        self, region: str, instances: Collection[str], told: Callable[[], None]
    ) -> Mapping[str, Metadata | Silence]:
        """Asks the metadata service of each of these, by a command that is run on it, and waits for
        the answers. ``told`` is called again and again meanwhile."""
        ...

    def last_used(self, role: str) -> LastUsed | None:
        """``None`` for a role that nobody used in the time that IAM tracks, or that is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where they came from and how long they last, in words. Holds no part of them."""

    origin: str
    lasts: str
    is_of_host: bool = False
    """Whether this machine's or container's own role gave them."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is asked: ``url`` without user and password; ``origin`` is what set it,
    ``None`` for AWS's own."""

    url: str
    origin: str | None


NOT_SIMULATED = "NotSimulated"
"""Our own code for an identity whose policies AWS's simulator does not take."""
NO_REPORT = "NoReport"
"""Our own code for a report that AWS did not make, without a reason."""


class Examiner(Protocol):
    """Asks what only a check-up needs, and would rather know that there is no answer than wait for
    it. Nothing it can do changes anything. Every method raises ``AwsError``."""

    def credentials(self) -> Credentials: ...

    def endpoint(self, service: str, region: str | None = None) -> Endpoint: ...

    def proxies(self) -> Mapping[str, str]:
        """Variables that name a proxy, or hosts without one, each with its value; without user and
        password."""
        ...

    def ahead(self, service: str) -> float | None:
        """Asks the service in nobody's name, which needs no credentials. By how many seconds its
        clock is ahead of this machine's, to half a second; ``None`` if it does not tell the time.
        """
        ...

    def ask(self, call: str, region: str | None = None, **params: Any) -> Mapping[str, Any]:
        """One page of a read, such as ``iam:ListRoles``."""
        ...

    def principal(self, identity: Identity) -> str:
        """The ARN of the user or the role whose policies count. The code is ``NOT_SIMULATED`` if
        the caller is neither."""
        ...

    def simulate(self, principal: str, question: Question) -> tuple[Verdict, ...]:
        """By AWS's simulator."""
        ...

    def simulate_role(self, role: str, question: Question) -> tuple[Simulated, ...]:
        """The same of a role, given by its ARN, and what the simulator says in full."""
        ...

    def simulate_documents(
        self, documents: Sequence[Any], boundary: Any, question: Question
    ) -> tuple[Simulated, ...]:
        """Of policy documents that need not exist; ``boundary`` is ``None`` for none."""
        ...

    def begin_report(self, role: str) -> str:
        """Lets AWS find out what a role, given by its ARN, has used. Returns the id of the job."""
        ...

    def report(self, job: str) -> Usage | None:
        """``None`` while AWS is at it. The code is AWS's reason, or ``NO_REPORT``, if the job
        failed."""
        ...


FindingKind = Literal["error", "security", "warning", "suggestion"]


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """``text`` and ``link`` are AWS's own; ``path`` leads to the place in the document, whose
    single statement may count as the first of a list."""

    kind: FindingKind
    code: str
    text: str
    link: str
    path: tuple[str | int, ...] = ()


class PolicyAnalyzer(Protocol):
    """AWS's own checks of policy documents, which are given as text. Raises ``AwsError``."""

    def validate(self, document: str, use: PolicyUse) -> tuple[PolicyFinding, ...]: ...

    def new_access(self, before: str, after: str, use: PolicyUse) -> tuple[str, ...]:
        """Why ``after`` allows what ``before`` does not; empty if it does not."""
        ...


class Writer(Protocol):
    """Sends one call, once. Raises ``AwsError``."""

    def send(self, call: ApiCall) -> Mapping[str, Any]: ...


_SO_FAR: ContextVar[dict[Hashable, int] | None] = ContextVar("attempts so far", default=None)


@contextmanager
def repeating() -> Iterator[dict[Hashable, int]]:
    """Within the block one call is made, or some that belong together, as often as it takes: the
    log counts on from the attempts that failed. A block inside another one belongs to it."""
    outer = _SO_FAR.get()
    earlier: dict[Hashable, int] = {} if outer is None else outer
    token = _SO_FAR.set(earlier)
    try:
        yield earlier
    finally:
        _SO_FAR.reset(token)


def attempts_so_far() -> dict[Hashable, int] | None:
    """How often each request has failed in this block, ``None`` outside of one."""
    return _SO_FAR.get()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a call to AWS that has ended. It has nothing of what was sent or answered.

    ``at`` is when it was sent, in seconds of the epoch; ``call`` is ``iam:CreateRole``; ``number``
    counts from 1, retries included; ``status`` is the HTTP status, ``None`` if there was no whole
    response; ``code`` is AWS's error code, or the class of the error if there was none."""

    at: float
    run: str
    call: str
    region: str | None
    number: int
    seconds: float
    status: int | None
    code: str | None
    request_id: str | None


class CallLog(Protocol):
    """Is told of every attempt, in the thread of the call. Never raises."""

    def attempted(self, attempt: Attempt) -> None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds of the epoch."""
        ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Within:
    """What is done with one instance belongs to the cut-over at ``step``, and ends with it."""

    step: Address
    region: str


@dataclass(frozen=True, slots=True)
class Member:
    """An account of an organization. ``partition`` is ``aws``, ``aws-cn`` or the like."""

    id: str
    partition: str


class Progress(Protocol):
    """Receives progress, for display."""

    def reading(self, what: str) -> None: ...

    def entering(self, target: str) -> None:
        """Later events are about this target; called if there are several."""
        ...

    def target_ended(self, how: str, number: int, of: int) -> None:
        """The target that was entered has ended, as the ``number``-th of so many."""
        ...

    def started(self, address: Address, what: str, within: Within | None = None) -> None: ...

    def waiting(self, address: Address, what: str, seconds: float, of: float | None = None) -> None:
        """Told again and again while the wait lasts. ``seconds`` have passed; ``of`` is the length
        of a wait that ends by itself, ``None`` for one that ends when something happens."""
        ...

    def done(self, address: Address, what: str, seconds: float) -> None: ...

    def skipped(self, address: Address, what: str, reason: str) -> None:
        """It began, and a person's wish ended it."""
        ...

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        """``brief`` is there if the reason, or what is long in it, has been told already."""
        ...
