"""What commands are given: the request of the user, and the ports to AWS and the clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from reconciler.commands.failures import FailureLimit
from reconciler.cutover.fleet import CLOCKS_APART
from reconciler.errors import AwsError
from reconciler.planner.options import PlanFlags, Rotation
from reconciler.ports import (
    Clock,
    EvidenceReader,
    Examiner,
    Gates,
    Member,
    PolicyAnalyzer,
    Progress,
    Reader,
    Trail,
    Writer,
)
from reconciler.spec.loader import ParsedSet
from reconciler.spec.settings import Settings, TargetSpec

if TYPE_CHECKING:
    from reconciler.commands.engine import Crew, Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(PlanFlags):
    """The planning flags, and those that override the settings. ``None`` or an empty value means
    that the flag was not given, so the settings count."""

    path: str = "specs"
    targets: tuple[str, ...] = ()
    shard: str | None = None
    """Which part of these targets, as ``Shard.parse`` takes it; ``None`` for all."""
    regions: tuple[str, ...] = ()
    owner: str | None = None
    prune: bool | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    parallelism: int = 10


def asked_once(request: Request) -> Request:
    """The request without what is done once, and not again when it is planned again."""
    rotation: Rotation = "rest" if request.rotate else request.rotation
    return replace(request, refresh=(), rotation=rotation)


@dataclass(frozen=True, slots=True)
class Connection:
    """Access to the account of one target. ``writer`` creates the writer; planning never calls it.
    ``outlives`` says whether the credentials are valid for at least that many seconds."""

    reader: Reader
    writer: Callable[[], Writer]
    default_region: str | None
    outlives: Callable[[float], bool]
    trail: Callable[[Clock], Trail]
    """Creates the reader of CloudTrail events."""
    evidence: Callable[[Clock], EvidenceReader]
    """Creates the reader of evidence, of the role that instances are served."""
    examiner: Callable[[], Examiner]
    """Creates what a check-up asks with."""
    analyzer: Callable[[str], PolicyAnalyzer]
    """Creates what asks AWS about policy documents, in that region."""
    doubts: Callable[[], tuple[str, ...]] = tuple
    """Reasons why the expiry of the credentials is not known, so that ``outlives`` may be wrong."""
    members: Callable[
        [Collection[str] | None, Mapping[str, Collection[str]]], tuple[Member, ...]
    ] = lambda _units, _tags: ()
    """Active accounts of the caller's organization, in these units (``None`` for all) and with
    these tags. Raises ``AwsError``."""
    gates: Callable[[Clock], Gates] | None = None
    """Creates the reader of what cut-overs watch; without it, one that watches something is
    refused."""
    is_remote: Callable[[], bool] = bool
    """Whether the instances are EC2's, and not those of a simulation on this machine."""
    release: Callable[[], None] = lambda: None
    """Lets go of what it holds open, which is opened again when it is needed."""


NOISE_SECONDS = 2.0
"""Dates are told to the second, and answers take their time: what is less says nothing."""


def ahead_of_us(connection: Connection) -> float:
    """By how many seconds AWS's clock is ahead of this machine's; 0 where it does not tell, or
    where something on the way tells another time: AWS takes no request that is further off."""
    try:
        found = connection.examiner().ahead("iam") or 0.0
    except AwsError:
        return 0.0
    return found if NOISE_SECONDS <= abs(found) <= CLOCKS_APART else 0.0


class Connect(Protocol):
    """Opens the connection of a target; ``spec`` is ``None`` for the caller's own account."""

    def __call__(self, spec: TargetSpec | None, settings: Settings) -> Connection: ...


@dataclass(frozen=True, slots=True)
class RunPorts:
    """The ports of a command. ``run`` is the id of this run."""

    connect: Connect
    clock: Clock
    progress: Progress
    run: str
    target_parallelism: int = 8
    """How many targets are read, or applied, at a time."""
    failures: FailureLimit = field(default_factory=FailureLimit)
    """Of this run: what fails while planning counts for the apply."""
    engine: Engine | None = None
    """Where targets are worked on; ``None`` for this process."""

    def crew(self, parsed: ParsedSet, request: Request) -> Crew | None:
        """Workers for this set, if it is not this process that works."""
        return None if self.engine is None else self.engine.crew(parsed, request)
