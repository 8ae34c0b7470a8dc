"""The sandbox answers as AWS does where moto does not: one row a difference that this job can meet."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.httpchecksum import AwsChunkedWrapper
from botocore.useragent import UserAgentString
from moto.core import serialize
from moto.core.request import Request

from reconciler.sandbox import moto_speed
from reconciler.sandbox.fault_config import Chaos, Lags
from reconciler.sandbox.plant import plant
from reconciler.sandbox.seed import Seed
from tests.prepared import prepared
from tests.rig import AWAY, HOME, Rig

TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name, _ in moto_speed.replacements()}
"""As moto has it: no sandbox runs while tests are collected."""
DOCUMENT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
)
POLICY = "arn:aws:iam::123456789012:policy/p"


@pytest.fixture
@prepared
def made(aws: Rig) -> Rig:
    """A role in a profile, another profile, a policy; EC2 has seen them."""
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    for name in ("one", "two"):
        aws.iam.create_instance_profile(InstanceProfileName=name)
        aws.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName="r")
    aws.iam.create_policy(PolicyName="p", PolicyDocument=DOCUMENT)
    aws.clock.sleep(60)
    return aws


def associate(aws: Rig, instance: str, profile: str = "one") -> str:
    answer = aws.ec2().associate_iam_instance_profile(
        InstanceId=instance, IamInstanceProfile={"Name": profile}
    )
    found: str = answer["IamInstanceProfileAssociation"]["AssociationId"]
    return found


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


def wait(aws: Rig) -> bool:
    aws.clock.sleep(60)
    return True


def rows(aws: Rig) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    return found


def replace(aws: Rig, association: str, profile: str) -> dict[str, Any]:
    answer = aws.ec2().replace_iam_instance_profile_association(
        AssociationId=association, IamInstanceProfile={"Name": profile}
    )
    found: dict[str, Any] = answer["IamInstanceProfileAssociation"]
    return found


def numbered(count: int) -> list[dict[str, str]]:
    return [{"Key": f"k{n}", "Value": ""} for n in range(count)]


def large(size: int) -> str:
    """A policy document of more than so many characters."""
    return DOCUMENT.replace("s3:*", "s3:" + "a" * size)


REFUSALS: dict[str, tuple[Callable[[Rig, str], Any], str]] = {
    "associate twice": (
        lambda a, i: (associate(a, i), associate(a, i)),
        "IncorrectState",
    ),
    "associate an unknown profile": (
        lambda a, i: associate(a, i, "nobody"),
        "InvalidParameterValue",
    ),
    "associate an unknown instance": (
        lambda a, i: associate(a, "i-0123456789abcdef0"),
        "InvalidInstanceID.NotFound",
    ),
    "associate a malformed id": (lambda a, i: associate(a, "i-xyz"), "InvalidInstanceID.Malformed"),
    "associate without a profile": (
        lambda a, i: a.ec2().associate_iam_instance_profile(InstanceId=i, IamInstanceProfile={}),
        "MissingParameter",
    ),
    "associate a terminated one": (
        lambda a, i: (a.ec2().terminate_instances(InstanceIds=[i]), associate(a, i)),
        "IncorrectInstanceState",
    ),
    "a profile that EC2 has not seen": (
        lambda a, i: (
            a.iam.create_instance_profile(InstanceProfileName="new"),
            associate(a, i, "new"),
        ),
        "InvalidParameterValue",
    ),
    "replace on a stopped instance": (
        lambda a, i: (
            x := associate(a, i),
            a.ec2().stop_instances(InstanceIds=[i]),
            replace(a, x, "two"),
        ),
        "IncorrectState",
    ),
    "an id that was never issued": (
        lambda a, i: a.ec2().disassociate_iam_instance_profile(AssociationId="iip-assoc-0"),
        "InvalidParameterValue",
    ),
    "an id that is gone": (
        lambda a, i: (
            x := associate(a, i),
            a.ec2().disassociate_iam_instance_profile(AssociationId=x),
            wait(a),
            a.ec2().disassociate_iam_instance_profile(AssociationId=x),
        ),
        "InvalidAssociationID.NotFound",
    ),
    "an unknown filter": (
        lambda a, i: a.ec2().describe_iam_instance_profile_associations(
            Filters=[{"Name": "iam-instance-profile.arn", "Values": ["x"]}]
        ),
        "InvalidParameterValue",
    ),
    "launch with an empty profile": (
        lambda a, i: (
            a.iam.create_instance_profile(InstanceProfileName="empty"),
            wait(a),
            a.launch(1, profile="empty"),
        ),
        "InvalidParameterValue",
    ),
    "a second role": (
        lambda a, i: a.iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="r"),
        "LimitExceeded",
    ),
    "take out a role that is not in": (
        lambda a, i: (
            a.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r"),
            a.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r"),
        ),
        "NoSuchEntity",
    ),
    "a role name in another case": (
        lambda a, i: a.iam.create_role(RoleName="R", AssumeRolePolicyDocument=TRUST),
        "EntityAlreadyExists",
    ),
    "a profile name in another case": (
        lambda a, i: a.iam.create_instance_profile(InstanceProfileName="ONE"),
        "EntityAlreadyExists",
    ),
    "a policy name on another path": (
        lambda a, i: a.iam.create_policy(PolicyName="P", Path="/x/", PolicyDocument=DOCUMENT),
        "EntityAlreadyExists",
    ),
    "a trust that is no JSON": (
        lambda a, i: a.iam.create_role(RoleName="x", AssumeRolePolicyDocument="text"),
        "MalformedPolicyDocument",
    ),
    "a trust in a role that is not there": (
        lambda a, i: a.iam.create_role(
            RoleName="x",
            AssumeRolePolicyDocument=TRUST.replace(
                '"Service":"ec2.amazonaws.com"', '"AWS":"arn:aws:iam::123456789012:role/none"'
            ),
        ),
        "MalformedPolicyDocument",
    ),
    "delete an attached policy": (
        lambda a, i: (
            a.iam.attach_role_policy(RoleName="r", PolicyArn=POLICY),
            a.iam.delete_policy(PolicyArn=POLICY),
        ),
        "DeleteConflict",
    ),
    "delete a policy of two versions": (
        lambda a, i: (
            a.iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=DOCUMENT),
            a.iam.delete_policy(PolicyArn=POLICY),
        ),
        "DeleteConflict",
    ),
    "delete a role in a profile": (lambda a, i: a.iam.delete_role(RoleName="r"), "DeleteConflict"),
    "a boundary that is not there": (
        lambda a, i: a.iam.put_role_permissions_boundary(
            RoleName="r", PermissionsBoundary=POLICY + "x"
        ),
        "NoSuchEntity",
    ),
    "take off a boundary that is not there": (
        lambda a, i: a.iam.delete_role_permissions_boundary(RoleName="r"),
        "NoSuchEntity",
    ),
    "a name with a blank": (
        lambda a, i: a.iam.create_role(RoleName="a b", AssumeRolePolicyDocument=TRUST),
        "ValidationError",
    ),
    "a name of 65 letters": (
        lambda a, i: a.iam.create_role(RoleName="a" * 65, AssumeRolePolicyDocument=TRUST),
        "ValidationError",
    ),
    "a path without slashes": (
        lambda a, i: a.iam.create_instance_profile(InstanceProfileName="x", Path="path"),
        "ValidationError",
    ),
    "a session of a day": (
        lambda a, i: a.iam.update_role(RoleName="r", MaxSessionDuration=86400),
        "ValidationError",
    ),
    "a description with another alphabet": (
        lambda a, i: a.iam.update_role(RoleName="r", Description="\u65e5"),
        "ValidationError",
    ),
    "a tag of AWS's": (
        lambda a, i: a.iam.tag_role(RoleName="r", Tags=[{"Key": "AWS:x", "Value": "y"}]),
        "InvalidInput",
    ),
    "a tag key that is twice in one request": (
        lambda a, i: a.iam.tag_role(
            RoleName="r", Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
        ),
        "InvalidInput",
    ),
    "a tag with an angle bracket": (
        lambda a, i: a.iam.tag_instance_profile(
            InstanceProfileName="one", Tags=[{"Key": "<a>", "Value": "1"}]
        ),
        "ValidationError",
    ),
    "51 tags in one request": (
        lambda a, i: a.iam.tag_role(RoleName="r", Tags=numbered(51)),
        "ValidationError",
    ),
    "51 tags in two requests": (
        lambda a, i: (
            a.iam.tag_role(RoleName="r", Tags=numbered(50)),
            a.iam.tag_role(RoleName="r", Tags=[{"Key": "z", "Value": ""}]),
        ),
        "LimitExceeded",
    ),
    "51 tags on a profile": (
        lambda a, i: (
            a.iam.tag_instance_profile(InstanceProfileName="one", Tags=numbered(50)),
            a.iam.tag_instance_profile(InstanceProfileName="one", Tags=[{"Key": "z", "Value": ""}]),
        ),
        "LimitExceeded",
    ),
    "a trust of more than 2,048": (
        lambda a, i: a.iam.update_assume_role_policy(RoleName="r", PolicyDocument=large(2048)),
        "LimitExceeded",
    ),
    "a policy of more than 6,144": (
        lambda a, i: a.iam.create_policy(PolicyName="x", PolicyDocument=large(6144)),
        "LimitExceeded",
    ),
    "inline policies of more than 10,240 together": (
        lambda a, i: (
            a.iam.put_role_policy(RoleName="r", PolicyName="a", PolicyDocument=large(6000)),
            a.iam.put_role_policy(RoleName="r", PolicyName="b", PolicyDocument=large(6000)),
        ),
        "LimitExceeded",
    ),
    "an eleventh policy": (
        lambda a, i: [
            (
                a.iam.create_policy(PolicyName=f"p{n}", PolicyDocument=DOCUMENT),
                a.iam.attach_role_policy(RoleName="r", PolicyArn=f"{POLICY}{n}"),
            )
            for n in range(11)
        ],
        "LimitExceeded",
    ),
    "a sixth version": (
        lambda a, i: [
            a.iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=DOCUMENT) for _ in range(5)
        ],
        "LimitExceeded",
    ),
    "delete the version in force": (
        lambda a, i: a.iam.delete_policy_version(PolicyArn=POLICY, VersionId="v1"),
        "DeleteConflict",
    ),
    "delete a profile with a role": (
        lambda a, i: a.iam.delete_instance_profile(InstanceProfileName="one"),
        "DeleteConflict",
    ),
    "a role among AWS's own": (
        lambda a, i: a.iam.create_role(
            RoleName="x", Path="/aws-service-role/x/", AssumeRolePolicyDocument=TRUST
        ),
        "InvalidInput",
    ),
    "change a service-linked role": (
        lambda a, i: (
            a.iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com"),
            a.iam.update_role(RoleName="AWSServiceRoleForAutoScaling", Description="x"),
        ),
        "UnmodifiableEntity",
    ),
    "attach a policy of a service's role": (
        lambda a, i: a.iam.attach_role_policy(
            RoleName="r",
            PolicyArn="arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy",
        ),
        "PolicyNotAttachable",
    ),
    "create what is there": (
        lambda a, i: a.iam.create_instance_profile(InstanceProfileName="one"),
        "EntityAlreadyExists",
    ),
    "profiles of a role that is not there": (
        lambda a, i: a.iam.list_instance_profiles_for_role(RoleName="none"),
        "NoSuchEntity",
    ),
    "detach what is not attached": (
        lambda a, i: a.iam.detach_role_policy(RoleName="r", PolicyArn=POLICY),
        "NoSuchEntity",
    ),
    "delete an inline policy that is not there": (
        lambda a, i: a.iam.delete_role_policy(RoleName="r", PolicyName="none"),
        "NoSuchEntity",
    ),
    "delete a role that is not there": (
        lambda a, i: a.iam.delete_role(RoleName="none"),
        "NoSuchEntity",
    ),
    "put a role in that is not there": (
        lambda a, i: (
            a.iam.create_instance_profile(InstanceProfileName="new"),
            a.iam.add_role_to_instance_profile(InstanceProfileName="new", RoleName="none"),
        ),
        "NoSuchEntity",
    ),
    "a marker that is none": (
        lambda a, i: a.iam.list_instance_profiles(Marker="x"),
        "ValidationError",
    ),
    "a token that is none": (
        lambda a, i: a.ec2().describe_iam_instance_profile_associations(NextToken="x"),
        "InvalidNextToken",
    ),
    "an association that never was": (
        lambda a, i: a.ec2().describe_iam_instance_profile_associations(
            AssociationIds=["iip-assoc-0123456789abcdef0"]
        ),
        "InvalidParameterValue",
    ),
    "launch with a profile that is not there": (
        lambda a, i: a.launch(1, profile="none"),
        "InvalidParameterValue",
    ),
    "one of AWS's policies that does not exist": (
        lambda a, i: a.iam.attach_role_policy(
            RoleName="r", PolicyArn="arn:aws:iam::aws:policy/Nothing"
        ),
        "NoSuchEntity",
    ),
}


@pytest.mark.parametrize("situation", REFUSALS)
def test_refused(made: Rig, situation: str) -> None:
    call, code = REFUSALS[situation]
    instance = made.launch(1)[0]
    assert code_of(lambda: call(made, instance)) == code


REPEATED: dict[str, Callable[[Rig], Any]] = {
    "put an inline policy": lambda a: a.iam.put_role_policy(
        RoleName="r", PolicyName="x", PolicyDocument=DOCUMENT
    ),
    "attach": lambda a: a.iam.attach_role_policy(RoleName="r", PolicyArn=POLICY),
    "update": lambda a: a.iam.update_role(RoleName="r", Description="d", MaxSessionDuration=3600),
    "update the trust": lambda a: a.iam.update_assume_role_policy(
        RoleName="r", PolicyDocument=TRUST
    ),
    "tag a role": lambda a: a.iam.tag_role(RoleName="r", Tags=numbered(2)),
    "untag a role": lambda a: a.iam.untag_role(RoleName="r", TagKeys=["none"]),
    "tag a profile": lambda a: a.iam.tag_instance_profile(
        InstanceProfileName="one", Tags=numbered(2)
    ),
    "untag a profile": lambda a: a.iam.untag_instance_profile(
        InstanceProfileName="one", TagKeys=["none"]
    ),
    "put a boundary": lambda a: a.iam.put_role_permissions_boundary(
        RoleName="r", PermissionsBoundary=POLICY
    ),
}


@pytest.mark.parametrize("what", REPEATED)
def test_the_same_again_changes_nothing(made: Rig, what: str) -> None:
    REPEATED[what](made)
    before = made.iam.get_account_authorization_details(Filter=["Role", "LocalManagedPolicy"])
    REPEATED[what](made)
    after = made.iam.get_account_authorization_details(Filter=["Role", "LocalManagedPolicy"])
    assert before["RoleDetailList"] == after["RoleDetailList"]


def test_a_version_is_made_each_time(made: Rig) -> None:
    for _ in range(2):
        made.iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=DOCUMENT)
    versions = made.iam.list_policy_versions(PolicyArn=POLICY)["Versions"]
    assert [v["VersionId"] for v in versions if not v["IsDefaultVersion"]] == ["v2", "v3"]


def test_names_are_found_in_any_case(made: Rig) -> None:
    assert made.iam.get_role(RoleName="R")["Role"]["RoleName"] == "r"
    profile = made.iam.get_instance_profile(InstanceProfileName="ONE")["InstanceProfile"]
    assert profile["InstanceProfileName"] == "one"
    for name in ("MixedName", "mixedname"):
        made.iam.put_role_policy(RoleName="r", PolicyName=name, PolicyDocument=DOCUMENT)
    assert made.iam.list_role_policies(RoleName="r")["PolicyNames"] == ["MixedName"]
    made.iam.delete_role_policy(RoleName="r", PolicyName="MIXEDNAME")
    assert made.iam.list_role_policies(RoleName="r")["PolicyNames"] == []


def test_what_an_update_leaves_out_stays(made: Rig) -> None:
    made.iam.update_role(RoleName="r", Description="d", MaxSessionDuration=7200)
    made.iam.update_role(RoleName="r", Description="e")
    role = made.iam.get_role(RoleName="r")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("e", 7200)


def test_the_answer_to_a_new_role_says_little(made: Rig) -> None:
    role = made.iam.create_role(
        RoleName="new", AssumeRolePolicyDocument=TRUST, Description="d", MaxSessionDuration=7200
    )["Role"]
    assert not {"Description", "MaxSessionDuration"} & role.keys()
    assert role["AssumeRolePolicyDocument"]["Version"] == "2012-10-17"


def test_a_deleted_role_is_an_id_in_trusts(made: Rig) -> None:
    arn = made.iam.create_role(RoleName="old", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    old_id = made.role_id("old")
    trust = TRUST.replace('"Service":"ec2.amazonaws.com"', f'"AWS":"{arn}"')
    made.iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust)
    made.iam.delete_role(RoleName="old")
    made.iam.create_role(RoleName="old", AssumeRolePolicyDocument=TRUST)
    named = made.iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert named[0]["Principal"] == {"AWS": old_id}


def test_inline_policies_and_versions_are_paged(made: Rig) -> None:
    for name in ("a", "b", "c"):
        made.iam.put_role_policy(RoleName="r", PolicyName=name, PolicyDocument=DOCUMENT)
    page = made.iam.list_role_policies(RoleName="r", MaxItems=2)
    assert (page["PolicyNames"], page["IsTruncated"]) == (["a", "b"], True)


def test_an_association_takes_time(made: Rig) -> None:
    instance = made.launch(1)[0]
    associate(made, instance)
    assert made.associations()[instance] == [("one", "associating")]
    assert made.served(instance) is None
    made.clock.sleep(6)
    assert made.associations()[instance] == [("one", "associated")]
    assert made.served(instance) == "r"


def test_a_replace_makes_a_new_id_and_shows_two_rows(made: Rig) -> None:
    instance = made.launch(1)[0]
    first = associate(made, instance)
    made.clock.sleep(6)
    second = replace(made, first, "two")
    assert second["AssociationId"] != first
    assert sorted(r["State"] for r in rows(made)) == ["associating", "disassociating"]
    shown = made.ec2().describe_instances()["Reservations"][0]["Instances"][0]["IamInstanceProfile"]
    assert shown["Arn"].endswith("/one")
    made.clock.sleep(6)
    assert [r["AssociationId"] for r in rows(made)] == [second["AssociationId"]]


def test_a_replace_with_the_same_profile_does_nothing(made: Rig) -> None:
    instance = made.launch(1)[0]
    first = associate(made, instance)
    made.clock.sleep(6)
    made.iam.create_role(RoleName="r2", AssumeRolePolicyDocument=TRUST)
    made.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r")
    made.iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="r2")
    made.clock.sleep(120)
    assert replace(made, first, "one")["AssociationId"] == first
    assert made.served(instance) == "r"


def test_a_stopped_instance_takes_the_profile_on_when_it_starts(made: Rig) -> None:
    instance = made.launch(1)[0]
    made.ec2().stop_instances(InstanceIds=[instance])
    associate(made, instance)
    made.clock.sleep(600)
    assert made.associations()[instance] == [("one", "associating")]
    made.ec2().start_instances(InstanceIds=[instance])
    assert made.associations()[instance] == [("one", "associated")]
    assert made.served(instance) == "r"


def test_disassociating_a_stopped_instance_is_done_at_once(made: Rig) -> None:
    instance = made.launch(1, profile="one")[0]
    made.ec2().stop_instances(InstanceIds=[instance])
    row = rows(made)[0]["AssociationId"]
    answer = made.ec2().disassociate_iam_instance_profile(AssociationId=row)
    assert answer["IamInstanceProfileAssociation"]["State"] == "disassociated"
    assert rows(made) == []


def test_disassociating_twice_succeeds_while_it_lasts(made: Rig) -> None:
    instance = made.launch(1, profile="one")[0]
    row = rows(made)[0]["AssociationId"]
    for _ in range(2):
        made.ec2().disassociate_iam_instance_profile(AssociationId=row)
    assert made.associations()[instance] == [("one", "disassociating")]
    assert (
        "IamInstanceProfile"
        not in made.ec2().describe_instances()["Reservations"][0]["Instances"][0]
    )


def test_the_id_of_a_profile_not_of_the_association(made: Rig) -> None:
    made.launch(3, profile="one")
    profile = made.iam.get_instance_profile(InstanceProfileName="one")["InstanceProfile"]
    assert profile["InstanceProfileId"].startswith("AIPA")
    shown = made.ec2().describe_instances()["Reservations"][0]["Instances"]
    assert [i["IamInstanceProfile"]["Id"] for i in shown] == [profile["InstanceProfileId"]] * 3


def test_a_swap_does_not_reach_running_instances(made: Rig) -> None:
    instance = made.launch(1, profile="one")[0]
    made.iam.create_role(RoleName="r2", AssumeRolePolicyDocument=TRUST)
    made.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r")
    made.iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="r2")
    made.clock.sleep(600)
    assert made.served(instance) == "r"
    made.ec2().stop_instances(InstanceIds=[instance])
    made.ec2().start_instances(InstanceIds=[instance])
    assert made.served(instance) == "r2"


def test_ec2_sees_the_old_role_for_a_while(made: Rig) -> None:
    instance = made.launch(1)[0]
    made.iam.create_role(RoleName="r2", AssumeRolePolicyDocument=TRUST)
    made.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r")
    made.iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="r2")
    made.clock.sleep(5)
    associate(made, instance)
    made.clock.sleep(60)
    assert made.served(instance) == "r"


def test_a_role_that_does_not_trust_ec2_is_never_taken_on(made: Rig) -> None:
    made.iam.update_assume_role_policy(
        RoleName="r", PolicyDocument=TRUST.replace("ec2.", "lambda.")
    )
    instance = made.launch(1)[0]
    associate(made, instance)
    made.clock.sleep(3600)
    assert made.associations()[instance] == [("one", "associating")]


def test_a_terminated_instance_has_no_row(made: Rig) -> None:
    instance = made.launch(1, profile="one")[0]
    made.ec2().terminate_instances(InstanceIds=[instance])
    assert rows(made) == []


def test_lists_are_paged_and_without_tags(made: Rig) -> None:
    made.iam.tag_instance_profile(InstanceProfileName="one", Tags=[{"Key": "a", "Value": "b"}])
    page = made.iam.list_instance_profiles(MaxItems=1)
    assert (len(page["InstanceProfiles"]), page["IsTruncated"]) == (1, True)
    assert "Tags" not in page["InstanceProfiles"][0]
    assert set(page["InstanceProfiles"][0]["Roles"][0]) == {
        "Path",
        "RoleName",
        "RoleId",
        "Arn",
        "CreateDate",
    }
    more = made.iam.list_instance_profiles(MaxItems=1, Marker=page["Marker"])
    assert (len(more["InstanceProfiles"]), more["IsTruncated"]) == (1, False)
    prefixed = made.iam.list_instance_profiles(PathPrefix="/x/")["InstanceProfiles"]
    assert prefixed == []


def test_profile_tags_by_themselves(made: Rig) -> None:
    made.iam.tag_instance_profile(
        InstanceProfileName="one",
        Tags=[{"Key": "Team", "Value": "a"}, {"Key": "team", "Value": "b"}],
    )
    assert made.profile_tags("one") == {"Team": "a", "team": "b"}


def test_the_account_s_details_are_paged(made: Rig) -> None:
    seen: dict[str, int] = {}
    marker: dict[str, str] = {}
    for _ in range(10):
        page = made.iam.get_account_authorization_details(
            Filter=["Role", "LocalManagedPolicy"], MaxItems=1, **marker
        )
        for key in ("RoleDetailList", "Policies"):
            seen[key] = seen.get(key, 0) + len(page.get(key, []))
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    assert seen == {"RoleDetailList": 1, "Policies": 1}


def test_short_pages_are_read_to_the_end(made: Rig) -> None:
    """IAM may answer fewer than asked for, and say that there is more."""
    made.aws.chaos = Chaos(page=1)
    names = [
        p["InstanceProfileName"]
        for page in made.iam.get_paginator("list_instance_profiles").paginate()
        for p in page["InstanceProfiles"]
    ]
    assert names == ["one", "two"]


def test_role_tag_keys_are_one_in_every_case(made: Rig) -> None:
    made.iam.tag_role(RoleName="r", Tags=[{"Key": "Team", "Value": "a"}])
    made.iam.tag_role(RoleName="r", Tags=[{"Key": "team", "Value": "b"}])
    assert made.role_tags("r") == {"team": "b"}
    made.iam.untag_role(RoleName="r", TagKeys=["TEAM"])
    assert made.role_tags("r") == {}


def test_policy_tag_keys_are_not(made: Rig) -> None:
    made.iam.tag_policy(
        PolicyArn=POLICY, Tags=[{"Key": "Team", "Value": "a"}, {"Key": "team", "Value": "b"}]
    )
    tags = made.iam.list_policy_tags(PolicyArn=POLICY)["Tags"]
    assert sorted(t["Key"] for t in tags) == ["Team", "team"]


def test_a_managed_instance_says_who_manages_it(made: Rig) -> None:
    theirs = made.launch(1, operator="ecs.amazonaws.com")[0]
    assert made.instance_ids() == [theirs]
    pages = made.ec2().describe_instances()["Reservations"][0]["Instances"]
    said = {"Managed": True, "Principal": "ecs.amazonaws.com", "HiddenByDefault": False}
    assert pages[0]["Operator"] == said


def test_a_hidden_one_is_listed_when_it_is_asked_for(made: Rig) -> None:
    theirs = made.launch(1, operator="ecs.amazonaws.com")[0]
    own = made.launch(1)[0]
    made.ec2().modify_managed_resource_visibility(DefaultVisibility="hidden")
    assert made.ec2().get_managed_resource_visibility()["Visibility"] == {
        "DefaultVisibility": "hidden"
    }
    assert made.instance_ids() == [own]
    whole = made.ec2().describe_instances(IncludeManagedResources=True)["Reservations"]
    assert {i["InstanceId"] for r in whole for i in r["Instances"]} == {own, theirs}


def test_a_seed_plants_managed_instances(made: Rig) -> None:
    group = {"operator": "ecs.amazonaws.com", "hidden": True, "count": 2}
    (planted,) = plant(Seed.model_validate({"instances": [group]}), made.aws)
    assert made.instance_ids() == []
    whole = made.ec2().describe_instances(IncludeManagedResources=True)["Reservations"]
    assert {i["InstanceId"] for r in whole for i in r["Instances"]} == set(planted.instances)


def test_a_seed_plants_instances_that_are_never_listed(aws: Rig) -> None:
    """A cut-over names them, and does not claim that they have the role."""
    planted = {
        "roles": {"v1": {}},
        "instance_profiles": {"web": {"role": "v1"}},
        "instances": [{"unlisted": True, "instance_profile": "web", "id": "i-0123456789abcdef0"}],
    }
    plant(Seed.model_validate(planted), aws.aws)
    assert aws.instance_ids() == []
    aws.write("roles: {v1: {trust: ec2}, v2: {trust: ec2}}\ninstance_profiles: {web: {role: v2}}\n")
    applied = aws.apply(adopt=True)
    assert applied.exit_code == 3
    assert "i-0123456789abcdef0" in applied.result.outcomes[-1].reason


def test_a_seed_plants_an_account(made: Rig) -> None:
    """As `plan` and `import` would find one that has been there for long."""
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    seed = Seed.model_validate(
        {
            "policies": {"read": {"path": "/a/", "document": document, "tags": {"k": "v"}}},
            "roles": {
                "web": {
                    "path": "/a/",
                    "description": "Web",
                    "max_session_duration": 7200,
                    "managed_policies": ["read", "AmazonSSMManagedInstanceCore"],
                    "inline_policies": {"more": document},
                    "permissions_boundary": "read",
                    "tags": {"team": "x"},
                }
            },
            "instance_profiles": {"web": {"role": "web", "tags": {"team": "x"}}, "empty": {}},
            "instances": [{"count": 2, "tags": {"app": "web"}, "instance_profile": "web"}],
        }
    )
    made.aws.lags = Lags()
    (planted,) = plant(seed, made.aws)
    role = made.iam.get_role(RoleName="web")["Role"]
    assert (role["Path"], role["Description"], role["MaxSessionDuration"]) == ("/a/", "Web", 7200)
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/a/read")
    attached = made.iam.list_attached_role_policies(RoleName="web")["AttachedPolicies"]
    assert [p["PolicyName"] for p in attached] == ["AmazonSSMManagedInstanceCore", "read"]
    assert made.iam.get_role_policy(RoleName="web", PolicyName="more")["PolicyDocument"] == document
    assert (
        made.iam.get_instance_profile(InstanceProfileName="empty")["InstanceProfile"]["Roles"] == []
    )
    assert [made.served(instance) for instance in planted.instances] == ["web", "web"]


def test_enabled_regions_are_few(made: Rig) -> None:
    assert [r["RegionName"] for r in made.ec2().describe_regions()["Regions"]] == [AWAY, HOME]


def test_many_at_once(made: Rig) -> None:
    """moto alone answers some of these with an HTML page of an error."""

    def work(number: int) -> None:
        name = f"t{number}"
        made.iam.create_instance_profile(InstanceProfileName=name)
        made.iam.list_instance_profiles()
        made.iam.get_account_authorization_details(Filter=["Role"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert len(made.iam.list_instance_profiles()["InstanceProfiles"]) == 42


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("create_tags", {"Tags": [{"Key": "k", "Value": "v"}]}, "InvalidParameterValue"),
        ("delete_tags", {"Tags": [{"Key": "k"}]}, "InvalidParameterValue"),
    ],
)
def test_no_call_names_more_than_a_thousand_ids(
    aws: Rig, operation: str, params: dict[str, Any], code: str
) -> None:
    ids = aws.launch(1) * 1001
    with pytest.raises(ClientError) as refused:
        getattr(aws.ec2(), operation)(Resources=ids, **params)
    assert refused.value.response["Error"]["Code"] == code
    getattr(aws.ec2(), operation)(Resources=ids[:1000], **params)


@pytest.mark.parametrize(
    "operation", ["describe_instances", "describe_iam_instance_profile_associations"]
)
def test_no_filter_has_more_than_two_hundred_values(aws: Rig, operation: str) -> None:
    values = aws.launch(1) * 201
    with pytest.raises(ClientError) as refused:
        getattr(aws.ec2(), operation)(Filters=[{"Name": "instance-id", "Values": values}])
    assert refused.value.response["Error"]["Code"] == "FilterLimitExceeded"
    getattr(aws.ec2(), operation)(Filters=[{"Name": "instance-id", "Values": values[:200]}])


@pytest.mark.parametrize(
    ("name", "value", "met"),
    [
        ("iam-instance-profile.arn", "{arn}", True),
        ("iam-instance-profile.arn", "*:instance-profile/o?e", True),
        ("iam-instance-profile.arn", "arn:aws:iam::123456789012:instance-profile/two", False),
        ("iam-instance-profile.arn", r"*:instance-profile/\*", False),
        ("iam-instance-profile.id", "{id}", True),
        ("iam-instance-profile.name", "one", True),
        ("instance-id", "i-*", True),
        ("instance-state-code", "16", True),
        ("tag:Name", "w*", True),
        ("tag-key", "Name", True),
        ("tenancy", "default", True),
        ("operator.managed", "true", False),
        ("metadata-options.http-tokens", "optional", True),
        ("launch-time", "20*", True),
        ("instance-lifecycle", "spot", False),
    ],
)
def test_instances_are_filtered_as_ec2_does(made: Rig, name: str, value: str, met: bool) -> None:
    (instance,) = made.launch(1, profile="one", tags={"Name": "web"})
    made.launch(1)
    profile = made.iam.get_instance_profile(InstanceProfileName="one")["InstanceProfile"]
    wanted = value.format(arn=profile["Arn"], id=profile["InstanceProfileId"])
    answer = made.ec2().describe_instances(Filters=[{"Name": name, "Values": [wanted]}])
    found = [i["InstanceId"] for r in answer["Reservations"] for i in r["Instances"]]
    assert (instance in found) is met


@pytest.mark.parametrize(
    "operation",
    [
        "describe_instances",
        "describe_iam_instance_profile_associations",
        "describe_instance_status",
        "describe_launch_templates",
        "describe_launch_template_versions",
        "describe_fleets",
        "describe_tags",
        "describe_regions",
        "describe_vpcs",
    ],
)
def test_an_unknown_filter_is_refused_and_no_failure(made: Rig, operation: str) -> None:
    """Also where nothing is there that it could be asked of."""
    ask = getattr(made.ec2(), operation)
    some = {"LaunchTemplateName": "template"} if operation.endswith("versions") else {}
    data = {"ImageId": "ami-12c6146b"}
    made.ec2().create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data)
    for _ in range(2):
        asked = [{"Name": "instance-profile", "Values": ["one"]}]
        with pytest.raises(ClientError) as refusal:
            ask(Filters=asked, **some)
        assert refusal.value.response["Error"]["Code"] == "InvalidParameterValue"
        assert "'instance-profile'" in refusal.value.response["Error"]["Message"]
        made.launch(1, profile="one")


@pytest.mark.parametrize("text", ["a\x1bb", "\x00", "\ufffe"])
def test_no_text_breaks_the_answers_about_others(made: Rig, text: str) -> None:
    """XML has no such character."""
    (instance,) = made.launch(1)
    with pytest.raises(ClientError) as refusal:
        made.ec2().create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": text}])
    assert refusal.value.response["Error"]["Code"] == "InvalidParameterValue"
    made.ec2().create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": "\t\u202e<&"}])
    assert made.ec2().describe_instances()["Reservations"]


def test_regions_are_filtered(aws: Rig) -> None:
    answer = aws.ec2().describe_regions(Filters=[{"Name": "region-name", "Values": ["eu-*"]}])
    assert [one["RegionName"] for one in answer["Regions"]] == [AWAY]


def test_what_the_sandbox_has_not_is_an_answer(aws: Rig) -> None:
    with pytest.raises(ClientError) as refusal:
        aws.ec2().describe_byoip_cidrs(MaxResults=5)
    error = refusal.value.response
    assert error["Error"]["Code"] == "UnsupportedOperation"
    assert error["Error"]["Message"].startswith("The sandbox has no ec2:DescribeByoipCidrs")


def test_the_faster_answers_are_the_same(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every response, success or error, is byte for byte what moto writes without our shortcuts."""
    faster = {(owner, name): new for owner, name, new in moto_speed.replacements()}
    assert faster.keys() == ORIGINALS.keys()
    compared: set[str] = set()
    serialized = serialize.ResponseSerializer.serialize

    def both(serializer: Any, result: Any) -> Any:
        again, operation = copy.copy(serializer), serializer.operation_name
        ours = serialized(serializer, result)
        with pytest.MonkeyPatch.context() as undone:
            for (owner, name), original in ORIGINALS.items():
                undone.setattr(owner, name, original)
            assert ours == serialized(again, result)
        is_error = isinstance(result, Exception)
        kind = f"an error of {serializer.service_model.service_name}" if is_error else operation
        compared.add(kind)
        return ours

    monkeypatch.setattr(serialize.ResponseSerializer, "serialize", both)
    launched = aws.launch(2, tags={"app": "web", "empty": "", "odd": "<a&'\"b>\u00e4"})
    aws.launch(1, operator="ecs.amazonaws.com")
    aws.write(
        "roles:\n"
        "  web: {trust: ec2, instance_profile: true, managed_policies: [ReadOnlyAccess],\n"
        f"    inline_policies: {{p: {DOCUMENT}}}, tags: {{a: b, c: ''}}}}\n"
        f"policies: {{p: {{document: {DOCUMENT}, description: '<a & \"b\">'}}}}\n"
        "associations: {a: {instance_profile: web, select: {tags: {app: web}}}}\n"
    )
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=launched)
    aws.ec2().start_instances(InstanceIds=launched)
    aws.ec2().terminate_instances(InstanceIds=launched)
    assert code_of(lambda: aws.iam.get_role(RoleName="none")) == "NoSuchEntity"
    assert code_of(lambda: associate(aws, "i-xyz")) == "InvalidInstanceID.Malformed"
    aws.client("cloudtrail", HOME).lookup_events()
    many = {"DescribeInstances", "RunInstances", "GetAccountAuthorizationDetails", "LookupEvents"}
    assert many | {"an error of iam", "an error of ec2"} <= compared


SPEC_OF_A_LAUNCH = {"ImageId": "ami-12c6146b", "InstanceType": "t3.nano"}


def test_instances_start_with_the_profile_of_what_starts_them(made: Rig) -> None:
    ec2 = made.ec2()
    template = ec2.create_launch_template(
        LaunchTemplateName="t",
        LaunchTemplateData={**SPEC_OF_A_LAUNCH, "IamInstanceProfile": {"Name": "one"}},
    )["LaunchTemplate"]["LaunchTemplateId"]
    ec2.create_launch_template_version(
        LaunchTemplateId=template,
        LaunchTemplateData={**SPEC_OF_A_LAUNCH, "IamInstanceProfile": {"Name": "two"}},
    )

    def started(**more: Any) -> str | None:
        named = {"LaunchTemplateId": template, **more.pop("template", {})}
        answer = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=named, **more)
        return made.profile_of(answer["Instances"][0]["InstanceId"])

    assert started() == "one"
    assert started(template={"Version": "$Latest"}) == "two"
    assert started(IamInstanceProfile={"Name": "two"}) == "two"
    assert made.served(made.instance_ids()[0]) == "r"
    made.client("autoscaling", HOME).create_auto_scaling_group(
        AutoScalingGroupName="g",
        MinSize=1,
        MaxSize=1,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateId": template, "Version": "2"},
    )
    fleet = ec2.create_fleet(
        TargetCapacitySpecification={
            "TotalTargetCapacity": 1,
            "DefaultTargetCapacityType": "on-demand",
        },
        LaunchTemplateConfigs=[
            {"LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"}}
        ],
    )["FleetId"]
    by_tag = {
        tuple(
            made.instance_tags(i).get(k) for k in ("aws:autoscaling:groupName", "aws:ec2:fleet-id")
        ): i
        for i in made.instance_ids()
    }
    assert made.profile_of(by_tag["g", None]) == "two"
    assert made.instance_tags(by_tag["g", None])["aws:ec2launchtemplate:version"] == "2"
    assert made.profile_of(by_tag[None, fleet]) == "one"


def test_what_is_handed_over_faster_is_the_same(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request is what moto makes of it without our shortcuts, and its client says the same of
    itself; but nothing is signed."""
    met: set[tuple[str, str]] = set()
    plain = ORIGINALS[(Request, "from_primitives")].__func__
    ours = Request.from_primitives

    def both(kind: Any, method: str, url: str, headers: Any, body: Any) -> Request:
        sent = body.read() if isinstance(body, AwsChunkedWrapper) else body
        request, again = ours(method, url, headers, sent), plain(kind, method, url, headers, sent)
        faster, slower = ({**one.environ} for one in (request, again))
        assert faster.pop("wsgi.input").getvalue() == slower.pop("wsgi.input").getvalue()
        for environ in (faster, slower):  # where moto would print is no part of the request
            del environ["werkzeug.request"], environ["wsgi.errors"]
        assert faster == slower
        assert (request.raw_url, request.form) == (again.raw_url, again.form)
        met.add((request.method, request.headers["Authorization"].split("/")[3]))
        return request

    def said(agent: UserAgentString) -> str:
        text = faster_name(agent)
        assert text == ORIGINALS[(UserAgentString, "to_string")](agent)
        return text

    faster_name = UserAgentString.to_string
    monkeypatch.setattr(Request, "from_primitives", classmethod(both))
    monkeypatch.setattr(UserAgentString, "to_string", said)
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Description="a&b=\u00e4 +\n")
    list(aws.iam.get_paginator("list_roles").paginate())
    aws.launch(1, tags={"odd": "<a&'\"b>\u00e4"})
    aws.client("cloudtrail", HOME).lookup_events()
    aws.client("sts", HOME).get_caller_identity()
    s3 = aws.client("s3", HOME)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a/b c", Body=b"{}", Metadata={"a_b": "c"})
    assert s3.get_object(Bucket="kept", Key="a/b c")["Body"].read() == b"{}"
    posts = {("POST", name) for name in ("iam", "ec2", "sts", "cloudtrail")}
    assert met == posts | {("PUT", "s3"), ("GET", "s3")}
