"""Checks of one account: who is asking, what they may read, and how much room there is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.commands.asking import rooms
from reconciler.commands.request import Connection
from reconciler.doctor.checks import Check, few, in_short, not_asked
from reconciler.errors import DENIED, AwsError
from reconciler.model.address import profile_address
from reconciler.model.partitions import IAM_REGIONS
from reconciler.model.resources import Identity
from reconciler.plan.authorization import READS, Reading
from reconciler.ports import Examiner
from reconciler.spec.desired import SpecSet
from reconciler.spec.settings import Settings, TargetSpec
from reconciler.threads import each

NEAR = 0.8
"""The share of a quota from which on it is said to be nearly used."""
REGIONS_AT_A_TIME = 8
_NOBODY = "reconciler-doctor"
"""A name that nothing has: who may not read it is told so before it is looked for."""
_PAGE = 5
"""The fewest that EC2 takes for a page."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A target. ``spec`` is ``None`` without valid specs; ``regions`` are its own."""

    target: TargetSpec | None
    settings: Settings
    spec: SpecSet | None
    connection: Connection
    examiner: Examiner
    regions: tuple[str, ...]

    @property
    def near(self) -> str:
        """A region to ask what is the same in all."""
        return next(iter(self.regions), "us-east-1")


def identity(patient: Patient) -> tuple[Check, Identity | None]:
    try:
        answer = patient.examiner.ask("sts:GetCallerIdentity")
    except AwsError as error:
        return Check("identity", "failure", in_short(error), _to_sign_in(error, patient)), None
    arn = str(answer["Arn"])
    found = Identity(str(answer["Account"]), arn.split(":")[1], arn)
    data = {"arn": arn}
    if arn.endswith(":root"):
        fix = "use a role: the root user has every permission, and none can be taken from it"
        return Check("identity", "warning", f"{arn} is the root user", fix, data), found
    return Check("identity", "ok", arn, data=data), found


def _to_sign_in(error: AwsError, patient: Patient) -> str:
    if error.call == "sts:AssumeRole" and error.code in DENIED and patient.target is not None:
        return (
            f"the trust policy of {patient.target.role_arn} and the caller's own policies must "
            "allow it; reconciler permissions prints the latter"
        )
    return error.hint or _TRY_AGAIN


def account(patient: Patient, found: Identity) -> tuple[Check, bool]:
    """Whether it is the wanted one too: of another one nothing more is asked."""
    wanted = (patient.target and patient.target.account_id) or patient.settings.account_id
    data: dict[str, Any] = {"account_id": found.account_id, "alias": None, "wanted": wanted}
    if wanted is not None and wanted != found.account_id:
        message = f"these credentials are for {found.account_id}, the settings are for {wanted}"
        fix = f"use credentials of {wanted}, or correct account_id in reconciler.yaml"
        return Check("account", "failure", message, fix, data), False
    try:
        answer = patient.examiner.ask("iam:ListAccountAliases", MaxItems=1)
    except AwsError:
        answer = {}
    listed = answer.get("AccountAliases")
    alias = str(listed[0]) if listed else None
    data["alias"] = alias
    named = f" ({alias})" if alias else ""
    said = ", as the settings say" if wanted else ""
    return Check("account", "ok", f"{found.account_id}{named}{said}", data=data), True


def regions(patient: Patient) -> Check:
    """Those of the settings must be read; a cut-over and a removal look for instances in the
    others too."""
    own, examiner = patient.regions, patient.examiner
    if not own:
        fix = "pass --region, or set AWS_REGION or regions in reconciler.yaml"
        return Check("regions", "warning", "no region is set", fix)
    chosen = patient.settings.consumer_regions
    data: dict[str, Any] = {"regions": list(own)}
    enabled: tuple[str, ...] = ()
    try:
        listed = examiner.ask("ec2:DescribeRegions", patient.near, AllRegions=False)
        enabled = tuple(sorted(str(one["RegionName"]) for one in listed.get("Regions", ())))
    except AwsError as error:
        if chosen is None:
            message = f"the enabled regions cannot be listed: {error.call}: {error.code}"
            fix = "allow ec2:DescribeRegions, or set consumer_regions in reconciler.yaml"
            return Check("regions", "failure", message, error.hint or fix, data)
    data["enabled"] = list(enabled)
    if absent := sorted(set(own) - set(enabled)) if enabled else []:
        message = f"not enabled in this account: {few(absent)}"
        fix = "enable them in the account's settings, or correct regions in reconciler.yaml"
        return Check("regions", "failure", message, fix, data)
    asked = sorted({*own, *(enabled if chosen is None else chosen)})
    refused = {
        region: why
        for region, why in zip(
            asked, each(_why_not(examiner), asked, REGIONS_AT_A_TIME), strict=True
        )
        if why is not None
    }
    data["unreadable"] = refused
    return _readable(own, asked, refused, data)


def _why_not(examiner: Examiner) -> Any:
    def why_not(region: str) -> str | None:
        calls = ("ec2:DescribeInstances", "ec2:DescribeIamInstanceProfileAssociations")
        try:
            for call in calls:
                examiner.ask(call, region, MaxResults=_PAGE)
        except AwsError as error:
            return f"{error.call}: {error.code}" if error.call else error.message
        return None

    return why_not


def _readable(
    own: Collection[str], asked: Collection[str], refused: Mapping[str, str], data: dict[str, Any]
) -> Check:
    if not refused:
        named = f"{few(own)}" if len(asked) == len(own) else f"{few(own)}, and {len(asked)} in all"
        return Check("regions", "ok", f"instances can be read in {named}", data=data)
    where = few([f"{region} ({why})" for region, why in refused.items()], 2)
    message = f"instances cannot be read in {where}"
    if own_refused := set(own) & refused.keys():
        fix = f"allow the reads of EC2 in {few(sorted(own_refused))}"
        return Check("regions", "failure", message, fix, data)
    message += ": no cut-over is settled and nothing is removed that may be used there"
    fix = "allow the reads of EC2 there, or set consumer_regions in reconciler.yaml"
    return Check("regions", "warning", message, fix, data)


_OPTIONAL: Mapping[str, str] = {
    "iam:ListAccountAliases": "accounts are shown without their alias",
    "iam:GetAccountSummary": "quotas are taken for the usual ones",
    "iam:GetAccountAuthorizationDetails": "resources are read one by one, and nothing is pruned",
    "iam:ListRoles": "resources are read one by one, and nothing is pruned",
    "iam:ListInstanceProfiles": "resources are read one by one, and nothing is pruned",
    "tag:GetResources": "tags are read one by one",
}
"""What is done without a call that is denied."""
_ELSEWHERE = ("sts:GetCallerIdentity", "cloudtrail:LookupEvents")
"""Calls that have a check of their own, with those of EC2."""


def reads(patient: Patient, purpose: Reading, found: Identity) -> Check:
    """Makes each of the calls once, which tells more than any policy."""
    calls = [
        call
        for call, read in READS.items()
        if purpose in read.purposes and call not in _ELSEWHERE and not call.startswith("ec2:")
    ]
    params = _params(patient, found)

    def ask(call: str) -> AwsError | None:
        region = IAM_REGIONS.get(found.partition) if call.startswith("tag:") else None
        try:
            patient.examiner.ask(call, region, **params[call])
        except AwsError as error:
            return None if error.code in _ANSWERED else error
        return None

    errors = dict(zip(calls, each(ask, calls, 4), strict=True))
    denied = [call for call, error in errors.items() if error and error.code in DENIED]
    broken = {c: e for c, e in errors.items() if e is not None and c not in denied}
    data = {"denied": denied, "unknown": sorted(broken)}
    needed = [call for call in denied if call not in _OPTIONAL]
    fix = f"reconciler permissions --for {purpose} prints the policy"
    if needed:
        return Check("reads", "failure", f"denied: {few(denied)}", fix, data)
    if broken:
        call, error = next(iter(broken.items()))
        return Check("reads", "unknown", f"{call}: {error.code}", _fix_of(error), data)
    if denied:
        effects = list(dict.fromkeys(_OPTIONAL[call] for call in denied))
        message = f"denied: {few(denied)}; {few(effects)}"
        return Check("reads", "warning", message, fix, data)
    return Check(
        "reads", "ok", f"all {len(calls)} reads of IAM for {purpose} are allowed", data=data
    )


_ANSWERED = frozenset({"NoSuchEntity"})
"""Codes of a call that is allowed."""


def _params(patient: Patient, found: Identity) -> Mapping[str, Mapping[str, Any]]:
    """Of each call, for things that the specs name."""
    desired = patient.spec.desired if patient.spec is not None else None
    role, policy, profile = (
        next((one.resource.name for one in listed.values()), _NOBODY) if desired else _NOBODY
        for listed in (
            (desired.roles, desired.policies, desired.profiles) if desired else ({}, {}, {})
        )
    )
    path = next((p.resource.path for p in desired.policies.values()), "/") if desired else "/"
    arn = {"PolicyArn": found.arns.of("policy", path, policy)}
    of_role = {"RoleName": role}
    of_profile = {"InstanceProfileName": profile_address(profile).name}
    return {
        "iam:ListAccountAliases": {"MaxItems": 1},
        "iam:GetAccountAuthorizationDetails": {"MaxItems": 1, "Filter": ["Role"]},
        "iam:ListRoles": {"MaxItems": 1},
        "iam:ListInstanceProfiles": {"MaxItems": 1},
        "iam:ListPolicies": {"MaxItems": 1, "Scope": "Local"},
        "iam:GetAccountSummary": {},
        "iam:ListInstanceProfileTags": of_profile,
        "iam:ListPolicyTags": arn,
        "iam:GetRole": of_role,
        "iam:ListRolePolicies": of_role,
        "iam:GetRolePolicy": {**of_role, "PolicyName": _NOBODY},
        "iam:ListAttachedRolePolicies": of_role,
        "iam:ListInstanceProfilesForRole": of_role,
        "iam:GetInstanceProfile": of_profile,
        "iam:GetPolicy": arn,
        "iam:GetPolicyVersion": {**arn, "VersionId": "v1"},
        "iam:ListPolicyVersions": arn,
        "tag:GetResources": {"ResourcesPerPage": 1},
    }


_TRY_AGAIN = "try again; with -vv each call is logged"


def _fix_of(error: AwsError) -> str:
    return f"allow {error.call}" if error.code in DENIED else error.hint or _TRY_AGAIN


def quotas(patient: Patient) -> Check:
    try:
        summary = patient.examiner.ask("iam:GetAccountSummary").get("SummaryMap", {})
    except AwsError as error:
        return not_asked("quotas", f"{error.call}: {error.code}", _fix_of(error))
    found = rooms(summary)
    if not found:
        return not_asked("quotas", "iam:GetAccountSummary names none", _TRY_AGAIN)
    data = {room.what: {"used": room.used, "quota": room.most} for room in found}
    near = [room for room in found if room.used >= NEAR * room.most]
    message = ", ".join(f"{room.what} {room.used} of {room.most}" for room in near or found)
    if not near:
        return Check("quotas", "ok", message, data=data)
    codes = [room.code for room in near if room.code]
    others = [room.what for room in near if not room.code]
    fixes = [f"raise {few(codes)} in Service Quotas of IAM"] if codes else []
    if others:
        fixes.append(f"delete {few(others)} that nothing needs")
    fix = " and ".join(fixes)
    is_full = any(room.left <= 0 for room in near)
    return Check("quotas", "failure" if is_full else "warning", message, fix, data)


def cloudtrail(patient: Patient, purpose: Reading) -> Check:
    found = _evidence(
        "cloudtrail",
        patient,
        "cloudtrail:LookupEvents",
        {"MaxResults": 1},
        "drift --who does not say who changed something, and verify proves nothing",
    )
    if purpose != "verify" or found.status != "warning":
        return found
    return replace(found, status="failure", fix=f"{found.fix}; {_PRINTED}")


_PRINTED = "reconciler permissions --for verify prints the policy"


def ssm(patient: Patient) -> Check:
    found = _evidence(
        "ssm",
        patient,
        "ssm:DescribeInstanceInformation",
        {"MaxResults": _PAGE},
        "nobody can be asked on an instance which role it is served",
    )
    if found.status == "warning":
        return replace(found, fix=f"{found.fix}; {_PRINTED}, with --source imds")
    if found.status != "ok" or found.data["found"]:
        return found
    for region in patient.regions[1:]:
        try:
            answer = patient.examiner.ask(
                "ssm:DescribeInstanceInformation", region, MaxResults=_PAGE
            )
        except AwsError as error:
            return Check("ssm", "warning", f"{region}: {in_short(error)}", _fix_of(error))
        if listed := answer.get("InstanceInformationList"):
            return replace(found, data={"found": len(listed)})
    where = ", ".join(patient.regions) or patient.near
    message = f"no instance in {where} answers to Systems Manager"
    fix = "attach AmazonSSMManagedInstanceCore to the roles of instances, if they are to be asked"
    return Check("ssm", "warning", message, fix, found.data)


def _evidence(
    name: Any, patient: Patient, call: str, params: Mapping[str, Any], without: str
) -> Check:
    """What only adds to what is known: without it there is no failure."""
    try:
        answer = patient.examiner.ask(call, patient.near, **params)
    except AwsError as error:
        if error.code in DENIED:
            return Check(name, "warning", f"{call} is denied: {without}", f"allow {call}")
        return not_asked(name, in_short(error), _fix_of(error))
    listed = next((value for value in answer.values() if isinstance(value, list)), [])
    return Check(name, "ok", f"{call} is allowed", data={"found": len(listed)})
