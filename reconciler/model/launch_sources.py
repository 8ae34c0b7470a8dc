"""What new instances are started from, as AWS has it: launch templates, launch configurations, Auto
Scaling groups, fleets, capacity providers of ECS. None of it is ours; each names an instance
profile that new instances get, whatever profile the running ones have by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconciler.model.live import LiveInstance

LATEST, DEFAULT = "$Latest", "$Default"
LaunchKind = Literal["auto-scaling-group", "ec2-fleet", "spot-fleet", "capacity-provider"]
NAMES = {
    "auto-scaling-group": "Auto Scaling group",
    "ec2-fleet": "EC2 fleet",
    "spot-fleet": "spot fleet",
    "capacity-provider": "ECS capacity provider",
    "launch-template": "launch template",
}
"""Of what starts instances, in words."""
_TAGS: Mapping[str, LaunchKind] = {
    "aws:autoscaling:groupName": "auto-scaling-group",
    "aws:ec2spot:fleet-request-id": "spot-fleet",
    "aws:ec2:fleet-id": "ec2-fleet",
}
"""Tags that AWS writes on an instance for what launched it. Auto Scaling may use a fleet itself, so
the group counts first.
Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html (AWS-generated tags)
"""
_TEMPLATE_TAG = "aws:ec2launchtemplate:id"


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """What launched an instance, by the name or the id that the instance's tag has."""

    kind: LaunchKind
    region: str
    name: str


def origin_of(instance: LiveInstance) -> Origin | None:
    """The group or the fleet that launched it; ``None`` where no tag of AWS's says so."""
    for key, kind in _TAGS.items():
        if name := instance.tags.get(key):
            return Origin(kind, instance.key.region, name)
    return None


def template_of(instance: LiveInstance) -> str | None:
    """The id of the launch template that it was started from."""
    return instance.tags.get(_TEMPLATE_TAG) or None


@dataclass(frozen=True, slots=True, order=True)
class TemplateRef:
    """``template`` is an id or a name, ``version`` a number, ``$Latest`` or ``$Default``."""

    template: str
    version: str = DEFAULT


@dataclass(frozen=True, slots=True)
class LaunchTemplate:
    """``profiles`` has the instance profile of each version that was read, by its number: a name or
    an ARN, as the template has it, or ``None`` for none."""

    region: str
    id: str
    name: str
    default: int
    latest: int
    profiles: Mapping[int, str | None]

    def number(self, version: str) -> int | None:
        """Of a version as it is referred to; ``None`` if it is none."""
        if version in (LATEST, DEFAULT):
            return self.latest if version == LATEST else self.default
        return int(version) if version.isascii() and version.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Start:
    """One way in which instances are started: from a launch template, from a launch configuration
    of that name, or, without either, with the ``profile`` that the source names itself."""

    template: TemplateRef | None = None
    configuration: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class LaunchSource:
    """Something that starts instances by itself. ``id`` is what the tag of its instances has.

    ``group`` is the Auto Scaling group through which a capacity provider starts its instances.
    ``replaces`` is false for a fleet that starts no instance in the place of a lost one."""

    kind: LaunchKind
    region: str
    id: str
    name: str
    starts: tuple[Start, ...] = ()
    group: str | None = None
    replaces: bool = True

    @property
    def origin(self) -> Origin:
        return Origin(self.kind, self.region, self.id)


@dataclass(frozen=True, slots=True)
class UnreadCall:
    """A read that AWS refused, by the name of the permission that it takes."""

    region: str
    call: str
    reason: str


@dataclass(frozen=True, slots=True)
class LaunchSources:
    """What was found in the regions that were asked. ``templates`` are by region and id,
    ``configurations`` (by region and name) have the profile of each."""

    templates: Mapping[tuple[str, str], LaunchTemplate] = field(default_factory=dict)
    configurations: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    sources: tuple[LaunchSource, ...] = ()
    unread: tuple[UnreadCall, ...] = ()

    def template(self, region: str, name: str) -> LaunchTemplate | None:
        """By id or by name."""
        if (found := self.templates.get((region, name))) is not None:
            return found
        named = (t for t in self.templates.values() if (t.region, t.name) == (region, name))
        return next(named, None)

    def source(self, origin: Origin) -> LaunchSource | None:
        return next((s for s in self.sources if s.origin == origin), None)

    def refs(self) -> Iterator[tuple[LaunchSource, TemplateRef]]:
        """Every version of a template that a source starts instances from."""
        for source in self.sources:
            for start in source.starts:
                if start.template is not None:
                    yield source, start.template

    def refused(self, region: str, *calls: str) -> UnreadCall | None:
        """The first of these calls that was refused in the region."""
        return next((u for u in self.unread if u.region == region and u.call in calls), None)
