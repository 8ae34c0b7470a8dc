"""Seeds: what a file may say, each mistake with its place; and accounts that come back the same,
from a copy that `import --seed` made and from the file of `sandbox --state`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import RefusedError
from reconciler.importer.seed import seed_of
from reconciler.model.live import LivePolicy, LivePrincipal, LiveState
from reconciler.ports import Scope
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.plant import plant
from reconciler.sandbox.seed import Seed, load
from reconciler.sandbox.state import World
from reconciler.sandbox.state_file import StateFile, as_text
from reconciler.spec.settings import Settings
from tests.rig import AWAY, HOME, Rig, rig
from tests.sandbox.test_fidelity import TRUST

OURS = "reconciler:"
SPEC = """
roles:
  v1: {trust: ec2, managed_policies: [AmazonSSMManagedInstanceCore, read], tags: {a: "1"}}
  v2: {trust: ec2, permissions_boundary: read}
policies:
  read:
    document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: s3:GetObject, Resource: "*"}]}
instance_profiles:
  web: {role: v1}
associations:
  web: {instance_profile: web, select: {tags: {app: web}}}
"""


def refusals(tmp_path: Path, text: str, **more: Any) -> list[str]:
    file = tmp_path / "seed.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(RefusedError) as caught:
        load(file, **more)
    return [str(d).replace(str(tmp_path), "") for d in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "roles:\n  web:\n    trust_policy: {Version: 2012-10-17, Statement: hello}\n",
            "/seed.yaml:3:52: error[policy-statement]: a statement is a mapping",
        ),
        (
            "roles:\n  web:\n    trust_policy: hello\n",
            "/seed.yaml:3:19: error[wrong-type]: trust_policy: must be a mapping, not 'hello'",
        ),
        (
            "roles:\n  web:\n    inline_policies: {p: {Version: 2012-10-17, Statement: []}}\n",
            "/seed.yaml:3:59: error[policy-statement]: a policy needs a Statement",
        ),
        (
            "accounts: {'222222222222': {policies: {p: {document: {Version: 2012-10-17}}}}}\n",
            "/seed.yaml:1:44: error[policy-statement]: a policy needs a Statement",
        ),
        ("roles:\n  a: {}\n  a: {}\n", "/seed.yaml:3:3: error[duplicate-key]: 'a' is given twice"),
        ("role: {}\n", "/seed.yaml:1:1: error[unknown-key]: unknown key 'role'"),
        (
            "- a\n",
            "/seed.yaml:1:1: error[wrong-type]: must be a mapping of policies, roles, "
            "instance_profiles and instances",
        ),
        (
            "instances:\n  - {id: i-0123456789abcdef0, count: 2}\n",
            "/seed.yaml:2:5: error[invalid-value]: instances: count must be 1 for an instance "
            "with an id",
        ),
        (
            "instances:\n  - {association: iip-assoc-0123456789abcdef0}\n",
            "/seed.yaml:2:5: error[invalid-value]: instances: association, profile_id, uses "
            "and associating need an instance_profile",
        ),
        (
            '{"roles": {"a": {',
            "/seed.yaml:1:18: error[yaml-syntax]: while parsing a flow node, expected the node "
            "content, but found '<stream end>'",
        ),
    ],
)
def test_a_mistake_has_its_place(tmp_path: Path, text: str, wrong: str) -> None:
    assert refusals(tmp_path, text) == [wrong]


def test_a_state_is_not_empty(tmp_path: Path) -> None:
    assert refusals(tmp_path, "", may_be_empty=False) == ["/seed.yaml: error[empty-file]: is empty"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "instances:\n  - {region: eu-wst-1}\n",
            "2:14: error[seed-refused]: there is no region 'eu-wst-1'",
        ),
        (
            "instances:\n  - {instance_profile: web}\n",
            "2:24: error[seed-refused]: the instance profile 'web' is not in the file",
        ),
        (
            "instance_profiles:\n  web: {id: AIPAAAAAAAAAAAAAAAAAA, role: gone}\n",
            "2:42: error[seed-refused]: the role 'gone' is not in the file",
        ),
        (
            "instance_profiles:\n  web: {role: gone}\n",
            "2:3: error[seed-refused]: NoSuchEntity: Role gone not found",
        ),
        (
            "roles:\n  a: {}\n  'b!': {}\n",
            "3:3: error[seed-refused]: ValidationError: 1 validation error detected: Value at "
            r"'RoleName' failed to satisfy regular expression pattern: [\w+=,.@-]+",
        ),
    ],
)
def test_what_aws_refuses_has_its_place(aws: Rig, text: str, wrong: str) -> None:
    file = aws.folder / "seed.yaml"
    file.write_text(text, "utf-8")
    seed, place = load(file)
    with pytest.raises(RefusedError) as caught:
        plant(seed, aws.aws, place)
    assert [str(d) for d in caught.value.diagnostics] == [f"{file}:{wrong}"]
    assert [d.code for d in caught.value.diagnostics] == ["seed-refused"]


def test_a_statement_that_is_text_is_no_fault_of_the_sandbox(aws: Rig) -> None:
    """moto has a traceback for it."""
    wrong: tuple[Any, ...] = ("hello", ["hello"], [[]])
    for statement in wrong:
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        with pytest.raises(aws.iam.exceptions.MalformedPolicyDocumentException):
            aws.iam.create_role(RoleName="a", AssumeRolePolicyDocument=document)


def lived_in(aws: Rig) -> None:
    """An account with a bit of everything: ours, by hand, half done."""
    aws.launch(2, tags={"app": "web", "odd: key": 'a "b" ${c} \\ é'})
    aws.launch(1, region=AWAY, tags={"app": "web"})
    aws.write(SPEC)
    aws.settle()
    aws.write(SPEC.replace("role: v1", "role: v2"))
    aws.settle()
    iam, ec2 = aws.iam, aws.ec2()
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    )
    arn = iam.create_policy(PolicyName="other", PolicyDocument=document, Path="/x/")["Policy"][
        "Arn"
    ]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    iam.create_policy(PolicyName="AmazonSSMManagedInstanceCore", PolicyDocument=document)
    odd = {"Path": "/p/", "Description": "a: b #c ${x}", "MaxSessionDuration": 5400}
    iam.create_role(RoleName="on", AssumeRolePolicyDocument=TRUST, **odd)
    iam.create_role(
        RoleName="after",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": iam.get_role(RoleName="on")["Role"]["Arn"]},
                    "Action": "sts:AssumeRole",
                },
            }
        ),
    )
    iam.delete_role(RoleName="on")
    iam.create_role(RoleName="on", AssumeRolePolicyDocument=TRUST, **odd)
    iam.put_role_policy(RoleName="on", PolicyName="p", PolicyDocument=document)
    iam.attach_role_policy(
        RoleName="on", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    iam.create_user(UserName="ann", Path="/staff/", PermissionsBoundary=arn)
    iam.attach_user_policy(UserName="ann", PolicyArn=arn)
    iam.create_group(GroupName="staff")
    iam.attach_group_policy(GroupName="staff", PolicyArn=arn)
    iam.create_instance_profile(InstanceProfileName="gone")
    iam.add_role_to_instance_profile(InstanceProfileName="gone", RoleName="on")
    aws.clock.sleep(60)
    stale = aws.launch(1, profile="gone")[0]
    emptied = aws.launch(1, profile="gone")[0]
    iam.remove_role_from_instance_profile(InstanceProfileName="gone", RoleName="on")
    iam.delete_instance_profile(InstanceProfileName="gone")
    iam.create_instance_profile(
        InstanceProfileName="gone", Tags=[{"Key": f"{OURS}owner", "Value": "no owner"}]
    )
    iam.create_instance_profile(InstanceProfileName="empty", Path="/e/")
    aws.launch(1, operator="ecs.amazonaws.com")
    ec2.stop_instances(InstanceIds=[emptied])
    iam.create_instance_profile(InstanceProfileName="late")
    iam.add_role_to_instance_profile(InstanceProfileName="late", RoleName="on")
    late = aws.launch(1)[0]
    ec2.stop_instances(InstanceIds=[late])
    aws.clock.sleep(60)
    ec2.associate_iam_instance_profile(InstanceId=late, IamInstanceProfile={"Name": "late"})
    ec2.create_tags(Resources=[stale], Tags=[{"Key": "Name", "Value": ""}])
    aws.clock.sleep(60)


def live(aws: Rig) -> LiveState:
    reader = aws.commands().connect(None, Settings()).reader
    return reader.read(reader.identity(), Scope((HOME, AWAY), OURS, "tests", all_tags=True))


def principals(aws: Rig) -> tuple[LivePrincipal, ...]:
    return aws.commands().connect(None, Settings()).reader.users_and_groups()


def timeless(state: LiveState) -> LiveState:
    """Without when the versions of policies were made, where there is but one of each."""

    def ordered(policy: LivePolicy) -> LivePolicy:
        return replace(policy, versions=tuple(replace(v, created_at=0.0) for v in policy.versions))

    return replace(state, policies={n: ordered(p) for n, p in state.policies.items()})


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Path]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    yield tmp_path


def test_a_copy_of_an_account_is_the_same(two: Path) -> None:
    with rig(two / "one") as aws:
        lived_in(aws)
        before, users = live(aws), principals(aws)
        made, documents = seed_of(before, users, OURS), versions(aws)
    (two / "seed.yaml").write_text(made.text, "utf-8")
    with rig(two / "two") as aws:
        seed, place = load(two / "seed.yaml")
        aws.aws.lags = Lags(ec2_sees_iam=60.0, associating=5.0)
        plant(seed, aws.aws, place)
        after, again = live(aws), seed_of(live(aws), principals(aws), OURS)
        assert principals(aws) == users
        assert versions(aws) == documents
        aws.write(SPEC.replace("role: v1", "role: v2"))
        plan = aws.plan().plan
    assert timeless(after) == timeless(before)
    assert again.text == made.text
    assert not made.skipped
    assert plan.is_empty, plan.changes


def test_a_kept_sandbox_is_the_same(two: Path) -> None:
    with rig(two / "one") as aws:
        lived_in(aws)
        before, served, users = live(aws), dict(aws.aws.served), principals(aws)
        kept = as_text(aws.aws)
        start = aws.clock.seconds
        documents = versions(aws)
    (two / "state").write_text(kept, "utf-8")
    with rig(two / "two") as aws:
        aws.clock.seconds = start
        plant(*worldly(two / "state", aws.aws))
        assert as_text(aws.aws) == kept
        assert live(aws) == before
        assert principals(aws) == users
        assert versions(aws) == documents
        there = {key: role for key, role in served.items() if role is not None}
        assert {k: r for k, r in aws.aws.served.items() if r is not None} == there
        # A role that was used before is still told, and the next change works.
        assert any(change.logged.operation == "CreateRole" for change in aws.aws.changes)
        aws.write(SPEC)
        aws.settle()


def test_a_prune_is_rehearsed_with_the_users_of_a_policy(two: Path) -> None:
    """On the copy as on the account: a policy that a user has attached is kept."""
    told = []
    with rig(two / "one") as aws:
        aws.write(SPEC)
        aws.settle()
        iam = aws.iam
        arn = next(p["Arn"] for p in iam.list_policies(Scope="Local")["Policies"])
        iam.create_user(UserName="ann")
        iam.attach_user_policy(UserName="ann", PolicyArn=arn)
        aws.write("roles: {v1: {trust: ec2}}\n")
        told.append([str(k.reason) for k in aws.plan(prune=True).plan.targets[0].kept])
        with pytest.raises(iam.exceptions.DeleteConflictException):
            iam.delete_policy(PolicyArn=arn)
        made = seed_of(live(aws), principals(aws), OURS)
    (two / "seed.yaml").write_text(made.text, "utf-8")
    with rig(two / "two") as aws:
        plant(load(two / "seed.yaml")[0], aws.aws)
        aws.write("roles: {v1: {trust: ec2}}\n")
        told.append([str(k.reason) for k in aws.plan(prune=True).plan.targets[0].kept])
    assert told[0] == told[1]
    assert any("has it attached" in reason or "has attached" in reason for reason in told[0]), told


def worldly(path: Path, world: World) -> tuple[Seed, World, Any]:
    seed, place = load(path, may_be_empty=False)
    return seed, world, place


def versions(aws: Rig) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for policy in aws.iam.list_policies(Scope="Local")["Policies"]:
        for version in aws.iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]:
            at = {"PolicyArn": policy["Arn"], "VersionId": version["VersionId"]}
            told = aws.iam.get_policy_version(**at)["PolicyVersion"]
            found[policy["PolicyName"], version["VersionId"]] = told["Document"]
    return found


def test_other_accounts_and_regions(aws: Rig) -> None:
    seed = Seed.model_validate(
        {
            "account_id": "111111111111",
            "regions": ["eu-central-1"],
            "roles": {"own": {}},
            "accounts": {"222222222222": {"roles": {"theirs": {}}}},
            "instances": [{"region": "eu-central-1", "tags": {"aws:autoscaling:groupName": "g"}}],
        }
    )
    (planted,) = plant(seed, aws.aws)
    assert aws.iam.get_role(RoleName="own")["Role"]["Arn"] == "arn:aws:iam::111111111111:role/own"
    assert [r["RoleName"] for r in aws.iam.list_roles()["Roles"]] == ["own"]
    regions = aws.ec2().describe_regions()["Regions"]
    assert [r["RegionName"] for r in regions] == ["eu-central-1"]
    tags = aws.instance_tags(planted.instances[0], "eu-central-1")
    assert tags == {"aws:autoscaling:groupName": "g"}
    assert Seed.model_validate_json(as_text(aws.aws)).accounts["222222222222"].roles["theirs"].id


def test_the_file_follows_the_sandbox(aws: Rig) -> None:
    written: list[str] = []
    told: list[OSError] = []

    def write(text: str) -> None:
        if len(written) == 1 and not told:
            raise OSError(28, "No space left on device")
        written.append(text)

    kept = StateFile(aws.aws, write, told.append)
    kept.start()
    assert '"web"' not in written[0]
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    kept._try()
    assert [error.errno for error in told] == [28]
    kept._try()
    assert '"web"' in written[1]
    assert kept.stop()
    assert len(written) == 2


def test_a_copy_of_a_sandbox_issues_other_ids() -> None:
    """Its dice would fall as those of the original did, and two associations have one id."""
    original, copied = World(), World()
    ids = [original.new_id("iip-assoc-") for _ in range(5)]
    copied.copied(ids)
    assert set(ids).isdisjoint(copied.new_id("iip-assoc-") for _ in range(5))
    assert all(map(copied.was_issued, ids))
