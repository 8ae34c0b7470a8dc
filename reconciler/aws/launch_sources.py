"""Reads what new instances are started from. Nothing is decided by it, so a call that is refused is
reported and the others are made all the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.aws.paging import ApiReader
from reconciler.errors import AwsError
from reconciler.model.address import name_of
from reconciler.model.launch_sources import (
    DEFAULT,
    LATEST,
    LaunchSource,
    LaunchSources,
    LaunchTemplate,
    Start,
    TemplateRef,
    UnreadCall,
)
from reconciler.ports import LaunchQuery
from reconciler.threads import result_of

_Answers = list[dict[str, Any]]
_T = TypeVar("_T")
AT_ONCE = 50
"""Most names in a request about groups or launch configurations.
Source: docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
"""
_ALIVE = ("active", "modifying", "submitted")
"""States of fleets that may start further instances."""
_NO_TEMPLATE = (
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.NotFoundException",
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidLaunchTemplateId.VersionNotFound",
)


@dataclass
class _RegionReading:
    """One region, as it is read."""

    query: LaunchQuery
    templates: dict[str, LaunchTemplate] = field(default_factory=dict)
    configurations: dict[str, str | None] = field(default_factory=dict)
    sources: list[LaunchSource] = field(default_factory=list)
    unread: list[UnreadCall] = field(default_factory=list)


class LaunchReader:
    """Asks one region after the other, the calls of all in parallel."""

    def __init__(self, ask: ApiReader) -> None:
        self._ask = ask

    def read(self, queries: Collection[LaunchQuery], pool: ThreadPoolExecutor) -> LaunchSources:
        """Raises nothing that AWS answers: it is in ``unread``."""
        found = {query.region: _RegionReading(query) for query in queries}
        started = {region: self._start(one.query, pool) for region, one in found.items()}
        for region, calls in started.items():
            for call, future in calls:
                answered = self._answer(found[region], call, future)
                found[region].sources += answered or ()
        rest = [(region, self._rest(one, pool)) for region, one in found.items()]
        for region, more in rest:
            for call, of_templates in more.templates:
                for template in self._answer(found[region], call, of_templates) or ():
                    _add(found[region].templates, template)
            for call, of_configurations in more.configurations:
                named = self._answer(found[region], call, of_configurations) or {}
                found[region].configurations.update(named)
        return _merged(found)

    def _answer(self, found: _RegionReading, call: str, future: Future[_T]) -> _T | None:
        try:
            return result_of(future)
        except AwsError as error:
            name = error.call or call
            if name not in {one.call for one in found.unread}:
                found.unread.append(UnreadCall(found.query.region, name, error.code))
            return None

    def _start(
        self, query: LaunchQuery, pool: ThreadPoolExecutor
    ) -> list[tuple[str, Future[list[LaunchSource]]]]:
        region, started = query.region, []
        if query.groups is None or query.groups:
            name = "autoscaling:DescribeAutoScalingGroups"
            started.append((name, pool.submit(self._groups, region, query.groups)))
        if query.fleets is None or query.fleets:
            future = pool.submit(self._fleets, region, query.fleets)
            started.append(("ec2:DescribeFleets", future))
        if query.spot_fleets is None or query.spot_fleets:
            future = pool.submit(self._spot_fleets, region, query.spot_fleets)
            started.append(("ec2:DescribeSpotFleetRequests", future))
        if query.asks_ecs:
            future = pool.submit(self._group_providers, region)
            started.append(("ecs:DescribeCapacityProviders", future))
            future = pool.submit(self._own_providers, region)
            started.append(("ecs:ListClusters", future))
        return started

    def _groups(self, region: str, names: Collection[str] | None) -> list[LaunchSource]:
        found: _Answers = []
        for part in _parts(names):
            of = {} if part is None else {"AutoScalingGroupNames": part}
            operation = "describe_auto_scaling_groups"
            found += self._ask.pages("autoscaling", operation, "AutoScalingGroups", region, **of)
        return [_group(answer, region) for answer in found]

    def _fleets(self, region: str, ids: Collection[str] | None) -> list[LaunchSource]:
        of = {} if ids is None else {"FleetIds": sorted(ids)}
        found = self._ask.pages("ec2", "describe_fleets", "Fleets", region, **of)
        alive = [f for f in found if f.get("FleetState", "active") in _ALIVE]
        return [_fleet(answer, region) for answer in alive if answer.get("Type") != "instant"]

    def _spot_fleets(self, region: str, ids: Collection[str] | None) -> list[LaunchSource]:
        of = {} if ids is None else {"SpotFleetRequestIds": sorted(ids)}
        operation, key = "describe_spot_fleet_requests", "SpotFleetRequestConfigs"
        found = self._ask.pages("ec2", operation, key, region, **of)
        alive = [f for f in found if f.get("SpotFleetRequestState", "active") in _ALIVE]
        return [_spot_fleet(answer, region) for answer in alive]

    def _group_providers(self, region: str) -> list[LaunchSource]:
        """Those that have instances started by an Auto Scaling group."""
        found = []
        for answer in self._providers(region):
            group = (answer.get("autoScalingGroupProvider") or {}).get("autoScalingGroupArn")
            if group:
                name, held = str(answer["name"]), name_of(group)
                found.append(LaunchSource("capacity-provider", region, name, name, group=held))
        return found

    def _own_providers(self, region: str) -> list[LaunchSource]:
        """Those that start instances themselves (ECS managed instances) are listed by cluster.
        Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeCapacityProviders.html
        """
        clusters = self._ask.pages("ecs", "list_clusters", "clusterArns", region)
        found: dict[str, LaunchSource] = {}
        for cluster in clusters:
            for answer in self._providers(region, cluster=str(cluster)):
                provider = _managed_provider(answer, region)
                if provider is not None:
                    found[provider.id] = provider
        return list(found.values())

    def _providers(self, region: str, **of: str) -> _Answers:
        found: _Answers = []
        token: dict[str, str] = {}
        while True:
            (page,) = self._ask.raw_pages(
                "ecs", "describe_capacity_providers", region, **of, **token
            )
            found += page.get("capacityProviders", ())
            if not (following := page.get("nextToken")):
                return found
            token = {"nextToken": following}

    def _rest(self, found: _RegionReading, pool: ThreadPoolExecutor) -> _Rest:
        """What the sources name: versions of templates, and launch configurations."""
        query, region = found.query, found.query.region
        starts = [start for source in found.sources for start in source.starts]
        refs = {start.template for start in starts if start.template is not None}
        rest = _Rest()
        if query.templates is None:
            future = pool.submit(self._all_templates, region, frozenset(refs))
            rest.templates.append(("ec2:DescribeLaunchTemplateVersions", future))
        else:
            wanted: dict[str, set[str]] = {name: set() for name in query.templates}
            for ref in refs:
                wanted.setdefault(ref.template, set()).add(ref.version)
            for name, versions in sorted(wanted.items()):
                future = pool.submit(self._versions, region, name, frozenset(versions))
                rest.templates.append(("ec2:DescribeLaunchTemplateVersions", future))
        names = sorted({s.configuration for s in starts if s.configuration is not None})
        if names:
            configured = pool.submit(self._configurations, region, names)
            name = "autoscaling:DescribeLaunchConfigurations"
            rest.configurations.append((name, configured))
        return rest

    def _all_templates(self, region: str, refs: frozenset[TemplateRef]) -> list[LaunchTemplate]:
        """Default and latest version of all in one call, and what is pinned besides."""
        listed = self._ask.pages(
            "ec2",
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            region,
            Versions=[LATEST, DEFAULT],
        )
        found: dict[str, LaunchTemplate] = {}
        for template in _templates(listed, region):
            _add(found, template)
        for template in list(found.values()):
            of = (r for r in refs if r.template in (template.id, template.name))
            pinned = {r.version for r in of if template.number(r.version) not in template.profiles}
            for more in self._versions(region, template.id, frozenset(pinned)) if pinned else ():
                _add(found, more)
        return list(found.values())

    def _versions(self, region: str, name: str, versions: frozenset[str]) -> list[LaunchTemplate]:
        """Of one template, with its default and latest version; none if it does not exist."""
        of = "LaunchTemplateId" if name.startswith("lt-") else "LaunchTemplateName"
        wanted = sorted({*versions, LATEST, DEFAULT})
        try:
            listed = self._ask.pages(
                "ec2",
                "describe_launch_template_versions",
                "LaunchTemplateVersions",
                region,
                Versions=wanted,
                **{of: name},
            )
        except AwsError as error:
            if error.code not in _NO_TEMPLATE:
                raise
            return self._versions(region, name, frozenset()) if versions else []
        return list(_templates(listed, region))

    def _configurations(self, region: str, names: Collection[str]) -> dict[str, str | None]:
        found: _Answers = []
        operation = "describe_launch_configurations"
        for part in _parts(names):
            found += self._ask.pages(
                "autoscaling",
                operation,
                "LaunchConfigurations",
                region,
                LaunchConfigurationNames=part,
            )
        return {str(c["LaunchConfigurationName"]): c.get("IamInstanceProfile") for c in found}


@dataclass
class _Rest:
    templates: list[tuple[str, Future[list[LaunchTemplate]]]] = field(default_factory=list)
    configurations: list[tuple[str, Future[dict[str, str | None]]]] = field(default_factory=list)


def _merged(found: Mapping[str, _RegionReading]) -> LaunchSources:
    regions = sorted(found)
    return LaunchSources(
        templates={(r, t): found[r].templates[t] for r in regions for t in found[r].templates},
        configurations={
            (r, name): profile for r in regions for name, profile in found[r].configurations.items()
        },
        sources=tuple(
            sorted((s for r in regions for s in found[r].sources), key=lambda s: s.origin)
        ),
        unread=tuple(u for r in regions for u in sorted(found[r].unread, key=lambda u: u.call)),
    )


def _parts(names: Collection[str] | None) -> Iterator[list[str] | None]:
    """The names, as many as a request takes; once ``None`` for all."""
    if names is None:
        yield None
        return
    listed = sorted(names)
    for start in range(0, len(listed), AT_ONCE):
        yield listed[start : start + AT_ONCE]


def _add(found: dict[str, LaunchTemplate], template: LaunchTemplate) -> None:
    known = found.get(template.id)
    profiles = {**known.profiles, **template.profiles} if known else template.profiles
    found[template.id] = LaunchTemplate(
        template.region,
        template.id,
        template.name,
        max(template.default, known.default if known else 0),
        max(template.latest, known.latest if known else 0),
        profiles,
    )


def _templates(listed: _Answers, region: str) -> Iterator[LaunchTemplate]:
    by_id: dict[str, _Answers] = {}
    for answer in listed:
        by_id.setdefault(str(answer["LaunchTemplateId"]), []).append(answer)
    for template, versions in by_id.items():
        numbers = [int(v["VersionNumber"]) for v in versions]
        default = [int(v["VersionNumber"]) for v in versions if v.get("DefaultVersion")]
        yield LaunchTemplate(
            region,
            template,
            str(versions[0].get("LaunchTemplateName") or template),
            default[0] if default else 0,
            max(numbers),
            {int(v["VersionNumber"]): _named(v.get("LaunchTemplateData")) for v in versions},
        )


def _named(data: Mapping[str, Any] | None) -> str | None:
    """The profile of a launch template or of a launch specification: a name, or an ARN."""
    profile = (data or {}).get("IamInstanceProfile") or {}
    return profile.get("Name") or profile.get("Arn") or None


def _ref(spec: Mapping[str, Any] | None) -> TemplateRef | None:
    given = spec or {}
    template = given.get("LaunchTemplateId") or given.get("LaunchTemplateName")
    return TemplateRef(template, str(given.get("Version") or DEFAULT)) if template else None


def _unique(starts: Iterable[Start]) -> tuple[Start, ...]:
    return tuple(dict.fromkeys(starts))


def _group(answer: Mapping[str, Any], region: str) -> LaunchSource:
    mixed = (answer.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    specs = [
        answer.get("LaunchTemplate"),
        mixed.get("LaunchTemplateSpecification"),
        *(o.get("LaunchTemplateSpecification") for o in mixed.get("Overrides") or ()),
    ]
    starts = [Start(template=ref) for spec in specs if (ref := _ref(spec)) is not None]
    if configuration := answer.get("LaunchConfigurationName"):
        starts.append(Start(configuration=configuration))
    name = str(answer["AutoScalingGroupName"])
    return LaunchSource("auto-scaling-group", region, name, name, _unique(starts))


def _from_templates(configs: Iterable[Mapping[str, Any]]) -> Iterator[Start]:
    for config in configs:
        if (ref := _ref(config.get("LaunchTemplateSpecification"))) is not None:
            yield Start(template=ref)


def _fleet(answer: Mapping[str, Any], region: str) -> LaunchSource:
    starts = _unique(_from_templates(answer.get("LaunchTemplateConfigs") or ()))
    name, replaces = str(answer["FleetId"]), answer.get("Type") == "maintain"
    return LaunchSource("ec2-fleet", region, name, name, starts, replaces=replaces)


def _spot_fleet(answer: Mapping[str, Any], region: str) -> LaunchSource:
    config = answer.get("SpotFleetRequestConfig") or {}
    specs = [Start(profile=_named(s)) for s in config.get("LaunchSpecifications") or ()]
    templates = _from_templates(config.get("LaunchTemplateConfigs") or ())
    name = str(answer["SpotFleetRequestId"])
    replaces = config.get("Type", "maintain") == "maintain"
    starts = _unique((*templates, *specs))
    return LaunchSource("spot-fleet", region, name, name, starts, replaces=replaces)


def _managed_provider(answer: Mapping[str, Any], region: str) -> LaunchSource | None:
    """One that starts instances by itself."""
    managed = answer.get("managedInstancesProvider")
    if not managed:
        return None
    template = managed.get("instanceLaunchTemplate") or {}
    name = str(answer["name"])
    start = Start(profile=template.get("ec2InstanceProfileArn"))
    return LaunchSource("capacity-provider", region, name, name, (start,))
