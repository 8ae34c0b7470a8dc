"""Our own tags: the only place that writes or reads them.

They are parsed strictly: what does not have the form of a mark is none, and counts for nothing.
What must not be lost stands on the profile, which only IAM administrators may tag; an instance tag
is a hint that saves work and counts only where it names that very instance.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from reconciler.model.address import name_key, same_name

DEFAULT_PREFIX = "reconciler:"
OWNER = "owner"
ROLE_ID = "role-id"
IN_FLIGHT = "in-flight"
RELEASED = "released"
ASSOCIATION = "association"
HOLDS = "holds"
TEMPORARY_OF = "temporary-of"
_SHADOW_OF = "shadow-of"
"""What ``temporary-of`` was called at first; it is read and no longer written."""
SWAPPED = "swapped"
ROLLED_BACK = "rolled_back"
"""What a plan calls the role of ``failed/...`` where the specs no longer want it."""

NO_ROLE = "-"
OWNER_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
IN_FLIGHT_TAGS = 3
"""AWS allows 50 tags on a profile: 44 are the user's, and ``owner``, ``role-id`` and ``swapped``
are ours as well."""
TAG_VALUE_LENGTH = 256
PROFILE_NAME_LENGTH = 128
_SHADOW = ".reconciler-hop"

_TAGGED_NAME = r"[A-Za-z0-9_+=.:@-]{1,128}"
"""An IAM name as a tag value can hold it: ``:`` stands for the comma, which tag values do not take
and names have, while no name has a colon."""
_ID = r"[A-Za-z0-9_]{1,128}|\$\{[A-Za-z0-9_+=,.@-]{1,128}\.id\}"
"""A unique id of IAM's. The second form stands for one that AWS has not given yet, in a plan that
is played through; no tag can hold it."""
_ROLE_ID = rf"(?:{_ID}|{NO_ROLE})"
_REGION = r"[a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2}"
_INSTANCE = r"i-[0-9a-f]{8,17}"
_RUN = r"[A-Za-z0-9_.-]{1,64}"
_EPOCH = re.compile(r"[0-9]{1,12}")
_LAST_EPOCH = 253_370_764_800
"""The year 9999: calendars end there."""

_OWNER_TAG = re.compile(rf"({OWNER_PATTERN.pattern})(?:/({_TAGGED_NAME}))?")
_PENDING = re.compile(rf"pending/({_ROLE_ID})/({_ROLE_ID})/([0-9]{{1,12}})/({_RUN})")
_WAITING = re.compile(rf"waiting/({_ROLE_ID})/([0-9]{{1,12}})")
_PARTIAL = re.compile(rf"partial/({_ROLE_ID})/((?:{_REGION}(?: {_REGION})*)?)")
_FAILED = re.compile(rf"failed/({_ROLE_ID})")
_SETTLED = re.compile(_ROLE_ID)
_SWAPPED = re.compile(rf"({_ROLE_ID})/([0-9]{{1,12}})(?:/([0-9]{{1,3}}))?")
_FLIGHT = re.compile(rf"({_REGION})/({_INSTANCE})(/start)?")
_IN_FLIGHT_NAME = re.compile(rf"{IN_FLIGHT}(?:\.[1-9][0-9]?)?")
_ASSOCIATION_MARK = re.compile(rf"({OWNER_PATTERN.pattern})/({_INSTANCE})/({_ID})")
_HOLDS_MARK = re.compile(rf"{_ROLE_ID}/[A-Za-z0-9-]{{1,64}}")

CREDENTIALS_SECONDS = 7 * 3600
"""How long processes may hold credentials of a role that their instance was served: six hours, and
an hour more for clocks and for EC2, which serves a role for a while after a swap."""


_KEPT = 4096
"""How many tags are remembered: a cut-over that is played through asks for the same ones again and
again."""


@dataclass(frozen=True, slots=True)
class OwnerTag:
    """The owner tag of a resource. ``name`` is that of the resource that the tag was written for,
    ``None`` in the form of the first release, which had only the owner."""

    owner: str
    name: str | None = None

    def is_of(self, name: str) -> bool:
        """Whether it was written on the resource of that name; IAM's names ignore case."""
        return self.name is not None and self.name.casefold() == name.casefold()


def encode_owner(owner: str, name: str) -> str:
    """64 characters, a slash and 128 fit into the 256 that a tag value has."""
    return f"{owner}/{_as_tag(name)}"


def decode_owner(value: str | None) -> OwnerTag | None:
    found = _OWNER_TAG.fullmatch(value or "")
    if found is None:
        return None
    return OwnerTag(found[1], None if found[2] is None else _as_name(found[2]))


def encode_temporary_of(profile: str) -> str:
    return _as_tag(profile)


def decode_temporary_of(marks: Mapping[str, str]) -> str | None:
    """The name of the profile that a temporary one stands in for."""
    value = marks.get(TEMPORARY_OF, marks.get(_SHADOW_OF, ""))
    return _as_name(value) if re.fullmatch(_TAGGED_NAME, value) else None


def _as_tag(name: str) -> str:
    return name.replace(",", ":")


def _as_name(text: str) -> str:
    return text.replace(":", ",")


def _epoch(text: str) -> int | None:
    """Seconds of the epoch. ``str.isdigit`` takes more than ``int`` does, and time has an end."""
    if not _EPOCH.fullmatch(text):
        return None
    return seconds if (seconds := int(text)) <= _LAST_EPOCH else None


def decode_released(value: str | None) -> int | None:
    """When consumers stopped using a role, in seconds of the epoch."""
    return _epoch(value or "")


@dataclass(frozen=True, slots=True)
class Settled:
    """Every consumer has this role; ``-`` is a profile without a role."""

    role_id: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A swap or a cut-over is in progress, or was interrupted. ``epoch`` is in seconds."""

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
    """Every consumer in these regions has the role; other regions were not read. Without regions,
    the list did not fit into the tag."""

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


@lru_cache(_KEPT)
def decode_role_mark(value: str | None) -> RoleMark | None:
    """``None`` where there is no mark, or one that we did not write."""
    text = value or ""
    if found := _PENDING.fullmatch(text):
        epoch = _epoch(found[3])
        return None if epoch is None else Pending(found[1], found[2], epoch, found[4])
    if found := _WAITING.fullmatch(text):
        epoch = _epoch(found[2])
        return None if epoch is None else Waiting(found[1], epoch)
    if found := _PARTIAL.fullmatch(text):
        return Partial(found[1], tuple(found[2].split()))
    if found := _FAILED.fullmatch(text):
        return Failed(found[1])
    return Settled(text) if _SETTLED.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Swapped:
    """EC2 has seen this role in the profile since ``epoch``, in seconds.

    Written when a cut-over waits for instances that others must replace, so that the next run knows
    which are new; where instances cannot be tagged, so that it knows that the canary has succeeded;
    and at a checkpoint, so that it goes on. Beside ``failed/...`` it names the role that a
    roll-back left every consumer with. ``checkpoint`` is a percent of the fleet, 100 once all
    instances that we may touch have the role, ``None`` if no checkpoint was reached.
    """

    role_id: str
    epoch: int
    checkpoint: int | None = None


ALL = 100
"""The checkpoint after all others."""


def encode_swapped(mark: Swapped) -> str:
    reached = "" if mark.checkpoint is None else f"/{mark.checkpoint}"
    return f"{mark.role_id}/{mark.epoch}{reached}"


def decode_swapped(value: str | None) -> Swapped | None:
    """``None`` where there is no mark, or one that we did not write."""
    found = _SWAPPED.fullmatch(value or "")
    epoch = _epoch(found[2]) if found else None
    if found is None or epoch is None:
        return None
    checkpoint = None if found[3] is None else int(found[3])
    is_share = checkpoint is None or 1 <= checkpoint <= ALL
    return Swapped(found[1], epoch, checkpoint) if is_share else None


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
    names = [IN_FLIGHT, *(f"{IN_FLIGHT}.{n}" for n in range(2, len(values) + 1))]
    return dict(zip(names, values, strict=False))


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
    items = (item for name in in_flight_names(marks) for item in marks[name].split())
    return frozenset(flight for item in items if (flight := _flight(item)) is not None)


@lru_cache(_KEPT)
def _flight(text: str) -> Flight | None:
    found = _FLIGHT.fullmatch(text)
    return None if found is None else Flight(InstanceKey(found[1], found[2]), found[3] is not None)


def in_flight_names(marks: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in marks if _IN_FLIGHT_NAME.fullmatch(name)))


@dataclass(frozen=True, slots=True)
class AssociationMark:
    """On an instance: the owner whose specs asked for the association, and with which profile."""

    owner: str
    instance: str
    profile_id: str


def association_mark(owner: str, instance: str, profile_id: str) -> str:
    return f"{owner}/{instance}/{profile_id}"


def decode_association(value: str | None) -> AssociationMark | None:
    found = _ASSOCIATION_MARK.fullmatch(value or "")
    return None if found is None else AssociationMark(found[1], found[2], found[3])


def holds_mark(role_id: str, association_id: str) -> str:
    return f"{role_id}/{association_id}"


def temporary_name(profile: str) -> str:
    """The name of the profile that strategy ``hop`` puts beside another for a while."""
    whole = profile + _SHADOW
    if len(whole) <= PROFILE_NAME_LENGTH:
        return whole
    # Two long names that begin alike must not share one.
    short = hashlib.sha256(name_key(profile).encode()).hexdigest()[:8]
    return f"{profile[: PROFILE_NAME_LENGTH - len(_SHADOW) - 9]}.{short}{_SHADOW}"


@dataclass(frozen=True, slots=True)
class MalformedMark:
    """A value of one of our tags that is not a valid mark; reported with the ``key`` of the tag."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class SplitTags:
    """Tags of a resource, split into the user's, ours (without prefix) and AWS's. Invalid values of
    our tags are only in ``malformed_marks``."""

    user: Mapping[str, str]
    marks: Mapping[str, str]
    aws: Mapping[str, str]
    malformed_marks: tuple[MalformedMark, ...] = ()


def exact(key: str) -> str:
    """Two tag keys are one only where they are spelled alike: so it is but for roles."""
    return key


def split_tags(
    tags: Mapping[str, str],
    prefix: str,
    same_key: Callable[[str], str] = exact,
    is_region: Callable[[str], bool] = lambda _name: True,
    of: str | None = None,
) -> SplitTags:
    """``same_key`` folds keys that AWS takes for one: those of a role ignore case, ours included.
    ``is_region`` says whether there is a region of that name; ``of`` is the name of the profile
    that the tags are on: a temporary profile is one by its name as well."""
    user: dict[str, str] = {}
    marks: dict[str, str] = {}
    aws: dict[str, str] = {}
    malformed_marks: list[MalformedMark] = []
    for key, value in sorted(tags.items()):
        if key.casefold().startswith("aws:"):
            aws[key] = value
        elif same_key(key[: len(prefix)]) == same_key(prefix):
            name = same_key(key[len(prefix) :])
            mark, stray = _read(name, value, is_region)
            if name in (TEMPORARY_OF, _SHADOW_OF) and of is not None:
                home = decode_temporary_of({TEMPORARY_OF: mark})
                if home is None or not same_name(temporary_name(home), of):
                    mark, stray = "", value
            if mark:
                marks[name] = mark
            if stray:
                malformed_marks.append(MalformedMark(key, stray))
        else:
            user[key] = value
    return SplitTags(user, marks, aws, tuple(malformed_marks))


def _read(name: str, value: str, is_region: Callable[[str], bool]) -> tuple[str, str]:
    """The valid and the invalid parts of a mark. Instances in flight are parsed one by one: an
    invalid one must not hide the others. Names that a later release may have written are ignored.
    """
    if _IN_FLIGHT_NAME.fullmatch(name):
        items = value.split()
        good = [i for i in items if (f := _flight(i)) is not None and is_region(f.key.region)]
        return " ".join(good), " ".join(i for i in items if i not in good)
    reads = _READS.get(name)
    found = value if reads is None else reads(value)
    if isinstance(found, Partial) and not all(map(is_region, found.regions)):
        found = None
    return (value, "") if found is not None else ("", value)


_READS: Mapping[str, Callable[[str], object | None]] = {
    OWNER: decode_owner,
    ROLE_ID: decode_role_mark,
    RELEASED: decode_released,
    ASSOCIATION: decode_association,
    HOLDS: _HOLDS_MARK.fullmatch,
    SWAPPED: decode_swapped,
    TEMPORARY_OF: lambda value: decode_temporary_of({TEMPORARY_OF: value}),
    _SHADOW_OF: lambda value: decode_temporary_of({_SHADOW_OF: value}),
}


def with_prefix(marks: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {prefix + name: value for name, value in marks.items()}
