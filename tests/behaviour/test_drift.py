"""What drift finds: what nobody manages, what rules pass over, and who did it."""

from __future__ import annotations

from typing import Any

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.iam.models import iam_backends

from reconciler.drift.attribution import Attributor, events_for
from reconciler.drift.findings import Drift, Finding, drift_of
from reconciler.errors import RefusedError
from reconciler.model.address import Address
from reconciler.plan.changes import Difference
from reconciler.render.styled_text import plain
from reconciler.render.text.drift import drift_lines
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, crashing, dying, listening, refusing
from tests.behaviour.test_ownership import TRUST
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, Rig

SPEC = """
roles: {a: {trust: ec2}, b: {trust: ec2}}
instance_profiles: {web: {role: a}}
associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}
"""
SETTINGS = "version: 1\nowner: tests\n"


def drift(aws: Rig, **flags: Any) -> Drift:
    return drift_of(aws.plan(for_drift=True, **flags))


def told(found: Drift) -> dict[str, str]:
    return {str(finding.address): finding.status for finding in found.findings}


@pytest.fixture
@prepared
def managed(aws: Rig) -> Rig:
    aws.launch(1, tags={"app": "web"})
    aws.write(SPEC)
    aws.settle()
    return aws


def test_unmanaged_resources_are_reported(managed: Rig) -> None:
    """Roles and profiles of nobody, the orphans among them; neither AWS's own nor others'."""
    iam = managed.iam
    iam.create_role(RoleName="loose", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="empty")
    for name in ("unused", "used", "used-away"):
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName="loose")
    managed.clock.sleep(60)
    managed.launch(1, profile="used")
    managed.launch(1, region=AWAY, profile="used-away")
    for name in ("stack", "linked", "other"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    iam.tag_role(RoleName="other", Tags=[{"Key": "reconciler:owner", "Value": "x/other"}])
    roles = {role.name: role for role in iam_backends[ACCOUNT]["aws"].roles.values()}
    roles["stack"].tags.append({"Key": "aws:cloudformation:stack-name", "Value": "x"})
    roles["linked"].path = "/aws-service-role/x.amazonaws.com/"
    assert told(drift(managed)) == {}
    found = drift(managed, unmanaged=True, regions=())
    reasons = {str(f.address): f.reason for f in found.findings}
    assert set(told(found).values()) == {"unmanaged"}
    assert reasons == {
        "role/loose": None,
        "instance-profile/empty": "orphaned: it holds no role",
        "instance-profile/unused": "orphaned: no instance uses it in eu-west-1, us-east-1",
        "instance-profile/used": None,
        "instance-profile/used-away": None,
    }
    assert found.exit_code == 0
    assert any("another owner" in note.reason for note in found.notes)


def test_unmanaged_resources_with_only(managed: Rig) -> None:
    """What is not named is looked for, so nothing is read one by one."""
    managed.iam.create_role(RoleName="loose", AssumeRolePolicyDocument=TRUST)
    managed.iam.create_instance_profile(InstanceProfileName="empty")
    assert told(drift(managed, unmanaged=True, only=("role/*",))) == {"role/loose": "unmanaged"}


def test_orphans_are_unknown_if_a_region_cannot_be_read(managed: Rig) -> None:
    managed.iam.create_role(RoleName="loose", AssumeRolePolicyDocument=TRUST)
    managed.iam.create_instance_profile(InstanceProfileName="unused")
    managed.iam.add_role_to_instance_profile(InstanceProfileName="unused", RoleName="loose")

    def listen(logged: Logged) -> None:
        if logged.region == AWAY and logged.operation == "DescribeInstances":
            raise EC2ClientError("UnauthorizedOperation", "not here")

    with listening(managed.aws.before, listen):
        found = drift(managed, unmanaged=True)
    reasons = {str(f.address): f.reason for f in found.findings}
    assert reasons["instance-profile/unused"] is None
    assert found.exit_code == 1


def test_denied_reads_are_unknown(managed: Rig) -> None:
    """What cannot be read in bulk is read one by one, and then nobody knows what else there is."""
    with refusing(managed, "GetAccountAuthorizationDetails", "AccessDenied"):
        assert told(drift(managed, unmanaged=True)) == {"*": "unknown"}
        found = drift(managed)
    assert told(found) == {}
    assert any(
        "the resources that left the specs are not known" in note.reason for note in found.notes
    )
    with (
        refusing(managed, "GetAccountAuthorizationDetails", "AccessDenied"),
        refusing(managed, "GetRole", "AccessDenied"),
    ):
        found = drift(managed)
    assert {told(found)["role/a"], told(found)["role/b"]} == {"unknown"}
    assert found.exit_code == 1


def rule(text: str) -> str:
    return f"{SETTINGS}ignore:\n  - {{{text}, reason: because}}\n"


@pytest.mark.parametrize(
    ("only", "seen"),
    [("", (False, False)), ("only: plan, ", (False, True)), ("only: drift, ", (True, False))],
)
def test_ignore_rules_for_plan_drift_or_both(
    managed: Rig, only: str, seen: tuple[bool, bool]
) -> None:
    managed.iam.update_role(RoleName="b", Description="x", MaxSessionDuration=3600)
    managed.write(SPEC, rule(f"{only}match: role/b, attributes: [description]"))
    assert (not managed.plan().plan.is_empty) is seen[0]
    found = drift(managed)
    assert bool(found.findings) is seen[1]
    assert any(str(n.address) == "role/b" for n in found.notes) is not seen[1]


def test_an_expired_ignore_rule_warns_and_hides_nothing(managed: Rig) -> None:
    managed.iam.update_role(RoleName="b", Description="x", MaxSessionDuration=3600)
    text = "match: role/b, attributes: [description], expires: "
    managed.write(SPEC, rule(f"{text}2030-01-01"))
    assert told(drift(managed)) == {}
    managed.write(SPEC, rule(f"{text}2020-01-01"))
    found = drift(managed)
    assert told(found) == {"role/b": "modified"}
    (warning,) = found.diagnostics
    assert warning.code == "ignore-expired"
    assert warning.location.line == 4


def test_ignore_rules_for_left_and_unmanaged_resources(managed: Rig) -> None:
    """It is neither told nor pruned."""
    managed.iam.create_role(RoleName="scratch-1", AssumeRolePolicyDocument=TRUST)
    managed.write(SPEC.replace(", b: {trust: ec2}", ""), rule('match: "role/[bs]*"'))
    assert told(drift(managed, unmanaged=True)) == {}
    notes = {str(note.address): note.status for note in drift(managed, unmanaged=True).notes}
    assert notes == {"role/b": "ignored", "role/scratch-1": "ignored"}
    assert managed.plan(prune=True).plan.is_empty


def test_an_ignore_rule_for_a_resource_in_the_specs(managed: Rig) -> None:
    managed.write(SPEC, rule('match: "role/*"'))
    with pytest.raises(RefusedError) as caught:
        managed.plan()
    assert [d.code for d in caught.value.diagnostics] == ["ignore-hides-spec"] * 2
    assert caught.value.diagnostics[0].location.line == 4
    assert caught.value.diagnostics[0].related


def test_an_interrupted_run_is_critical(managed: Rig) -> None:
    managed.write(
        SPEC.replace("role: a", "role: b").replace("trust: ec2}}", "trust: ec2, tags: {x: y}}}")
    )
    with crashing(managed, 8, after=True), pytest.raises(Crash):
        managed.apply()
    assert {f.severity for f in drift(managed).findings if not f.is_bare} == {"warning"}
    managed.clock.sleep(3600)
    found = drift(managed)
    gravest = [f for f in found.findings if f.severity == "critical"]
    assert [str(f.address) for f in gravest][-1] == "instance-profile/web"
    assert found.findings[: len(gravest)] == tuple(gravest)
    assert "an earlier run died" in str(gravest[-1].reason)


def named(aws: Rig, **flags: Any) -> dict[str, Any]:
    planned = aws.plan(for_drift=True, **flags)
    found = Attributor(planned.targets, aws.clock).named(drift_of(planned))
    return {str(f.address): f.actor for f in found.findings}


def test_authors_of_findings(managed: Rig) -> None:
    managed.iam.update_role(RoleName="a", Description="x", MaxSessionDuration=3600)
    managed.iam.tag_role(RoleName="a", Tags=[{"Key": "k", "Value": "v"}])
    managed.iam.update_assume_role_policy(RoleName="a", PolicyDocument=TRUST.replace("ec2", "ecs"))
    managed.iam.delete_role(RoleName="b")
    managed.iam.create_instance_profile(InstanceProfileName="loose")
    (row,) = managed.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    managed.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    managed.clock.sleep(30)
    actors = named(managed, unmanaged=True)
    events = {address: actor.event for address, actor in actors.items()}
    assert events.pop(f"association/{row['InstanceId']}") == "DisassociateIamInstanceProfile"
    assert events == {
        "role/a": "UpdateAssumeRolePolicy",
        "role/b": "DeleteRole",
        "instance-profile/loose": "CreateInstanceProfile",
    }
    assert actors["role/a"].arn.endswith(":user/sandbox")
    assert actors["role/a"].run is None


def test_the_author_is_a_run_of_this_program(managed: Rig) -> None:
    managed.write(SPEC.replace("b: {trust: ec2}", "b: {trust: ec2, tags: {k: v}}"))
    managed.settle()
    managed.write(SPEC)
    actor = named(managed)["role/b"]
    assert (actor.event, actor.run) == ("TagRole", "test")
    assert managed.aws.log[-1].operation == "LookupEvents"


def test_no_permission_for_cloudtrail(managed: Rig) -> None:
    """One refusal is enough."""
    for name in ("a", "b"):
        managed.iam.update_role(RoleName=name, Description="x", MaxSessionDuration=3600)
    before = len(managed.aws.log)
    with refusing(managed, "LookupEvents", "AccessDeniedException"):
        actors = named(managed)
    assert {actor.unknown for actor in actors.values()} == {
        "no permission for cloudtrail:LookupEvents"
    }
    asked = [logged for logged in managed.aws.log[before:] if logged.operation == "LookupEvents"]
    assert len(asked) == 1


def test_cloudtrail_is_asked_twice_a_second_at_most(managed: Rig) -> None:
    for number in range(8):
        managed.iam.create_instance_profile(InstanceProfileName=f"loose-{number}")
    began = managed.clock.now()
    named(managed, unmanaged=True)
    assert managed.clock.now() - began >= 3.5


@pytest.mark.parametrize(
    ("address", "path", "event"),
    [
        ("role/a", "tags.k", "TagRole"),
        ("role/a", "managed_policies.arn:aws:iam::aws:policy/X", "DetachRolePolicy"),
        ("role/a", "inline_policies.p", "PutRolePolicy"),
        ("role/a", "permissions_boundary", "PutRolePermissionsBoundary"),
        ("policy/p", "document", "CreatePolicyVersion"),
        ("instance-profile/w", "role", "RemoveRoleFromInstanceProfile"),
        ("association/i-1", "instance_profile", "ReplaceIamInstanceProfileAssociation"),
    ],
)
def test_events_for_a_difference(address: str, path: str, event: str) -> None:
    assert event in events_for(
        Finding(Address.parse(address), "modified", (Difference(path, 1, 2),))
    )


@pytest.mark.parametrize("is_young", [True, False])
def test_an_instance_without_its_profile_is_critical(aws: Rig, is_young: bool) -> None:
    """Whatever else there is; and nobody is told that it is stale."""
    aws.write("roles: {a: {trust: ec2}, b: {trust: ec2}}\ninstance_profiles: {web: {role: a}}")
    aws.settle()
    aws.clock.sleep(60)
    instance = aws.launch(1, profile="web")[0]
    aws.write("roles: {a: {trust: ec2}, b: {trust: ec2}}\ninstance_profiles: {web: {role: b}}")
    with dying(aws, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        aws.apply()
    if not is_young:
        aws.clock.sleep(3600)
    drift = aws.drift()
    first = drift.findings[0]
    assert (str(first.address), first.severity) == (f"association/{instance}", "critical")
    assert (first.reason or "").startswith("it has no profile: ")
    if not is_young:
        assert first.reason == "it has no profile: an earlier run died while it was in flight"
    words = plain(drift_lines(drift)).splitlines()
    assert words[0].startswith("+ gained: ")
    assert words[2].startswith("no profile  association/")
