"""Several accounts from one set, and never the wrong one."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import boto3
import pytest

from reconciler.cli.console import Console
from reconciler.cli.files import saved_plan
from reconciler.cli.progress import Events, Lines
from reconciler.commands.apply import Apply
from reconciler.commands.plan import make_plan
from reconciler.commands.planfile import refuse_stale, saved_from
from reconciler.errors import AwsError, RefusedError
from reconciler.plan.plan import intended
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening, refusing
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
    with pytest.raises(RefusedError) as failed:
        two.plan(targets=("stage",))
    assert failed.value.exit_code == 64
    assert "dev, prod" in failed.value.message


def test_no_account_is_read_before_all_are_checked(two: Rig) -> None:
    """Assuming a role and asking who we are is all that happens."""
    wrong = SETTINGS.replace("account_id: '111111111111'", "account_id: '333333333333'")
    two.write("x-nothing: 1", wrong)
    with pytest.raises(RefusedError) as failed:
        two.plan()
    assert failed.value.exit_code == 4
    assert "target prod" in failed.value.message
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


@contextmanager
def unreadable(aws: Rig, account: str) -> Iterator[None]:
    """Nothing of one account may be read."""

    def listen(logged: Logged) -> None:
        if logged.account == account and logged.service == "iam":
            raise refused("iam", "AccessDenied", "not authorized", 403)

    with listening(aws.aws.before, listen):
        yield


def test_one_that_cannot_be_read_stops_no_other(two: Rig) -> None:
    with unreadable(two, "222222222222"):
        plan = two.plan().plan
        assert [(t.target, len(t.changes), len(t.unread)) for t in plan.targets] == [
            ("dev", 0, 1),
            ("prod", 2, 0),
        ]
        assert not plan.is_whole
        applied = two.apply()
        assert applied.exit_code == 3
    assert roles("111111111111") and not roles("222222222222")
    two.settle()
    assert roles("222222222222")


def test_one_whose_role_cannot_be_assumed_stops_no_other(two: Rig) -> None:
    def listen(logged: Logged) -> None:
        if "222222222222" in str(logged.params.get("RoleArn", "")):
            raise refused("sts", "AccessDenied", "not authorized to assume it", 403)

    with listening(two.aws.before, listen):
        plan = two.plan().plan
        dev, prod = plan.targets
        assert (dev.identity.account_id, [u.reason for u in dev.unread]) == (
            "222222222222",
            ["sts:AssumeRole: AccessDenied"],
        )
        assert len(prod.changes) == 2
        # A pattern that may be for something in it is no wrong usage.
        assert two.plan(only=("role/made-in-dev",)).plan.targets


def test_if_none_can_be_read_it_is_an_error(two: Rig) -> None:
    def listen(logged: Logged) -> None:
        if logged.operation == "AssumeRole":
            raise refused("sts", "AccessDenied", "not authorized to assume it", 403)

    with listening(two.aws.before, listen), pytest.raises(AwsError, match="not authorized"):
        two.plan()


@pytest.mark.parametrize("operation", ["ListRoles", "CreateRole"])
def test_they_are_read_and_applied_side_by_side(two: Rig, operation: str) -> None:
    """The first call about each is answered only when the other has been made."""
    planned = two.plan() if operation == "CreateRole" else None
    both = threading.Barrier(2)
    seen: set[str] = set()

    def listen(logged: Logged) -> None:
        if logged.operation == operation and logged.account not in seen:
            seen.add(logged.account)
            # The sandbox answers one request at a time: let the other in.
            two.aws.lock.release()
            try:
                both.wait(20)
            finally:
                two.aws.lock.acquire()

    with listening(two.aws.before, listen):
        if planned is None:
            two.plan()
        else:
            assert Apply(planned, two.commands()).execute().exit_code == 0
    assert len(seen) == 2


def test_a_target_without_changes_is_not_read_again(two: Rig) -> None:
    two.settle(targets=("prod",))
    two.aws.log.clear()
    two.settle()
    read = Counter(one.account for one in two.aws.log if one.operation == "ListRoles")
    assert read == {"111111111111": 1, "222222222222": 2}


def test_progress_names_the_target_of_each_line(
    two: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(Console())
    ports = replace(two.commands(), progress=lines)
    assert Apply(make_plan(two.request(), ports), ports).execute().exit_code == 0
    lines.stop()
    shown = capsys.readouterr().err
    assert "dev: role/common: iam:CreateRole done" in shown
    assert "prod: role/common: iam:CreateRole done" in shown


def test_events_name_their_target_apart_from_the_address(
    two: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    events = Events(Console())
    ports = replace(two.commands(), progress=events)
    assert Apply(make_plan(two.request(), ports), ports).execute().exit_code == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(one["target"], one["address"]) for one in lines} == {
        ("dev", "role/common"),
        ("prod", "role/common"),
        ("prod", "role/prod"),
    }
