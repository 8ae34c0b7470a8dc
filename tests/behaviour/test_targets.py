"""Several accounts from one set, and never the wrong one."""

from __future__ import annotations

import boto3
import pytest

from reconciler.cli.files import saved_plan
from reconciler.commands.planfile import refuse_stale, saved_from
from reconciler.errors import RefusedError
from reconciler.plan.plan import intended
from tests.behaviour.faults import refusing
from tests.rig import HOME, Rig, save

SETTINGS = """
version: 1
owner: tests
targets:
  dev: {account_id: '222222222222', role_arn: 'arn:aws:iam::222222222222:role/x',
        variables: {tier: dev}, specs: [common/]}
  prod: {account_id: '111111111111', role_arn: 'arn:aws:iam::111111111111:role/x',
         external_id: secret, variables: {tier: prod}}
"""


@pytest.fixture
def two(aws: Rig) -> Rig:
    for name in ("common", "prod"):
        (aws.folder / name).mkdir()
        role = f"roles: {{{name}: {{trust: ec2, description: '${{tier}} ${{account_id}}'}}}}"
        (aws.folder / name / "roles.yaml").write_text(role)
    aws.write("x-nothing: 1", SETTINGS)
    return aws


def roles(account: str) -> dict[str, str]:
    given = boto3.client("sts", region_name=HOME).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/x", RoleSessionName="look"
    )["Credentials"]
    iam = boto3.client(
        "iam",
        region_name=HOME,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    return {r["RoleName"]: r.get("Description", "") for r in iam.list_roles()["Roles"]}


def test_every_target_in_one_run(two: Rig) -> None:
    """Each gets its part of the set with its own variables, in its own account."""
    plan = two.settle()
    assert [t.target for t in plan.targets] == ["dev", "prod"]
    assert roles("222222222222") == {"common": "dev 222222222222"}
    assert roles("111111111111") == {
        "common": "prod 111111111111",
        "prod": "prod 111111111111",
    }
    assert two.names()["roles"] == []


ONE_ACCOUNT = """
version: 1
owner: tests
targets:
  east: {%s regions: [us-east-1], specs: [east/]}
  west: {%s regions: [eu-west-1], specs: [west/]}
"""
OWN = "account_id: '123456789012',"
OTHER = "account_id: '222222222222',"
ASSUMED = "role_arn: 'arn:aws:iam::222222222222:role/x',"


@pytest.mark.parametrize(
    ("east", "west", "chosen"),
    [
        (OWN, OWN, ()),
        (OWN, OWN, ("west",)),
        (OTHER, ASSUMED, ("west",)),
        (ASSUMED, ASSUMED, ()),
        ("", "", ()),
    ],
)
def test_two_targets_in_one_account_are_refused(
    aws: Rig, east: str, west: str, chosen: tuple[str, ...]
) -> None:
    """A prune for one would delete all that the other names."""
    for name in ("east", "west"):
        (aws.folder / name).mkdir()
        (aws.folder / name / "a.yaml").write_text(f"roles: {{{name}: {{trust: ec2}}}}")
    aws.write("x-nothing: 1", ONE_ACCOUNT % (east, west))
    with pytest.raises(RefusedError, match="the targets east and west are both account"):
        aws.plan(targets=chosen, regions=(), prune=True)


def test_a_single_target(two: Rig) -> None:
    two.settle(targets=("prod",))
    assert roles("111111111111") and not roles("222222222222")
    assumed = [c for c in two.aws.log if c.operation == "AssumeRole"]
    assert "secret" in str(assumed[0].params["ExternalId"])


def test_an_unknown_target(two: Rig) -> None:
    with pytest.raises(RefusedError) as refused:
        two.plan(targets=("stage",))
    assert refused.value.exit_code == 64
    assert "dev, prod" in refused.value.message


def test_no_account_is_read_before_all_are_checked(two: Rig) -> None:
    """Assuming a role and asking who we are is all that happens."""
    wrong = SETTINGS.replace("account_id: '111111111111'", "account_id: '333333333333'")
    two.write("x-nothing: 1", wrong)
    with pytest.raises(RefusedError) as refused:
        two.plan()
    assert refused.value.exit_code == 4
    assert "target prod" in refused.value.message
    assert {c.operation for c in two.aws.log} == {"AssumeRole", "GetCallerIdentity"}


def test_findings_name_their_target(two: Rig) -> None:
    findings = two.drift().findings
    assert [(f.target, str(f.address)) for f in findings] == [
        ("dev", "role/common"),
        ("prod", "role/common"),
        ("prod", "role/prod"),
    ]
    assert len({f.fingerprint for f in findings}) == 3
    with refusing(two, "CreateRole", "AccessDenied", RoleName="prod"):
        applied = two.apply()
    broken = [(o.target, str(o.address)) for o in applied.result.outcomes if o.status == "failed"]
    assert broken == [("prod", "role/prod")]
    assert roles("222222222222")


def test_differences_of_a_stale_plan_name_their_target(two: Rig) -> None:
    save(two.plan(), two.folder / "plan.json")
    saved = saved_from(saved_plan(two.folder / "plan.json"), "plan.json")
    two.settle(targets=("prod",))
    plan = two.plan().plan
    now = intended(plan.targets, "tests")
    with pytest.raises(RefusedError) as stale:
        refuse_stale(saved, now, plan.digest, saved.specs)
    assert stale.value.details == (
        "prod: role/common: was planned as create; has no changes now",
        "prod: role/prod: was planned as create; has no changes now",
    )


def test_the_digest_covers_all_targets(two: Rig) -> None:
    assert two.plan().plan.digest != two.plan(targets=("prod",)).plan.digest
