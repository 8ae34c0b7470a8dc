"""The sessions of instances: which credentials EC2 has delivered to each, and the calls that were
made with them, as CloudTrail names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, str, str]
"""Account, region, instance."""


@dataclass(frozen=True, slots=True)
class IssuedSession:
    """Credentials of a role that EC2 has issued for an instance."""

    role_id: str
    role: str
    issued_at: float


@dataclass(frozen=True, slots=True)
class Used:
    """A call that somebody on an instance made with its credentials."""

    key: Key
    session: IssuedSession
    at: float
    service: str
    operation: str
    error: str | None = None
    denied_on: str | None = None
    """The resource on which its role does not allow it."""


AGENT = ("ssm", "UpdateInstanceInformation")
"""What an instance calls by itself (``Lags.calls``)."""
NEWEST = 3
"""How many of these calls are told."""


@dataclass
class Sessions:
    """Of all instances. ``lost`` is since when an instance is served nothing, ``left`` when it last
    was."""

    issued: dict[Key, list[IssuedSession]] = field(default_factory=dict)
    lost: dict[Key, float] = field(default_factory=dict)
    left: dict[Key, float] = field(default_factory=dict)
    used: dict[Key, list[Used]] = field(default_factory=dict)

    def issue(self, key: Key, role: Any, at: float) -> None:
        """``role`` is moto's, ``None`` for none."""
        if role is None:
            self.lose(key, at)
            return
        self.lost.pop(key, None)
        self.issued.setdefault(key, []).append(IssuedSession(role.id, role.name, at))

    def lose(self, key: Key, at: float) -> None:
        self.lost.setdefault(key, at)
        if key in self.issued:
            self.left[key] = at

    def now(self, key: Key) -> IssuedSession | None:
        """What the instance is served."""
        return self.at(key, float("inf"))

    def at(self, key: Key, when: float) -> IssuedSession | None:
        """What it was served then, as far as it is not without since."""
        lost = self.lost.get(key)
        if lost is not None and lost <= when:
            return None
        return next((s for s in reversed(self.issued.get(key, ())) if s.issued_at <= when), None)

    def held(self, key: Key, earlier: int = 0) -> IssuedSession:
        """Credentials that somebody on the instance has: those that it got ``earlier`` sessions
        ago, which a process may hold on to. Raises ``ValueError`` if it has got none."""
        held = self.issued.get(key, [])
        is_bare = not earlier and key in self.lost
        if earlier >= len(held) or is_bare:
            raise ValueError(f"{key[2]} has no such credentials")
        return held[-1 - earlier]

    def use(
        self,
        key: Key,
        call: str,
        at: float,
        *,
        error: str | None = None,
        earlier: int = 0,
    ) -> None:
        """Somebody on the instance calls AWS, with the credentials of ``held``, which raises."""
        session = self.held(key, earlier)
        service, _, operation = call.partition(":")
        if not service or not operation:
            raise ValueError(f"a call is such as s3:ListBuckets, not {call!r}")
        made = Used(key, session, at, service, operation, error)
        self.used.setdefault(key, []).append(made)

    def last_used(self, role_id: str) -> Used | None:
        """The newest call with credentials of a role, by any instance."""
        calls = (u for used in self.used.values() for u in used if u.session.role_id == role_id)
        return max(calls, key=lambda used: used.at, default=None)

    def by(self, key: Key, now: float, every: float) -> Iterator[Used]:
        """The calls of an instance until now, in no order; ``every`` so many seconds it makes one
        by itself, 0 for never."""
        yield from (used for used in self.used.get(key, ()) if used.at <= now)
        if every <= 0:
            return
        last = now // every
        for number in range(NEWEST):
            at = (last - number) * every
            session = self.at(key, at)
            if session is not None:
                yield Used(key, session, at, *AGENT)
