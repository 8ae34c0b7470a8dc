"""Our own tags: the only place that writes or reads them.

What must not be lost stands on the profile, which only IAM administrators may tag; an instance tag
is a hint that saves work and counts only where it names that very instance.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DEFAULT_PREFIX = "reconciler:"
OWNER = "owner"
ROLE_ID = "role-id"
IN_FLIGHT = "in-flight"
RELEASED = "released"
ASSOCIATION = "association"
HOLDS = "holds"
SHADOW_OF = "shadow-of"

NO_ROLE = "-"
OWNER_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
IN_FLIGHT_TAGS = 4
"""AWS allows 50 tags on a profile; 44 are the user's, two are ``owner`` and ``role-id``."""
TAG_VALUE_LENGTH = 256
PROFILE_NAME_LENGTH = 128
_SHADOW = ".reconciler-hop"


@dataclass(frozen=True, slots=True)
class Settled:
    """Every consumer has taken up this role; ``-`` is a profile without one."""

    role_id: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A swap or a cut-over is under way, or died. ``epoch`` is in seconds."""

    before: str
    after: str
    epoch: int
    run: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Strategy ``wait``: AWS serves the role by itself within hours of ``epoch``."""

    role_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The cut-over to this role was rolled back and is not tried again unasked."""

    role_id: str


@dataclass(frozen=True, slots=True)
class Partial:
    """Every consumer in these regions has taken up the role; nobody looked into others. Without
    regions, those that were looked at did not fit into the tag."""

    role_id: str
    regions: tuple[str, ...]

    @classmethod
    def of(cls, role_id: str, regions: Iterable[str]) -> Partial:
        made = cls(role_id, tuple(sorted(set(regions))))
        return made if len(encode_role_mark(made)) <= TAG_VALUE_LENGTH else cls(role_id, ())


RoleMark = Settled | Partial | Pending | Waiting | Failed


def encode_role_mark(mark: RoleMark) -> str:
    match mark:
        case Settled(role_id):
            return role_id
        case Partial(role_id, regions):
            return f"partial/{role_id}/{' '.join(regions)}"
        case Pending(before, after, epoch, run):
            return f"pending/{before}/{after}/{epoch}/{run}"
        case Waiting(role_id, epoch):
            return f"waiting/{role_id}/{epoch}"
        case Failed(role_id):
            return f"failed/{role_id}"


def decode_role_mark(value: str | None) -> RoleMark | None:
    """``None`` where there is no mark, or one that we did not write."""
    match (value or "").split("/"):
        case ["pending", before, after, epoch, run] if epoch.isdigit():
            return Pending(before, after, int(epoch), run)
        case ["waiting", role_id, epoch] if epoch.isdigit():
            return Waiting(role_id, int(epoch))
        case ["partial", role_id, regions] if role_id:
            return Partial(role_id, tuple(regions.split()))
        case ["failed", role_id]:
            return Failed(role_id)
        case [role_id] if role_id:
            return Settled(role_id)
        case _:
            return None


@dataclass(frozen=True, slots=True, order=True)
class InstanceKey:
    """An instance is known by its region and its id."""

    region: str
    instance: str

    def __str__(self) -> str:
        return f"{self.region}/{self.instance}"


@dataclass(frozen=True, slots=True, order=True)
class Flight:
    """An instance that a run takes something from, and that must get it back: its profile or,
    where ``is_stop``, its running."""

    key: InstanceKey
    is_stop: bool = False

    def __str__(self) -> str:
        return f"{self.key}/start" if self.is_stop else str(self.key)


def encode_in_flight(flights: Iterable[Flight]) -> dict[str, str]:
    """Mark names and values, without prefix; at most ``IN_FLIGHT_TAGS`` of them.

    Raises ``ValueError`` if they do not fit; ``fitting`` says how many do.
    """
    values: list[str] = []
    for flight in sorted(set(flights)):
        if values and len(values[-1]) + 1 + len(str(flight)) <= TAG_VALUE_LENGTH:
            values[-1] += f" {flight}"
        else:
            values.append(str(flight))
    if len(values) > IN_FLIGHT_TAGS:
        raise ValueError(f"{len(values)} tags are needed for the instances in flight")
    return {_in_flight_name(n): value for n, value in enumerate(values, start=1)}


def fitting(kept: Iterable[Flight], wanted: Iterable[Flight]) -> tuple[Flight, ...]:
    """The longest head of ``wanted`` that fits into the tags together with ``kept``."""
    chosen = tuple(wanted)
    while chosen:
        try:
            encode_in_flight((*kept, *chosen))
            return chosen
        except ValueError:
            chosen = chosen[:-1]
    return ()


def decode_in_flight(marks: Mapping[str, str]) -> frozenset[Flight]:
    found = set()
    for name in in_flight_names(marks):
        for item in marks[name].split():
            region, _, rest = item.partition("/")
            instance, _, what = rest.partition("/")
            if region and instance:
                found.add(Flight(InstanceKey(region, instance), what == "start"))
    return frozenset(found)


def in_flight_names(marks: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(m for m in marks if re.fullmatch(rf"{IN_FLIGHT}(\.\d+)?", m)))


def _in_flight_name(number: int) -> str:
    return IN_FLIGHT if number == 1 else f"{IN_FLIGHT}.{number}"


def association_mark(owner: str, instance: str, profile_id: str) -> str:
    return f"{owner}/{instance}/{profile_id}"


def holds_mark(role_id: str, association_id: str) -> str:
    return f"{role_id}/{association_id}"


def shadow_name(profile: str) -> str:
    """The name of the profile that strategy ``hop`` puts beside another for a while."""
    whole = profile + _SHADOW
    if len(whole) <= PROFILE_NAME_LENGTH:
        return whole
    # Two long names that begin alike must not share one.
    short = hashlib.sha256(profile.casefold().encode()).hexdigest()[:8]
    return f"{profile[: PROFILE_NAME_LENGTH - len(_SHADOW) - 9]}.{short}{_SHADOW}"


@dataclass(frozen=True, slots=True)
class SplitTags:
    """Tags of a resource, sorted into the user's, ours (prefix taken off) and AWS's."""

    user: Mapping[str, str]
    marks: Mapping[str, str]
    aws: Mapping[str, str]


def split_tags(tags: Mapping[str, str], prefix: str) -> SplitTags:
    user: dict[str, str] = {}
    marks: dict[str, str] = {}
    aws: dict[str, str] = {}
    for key, value in tags.items():
        if key.casefold().startswith("aws:"):
            aws[key] = value
        elif key.startswith(prefix):
            marks[key.removeprefix(prefix)] = value
        else:
            user[key] = value
    return SplitTags(user, marks, aws)


def with_prefix(marks: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {prefix + name: value for name, value in marks.items()}
