"""What new instances are started with: from groups, fleets and launch templates to the instance
profile that each new instance gets, and the role in it. None of it is planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.model.address import name_key, name_of, profile_address, same_name
from reconciler.model.launch_sources import (
    DEFAULT,
    LATEST,
    NAMES,
    LaunchSource,
    LaunchSources,
    LaunchTemplate,
    Origin,
    Start,
    TemplateRef,
    UnreadCall,
    origin_of,
    template_of,
)
from reconciler.model.live import LiveInstance, LiveState
from reconciler.plan.changes import Change, Delete
from reconciler.ports import LaunchQuery

_ASKS = {
    "auto-scaling-group": "autoscaling:DescribeAutoScalingGroups",
    "ec2-fleet": "ec2:DescribeFleets",
    "spot-fleet": "ec2:DescribeSpotFleetRequests",
    "capacity-provider": "ecs:DescribeCapacityProviders",
}
"""The call that tells of each kind."""
_VERSIONS = "ec2:DescribeLaunchTemplateVersions"
_CONFIGURATIONS = "autoscaling:DescribeLaunchConfigurations"


@dataclass(frozen=True, slots=True)
class Launch:
    """What a new instance gets. ``source`` is ``None`` for a launch template by itself, from which
    anybody may start one. ``number`` is that of the template's version.

    ``profile`` is a name, ``None`` for none; it counts only where ``unknown`` is ``None``, which
    says why it is not known."""

    region: str
    source: LaunchSource | None
    template: LaunchTemplate | None = None
    version: str | None = None
    number: int | None = None
    configuration: str | None = None
    profile: str | None = None
    unknown: str | None = None

    @property
    def is_known(self) -> bool:
        return self.unknown is None

    @property
    def kind(self) -> str:
        return self.source.kind if self.source is not None else "launch-template"

    @property
    def name(self) -> str:
        if self.source is not None:
            return self.source.name
        return self.template.name if self.template is not None else ""

    @property
    def title(self) -> str:
        """``Auto Scaling group web``."""
        return f"{NAMES[self.kind]} {self.name}"

    @property
    def by(self) -> str:
        """From what it starts: ``launch template web, version $Latest (7)``."""
        through = self.source.group if self.source is not None else None
        told = [f"Auto Scaling group {through}"] if through else []
        if self.template is not None and self.version is not None:
            if self.source is not None:
                told.append(f"launch template {self.template.name}")
            number = "" if str(self.number) == self.version else f" ({self.number})"
            told.append(f"version {self.version}{number}")
        elif self.configuration is not None:
            told.append(f"launch configuration {self.configuration}")
        return ", ".join(told)

    def names(self, profile: str) -> bool:
        return self.is_known and self.profile is not None and same_name(self.profile, profile)


def launches_of(source: LaunchSource, known: LaunchSources) -> tuple[Launch, ...]:
    """One for each way in which it starts instances."""
    if source.group is None:
        return tuple(_launch(source, start, known) for start in source.starts)
    group = known.source(Origin("auto-scaling-group", source.region, source.group))
    if group is not None:
        return tuple(replace(one, source=source) for one in launches_of(group, known))
    refused = known.refused(source.region, _ASKS["auto-scaling-group"])
    why = in_words(refused) if refused else f"Auto Scaling group {source.group} does not exist"
    return (Launch(source.region, source, unknown=why),)


def _launch(source: LaunchSource, start: Start, known: LaunchSources) -> Launch:
    region = source.region
    if start.template is not None:
        return _by_template(source, region, start.template, known)
    if start.configuration is not None:
        name = start.configuration
        if (region, name) in known.configurations:
            profile = known.configurations[region, name]
            return Launch(region, source, configuration=name, profile=_name(profile))
        refused = known.refused(region, _CONFIGURATIONS)
        why = in_words(refused) if refused else f"launch configuration {name} does not exist"
        return Launch(region, source, configuration=name, unknown=why)
    return Launch(region, source, profile=_name(start.profile))


def _by_template(
    source: LaunchSource | None, region: str, ref: TemplateRef, known: LaunchSources
) -> Launch:
    template = known.template(region, ref.template)
    if template is None:
        refused = known.refused(region, _VERSIONS)
        why = in_words(refused) if refused else f"launch template {ref.template} does not exist"
        return Launch(region, source, version=ref.version, unknown=why)
    number = template.number(ref.version)
    if number is None or number not in template.profiles:
        refused = known.refused(region, _VERSIONS)
        missing = f"version {ref.version} of launch template {template.name} does not exist"
        why = in_words(refused) if refused else missing
        return Launch(region, source, template, ref.version, number, unknown=why)
    profile = _name(template.profiles[number])
    return Launch(region, source, template, ref.version, number, profile=profile)


def _name(profile: str | None) -> str | None:
    """Templates name a profile as they were told: by name or by ARN."""
    return None if profile is None else name_of(profile)


def in_words(refused: UnreadCall) -> str:
    """``autoscaling:DescribeAutoScalingGroups (AccessDenied)``."""
    return f"{refused.call} ({refused.reason})"


def of_template(template: LaunchTemplate, known: LaunchSources) -> tuple[Launch, ...]:
    """Its default and its latest version, once where they are the same."""
    versions = (DEFAULT,) if template.default == template.latest else (DEFAULT, LATEST)
    refs = (TemplateRef(template.id, version) for version in versions)
    return tuple(_by_template(None, template.region, ref, known) for ref in refs)


def every_launch(known: LaunchSources) -> Iterator[Launch]:
    """Of all groups, fleets and providers, then of all templates."""
    for source in known.sources:
        yield from launches_of(source, known)
    for _, template in sorted(known.templates.items()):
        yield from of_template(template, known)


def of_instance(instance: LiveInstance, known: LaunchSources) -> tuple[Launch, ...]:
    """What comes in its place: from the group or the fleet that launched it, else from the template
    that it was started from. Empty where nothing says what launched it, or where that starts none
    any more."""
    origin = origin_of(instance)
    if origin is not None:
        source = known.source(origin)
        if source is not None:
            return launches_of(source, known)
        refused = known.refused(origin.region, _ASKS[origin.kind])
        if refused is not None:
            unseen = LaunchSource(origin.kind, origin.region, origin.name, origin.name)
            return (Launch(origin.region, unseen, unknown=in_words(refused)),)
        return ()
    template_id = template_of(instance)
    if template_id is None:
        return ()
    region = instance.key.region
    template = known.template(region, template_id)
    if template is not None:
        return of_template(template, known)
    if known.refused(region, _VERSIONS) is not None:
        return (_by_template(None, region, TemplateRef(template_id), known),)
    return ()


def naming(profiles: Iterable[str], known: LaunchSources) -> tuple[Launch, ...]:
    """Everything that starts instances with one of these profiles."""
    wanted = {name_key(name) for name in profiles}
    return tuple(
        launch
        for launch in every_launch(known)
        if launch.is_known and launch.profile is not None and name_key(launch.profile) in wanted
    )


def of_consumers(
    instances: Iterable[LiveInstance], known: LaunchSources
) -> tuple[tuple[Launch, tuple[LiveInstance, ...]], ...]:
    """What launched these instances starts new ones with; with the instances of each."""
    found: dict[tuple[str, str, str], list[LiveInstance]] = {}
    for instance in instances:
        template = template_of(instance)
        origin = origin_of(instance)
        if origin is not None:
            found.setdefault((origin.region, origin.kind, origin.name), []).append(instance)
        elif template is not None:
            key = (instance.key.region, "launch-template", template)
            found.setdefault(key, []).append(instance)
    return tuple(
        (launch, tuple(members))
        for _, members in sorted(found.items())
        for launch in of_instance(members[0], known)
    )


def role_in(profile: str, live: LiveState) -> str | None:
    """The name of the role in the profile now."""
    found = live.profile(profile)
    return found.resource.role if found is not None else None


def role_after(profile: str, changes: Iterable[Change], live: LiveState) -> str | None:
    """The same once the changes are made."""
    address = profile_address(profile)
    for change in changes:
        if change.address == address:
            if isinstance(change, Delete):
                return None
            if "role" in (change.after or {}):
                role: str | None = (change.after or {})["role"]
                return role
    return role_in(profile, live)


def queries_for(instances: Iterable[LiveInstance]) -> tuple[LaunchQuery, ...]:
    """What must be asked to know what comes in the place of these instances; nothing where no tag
    of AWS's says what launched them."""
    groups: dict[str, dict[str, set[str]]] = {}
    for instance in instances:
        origin, template = origin_of(instance), template_of(instance)
        if origin is not None:
            kinds = groups.setdefault(origin.region, {})
            kinds.setdefault(origin.kind, set()).add(origin.name)
        elif template is not None:
            kinds = groups.setdefault(instance.key.region, {})
            kinds.setdefault("launch-template", set()).add(template)
    return tuple(
        LaunchQuery(
            region,
            groups=frozenset(kinds.get("auto-scaling-group", ())),
            fleets=frozenset(kinds.get("ec2-fleet", ())),
            spot_fleets=frozenset(kinds.get("spot-fleet", ())),
            templates=frozenset(kinds.get("launch-template", ())),
            asks_ecs=False,
        )
        for region, kinds in sorted(groups.items())
    )
