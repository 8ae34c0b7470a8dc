"""Before the first write: whether the caller may make the calls of a plan, and of the way back from
it, and whether the account has room for what it creates.

AWS's simulator tells of all calls. EC2 is asked by a dry run too, which knows every policy there
is, but only where the call itself would be refused for another reason: an instance that has a
profile takes no second one, so nothing happens at an endpoint that does not know dry runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.commands.asking import Room, Verdicts, dry_run, instance_arn, rooms, simulate
from reconciler.commands.permissions import scope_of_plan
from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.errors import AwsError
from reconciler.model import ownership
from reconciler.model.address import Address, instance_address, name_key, name_of
from reconciler.model.live import LiveEntity
from reconciler.permissions.of_plan import applying_plan
from reconciler.permissions.questions import KnownResources, kind_of, questions
from reconciler.permissions.scope import PermissionScope
from reconciler.plan.authorization import Verdict
from reconciler.plan.calls import ApiCall, printable
from reconciler.plan.changes import actions_of
from reconciler.plan.plan import TargetPlan
from reconciler.ports import Progress


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found out for one target. ``full`` are quotas that leave no room for so many more,
    which is the number beside each."""

    target: str
    account_id: str
    asked: Verdicts
    full: tuple[tuple[Room, int], ...] = ()

    @property
    def denied(self) -> tuple[Verdict, ...]:
        return self.asked.of("denied")

    @property
    def unknown(self) -> tuple[Verdict, ...]:
        return self.asked.of("unknown")

    @property
    def is_refused(self) -> bool:
        return bool(self.denied or self.full)


def preflight(planned: Planned, progress: Progress) -> tuple[Preflight, ...]:
    """One for each target that has something to do."""
    made = []
    for target in planned.targets:
        if target.plan.is_empty:
            continue
        where = f"account {target.plan.identity.account_id}"
        progress.reading(f"permissions and quotas of {where}")
        made.append(_of_target(target, planned))
    return tuple(made)


def _of_target(target: PlannedTarget, planned: Planned) -> Preflight:
    plan, spec = target.plan, target.spec
    scope = scope_of_plan(
        plan.identity.partition,
        plan.identity.account_id,
        plan.regions,
        planned.plan.owner,
        plan.settings,
    )

    def role_in(profile: str) -> str | None:
        found = spec.desired.profile(profile)
        return found.resource.role if found else None

    statements = tuple(applying_plan(_document(plan), scope, role_in, least=True))
    known = _known(target, scope)
    examiner = target.connection.examiner()
    asked = simulate(questions(statements, scope, known), examiner, plan.identity)
    asked = replace(asked, not_asked=tuple(f"permissions: {why}" for why in asked.not_asked))
    asked += _dry_runs(target)
    full, not_asked = _full(target)
    return Preflight(plan.target, scope.account_id, asked + Verdicts((), not_asked), full)


def _document(plan: TargetPlan) -> dict[str, Any]:
    """As in plan JSON: what the statements of a plan are made from."""
    return {
        "steps": [
            {
                "address": str(step.address),
                "call": call.name,
                "region": call.region,
                "params": printable(call.params),
            }
            for step, call in _calls(plan)
        ],
        "changes": [
            {
                "address": str(change.address),
                "kind": change.kind,
                "actions": list(actions_of(change)),
                "intent": change.intent,
            }
            for change in plan.changes
        ],
    }


def _calls(plan: TargetPlan) -> Iterator[tuple[Any, ApiCall]]:
    for step in plan.steps:
        if isinstance(step.action, ApiCall):
            yield step, step.action


def _known(target: PlannedTarget, scope: PermissionScope) -> KnownResources:
    """From the plan; what it does not change is where the specs say, or else where AWS has it."""
    plan = target.plan
    arns: dict[tuple[str, str], dict[str, None]] = {}
    entities = plan.based_on.values()
    live: dict[str, Mapping[str, str]] = {e.arn: _tags_of(e, scope) for e in entities}
    given: dict[str, dict[str, str]] = {}
    touched: dict[str, None] = {}

    def note(arn: str) -> None:
        kind = kind_of(arn)
        if kind is not None and not scope.arns.is_aws_managed(arn):
            arns.setdefault((kind, name_key(name_of(arn))), {})[arn] = None
            touched[arn] = None

    for arn in live:
        note(arn)
    named: dict[str, None] = {}
    for step, call in _calls(plan):
        params: Mapping[str, Any] = printable(call.params)
        for arn in _arns_in(params):
            note(arn)
        if (made := _created(call, params, scope)) is not None:
            note(made)
            given[made] = {tag["Key"]: str(tag["Value"]) for tag in params.get("Tags", ())}
        elif "RoleName" in params:
            named[params["RoleName"]] = None
        if call.region is not None and step.address.is_instance:
            own = instance_arn(scope.partition, call.region, scope.account_id, step.address)
            touched[own] = None
    inside = {role.resource.name: None for role in target.spec.desired.roles.values()}
    for name in {**named, **inside}:
        if ("role", name_key(name)) not in arns:
            arn, tags = _role(target, scope, name)
            arns["role", name_key(name)] = {arn: None}
            live[arn] = tags
            if name in named:
                touched[arn] = None
    return KnownResources(
        {key: tuple(found) for key, found in arns.items()}, live, given, tuple(touched)
    )


def _created(call: ApiCall, params: Mapping[str, Any], scope: PermissionScope) -> str | None:
    """The ARN of what the call makes, ``None`` if it makes nothing."""
    kind = _KINDS.get(call.operation)
    if kind is None:
        return None
    name = next(params[key] for key in _NAMES if key in params)
    return scope.arns.of(kind, params.get("Path", "/"), name)


_KINDS = {
    "CreateRole": "role",
    "CreatePolicy": "policy",
    "CreateInstanceProfile": "instance-profile",
}
_NAMES = ("RoleName", "PolicyName", "InstanceProfileName")


def _arns_in(params: Mapping[str, Any]) -> Iterator[str]:
    profile = params.get("IamInstanceProfile") or {}
    for value in (params.get("PolicyArn"), params.get("PermissionsBoundary"), profile.get("Arn")):
        if value is not None and value.startswith("arn:"):
            yield value


def _role(
    target: PlannedTarget, scope: PermissionScope, name: str
) -> tuple[str, Mapping[str, str]]:
    """ARN and tags of a role that the plan does not change, as AWS has it; if it cannot be read,
    from the specs."""
    try:
        facts = target.connection.reader.role(name)
    except AwsError:
        facts = None
    if facts is not None:
        return facts.arn, facts.tags
    found = target.spec.desired.role(name)
    path = found.resource.path if found is not None else "/"
    return scope.arns.of("role", path, name), {}


def _tags_of(entity: LiveEntity, scope: PermissionScope) -> dict[str, str]:
    tags = dict(entity.resource.tags)
    if entity.owner is not None:
        made = ownership.encode_owner(entity.owner, entity.resource.name)
        tags[f"{scope.prefix}{ownership.OWNER}"] = made
    return tags


def _dry_runs(target: PlannedTarget) -> Verdicts:
    """One for each profile and region, on an instance that has a profile now."""
    plan = target.plan
    occupied: dict[str, dict[Address, None]] = {}
    for observed in plan.begins.values():
        for instance in observed.instances.values():
            if instance.row is not None and instance.operator is None:
                address = instance_address(instance.key.instance)
                occupied.setdefault(instance.key.region, {})[address] = None
    wanted: dict[tuple[str, str], Address] = {}
    asked, bare = Verdicts(), 0
    for step, call in _calls(plan):
        region = call.region or ""
        if call.operation.startswith("Replace"):
            occupied.setdefault(region, {})[step.address] = None
        arn = (call.params.get("IamInstanceProfile") or {}).get("Arn")
        if isinstance(arn, str) and call.service == "ec2":
            wanted.setdefault((region, arn), step.address)
    for (region, arn), own in wanted.items():
        there = occupied.get(region, {})
        if not there:
            bare += 1
            continue
        address = own if own in there else next(iter(there))
        params = {"IamInstanceProfile": {"Arn": arn}, "InstanceId": address.name}
        call = ApiCall("ec2", "AssociateIamInstanceProfile", params, region)
        identity = plan.identity
        resource = instance_arn(identity.partition, region, identity.account_id, address)
        asked += dry_run(call, target.connection.writer(), resource)
    if bare:
        asked += Verdicts((), ("EC2 by dry runs: no instance there has a profile yet",))
    return asked


def _full(target: PlannedTarget) -> tuple[tuple[tuple[Room, int], ...], tuple[str, ...]]:
    """Quotas that the plan would exceed, and why they could not be asked."""
    needed = _needed(target.plan)
    if not needed:
        return (), ()
    try:
        summary = target.connection.reader.quotas()
    except AwsError as error:
        return (), (f"quotas: {error.call}: {error.code}",)
    found = [(room, needed[room.what]) for room in rooms(summary) if room.what in needed]
    return tuple((room, more) for room, more in found if more > room.left), ()


_COUNTED = {"Role": "roles", "InstanceProfile": "instance profiles", "Policy": "policies"}


def _needed(plan: TargetPlan) -> Mapping[str, int]:
    """The most that there are more than now, at any step."""
    now: Counter[str] = Counter()
    most: dict[str, int] = {}
    for _, call in _calls(plan):
        for verb, number in (("Create", 1), ("Delete", -1)):
            what = _COUNTED.get(call.operation.removeprefix(verb))
            if call.operation.startswith(verb) and what is not None:
                now[what] += number
                most[what] = max(most.get(what, 0), now[what])
    return {what: more for what, more in most.items() if more}
