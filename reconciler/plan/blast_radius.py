"""Whom a change reaches, as a plan tells it: running instances, and what would start new ones with
something else. None of it belongs to what is approved: instances come and go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reconciler.model.address import PROFILE, Address, profile_address
from reconciler.model.consumers import ConsumerGroup


@dataclass(frozen=True, slots=True)
class OtherLaunch:
    """A group, a fleet or a launch template that starts new instances with another profile than the
    specs give those of its instances that run.

    ``kind`` and ``name`` are those of the source, ``title`` names it in words, ``by`` is from what
    it starts. ``profile`` and ``role`` are what new ones get once the plan is applied, ``wanted``
    and ``wanted_role`` what the running ones have by then; ``None`` for none. ``association`` is
    the one of the specs that selects the running ones by their tags."""

    region: str
    kind: str
    name: str
    title: str
    by: str
    profile: str | None
    role: str | None
    wanted: str | None
    wanted_role: str | None
    instances: int
    association: str | None = None

    @property
    def told(self) -> str:
        """A sentence without its full stop."""
        by = f" ({self.by})" if self.by else ""
        noun = "instance gets" if self.instances == 1 else "instances get"
        return (
            f"{self.title}{by} in {self.region} starts new instances with "
            f"{_in_words(self.profile, self.role)}; its {self.instances} running {noun} "
            f"{_in_words(self.wanted, self.wanted_role)} by the specs"
        )


def _in_words(profile: str | None, role: str | None) -> str:
    if profile is None:
        return "no instance profile"
    return f"{profile_address(profile)} ({f'role/{role}' if role else 'no role'})"


ApartKind = Literal["untouchable", "in-flight", "temporary-profile", "other-region"]


@dataclass(frozen=True, slots=True)
class Apart:
    """Running consumers of a profile that are not among those that a cut-over of it refreshes.
    ``reason`` is why they are ``untouchable``, empty for the other kinds."""

    kind: ApartKind
    instances: tuple[str, ...]
    reason: str = ""

    @property
    def count(self) -> int:
        return len(self.instances)


_MORE: dict[ApartKind, tuple[str, str]] = {
    "untouchable": ("more is not cut over: {}", "more are not cut over: {}"),
    "in-flight": (
        "more gets its profile back first: an earlier run took it",
        "more get their profile back first: an earlier run took it",
    ),
    "temporary-profile": (
        "more moves back first: an earlier run left it on the temporary profile",
        "more move back first: an earlier run left them on the temporary profile",
    ),
    "other-region": (
        "more is not cut over: consumer_regions leaves its region out",
        "more are not cut over: consumer_regions leaves their regions out",
    ),
}


def more_in_words(apart: Iterable[Apart]) -> tuple[str, ...]:
    """``1 more is not cut over: ecs.amazonaws.com manages it``, for each."""
    return tuple(
        f"{one.count} {_MORE[one.kind][one.count != 1].format(one.reason)}" for one in apart
    )


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """Of one change: running consumers, and the regions in which they were looked for. ``apart``
    are those of them that its cut-over does not refresh."""

    consumers: tuple[ConsumerGroup, ...]
    regions: tuple[str, ...] = ()
    launches: tuple[OtherLaunch, ...] = ()
    apart: tuple[Apart, ...] = ()

    @property
    def count(self) -> int:
        return sum(group.count for group in self.consumers)

    def is_told_with(self, address: Address) -> bool:
        """Whether the consumers say more than the list of instances beside a cut-over: what started
        them, or what they are called."""
        is_named = any(g.origin or any(n for n, _ in g.instances) for g in self.consumers)
        return address.kind != PROFILE or is_named
