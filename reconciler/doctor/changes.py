"""Whether the caller may make the changes that the specs can lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from reconciler.commands.asking import Verdicts, dry_run, instance_arn, simulate
from reconciler.commands.permissions import scope_of_specs
from reconciler.commands.request import Request
from reconciler.doctor.account import Patient
from reconciler.doctor.checks import Check, few, not_asked
from reconciler.errors import AwsError
from reconciler.model.address import Address, instance_address, name_key, same_name
from reconciler.model.resources import Identity
from reconciler.permissions.of_specs import applying
from reconciler.permissions.questions import KnownResources, questions
from reconciler.permissions.scope import PermissionScope
from reconciler.plan.authorization import READS, Verdict
from reconciler.plan.calls import ApiCall
from reconciler.spec.desired import Desired, DesiredState

_D = TypeVar("_D", bound=Desired)
SAMPLE = 10
"""Resources of each kind that are asked about: `apply --preflight` asks about all of a plan."""
_NO_SPECS = "run reconciler init, or reconciler validate"
_ABSENT = "i-00000000000000000"
_READING = {need.action for read in READS.values() for need in read.needs}


def changes(patient: Patient, request: Request, found: Identity) -> Check:
    spec = patient.spec
    if spec is None or not spec.desired.size:
        return not_asked("changes", "no valid specs say what would be changed", _NO_SPECS)
    scope = scope_of_specs(request, spec, patient.target)
    scope = replace(scope, account_id=found.account_id, partition=found.partition)
    sample = _sample(spec.desired)
    prunes = spec.settings.prune if request.prune is None else request.prune
    statements = [
        one
        for one in applying(sample, scope, prunes=prunes)
        # What left the specs has no name to ask about.
        if not set(one.actions) <= _READING and not one.sid.startswith("Owned")
    ]
    asked = simulate(
        questions(statements, scope, _known(spec.desired, sample, scope, patient)),
        patient.examiner,
        found,
    )
    left = spec.desired.size - sample.size
    if not asked.not_asked:
        return _told(
            asked, f"; {left} more resources are left to apply --preflight" if left else ""
        )
    return _by_dry_runs(asked, patient, found)


def _told(asked: Verdicts, more: str) -> Check:
    denied, unknown = asked.of("denied"), asked.of("unknown")
    data = {
        "allowed": len(asked.of("allowed")),
        "denied": [_as_data(one) for one in denied],
        "unknown": [_as_data(one) for one in unknown],
        "not_asked": list(asked.not_asked),
    }
    fix = "reconciler permissions --for apply prints the policy"
    if denied:
        return Check("changes", "failure", f"denied: {_few(denied)}{more}", fix, data)
    if unknown:
        fix = "apply, and see: it depends on what the simulator is not told"
        return Check("changes", "unknown", f"not known: {_few(unknown)}{more}", fix, data)
    count = len(asked.verdicts)
    return Check("changes", "ok", f"{count} permissions for apply are allowed{more}", data=data)


def _few(verdicts: tuple[Verdict, ...]) -> str:
    return few([f"{one.action} on {one.resource} ({one.why})" for one in verdicts], 2)


def _as_data(verdict: Verdict) -> dict[str, str]:
    return {"action": verdict.action, "resource": verdict.resource, "why": verdict.why}


def _by_dry_runs(asked: Verdicts, patient: Patient, found: Identity) -> Check:
    """IAM has no dry runs. EC2 has, and two of them change nothing, not even at an endpoint that
    takes no notice of them: to take off a tag that nothing has, and to give a profile to an
    instance that has one."""
    tried = _tried(patient, found)
    if tried.of("denied"):
        return _told(tried, "")
    why = asked.not_asked[0]
    allowed = [verdict.action for verdict in tried.of("allowed")]
    also = f"; as dry runs EC2 allows {few(allowed)}" if allowed else ""
    fix = "allow iam:SimulatePrincipalPolicy and iam:GetRole on the caller's role"
    if asked.is_no_principal:
        fix = "run it as a role or as a user of IAM, to be sure"
    data = {
        "allowed": len(allowed),
        "denied": [],
        "unknown": [],
        "not_asked": [*asked.not_asked, *tried.not_asked],
    }
    return Check("changes", "unknown", f"not asked: {why}{also}", fix, data)


def _tried(patient: Patient, found: Identity) -> Verdicts:
    call = "ec2:DescribeIamInstanceProfileAssociations"
    for region in patient.regions:
        try:
            listed = patient.examiner.ask(call, region, MaxResults=5)
        except AwsError:
            continue
        for row in listed.get("IamInstanceProfileAssociations", ()):
            if row.get("State") == "associated":
                instance = instance_address(str(row["InstanceId"]))
                profile = str(row["IamInstanceProfile"]["Arn"])
                return _of_instance(patient, found, region, instance, profile)
    return Verdicts()


def _of_instance(
    patient: Patient, found: Identity, region: str, instance: Address, profile: str
) -> Verdicts:
    tag = f"{patient.settings.tag_prefix}doctor"
    calls = (
        ApiCall(
            "ec2",
            "AssociateIamInstanceProfile",
            {"IamInstanceProfile": {"Arn": profile}, "InstanceId": instance.name},
            region,
        ),
        ApiCall(
            "ec2", "DeleteTags", {"Resources": [instance.name], "Tags": [{"Key": tag}]}, region
        ),
    )
    resource = instance_arn(found.partition, region, found.account_id, instance)
    asked = Verdicts()
    for call in calls:
        asked += dry_run(call, patient.connection.writer(), resource)
    return asked


def _sample(desired: DesiredState) -> DesiredState:
    return DesiredState(
        _first(desired.policies),
        _first(desired.roles),
        _first(desired.profiles),
        desired.associations[:SAMPLE],
    )


def _first(found: Mapping[str, _D]) -> Mapping[str, _D]:
    return dict(list(found.items())[:SAMPLE])


def _known(
    desired: DesiredState, sample: DesiredState, scope: PermissionScope, patient: Patient
) -> KnownResources:
    """Everything is where the specs say, or where AWS has it; of instances, any."""
    arns = {}
    for one in desired.entities():
        kind, resource = one.resource.address.kind, one.resource
        live = _live(one, patient) if one in sample.entities() else None
        arn = live or scope.arns.of(kind, resource.path, resource.name)
        arns[kind, name_key(resource.name)] = (arn,)
    touched = [
        instance_arn(scope.partition, region, scope.account_id, instance_address(_ABSENT))
        for region in patient.regions or ("us-east-1",)
    ]
    return KnownResources(arns, touched=touched)


def _live(one: Desired, patient: Patient) -> str | None:
    """Where AWS has what the specs give no path; ``None`` if they do, or AWS does not tell."""
    if "path" not in one.leave:
        return None
    ask, name = patient.examiner.ask, one.resource.name
    try:
        match one.resource.address.kind:
            case "role":
                return str(ask("iam:GetRole", RoleName=name)["Role"]["Arn"])
            case "instance-profile":
                found = ask("iam:GetInstanceProfile", InstanceProfileName=name)
                return str(found["InstanceProfile"]["Arn"])
            case _:
                listed = ask("iam:ListPolicies", Scope="Local", MaxItems=1000)["Policies"]
                arns = (str(p["Arn"]) for p in listed if same_name(p["PolicyName"], name))
                return next(arns, None)
    except AwsError:
        return None
