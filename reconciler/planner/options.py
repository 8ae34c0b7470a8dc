"""What a person asked for besides the specs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Literal

from reconciler.diagnostics import meant
from reconciler.model.address import Address, matches_any
from reconciler.model.resources import RollOut
from reconciler.spec.settings import IgnoreRule, ImpactMode, Settings

ALLOW = {
    "delete": "`N` deletions exceed the share in `guards`; N is the number in the plan",
    "change": "`N` changes exceed the share in `guards`; N is the number in the plan",
    "protected": "an address in `guards.protected` would change",
    "replace": "its path changes, so it would be deleted and created again",
    "strip": "adopting it would remove policies from it, or delete and create it again",
    "boundary": "a role would lose its permissions boundary",
    "retry": "the last cut-over to this role failed and was rolled back",
    "consumers": "instances would be left without a profile, or without a role that EC2 can assume",
    "self": "trust or permissions of the calling identity's role would change",
    "growth": "for `apply PLAN.json`: there are over a quarter more running instances than then",
    "impact": "with `impact: guard`, a role in use would lose what it used, or that is not known",
    "release": "instances or processes may hold the credentials of a role that would be deleted",
}
"""What each key of ``--allow`` lifts. ``delete`` and ``change`` take a number, all else a glob of
addresses."""
ALLOW_KEYS = tuple(ALLOW)
COUNTS = ("delete", "change")
"""Keys of ``--allow`` whose value is a number."""
_NUMBER = re.compile(r"[0-9]{1,12}")
Rotation = Literal["fresh", "revoke", "revoke-first", "rest"]
"""What ``rotate`` does besides giving fresh sessions: nothing; deny everything to the older ones,
at the end or at the beginning. With ``rest`` nothing is begun: what a run left is shown."""


def allowance(text: str) -> tuple[str, str]:
    """Parses ``KEY=VALUE`` of ``--allow``. Raises ``ValueError``, whose message follows the name of
    the flag."""
    key, equals, value = text.partition("=")
    if not equals or not value or key not in ALLOW_KEYS:
        known = ", ".join(ALLOW_KEYS)
        message = f"--allow takes KEY=VALUE, with KEY one of {known}; not {_cut(text)!r}"
        raise ValueError(f"{message}{meant(key, ALLOW_KEYS)}")
    if key in COUNTS and not _NUMBER.fullmatch(value):
        raise ValueError(f"--allow {key}= takes a number, not {_cut(value)!r}")
    return key, value


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFlags:
    """What the planner takes as it was asked for: the one declaration of a planning flag. The
    command line, the request, ``Options`` and a saved plan have it from here by its name.

    ``allow`` holds pairs such as ``("replace", "role/web")``; ``refresh`` are patterns of profiles
    whose consumers are cut over although nothing differs; ``impact`` is whether what roles in use
    would lose is asked for, even where the settings do not say so; ``unmanaged`` is whether what is
    in no spec and not ours is looked for; ``destroy`` whether everything that the owner has is to
    go, in which case the specs give the owner and the targets; ``forget`` are patterns of addresses
    that lose our tags, and ``rotate`` those of profiles and roles whose consumers get fresh
    sessions, each in place of everything else; ``rotation`` is what else becomes of the sessions
    that they have."""

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    adopt: bool = False
    take_over: bool = False
    refresh_adopted: bool = False
    refresh: tuple[str, ...] = ()
    allow: frozenset[tuple[str, str]] = frozenset()
    impact: bool = False
    destroy: bool = False
    for_drift: bool = False
    unmanaged: bool = False
    forget: tuple[str, ...] = ()
    rotate: tuple[str, ...] = ()
    rotation: Rotation = "fresh"

    def asked(self) -> dict[str, Any]:
        """Its values by their names, for the next that holds them."""
        return {flag.name: getattr(self, flag.name) for flag in fields(PlanFlags)}


@dataclass(frozen=True, slots=True)
class Options(PlanFlags):
    """The flags with what settings and account make of the rest. ``regions`` are for associations
    that name none, ``named_regions`` are those that associations name; ``consumer_regions`` are
    those in which a cut-over looks for consumers, ``None`` for every enabled one; ``now`` is in
    seconds of the epoch."""

    settings: Settings
    owner: str
    regions: tuple[str, ...]
    now: float
    target: str = "default"
    named_regions: tuple[str, ...] = ()
    consumer_regions: tuple[str, ...] | None = None
    prune: bool = False
    chosen: frozenset[Address] | None = None

    @property
    def impact_mode(self) -> ImpactMode:
        """The flag never makes less of the setting."""
        given = self.settings.impact
        return "warn" if self.impact and given == "off" else given

    @property
    def own_regions(self) -> frozenset[str]:
        """The regions of the set: where its associations are planned, and pruned."""
        return frozenset((*self.regions, *self.named_regions))

    @property
    def prefix(self) -> str:
        return self.settings.tag_prefix

    @property
    def is_partial(self) -> bool:
        """Whether some of the set was left out, so that nothing may be deleted by omission."""
        return bool(self.only or self.exclude) or self.chosen is not None

    def includes(self, address: Address) -> bool:
        if self.chosen is not None and not address.is_instance and address not in self.chosen:
            return False
        if self.only and not matches_any(address, self.only):
            return False
        return not matches_any(address, self.exclude)

    def may_include(self, kind: str) -> bool:
        """Whether some address of the kind could be included: those of associations are not known
        before instances are."""
        start = f"{kind}/"
        found = heads(self.only)
        return not self.only or any(h.startswith(start) or start.startswith(h) for h in found)

    def allows(self, key: str, address: Address) -> bool:
        """Whether ``--allow KEY=ADDR``, or an entry of the settings that has not expired, lifts a
        guard."""
        return lifted(key, address, self.allow, self.settings, self.today)

    def allowed_number(self, key: str) -> int | None:
        given = [value for k, value in self.allow if k == key and _NUMBER.fullmatch(value)]
        numbers = [int(v) for v in (*given, *_standing(key, self.settings, self.today))]
        return max(numbers) if numbers else None

    @property
    def deletes_what_is_left(self) -> bool:
        """What left the specs goes; to destroy is to prune against specs that ask for nothing, and
        may be narrowed to a part."""
        return self.destroy or (self.prune and not self.is_partial)

    @property
    def reason_to_delete(self) -> str:
        return "to be destroyed" if self.destroy else "left the specs"

    @property
    def today(self) -> date:
        return day_of(self.now)

    def ignored(self, address: Address) -> frozenset[str]:
        """Attributes whose differences are passed over for this resource."""
        return frozenset(a for rule in self._rules(address) for a in rule.attributes or ())

    def rule_for(self, address: Address, path: str) -> IgnoreRule | None:
        """The rule that passes over the difference at ``path``, such as ``tags.x``."""
        for rule in self._rules(address):
            if any(path == a or path.startswith(f"{a}.") for a in rule.attributes or ()):
                return rule
        return None

    def hidden(self, address: Address) -> str | None:
        """Why a resource in no spec is not reported, or ``None``."""
        rules = (rule for rule in self._rules(address) if rule.attributes is None)
        return next((rule.reason for rule in rules), None)

    def _rules(self, address: Address) -> Iterator[IgnoreRule]:
        for rule in self.settings.ignore:
            counts = rule.expires is None or rule.expires > self.today
            is_for_this = rule.only is None or (rule.only == "drift") == self.for_drift
            if counts and is_for_this and address.matches(rule.match):
                yield rule

    def limits(self, limits: RollOut) -> RollOut:
        return replace(limits, propagation_seconds=self.settings.propagation)


def heads(globs: Iterable[str]) -> list[str]:
    """What each begins with, up to its first wildcard."""
    return [re.split(r"[*?\[]", glob, maxsplit=1)[0] for glob in globs]


def day_of(now: float) -> date:
    return datetime.fromtimestamp(now, tz=UTC).date()


def lifted(
    key: str, address: Address, flags: Iterable[tuple[str, str]], settings: Settings, today: date
) -> bool:
    """Whether a guard is lifted for the address."""
    given = (value for k, value in flags if k == key)
    return matches_any(address, (*given, *_standing(key, settings, today)))


def _standing(key: str, settings: Settings, today: date) -> Iterable[str]:
    for entry in settings.allow:
        value = getattr(entry, key)
        if value is not None and entry.expires > today:
            yield str(value)
