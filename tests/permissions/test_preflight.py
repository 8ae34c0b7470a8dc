"""Before the first write: what a plan needs is asked, and a plan that could not be carried out is
refused while nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from reconciler.cli.app import run
from reconciler.commands.permissions import wanted_for, wanted_for_plan
from reconciler.commands.planned import Planned
from reconciler.commands.preflight import Preflight, preflight
from reconciler.exit_codes import ExitCode
from reconciler.permissions.statements import documents
from reconciler.render.json.event_types import Event
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening, refusing
from tests.permissions.enforcing import Enforcer
from tests.permissions.scenarios import MOVE, PURPOSES, SCENARIOS, WIDE, Scenario
from tests.rig import ACCOUNT, HOME, Rig
from tests.sampling import sampled

CALLER = f"arn:aws:iam::{ACCOUNT}:role/ci/caller"
ASK = {
    "Effect": "Allow",
    "Action": ["iam:SimulatePrincipalPolicy", "iam:GetRole"],
    "Resource": CALLER,
}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        ],
    }
)


def allow(aws: Rig, statements: list[dict[str, Any]]) -> None:
    """The caller is a role with these statements, in as many policies as they take."""
    for attached in aws.iam.list_role_policies(RoleName="caller")["PolicyNames"]:
        aws.iam.delete_role_policy(RoleName="caller", PolicyName=attached)
    for number, statement in enumerate(statements):
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        aws.iam.put_role_policy(RoleName="caller", PolicyName=f"p{number}", PolicyDocument=document)


@pytest.fixture
def aws(aws: Rig) -> Rig:
    aws.iam.create_role(RoleName="caller", Path="/ci/", AssumeRolePolicyDocument=TRUST)
    return aws


def as_caller(planned: Planned) -> Planned:
    """The plan, made by a session of the role: the sandbox gives out no such keys by itself."""
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/caller/run"
    targets = tuple(
        replace(t, plan=replace(t.plan, identity=replace(t.plan.identity, arn=session)))
        for t in planned.targets
    )
    return replace(planned, targets=targets)


def asked(aws: Rig, planned: Planned) -> Preflight:
    (found,) = preflight(as_caller(planned), aws.progress)
    return found


def of_plan(aws: Rig, planned: Planned, **flags: Any) -> list[dict[str, Any]]:
    document: Any = plan_json(planned, now_as_text())
    (wanted,) = wanted_for_plan(document, aws.request(**flags))
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


def of_specs(aws: Rig, what: str, **flags: Any) -> list[dict[str, Any]]:
    purpose: Any = PURPOSES.get(what, what)
    wanted, *_ = wanted_for(aws.request(**flags), purpose, revokes=what == "ending")
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


@contextmanager
def quiet(aws: Rig) -> Iterator[None]:
    """What is done meanwhile changes nothing."""
    before = changes(aws)
    yield
    assert changes(aws) == before


def changes(aws: Rig) -> int:
    return len([call for call in aws.writes() if call.service != "sts"])


NOT_APPLIED = {
    *("imported", "nowhere", "destroyed", "forgotten", "only", "one_by_one", "elsewhere"),
    *("many", "over_quota", "drifted", "drifted_in_part", "verified", "taken_plan"),
}
APPLYING = [s for s in SCENARIOS if s.__name__ not in NOT_APPLIED]
SAMPLE = [s for s in APPLYING if s.__name__ in ("create", "swap_hop", "prune")]


@pytest.mark.parametrize("scenario", sampled(SAMPLE, [s for s in APPLYING if s not in SAMPLE]))
def test_what_is_printed_passes(scenario: Scenario, aws: Rig) -> None:
    what, flags = scenario(aws)
    planned = aws.plan(**flags)
    for allowed in (of_specs(aws, what, **flags), of_plan(aws, planned, **flags)):
        allow(aws, [*allowed, ASK])
        with quiet(aws):
            found = asked(aws, planned)
        assert not found.denied, found.denied
        assert not found.unknown, found.unknown
        assert not found.is_refused
        assert not [w for w in found.asked.not_asked if "dry run" not in w]


NOT_NEEDED = ("Read", "AskImpact", "AskInstances")
"""What has been read already, and what the run goes on without."""
MOVES = [s for s in APPLYING if s.__name__ == "move"]


@pytest.mark.parametrize("scenario", sampled(MOVES, [s for s in APPLYING if s not in MOVES]))
def test_without_any_part_of_it_a_plan_is_refused(scenario: Scenario, aws: Rig) -> None:
    """Of each statement that is not about lists, which the plan has read already, nor about single
    things of a kind that the plan does not touch."""
    _, flags = scenario(aws)
    planned = aws.plan(**flags)
    allowed = of_plan(aws, planned, **flags)
    for one in allowed:
        if one["Resource"] == "*":
            continue
        allow(aws, [*(other for other in allowed if other != one), ASK])
        denied = asked(aws, planned).denied
        assert denied or one["Sid"].startswith(NOT_NEEDED), one["Sid"]
        assert {verdict.action for verdict in denied} <= set(one["Action"])


@pytest.mark.parametrize("sid", ["ReadRoles", "ReadPolicies", "ReadInstanceProfiles"])
def test_what_is_touched_must_be_read(sid: str, aws: Rig) -> None:
    aws.write(WIDE)
    planned = aws.plan()
    allow(aws, [*(one for one in of_plan(aws, planned) if one["Sid"] != sid), ASK])
    assert {one.action for one in asked(aws, planned).denied} > {f"iam:Get{READ[sid]}"}


READ = {"ReadRoles": "Role", "ReadPolicies": "Policy", "ReadInstanceProfiles": "InstanceProfile"}


@pytest.mark.parametrize(
    ("on_unknown", "denied"), [("continue", set()), ("stop", {"ssm:SendCommand"})]
)
def test_evidence_that_a_roll_out_does_without_is_not_asked_for(
    on_unknown: str, denied: set[str], aws: Rig
) -> None:
    verify = f"{{source: [imds], on_unknown: {on_unknown}}}"
    spec = "roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}\ninstance_profiles: {{web: {{role: {}{}}}}}"
    aws.write(spec.format("v1", ""))
    aws.settle()
    aws.clock.sleep(60)  # until EC2 sees the profile
    aws.launch(1, profile="web")
    aws.write(spec.format("v2", f", cutover: {{verify: {verify}}}"))
    planned = aws.plan()
    allowed = of_plan(aws, planned)
    assert any("ssm:SendCommand" in one["Action"] for one in allowed)
    rest = [one for one in allowed if "ssm:SendCommand" not in one["Action"]]
    allow(aws, [*rest, ASK])
    assert {one.action for one in asked(aws, planned).denied} == denied


def test_a_denied_call_is_named_with_its_resource(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2, path: /app/}}\n")
    planned = aws.plan()
    allowed = of_plan(aws, planned)
    for one in allowed:
        one["Action"] = [action for action in one["Action"] if action != "iam:TagRole"]
    allow(aws, [*allowed, ASK])
    (denied,) = asked(aws, planned).denied
    assert denied.action == "iam:TagRole"
    assert denied.resource == f"arn:aws:iam::{ACCOUNT}:role/app/web"
    assert denied.why == "no policy allows it"


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ({"Effect": "Deny", "Action": "iam:Create*", "Resource": "*"}, "a policy denies it"),
        (
            {
                "Effect": "Deny",
                "NotAction": "ec2:*",
                "NotResource": "arn:aws:iam::*:role/ci/*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}},
            },
            "a policy denies it",
        ),
    ],
)
def test_what_a_policy_denies(statement: dict[str, Any], why: str, aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}\n")
    planned = aws.plan()
    allow(aws, [*of_plan(aws, planned), ASK, statement])
    denied = asked(aws, planned).denied
    assert "iam:CreateRole" in {one.action for one in denied}
    assert {one.why for one in denied} == {why}


def test_a_boundary(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}\n")
    planned = aws.plan()
    allow(aws, [*of_plan(aws, planned), ASK])
    narrow = {"Effect": "Allow", "Action": "iam:Get*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [narrow]})
    arn = aws.iam.create_policy(PolicyName="b", PolicyDocument=document)["Policy"]["Arn"]
    aws.iam.put_role_permissions_boundary(RoleName="caller", PermissionsBoundary=arn)
    denied = asked(aws, planned).denied
    assert "iam:CreateRole" in {one.action for one in denied}
    assert {one.why for one in denied} == {"the permissions boundary does not allow it"}


def test_a_key_that_nobody_knows_makes_it_not_known(aws: Rig) -> None:
    """Refused is what is sure."""
    aws.write("roles: {web: {trust: ec2}}\n")
    planned = aws.plan()
    limited = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    allow(aws, [*({**one, **limited} for one in of_plan(aws, planned)), ASK])
    found = asked(aws, planned)
    assert not found.is_refused
    assert "iam:CreateRole" in {one.action for one in found.unknown}
    assert all("without aws:MultiFactorAuthPresent" in one.why for one in found.unknown)


def test_a_caller_that_may_not_ask_is_told_so(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}\n")
    planned = aws.plan()
    with refusing(aws, "SimulatePrincipalPolicy", "AccessDenied"):
        found = asked(aws, planned)
    assert found.asked.not_asked == ("permissions: iam:SimulatePrincipalPolicy: AccessDenied",)
    assert not found.asked.verdicts
    assert not found.is_refused
    (found,) = preflight(planned, aws.progress)
    (reason,) = found.asked.not_asked
    assert (
        reason
        == f"permissions: the simulator takes users and roles, not arn:aws:sts::{ACCOUNT}:user/moto"
    )


def test_what_was_found_out_counts_though_a_later_question_fails(aws: Rig) -> None:
    aws.write(WIDE)
    planned = aws.plan()
    allow(aws, [ASK])
    met: list[Logged] = []

    def later(logged: Logged) -> None:
        met.extend([logged] if logged.operation == "SimulatePrincipalPolicy" else [])
        if len(met) > 1 and logged is met[-1]:
            raise refused("iam", "AccessDenied", "no", 403)

    with listening(aws.aws.before, later):
        found = asked(aws, planned)
    assert found.denied
    assert found.asked.not_asked == ("permissions: iam:SimulatePrincipalPolicy: AccessDenied",)


def moved(aws: Rig) -> Planned:
    """An instance that has a profile gets another one."""
    aws.launch(1, tags={"role": "web"})
    aws.write(MOVE.replace("PROFILE", "one"))
    aws.settle()
    aws.clock.sleep(60)  # the apply waits for the profile in use; EC2 must see the other one too
    aws.write(MOVE.replace("PROFILE", "two"))
    return aws.plan()


def test_ec2_is_asked_by_a_dry_run(aws: Rig) -> None:
    planned = moved(aws)
    allow(aws, [*of_plan(aws, planned), ASK])
    with quiet(aws):
        found = asked(aws, planned)
    assert not found.is_refused
    assert not found.asked.not_asked
    (tried,) = [c for c in aws.aws.log if c.is_dry_run]
    assert tried.operation == "AssociateIamInstanceProfile"
    with refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation", asked=True):
        (denied,) = asked(aws, planned).denied
    assert denied.action == "ec2:AssociateIamInstanceProfile"
    assert denied.resource.startswith(f"arn:aws:ec2:{HOME}:{ACCOUNT}:instance/i-")
    assert "refused by the test" in denied.why


def test_an_endpoint_without_dry_runs_changes_nothing(aws: Rig) -> None:
    """moto alone takes no notice of the member: it would associate."""
    planned = moved(aws)
    allow(aws, [*of_plan(aws, planned), ASK])

    def takes_no_notice(logged: Any) -> None:
        logged.params.pop("DryRun", None)

    before = aws.associations()
    with listening(aws.aws.before, takes_no_notice):
        found = asked(aws, planned)
    assert aws.associations() == before
    assert found.asked.not_asked == (
        "ec2:AssociateIamInstanceProfile as a dry run: IncorrectState",
    )
    assert not found.is_refused


def test_an_instance_without_a_profile_is_no_dry_run(aws: Rig) -> None:
    aws.launch(1, tags={"role": "web"})
    aws.write(MOVE.partition("associations")[0])
    aws.settle()
    aws.write(MOVE.replace("PROFILE", "one"))
    planned = aws.plan()
    allow(aws, [*of_plan(aws, planned), ASK])
    found = asked(aws, planned)
    assert not [c for c in aws.aws.log if c.is_dry_run]
    assert found.asked.not_asked == ("EC2 by dry runs: no instance there has a profile yet",)


def test_quotas_of_what_is_created(aws: Rig) -> None:
    names = ", ".join(f"r{n}: {{trust: ec2}}" for n in range(4))
    aws.write(f"roles: {{{names}}}\n")
    planned = aws.plan()
    allow(aws, [*of_plan(aws, planned), ASK])
    quotas = planned.targets[0].connection.reader.quotas()
    assert not asked(aws, planned).full
    with limited(planned, {**quotas, "Roles": 997, "RolesQuota": 1000}):
        ((room, needed),) = asked(aws, planned).full
    assert (room.what, room.left, needed) == ("roles", 3, 4)
    assert room.code == "L-FE177D64"
    with limited(planned, {**quotas, "Roles": 996, "RolesQuota": 1000}):
        assert not asked(aws, planned).is_refused
    with refusing(aws, "GetAccountSummary", "AccessDenied"):
        found = asked(aws, planned)
    assert found.asked.not_asked == ("quotas: iam:GetAccountSummary: AccessDenied",)


@contextmanager
def limited(planned: Planned, summary: dict[str, int]) -> Iterator[None]:
    reader: Any = planned.targets[0].connection.reader
    own = reader.quotas
    reader.quotas = lambda: summary
    try:
        yield
    finally:
        reader.quotas = own


def test_what_is_asked_needs_what_the_docs_say(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}\n")
    planned = aws.plan()
    allow(aws, [*of_plan(aws, planned), ASK])
    enforcer = Enforcer.of(aws.aws, [ask_as_list(ASK), *of_plan(aws, planned)])
    with listening(aws.aws.before, enforcer):
        found = asked(aws, planned)
    assert not enforcer.denied
    assert not found.asked.not_asked


def ask_as_list(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Sid": "Ask", **statement}


CALLED = (
    f"version: 1\nowner: tests\nregions: [{HOME}]\ntargets: {{main: {{role_arn: '{CALLER}'}}}}\n"
)


@pytest.fixture
def shell(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """The program takes the role of the target."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    aws.write("roles: {web: {trust: ec2}}\n", CALLED)
    return aws


def apply(aws: Rig, *flags: str) -> int:
    return run(["apply", str(aws.folder), "--auto-approve", "--preflight", *flags])


def test_apply_is_refused_before_anything_is_written(
    shell: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = [one for one in of_specs(shell, "apply") if one["Sid"] != "Roles"]
    allow(shell, [*lacking, ASK])
    with quiet(shell):
        assert apply(shell) == ExitCode.ERROR
    told = capsys.readouterr().err
    assert (
        f"denied: iam:CreateRole on arn:aws:iam::{ACCOUNT}:role/web (no policy allows it)" in told
    )
    assert "Error: apply blocked before anything was changed" in told
    with quiet(shell):
        assert apply(shell, "--json") == ExitCode.ERROR
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (event,) = [one for one in lines if one["type"] == "preflight"]
    assert event["@level"] == "error"
    assert {one["action"] for one in event["denied"]} == {"iam:CreateRole", "iam:TagRole"}
    assert lines[-1]["type"] == "apply_summary"
    assert (lines[-1]["applied"], lines[-1]["remaining"]) == (0, 1)
    checked = TypeAdapter(Event)
    for one in lines:
        checked.validate_python(one)


def test_apply_goes_on_where_all_is_allowed_or_nothing_can_be_asked(
    shell: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    allow(shell, [*of_specs(shell, "apply"), ASK])
    assert apply(shell) == ExitCode.OK
    told = capsys.readouterr().err
    assert f"Preflight of account {ACCOUNT}: " in told
    assert "permissions allowed\n" in told
    shell.write("roles: {web: {trust: ec2}, more: {trust: ec2}}\n", CALLED)
    with refusing(shell, "SimulatePrincipalPolicy", "AccessDenied"):
        assert apply(shell) == ExitCode.OK
    told = capsys.readouterr().err
    assert "not asked: permissions: iam:SimulatePrincipalPolicy: AccessDenied" in told
    assert "more" in shell.names()["roles"]


def test_nothing_is_asked_where_nothing_changes(
    shell: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    allow(shell, [*of_specs(shell, "apply"), ASK])
    assert apply(shell) == ExitCode.OK
    capsys.readouterr()
    assert apply(shell) == ExitCode.OK
    assert "Preflight" not in capsys.readouterr().err
