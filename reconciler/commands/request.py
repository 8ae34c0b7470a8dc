"""What a person asks of a command, and what stops it before there is a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.planner.options import PlanFlags
from reconciler.ports import Clock, Progress, Reader, Trail, Writer
from reconciler.spec.settings import Settings, TargetSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(PlanFlags):
    """The flags of the planner, and those that settings or the account have an answer to as well:
    ``None``, or nothing, means that the flag was not given and the settings count."""

    path: str = "specs"
    targets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    owner: str | None = None
    prune: bool | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    parallelism: int = 10


@dataclass(frozen=True, slots=True)
class Connection:
    """One target's way to AWS. ``writer`` makes the writer: planning never calls it. ``outlives``
    says whether the credentials are good for so many seconds more."""

    reader: Reader
    writer: Callable[[], Writer]
    default_region: str | None
    outlives: Callable[[float], bool]
    trail: Callable[[Clock], Trail]
    """Makes the way to the account's history."""
    doubts: Callable[[], tuple[str, ...]] = tuple
    """Why ``outlives`` may be wrong: reasons for which it is not known when the credentials end."""


class Connect(Protocol):
    """Opens the way to a target; ``spec`` is ``None`` for the caller's own account."""

    def __call__(self, spec: TargetSpec | None, settings: Settings) -> Connection: ...


@dataclass(frozen=True, slots=True)
class RunPorts:
    """What commands work with besides AWS. ``run`` is the id of this run."""

    connect: Connect
    clock: Clock
    progress: Progress
    run: str
