"""Patterns of addresses that match nothing are wrong usage, with the name that was meant."""

from __future__ import annotations

import pytest

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import refusing
from tests.rig import AWAY, Rig

SPEC = """
roles:
  app-web: {trust: ec2}
  app-batch: {trust: ec2}
instance_profiles:
  web: {role: app-web}
associations:
  fleet: {instance_profile: web, select: {tags: {app: web}}}
"""
TARGETS = """
version: 1
owner: tests
targets:
  one: {specs: [one.yaml]}
  two: {specs: [two.yaml], role_arn: "arn:aws:iam::222222222222:role/reconciler"}
"""


def refused(aws: Rig, **flags: object) -> str:
    with pytest.raises(RefusedError) as caught:
        aws.plan(**flags)
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value.message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"only": ("role/ap-web",)},
            "--only role/ap-web matches nothing; did you mean role/app-web?",
        ),
        (
            {"only": ("ROLE/AP-WEB",)},
            "--only ROLE/AP-WEB matches nothing; did you mean role/app-web?",
        ),
        ({"only": ("app-web",)}, "--only app-web matches nothing; did you mean role/app-web?"),
        ({"only": ("app-wbe",)}, "--only app-wbe matches nothing; did you mean role/app-web?"),
        (
            {"exclude": ("role/bath",)},
            "--exclude role/bath matches nothing; did you mean role/app-batch?",
        ),
        (
            {"only": ("profile/wbe",)},
            "--only profile/wbe matches nothing; did you mean instance-profile/web?",
        ),
        ({"only": ("role/web",)}, "--only role/web matches nothing; did you mean role/app-web?"),
        (
            {"only": ("instance-profile/app-batch",)},
            "--only instance-profile/app-batch matches nothing; did you mean role/app-batch?",
        ),
        ({"exclude": ("policy/*",)}, "--exclude policy/* matches nothing"),
        ({"only": ("",)}, "--only  matches nothing"),
        ({"only": ("association/fleet",)}, "--only association/fleet matches nothing"),
        (
            {"allow": frozenset({("retry", "web")})},
            "--allow retry=web matches nothing; did you mean instance-profile/web?",
        ),
        (
            {"allow": frozenset({("release", "role/app-wbe")}), "only": ("role/app-web",)},
            "--allow release=role/app-wbe matches nothing; did you mean role/app-web?",
        ),
    ],
)
@pytest.mark.parametrize("command", [{}, {"for_drift": True}, {"destroy": True}])
def test_a_pattern_that_matches_nothing(
    aws: Rig, flags: dict[str, object], message: str, command: dict[str, bool]
) -> None:
    aws.write(SPEC)
    assert refused(aws, **flags, **command) == message


def test_all_of_them_are_told(aws: Rig) -> None:
    aws.write(SPEC)
    with pytest.raises(RefusedError) as caught:
        aws.plan(only=("role/x-1", "role/x-2"))
    first, (second, rule) = caught.value.message, caught.value.details
    assert (first, second) == ("--only role/x-1 matches nothing", "--only role/x-2 matches nothing")
    assert "what their owner has in AWS" in rule


def test_a_pattern_may_match_what_left_the_specs(aws: Rig) -> None:
    aws.write(
        SPEC + "policies: {left: {document: {Version: 2012-10-17, Statement: "
        "[{Effect: Allow, Action: s3:ListBucket, Resource: '*'}]}}}"
    )
    aws.settle()
    aws.write(SPEC.replace("  app-batch: {trust: ec2}\n", ""))
    aws.iam.create_role(RoleName="foreign", AssumeRolePolicyDocument=trust())
    for one in ("role/app-batch", "policy/left"):
        assert [
            str(k.address)
            for k in aws.plan(only=(one,)).plan.targets[0].kept
            if k.status != "warning"
        ] == [one]
        assert aws.plan(exclude=(one,)).plan.is_empty
        assert aws.plan(destroy=True, only=(one,)).plan.changes
    assert refused(aws, only=("role/foreign",)).startswith("--only role/foreign matches nothing")
    assert aws.plan(only=("role/foreign",), unmanaged=True, for_drift=True).plan.is_empty


def trust() -> str:
    return (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        '"Principal": {"Service": "ec2.amazonaws.com"}}]}'
    )


def test_instances_are_looked_for_in_every_region(aws: Rig) -> None:
    """A plan without a cut-over reads the planned regions; ``--exclude`` may be for a consumer
    elsewhere."""
    aws.write(SPEC)
    (away,) = aws.launch(1, region=AWAY)
    here = ("us-east-1",)
    assert aws.plan(exclude=(f"association/{away}",), regions=here).plan.changes
    message = refused(aws, exclude=("association/i-0123456789abcdef0",), regions=here)
    assert message.startswith("--exclude association/i-0123456789abcdef0 matches nothing")


def test_no_instance_today_is_no_mistake(aws: Rig) -> None:
    aws.write(SPEC)
    assert aws.plan(exclude=("association/*",)).plan.changes
    assert aws.plan(only=("association/*",)).plan.is_empty


def test_what_cannot_be_seen_may_be_there(aws: Rig) -> None:
    aws.write(SPEC)
    with refusing(aws, "DescribeInstances", "UnauthorizedOperation"):
        assert aws.plan(exclude=("association/i-0123456789abcdef0",)).plan.unread
    with refusing(aws, "DescribeRegions", "UnauthorizedOperation"):
        aws.plan(exclude=("association/i-0123456789abcdef0",))


def test_an_instance_that_ended_and_is_listed_matches(aws: Rig) -> None:
    gone = "i-0123456789abcdef0"
    aws.write(SPEC.replace("select: {tags: {app: web}}", f"instances: [{gone}]"))
    assert aws.plan(only=(f"association/{gone}",), for_drift=True).plan.unmet


def test_a_part_of_the_set_does_not_have_what_another_part_has(aws: Rig) -> None:
    aws.write(SPEC)
    (aws.folder / "other.yaml").write_text("roles: {other: {trust: lambda}}")
    part = str(aws.folder / "other.yaml")
    assert refused(aws, path=part, only=("role/app-web",)).startswith("--only role/app-web matches")
    assert aws.plan(path=part, exclude=("role/app-web",)).plan.changes


def test_a_match_in_one_of_several_targets_is_enough(aws: Rig) -> None:
    aws.write("x-nothing: 1", TARGETS)
    (aws.folder / "one.yaml").write_text("roles: {first: {trust: lambda}}")
    (aws.folder / "two.yaml").write_text("roles: {second: {trust: lambda}}")
    changes = aws.plan(only=("role/second",)).plan.changes
    assert [str(change.address) for change in changes] == ["role/second"]
    assert refused(aws, only=("role/second",), targets=("one",)).startswith("--only role/second")
    assert refused(aws, only=("role/third",)).startswith("--only role/third matches nothing")
    assert "known: one, two; did you mean two?" in refused(aws, targets=("tow",))


IGNORE = """
version: 1
owner: tests
ignore:
  - {match: role/app-wbe, attributes: [tags.scanned], reason: a scanner}
  - {match: role/app-*, attributes: [tags.scanned], reason: a scanner}
  - {match: role/gone, attributes: [tags.scanned], reason: a scanner, expires: 2000-01-01}
  - {match: role/foreign, reason: the network team has it}
guards: {protected: [role/app-weeb, "role/ci-*", role/foreign]}
"""


@pytest.mark.parametrize("command", [{}, {"for_drift": True}, {"prune": True}])
def test_patterns_of_the_settings_that_match_nothing_are_warnings(
    aws: Rig, command: dict[str, bool]
) -> None:
    aws.iam.create_role(RoleName="foreign", AssumeRolePolicyDocument=trust())
    aws.write(SPEC, IGNORE)
    found = [d for d in aws.plan(**command).diagnostics if d.code == "matches-nothing"]
    assert [(d.severity, d.message, d.suggestion, d.location.line, d.location.column) for d in found] == [
        ("warning", "the rule for role/app-wbe matches nothing", "did you mean role/app-web?", 5, 6),
        ("warning", "the protected address role/app-weeb matches nothing", "did you mean role/app-web?", 9, 22),
    ]  # fmt: skip


def test_a_rule_may_match_in_another_target(aws: Rig) -> None:
    rule = "ignore: [{match: role/second, attributes: [tags.x], reason: a scanner}]\n"
    aws.write("x-nothing: 1", TARGETS + rule)
    (aws.folder / "one.yaml").write_text("roles: {first: {trust: lambda}}")
    (aws.folder / "two.yaml").write_text("roles: {second: {trust: lambda}}")
    assert not [d for d in aws.plan().diagnostics if d.code == "matches-nothing"]
    assert not [d for d in aws.plan(targets=("one",)).diagnostics if d.code == "matches-nothing"]


def test_a_rule_is_not_judged_where_not_all_is_known(aws: Rig) -> None:
    aws.write(SPEC, IGNORE)
    with refusing(aws, "GetAccountAuthorizationDetails", "AccessDenied"):
        found = aws.plan().diagnostics
    assert not [d for d in found if d.code == "matches-nothing"]
