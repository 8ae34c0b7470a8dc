"""New instances get the profile that their launch template, launch configuration or fleet names, as
on AWS; moto forgets it. And the capacity providers of ECS that start instances themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.core.responses import ActionResult
from moto.ec2.models.fleets import FleetsBackend
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.spot_requests import SpotRequestBackend
from moto.iam.models import iam_backends

from reconciler.sandbox.state import World


def replacements(world: World) -> Iterator[tuple[Any, str, Any]]:
    """Owner, name and the function in its place, for as long as the sandbox runs."""
    run, scale = InstanceBackend.run_instances, "replace_autoscaling_group_instances"
    scaled = getattr(FakeAutoScalingGroup, scale)
    fleet, spot = FleetsBackend.create_fleet, SpotRequestBackend.request_spot_fleet

    def run_instances(backend: Any, *given: Any, **named: Any) -> Any:
        wanted = named.get("launch_template")
        made = run(backend, *given, **named)
        if wanted:
            version = backend._get_template_from_args(wanted)
            _give(world, backend, made.instances, version.data.get("IamInstanceProfile"))
        return made

    def scaled_out(group: Any, *given: Any, **named: Any) -> None:
        before = {state.instance.id for state in group.instance_states}
        scaled(group, *given, **named)
        new = [s.instance for s in group.instance_states if s.instance.id not in before]
        backend = group.autoscaling_backend.ec2_backend
        if group.ec2_launch_template is not None:
            version = group.ec2_launch_template.get_version(group.launch_template_version)
            for instance in new:
                # moto starts them from the default version.
                backend.tags[instance.id]["aws:ec2launchtemplate:version"] = str(version.number)
            _give(world, backend, new, version.data.get("IamInstanceProfile"))
        elif group.launch_config is not None:
            _give(world, backend, new, group.launch_config.iam_instance_profile)

    def create_fleet(backend: Any, *given: Any, **named: Any) -> Any:
        made = fleet(backend, *given, **named)
        started = [(one["instance"], one["launch_spec"]) for one in made.on_demand_instances]
        started += [(one.instance, one.launch_spec) for one in made.spot_requests]
        _started(world, backend, started, "aws:ec2:fleet-id", made.id)
        return made

    def request_spot_fleet(backend: Any, *given: Any, **named: Any) -> Any:
        made = spot(backend, *given, **named)
        # Which of the specifications started which instance moto does not keep.
        started = [(one.instance, made.launch_specs[0]) for one in made.spot_requests]
        _started(world, backend, started, "aws:ec2spot:fleet-request-id", made.id)
        return made

    yield InstanceBackend, "run_instances", run_instances
    yield FakeAutoScalingGroup, scale, scaled_out
    yield FleetsBackend, "create_fleet", create_fleet
    yield SpotRequestBackend, "request_spot_fleet", request_spot_fleet


def _started(
    world: World, backend: Any, started: Iterable[tuple[Any, Any]], tag: str, name: str
) -> None:
    for instance, spec in started:
        backend.tags.setdefault(instance.id, {})[tag] = name
        named = spec.iam_instance_profile
        # moto keeps what it was given as if it were an ARN.
        inside = named.get("Arn") if isinstance(named, dict) else None
        _give(world, backend, [instance], inside if isinstance(inside, dict) else named)


def _give(world: World, backend: Any, instances: Iterable[Any], named: Any) -> None:
    """An instance starts with its profile: there is no later association. One whose profile does
    not exist gets none here; on AWS it would not start."""
    # Templates name it by name or ARN, a launch configuration and a spot fleet by either alone.
    given = named if isinstance(named, dict) else {"Name": named, "Arn": named}
    wanted = {given.get("Name"), given.get("Arn")} - {None}
    profiles = iam_backends[backend.account_id]["aws"].get_instance_profiles()
    profile = next((p for p in profiles if wanted & {p.name, p.arn}), None)
    for instance in instances:
        here = (backend.account_id, backend.region_name, instance.id)
        world.rows[:] = [r for r in world.rows if (r.account, r.region, r.instance) != here]
        if profile is not None:
            row = world.associate(*here, profile)
            row.made_at -= world.lags.associating


class EcsLayer:
    """Answers in moto's place: moto has capacity providers of Auto Scaling groups alone, and lists
    none that it is not asked for by name."""

    def __init__(self, originals: dict[str, Any]) -> None:
        self._originals = originals
        self._managed: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    def create_capacity_provider(self, request: Any) -> ActionResult:
        """Managed instances belong to a cluster."""
        managed = request._get_param("managedInstancesProvider")
        if not managed:
            answer: ActionResult = self._originals["create_capacity_provider"](request)
            return answer
        name, cluster = request._get_param("name"), request._get_param("cluster")
        start = f"arn:aws:ecs:{request.region}:{request.current_account}:capacity-provider"
        made = {
            "capacityProviderArn": f"{start}/{name}",
            "name": name,
            "cluster": cluster,
            "status": "ACTIVE",
            "managedInstancesProvider": managed,
        }
        self._managed.setdefault((request.current_account, request.region), {})[name] = made
        return ActionResult({"capacityProvider": made})

    def describe_capacity_providers(self, request: Any) -> ActionResult:
        names = request._get_param("capacityProviders") or []
        cluster = request._get_param("cluster")
        own = self._managed.get((request.current_account, request.region), {})
        if cluster:
            short = cluster.rpartition("/")[2]
            found = [p for p in own.values() if p["cluster"].rpartition("/")[2] == short]
            return ActionResult({"capacityProviders": found, "failures": []})
        if names:
            answer: ActionResult = self._originals["describe_capacity_providers"](request)
            return answer
        listed = list(request.ecs_backend.capacity_providers.values())
        return ActionResult({"capacityProviders": listed, "failures": []})
