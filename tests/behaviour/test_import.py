"""Live state to specs. The law: import, then plan --adopt, shows adoptions and nothing else; apply;
the plan is empty."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from moto.iam.models import iam_backends

from reconciler.importer.importer import Imported, Selection, imported
from reconciler.model.address import role_address
from reconciler.plan.changes import Adopt
from reconciler.ports import Scope
from reconciler.spec.format.dump import rendered
from reconciler.spec.format.formatter import formatted
from reconciler.spec.settings import Settings
from tests.behaviour.test_ownership import TRUST
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig
from tests.soak.states import state

OURS = "reconciler:"
QUICK = (Phase.explicit, Phase.generate)
"""A failure names its seed; to make it smaller takes minutes and tells no more."""


def abandoned(aws: Rig) -> None:
    """Whatever there is becomes nobody's."""
    iam = aws.iam
    for role in iam.list_roles()["Roles"]:
        keys = [t["Key"] for t in iam.list_role_tags(RoleName=role["RoleName"])["Tags"]]
        iam.untag_role(RoleName=role["RoleName"], TagKeys=[k for k in keys if k.startswith(OURS)])
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        keys = [t["Key"] for t in iam.list_policy_tags(PolicyArn=policy["Arn"])["Tags"]]
        iam.untag_policy(PolicyArn=policy["Arn"], TagKeys=[k for k in keys if k.startswith(OURS)])
    for profile in iam.list_instance_profiles()["InstanceProfiles"]:
        name = profile["InstanceProfileName"]
        ours = [key for key in aws.profile_tags(name) if key.startswith(OURS)]
        iam.untag_instance_profile(InstanceProfileName=name, TagKeys=ours)
    for region in (HOME, AWAY):
        for instance in aws.instance_ids(region):
            tags = [{"Key": k} for k in aws.instance_tags(instance, region) if k.startswith(OURS)]
            if tags:
                aws.ec2(region).delete_tags(Resources=[instance], Tags=tags)


def importing(aws: Rig, **chosen: Any) -> Imported:
    connection = aws.commands().connect(None, Settings())
    reader = connection.reader
    identity = reader.identity()
    live = reader.read(identity, Scope((HOME, AWAY), OURS, "tests", all_tags=True))
    selection = Selection(**(chosen or {"everything": True}))
    return imported(live, selection, "tests")


def write(aws: Rig, made: Imported) -> None:
    """In place of the specs that were there."""
    for old in aws.folder.glob("*.yaml"):
        old.unlink()
    for name, file in made.files.items():
        text = rendered(file)
        assert formatted(text) == text
        (aws.folder / name).write_text(text, "utf-8")
    (aws.folder / "reconciler.yaml").write_text("owner: tests\n")


def the_law_holds(aws: Rig) -> None:
    plan = aws.plan(adopt=True).plan
    assert not plan.guards
    for change in plan.changes:
        assert isinstance(change, Adopt), change
        assert not change.differences, change
    before = len(aws.aws.log)
    aws.settle(adopt=True)
    after = aws.aws.log[before:]
    harmless = ("TagRole", "TagPolicy", "TagInstanceProfile", "CreateTags")
    assert {one.operation for one in after if not one.is_read} <= set(harmless)
    assert aws.plan().plan.is_empty


def the_law_holds_for(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder)) as aws:
        aws.launch(2, tags={"app": "web"})
        aws.launch(1, region=AWAY, tags={"app": "web"})
        aws.write(json.dumps(state(random.Random(seed))))
        aws.settle()
        abandoned(aws)
        made = importing(aws)
        assert made.size
        write(aws, made)
        the_law_holds(aws)


@given(st.integers(0, 10**6))
@settings(max_examples=4, phases=QUICK)
def test_an_import_of_random_state_is_adopted_without_changes(seed: int) -> None:
    the_law_holds_for(seed)


@pytest.mark.slow
@given(st.integers(0, 10**6))
@settings(max_examples=150, phases=QUICK)
def test_imports_of_many_random_states(seed: int) -> None:
    the_law_holds_for(seed)


ODD = {"StringLike": {"aws:PrincipalTag/a": "${x}/$${y}/${aws:username}"}}
DENY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Action": "*", "Resource": "*", "Sid": "A", "Condition": ODD}
        ],
    }
)


@pytest.fixture
@prepared
def by_hand(aws: Rig) -> Rig:
    """What people make: odd names and texts, a console's role, things of AWS and of others."""
    iam = aws.iam
    other = TRUST.replace('"Service":"ec2.amazonaws.com"', f'"AWS":"arn:aws:iam::{ACCOUNT}:root"')
    iam.create_role(
        RoleName="on",
        Path="/team/",
        AssumeRolePolicyDocument=TRUST,
        Description="a: b #c ${x}",
        Tags=[{"Key": "0123", "Value": "1.10"}, {"Key": "yes", "Value": ""}],
        MaxSessionDuration=5400,
    )
    iam.put_role_policy(RoleName="on", PolicyName="p: q".replace(": ", "-"), PolicyDocument=DENY)
    arn = iam.create_policy(PolicyName="own", PolicyDocument=DENY)["Policy"]["Arn"]
    shared = iam.create_policy(PolicyName="shared", PolicyDocument=DENY, Path="/s/")["Policy"][
        "Arn"
    ]
    iam.attach_role_policy(RoleName="on", PolicyArn=arn)
    iam.attach_role_policy(RoleName="on", PolicyArn="arn:aws:iam::aws:policy/job-function/Billing")
    iam.attach_role_policy(RoleName="on", PolicyArn=shared)
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=other)
    iam.attach_role_policy(RoleName="other", PolicyArn=shared)
    iam.create_role(RoleName="policies", AssumeRolePolicyDocument=TRUST)
    for name, path in (("on", "/team/"), ("extra", "/"), ("useless", "/")):
        iam.create_instance_profile(InstanceProfileName=name, Path=path)
    tags = [{"Key": "0123", "Value": "1.10"}, {"Key": "yes", "Value": ""}]
    iam.tag_instance_profile(InstanceProfileName="on", Tags=tags)
    iam.add_role_to_instance_profile(InstanceProfileName="on", RoleName="on")
    iam.add_role_to_instance_profile(InstanceProfileName="extra", RoleName="on")
    iam.add_role_to_instance_profile(InstanceProfileName="useless", RoleName="other")
    for name in ("linked", "stack", "theirs"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    iam.tag_role(RoleName="theirs", Tags=[{"Key": "reconciler:owner", "Value": "x/theirs"}])
    roles = {role.name: role for role in iam_backends[ACCOUNT]["aws"].roles.values()}
    roles["linked"].path = "/aws-service-role/x.amazonaws.com/"
    roles["stack"].tags.append({"Key": "aws:cloudformation:stack-name", "Value": "x"})
    aws.clock.sleep(60)
    aws.launch(2, profile="on")
    return aws


def test_an_import_of_manual_resources(by_hand: Rig) -> None:
    made = importing(by_hand)
    assert made.files["on.yaml"]["roles"]["on"]["trust"] == "ec2"
    assert made.files["on.yaml"]["instance_profiles"]["on"]["role"] == "on"
    assert made.files["on.yaml"]["roles"]["on"]["max_session_duration"] == "5400s"
    assert set(made.files["on.yaml"]["roles"]["on"]["managed_policies"]) == {
        "Billing",
        "own",
        "shared",
    }
    assert list(made.files["on.yaml"]["policies"]) == ["own"]
    assert list(made.files["policies.yaml"]["policies"]) == ["shared"]
    assert list(made.files["on.yaml"]["instance_profiles"]) == ["extra", "on"]
    assert len(made.files["on.yaml"]["associations"]["on"]["instances"]) == 2
    assert "role-policies.yaml" in made.files
    assert {reason: len(names) for reason, names in made.skipped.items()} == {
        "managed by AWS": 1,
        "managed by CloudFormation": 1,
        "the role does not trust EC2": 1,
        "with another owner": 1,
    }
    write(by_hand, made)
    the_law_holds(by_hand)


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"roles": ("ON",)}, {"roles": ["on"], "policies": ["own"], "instance_profiles": ["extra", "on"]}),
        ({"profiles": ("extra",)}, {"roles": ["on"], "policies": ["own"], "instance_profiles": ["extra"]}),
        ({"path_prefix": "/s/"}, {"policies": ["shared"]}),
        ({"tags": {"0123": "1.10"}}, {"roles": ["on"], "policies": ["own"], "instance_profiles": ["extra", "on"]}),
        ({"tags": {"0123": "1.1"}}, {}),
        ({"roles": ("nobody",)}, {}),
    ],
)  # fmt: skip
def test_selection(by_hand: Rig, chosen: dict[str, Any], found: dict[str, list[str]]) -> None:
    made = importing(by_hand, **chosen)
    there: dict[str, list[str]] = {}
    for file in made.files.values():
        for part in ("policies", "roles", "instance_profiles"):
            if part in file:
                there.setdefault(part, []).extend(file[part])
    assert there == found
    assert made.missing == (("role/nobody",) if "nobody" in str(chosen) else ())
    if found:
        write(by_hand, made)
        the_law_holds(by_hand)


def test_resources_that_are_invalid_in_a_spec_are_skipped() -> None:
    """It is left out, and counted (``cli.importing`` finds it by the checks)."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder)) as aws:
        aws.iam.create_role(RoleName="a", AssumeRolePolicyDocument=TRUST)
        reader = aws.commands().connect(None, Settings()).reader
        live = reader.read(reader.identity(), Scope((HOME,), OURS, "tests", all_tags=True))
        made = imported(live, Selection(everything=True), "tests", frozenset({role_address("a")}))
    assert made.files == {}
    assert made.skipped == {"not valid in a spec": ("role/a",)}
