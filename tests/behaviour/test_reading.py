"""Reading one by one, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.aws import instances
from reconciler.commands.apply import Apply
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import refusing
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig

DENIED = "AccessDenied"
BULK = "GetAccountAuthorizationDetails"
SPEC = """
policies:
  read: {description: '', path: /p/, document: &d {Version: 2012-10-17,
    Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}
  other: {document: *d}
roles:
  a: {trust: ec2, description: 'DESCRIPTION', managed_policies: [read, ReadOnlyAccess],
      inline_policies: {own: *d}, permissions_boundary: other, max_session_duration: 2h,
      tags: {Team: web}}
  b: {trust: lambda}
instance_profiles:
  web: {role: a, tags: {x: y}}
  empty: {role: null}
associations:
  fleet: {instance_profile: web, select: {tags: {app: web}}}
"""


@pytest.fixture
@prepared
def made(aws: Rig) -> Rig:
    aws.launch(1, tags={"app": "web"})
    aws.write(SPEC)
    aws.settle()
    return aws


def changed(aws: Rig) -> Rig:
    aws.write(SPEC.replace("DESCRIPTION", "another").replace("x: y", "x: z"))
    return aws


@pytest.mark.parametrize("most_by_id", [instances.MOST_BY_ID, 1])
def test_the_consumers_of_a_profile_are_those_in_a_listing_of_all(
    made: Rig, most_by_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an instance that EC2 does not show, one that is on its way from another profile, which
    EC2 still shows, and one that is stopped."""
    monkeypatch.setattr(instances, "MOST_BY_ID", most_by_id)
    made.aws.lags = replace(made.aws.lags, associating=60.0, disassociating=60.0)
    plain, stopped, moving, unseen, leaving = (made.launch(1, profile="web")[0] for _ in range(5))
    made.launch(1)
    made.launch(1, profile="web", region=AWAY)
    ec2 = made.ec2()
    ec2.stop_instances(InstanceIds=[stopped])
    rows = {
        row["InstanceId"]: row["AssociationId"]
        for row in ec2.describe_iam_instance_profile_associations()[
            "IamInstanceProfileAssociations"
        ]
    }
    ec2.replace_iam_instance_profile_association(
        AssociationId=rows[moving], IamInstanceProfile={"Name": "empty"}
    )
    ec2.disassociate_iam_instance_profile(AssociationId=rows[leaving])
    made.aws.unseen.add(unseen)
    made.plan()
    (connection,) = made.opened.values()
    reader = connection.reader
    identity = reader.identity()
    whole = reader.read_regions(identity, (HOME, AWAY))
    arns = [f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}" for name in ("web", "empty")]
    # A profile that was made again at another path, or in another case, is the same to them.
    elsewhere = [arns[0].replace("/web", "/p/Web")]
    for asked in ([arns[0]], [arns[1]], arns, elsewhere):
        found = reader.consumers(identity, (HOME, AWAY), asked)
        for arn in asked:
            assert found.consumers(arn) == whole.consumers(arn)
            assert found.consumers(arn)
    assert {key.instance for key in whole.instances} > {moving, unseen, leaving, plain, stopped}


def test_only_reads_the_selected_resources(made: Rig) -> None:
    changed(made)
    wanted = [c for c in made.plan().plan.changes if str(c.address) == "role/a"]
    made.aws.log.clear()
    plan = made.plan(only=("role/a",)).plan
    assert list(plan.changes) == wanted
    assert BULK not in {c.operation for c in made.aws.log}
    assert "web" not in str([c.params for c in made.aws.log if c.service == "iam"])
    notes = [k.reason for t in plan.targets for k in t.kept if str(k.address) == "*"]
    assert notes == [
        "the resources that left the specs are not known: not searched for with --only"
    ]


@pytest.mark.parametrize("kind", ["policy/*", "role/*", "instance-profile/*", "association/*"])
def test_single_reads_and_bulk_reads_agree(made: Rig, kind: str) -> None:
    assert made.plan(only=(kind,)).plan.is_empty


def test_a_whole_set_is_made_and_changed_without_bulk_reads(aws: Rig) -> None:
    aws.launch(1, tags={"app": "web"})
    aws.write(SPEC)
    with refusing(aws, BULK, DENIED):
        aws.settle()
        plan = changed(aws).settle()
    assert {str(c.address) for c in plan.changes} == {"role/a", "instance-profile/web"}
    notes = [k.reason for t in plan.targets for k in t.kept if str(k.address) == "*"]
    assert notes == [f"the resources that left the specs are not known: iam:{BULK}: {DENIED}"]


def test_prune_is_refused_if_resources_cannot_be_listed(made: Rig) -> None:
    made.write("roles: {b: {trust: lambda}}")
    with refusing(made, "ListRoles", DENIED):
        assert made.plan().plan.is_empty
        for flags in ({"prune": True}, {"destroy": True}):
            with pytest.raises(RefusedError) as refused:
                made.plan(**flags)
            assert refused.value.exit_code == ExitCode.ERROR
            assert "must see every resource" in refused.value.message


def test_a_policy_at_another_path_is_found(made: Rig) -> None:
    """Its ARN cannot be guessed from a spec that leaves the path as it is."""
    made.write(SPEC.replace("path: /p/, ", ""))
    with refusing(made, BULK, DENIED):
        assert made.plan().plan.is_empty


def test_one_denied_resource_is_unknown_and_the_rest_is_reported(made: Rig) -> None:
    changed(made)
    with (
        refusing(made, BULK, DENIED),
        refusing(made, "GetRole", DENIED, RoleName="a"),
    ):
        drift = made.drift()
        plan = made.plan().plan
    assert drift.exit_code == ExitCode.ERROR
    unknown = {str(f.address): f.reason for f in drift.findings if f.status == "unknown"}
    assert unknown == {
        "role/a": "role/a cannot be read: iam:GetRole: AccessDenied",
        "instance-profile/web": "instance-profile/web cannot be read: role/a cannot be read",
    }
    assert plan.is_empty and len(plan.unread) == 2
    assert drift.summary["unadopted"] == 0


@pytest.mark.parametrize("operation", ["ListInstanceProfileTags", "ListPolicyTags"])
def test_denied_tags_are_unknown(made: Rig, operation: str) -> None:
    with refusing(made, operation, DENIED):
        drift = made.drift()
    assert drift.exit_code == ExitCode.ERROR
    assert {f.status for f in drift.findings} == {"unknown"}


def test_a_resource_that_changed_since_the_plan_is_not_changed(made: Rig) -> None:
    """Somebody else was quicker: their change is seen and not overwritten; all else goes on."""
    changed(made)
    planned = made.plan()
    made.iam.update_role(RoleName="a", Description="theirs", MaxSessionDuration=7200)
    applied = Apply(planned, made.commands()).execute()
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    broken = [o for o in applied.result.outcomes if o.status != "applied"]
    assert [(str(o.address), o.status) for o in broken] == [("role/a", "failed")]
    assert "was changed outside of this run since the plan; plan again" in broken[0].reason
    assert made.iam.get_role(RoleName="a")["Role"]["Description"] == "theirs"
    assert made.profile_tags("web")["x"] == "z"
    made.settle()


def test_a_resource_with_a_new_owner_since_the_plan_is_not_changed(made: Rig) -> None:
    made.write("roles: {b: {trust: lambda}}")
    planned = made.plan(prune=True, allow=frozenset({("release", "role/a")}))
    theirs = [{"Key": "reconciler:owner", "Value": "theirs/empty"}]
    made.iam.tag_instance_profile(InstanceProfileName="empty", Tags=theirs)
    applied = Apply(planned, made.commands()).execute()
    broken = [o for o in applied.result.outcomes if o.status == "failed"]
    assert [str(o.address) for o in broken] == ["instance-profile/empty"]
    assert "taken over by the owner 'theirs'" in broken[0].reason
    assert made.names()["profiles"] == ["empty"]
