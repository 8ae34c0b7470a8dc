"""What the specs name and AWS no longer has: a drift reports it beside all else, and a plan leaves
alone what needs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from moto.ec2.models import ec2_backends

from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import Crash, dying
from tests.behaviour.test_hop import TRUST
from tests.rig import ACCOUNT, HOME, Rig

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
MINE = f"arn:aws:iam::{ACCOUNT}:policy/shared"
DOCUMENT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
)
OTHER = "  other: {trust: ec2}\n"


def _instance(aws: Rig) -> str:
    (gone,) = aws.launch(1)
    aws.write(
        f"roles:\n{OTHER}  web: {{trust: ec2, instance_profile: true}}\n"
        f"associations: {{a: {{instance_profile: web, instances: [{gone}]}}}}"
    )
    aws.settle()
    aws.ec2().terminate_instances(InstanceIds=[gone])
    return f"association/{gone}"


def _forgotten_instance(aws: Rig) -> str:
    """Terminated instances are shown for an hour."""
    address = _instance(aws)
    ec2_backends[ACCOUNT][HOME].reservations.clear()
    return address


def _role(aws: Rig) -> str:
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    aws.write(f"roles:\n{OTHER}instance_profiles: {{web: {{role: theirs}}}}")
    aws.settle()
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="theirs")
    aws.iam.delete_role(RoleName="theirs")
    return "role/theirs"


def _profile(aws: Rig) -> str:
    aws.launch(1, tags={"app": "web"})
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="theirs")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
    aws.clock.sleep(60)
    aws.write(
        f"roles:\n{OTHER}"
        "associations: {a: {instance_profile: theirs, select: {tags: {app: web}}}}"
    )
    aws.settle()
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
    aws.iam.delete_instance_profile(InstanceProfileName="theirs")
    return "instance-profile/theirs"


def _policy(aws: Rig) -> str:
    aws.iam.create_policy(PolicyName="shared", PolicyDocument=DOCUMENT)
    aws.write(f"roles:\n{OTHER}  web: {{trust: ec2, managed_policies: ['{MINE}']}}")
    aws.settle()
    aws.iam.detach_role_policy(RoleName="web", PolicyArn=MINE)
    aws.iam.delete_policy(PolicyArn=MINE)
    return "policy/shared"


def _boundary(aws: Rig) -> str:
    aws.iam.create_policy(PolicyName="shared", PolicyDocument=DOCUMENT)
    aws.write(f"roles:\n{OTHER}  web: {{trust: ec2, permissions_boundary: '{MINE}'}}")
    aws.settle()
    aws.iam.delete_role_permissions_boundary(RoleName="web")
    aws.iam.delete_policy(PolicyArn=MINE)
    return "policy/shared"


VANISHED: dict[str, Callable[[Rig], str]] = {
    "an instance": _instance,
    "an instance that AWS no longer shows": _forgotten_instance,
    "a role": _role,
    "a profile": _profile,
    "a policy": _policy,
    "a boundary": _boundary,
}


@pytest.mark.parametrize("case", VANISHED)
def test_a_drift_reports_it_and_everything_else(aws: Rig, case: str) -> None:
    missing = VANISHED[case](aws)
    aws.iam.attach_role_policy(RoleName="other", PolicyArn=ADMIN)
    found = {str(f.address): f for f in aws.drift().findings}
    assert found[missing].status == "missing"
    assert found[missing].source is not None
    assert found["role/other"].differences[0].path == "managed_policies.AdministratorAccess"
    assert aws.drift().exit_code is ExitCode.DIFFERENCES


@pytest.mark.parametrize("case", VANISHED)
def test_an_apply_leaves_alone_what_needs_it(aws: Rig, case: str) -> None:
    missing = VANISHED[case](aws)
    aws.iam.attach_role_policy(RoleName="other", PolicyArn=ADMIN)
    before = len(aws.writes())
    applied = aws.apply()
    assert [one.operation for one in aws.writes()[before:]] == ["DetachRolePolicy"]
    ended = case == "an instance"
    assert applied.exit_code == (ExitCode.OK if ended else ExitCode.PARTLY_APPLIED)
    assert applied.left is not None
    assert {str(one.address) for one in applied.left.unmet} == (set() if ended else {missing})


@pytest.mark.parametrize("case", VANISHED)
def test_a_part_without_it_is_planned_as_ever(aws: Rig, case: str) -> None:
    VANISHED[case](aws)
    aws.iam.attach_role_policy(RoleName="other", PolicyArn=ADMIN)
    rest = ("association/*",) if case == "a profile" else ("association/*", "*/web")
    for part in ({"only": ("role/other",)}, {"exclude": rest}):
        planned = aws.plan(**part)
        assert not planned.plan.unmet
        assert [str(c.address) for c in planned.plan.changes] == ["role/other"]


def test_nothing_is_made_that_could_not_be_finished(aws: Rig) -> None:
    """The role needs the policy, the profile the role, and the instance the profile."""
    (instance,) = aws.launch(1)
    aws.write(
        f"roles:\n{OTHER}  web: {{trust: ec2, managed_policies: ['{MINE}'], instance_profile: true}}\n"
        "  trusting:\n    trust_policy: {Version: 2012-10-17, Statement: [{Effect: Allow, "
        f"Action: 'sts:AssumeRole', Principal: {{AWS: 'arn:aws:iam::{ACCOUNT}:role/web'}}}}]}}\n"
        f"associations: {{a: {{instance_profile: web, instances: [{instance}]}}}}"
    )
    planned = aws.plan()
    assert [str(c.address) for c in planned.plan.changes] == ["role/other"]
    kept = {str(k.address): k.reason for t in planned.plan.targets for k in t.kept}
    assert kept == {
        "role/trusting": "role/web is not created",
        "instance-profile/web": "role/web is not created",
        f"association/{instance}": "instance-profile/web is not created",
    }
    applied = aws.apply()
    assert applied.exit_code is ExitCode.PARTLY_APPLIED
    aws.iam.create_policy(PolicyName="shared", PolicyDocument=DOCUMENT)
    aws.settle()
    assert aws.served(instance) == "web"


def test_a_policy_that_stays_attached_is_not_pruned(aws: Rig) -> None:
    """The role that needs something else is left alone, and with it what it has."""
    document = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
    settings = "version: 1\nowner: tests\nguards: {max_delete: 100%}\n"
    aws.write(
        f"policies: {{old: {{document: {document}}}}}\n"
        f"roles:\n{OTHER}  web: {{trust: ec2, managed_policies: [old]}}",
        settings,
    )
    aws.settle()
    aws.write(f"roles:\n{OTHER}  web: {{trust: ec2, managed_policies: ['{MINE}']}}", settings)
    planned = aws.plan(prune=True)
    assert planned.plan.is_empty
    assert "policy/old" in {str(k.address) for t in planned.plan.targets for k in t.kept}


def test_instances_in_flight_get_their_profile_back_although_the_new_role_is_gone(aws: Rig) -> None:
    for name in ("v1", "v2"):
        aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    spec = "instance_profiles: {web: {role: v1}}"
    aws.write(spec)
    aws.settle()
    aws.clock.sleep(60)
    (instance,) = aws.launch(1, profile="web")
    aws.clock.sleep(60)
    aws.write(spec.replace("v1", "v2"))
    with dying(aws, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        aws.apply()
    assert aws.profile_of(instance) is None
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v2")
    aws.iam.delete_role(RoleName="v2")
    applied = aws.apply()
    assert applied.exit_code is ExitCode.PARTLY_APPLIED
    assert aws.profile_of(instance) == "web"
    assert aws.served(instance) == "v1"
