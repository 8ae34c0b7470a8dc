"""What is printed is enough, and no statement of it is too much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.commands.permissions import wanted_for, wanted_for_plan
from reconciler.commands.verify import VerifyRequest, verify
from reconciler.drift.attribution import Attributor
from reconciler.drift.findings import drift_of
from reconciler.errors import AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.importer.into_set import import_source
from reconciler.model.evidence import SOURCES
from reconciler.model.policy_decision import PolicyQuestion, decide
from reconciler.permissions.statements import documents
from reconciler.plan.authorization import OF_IMPACT, ON_INSTANCES, READS, WRITES, Purpose
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.spec.settings import Settings
from tests.behaviour.faults import refusing
from tests.behaviour.test_organizations import SETTINGS as IN_ORGANIZATION
from tests.behaviour.test_organizations import Organization
from tests.permissions.enforcing import Enforcer, document
from tests.permissions.scenarios import (
    PURPOSES,
    SAMPLE,
    SCENARIOS,
    Scenario,
    ended,
    prune_associations,
    swap,
    verified,
)
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig
from tests.sampling import sampled

APPLIES = ("apply", "ending", "destroy", "rotate", "forget")


def statements(
    aws: Rig, purpose: Purpose, *, revokes: bool = False, **flags: Any
) -> list[dict[str, Any]]:
    sources = SOURCES if purpose == "verify" else ()
    (wanted,) = wanted_for(aws.request(**flags), purpose, sources, revokes=revokes)
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


def of_plan(aws: Rig, **flags: Any) -> list[dict[str, Any]]:
    planned = aws.plan(**flags)
    document: Any = plan_json(planned, now_as_text())
    (wanted,) = wanted_for_plan(document, aws.request(**flags))
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


@contextmanager
def enforced(
    aws: Rig, allowed: list[dict[str, Any]], account: str | None = None
) -> Iterator[Enforcer]:
    """Ours alone; what others do meanwhile is not asked about."""
    enforcer = Enforcer.of(aws.aws, allowed, account)
    aws.aws.before.append(enforcer)
    try:
        yield enforcer
    finally:
        aws.aws.before.remove(enforcer)


def run(aws: Rig, what: str, flags: dict[str, Any]) -> int | None:
    """The exit code of an apply."""
    if what in APPLIES:
        return aws.apply(**flags).exit_code
    if what == "plan":
        assert not aws.plan(**flags).plan.unread
    elif what == "refused":
        with pytest.raises(RefusedError):
            aws.plan(**flags)
    elif what == "drift":
        planned = aws.plan(for_drift=True, **flags)
        found = Attributor(planned.targets, aws.clock).named(drift_of(planned))
        assert all(one.status != "unknown" for one in found.findings)
    elif what == "verify":
        made = verify(VerifyRequest(sources=SOURCES), aws.request(**flags), aws.commands())
        assert made.summary == {"proved": 2, "unknown": 0, "contradicted": 0}
        assert made.exit_code == 0
    else:
        connection = aws.commands().connect(None, Settings())
        import_source(connection, Settings(), None, (), lambda _what: None)
    return None


def enforced_in(folder: Path, scenario: Scenario) -> tuple[Purpose, set[str], Enforcer]:
    """Runs it with what is printed for its specs, and for its plan. Returns what it was for, the
    statements that were printed, and what was met."""
    with rig(folder) as aws:
        what, flags = scenario(aws)
        purpose: Any = PURPOSES.get(what, what)
        allowed = statements(aws, purpose, revokes=what == "ending", **flags)
        exact = of_plan(aws, **flags) if what in APPLIES else allowed
        aws.aws.log.clear()
        with enforced(aws, allowed) as specs, enforced(aws, exact) as plan:
            ended = run(aws, what, flags)
    assert specs.denied == [], "by the policy of the specs"
    assert plan.denied == [], "by the policy of the plan"
    assert ended in (None, 0)
    return purpose, {one["Sid"] for one in allowed}, specs


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.__name__ in SAMPLE])
def test_what_is_printed_is_enough(scenario: Scenario, tmp_path: Path) -> None:
    enforced_in(tmp_path, scenario)


@pytest.mark.slow
def test_what_is_printed_is_enough_and_none_of_it_is_too_much(tmp_path: Path) -> None:
    """One test for all scenarios, since what no scenario needs is known only at the end. Where a
    statement alone allows something, the same run is denied that without it."""
    printed: dict[str, set[str]] = {}
    used: dict[str, set[str]] = {}
    seen: set[str] = set()
    for number, scenario in enumerate(SCENARIOS):
        folder = tmp_path / f"{number}-{scenario.__name__}"
        folder.mkdir()
        purpose, sids, met = enforced_in(folder, scenario)
        printed.setdefault(purpose, set()).update(sids)
        used.setdefault(purpose, set()).update(met.used)
        seen |= met.seen
    assert {what: sids ^ used[what] for what, sids in printed.items() if sids != used[what]} == {}
    flagged = {call for call, one in READS.items() if not one.purposes}
    asked = {*ON_INSTANCES, *OF_IMPACT}
    assert seen - flagged - asked == (READS.keys() | WRITES.keys()) - flagged
    assert seen >= {*OF_IMPACT}


@pytest.mark.parametrize(
    "sid", sampled(["PassRolesToEc2"], ["MarkInstances", "ReadInstances", "GiveInstancesProfiles"])
)
def test_without_a_statement_it_is_denied(sid: str, tmp_path: Path) -> None:
    with rig(tmp_path) as aws:
        _, flags = swap("reassociate")(aws)
        allowed = [one for one in statements(aws, "apply", **flags) if one["Sid"] != sid]
        with enforced(aws, allowed) as enforcer, suppress(AwsError):
            aws.apply(**flags)
        assert enforcer.denied


def test_without_its_flag_an_apply_may_not_revoke(tmp_path: Path) -> None:
    """It says so, and all else is done."""
    with rig(tmp_path) as aws:
        _, flags = ended(aws)
        with enforced(aws, statements(aws, "apply", **flags)) as enforcer:
            applied = aws.apply(**flags)
        assert {one.action for one in enforcer.denied} == {"iam:PutRolePolicy"}
        (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
        assert "iam:PutRolePolicy" in failed.what
        with enforced(aws, statements(aws, "apply", revokes=True, **flags)):
            aws.settle(**flags)


@pytest.mark.parametrize("sid", ["ReadAccount", "FollowCommands", "AskInstances", "ReadInstances"])
def test_without_a_statement_nothing_is_proved(sid: str, tmp_path: Path) -> None:
    with rig(tmp_path) as aws:
        _, flags = verified(aws)
        allowed = [one for one in statements(aws, "verify", **flags) if one["Sid"] != sid]
        assert len(allowed) == len(statements(aws, "verify", **flags)) - 1
        with enforced(aws, allowed) as enforcer, suppress(AwsError):
            made = verify(VerifyRequest(sources=SOURCES), aws.request(**flags), aws.commands())
            # The other source tells of one of them, or neither where none is shown at all.
            assert sid == "ReadInstances" or made.summary["proved"] < 2
        assert enforcer.denied


TARGETS = """
version: 1
owner: tests
regions: [us-east-1]
targets: {dev: {account_id: '222222222222', role_arn: 'arn:aws:iam::222222222222:role/ci/x'}}
"""


def test_the_identity_that_assumes_the_roles_of_targets(aws: Rig) -> None:
    aws.write("roles: {one: {trust: ec2}}\n", TARGETS)
    in_target, caller = wanted_for(aws.request(regions=()), "apply")
    assert caller.is_caller
    allowed = [one.as_json() for one in caller.statements]
    assert allowed[0]["Resource"] == ["arn:aws:iam::222222222222:role/ci/x"]
    with (
        enforced(aws, allowed, "123456789012") as outside,
        enforced(aws, [one.as_json() for one in in_target.statements], "222222222222") as inside,
    ):
        assert aws.apply(regions=()).exit_code == ExitCode.OK
    assert outside.denied == inside.denied == []
    assert outside.seen == {"sts:AssumeRole"}
    assert "iam:CreateRole" in inside.seen


@pytest.mark.parametrize("key", sampled(["units: [UNIT]"], ["", "tags: {env: prod}"]))
def test_the_identity_that_reads_the_organization(key: str, aws: Rig) -> None:
    org = Organization(aws)
    narrowed = f"    {key.replace('UNIT', org.prod)}\n"
    aws.write("roles: {one: {trust: ec2}}\n", IN_ORGANIZATION + narrowed)
    members, caller = wanted_for(aws.request(), "plan")
    assert members.scope.account_id == "*"
    document: Any = plan_json(aws.plan(), now_as_text())
    *exact, planning = wanted_for_plan(document, aws.request())
    assert len(exact) == len(document["targets"])
    assert planning.statements == caller.statements
    aws.opened.clear()
    aws.aws.log.clear()
    with enforced(aws, [one.as_json() for one in caller.statements], "123456789012") as outside:
        aws.plan()
    assert outside.denied == []
    assert outside.used == {"AssumeRolesOfTargets", "ReadOrganization"}
    actions = {action for one in caller.statements for action in one.actions}
    assert actions == outside.seen


@pytest.mark.parametrize(
    ("strategy", "refused"),
    [
        ("reassociate", "AssociateIamInstanceProfile"),
        ("hop", "ReplaceIamInstanceProfileAssociation"),
        ("restart", "StartInstances"),
    ],
)
def test_the_way_back_is_allowed_too(strategy: str, refused: str, tmp_path: Path) -> None:
    """What a roll-back calls is in no step of the plan."""
    with rig(tmp_path) as aws:
        _, flags = swap(strategy)(aws)
        allowed, exact = statements(aws, "apply", **flags), of_plan(aws, **flags)
        with (
            enforced(aws, allowed) as specs,
            enforced(aws, exact) as plan,
            refusing(aws, refused, "UnauthorizedOperation", times=1),
        ):
            applied = aws.apply(**flags)
        assert applied.exit_code == ExitCode.PARTLY_APPLIED
        assert "rolled back" in str(applied.result)
        assert specs.denied == []
        assert plan.denied == []


@pytest.mark.parametrize("scenario", [swap("reassociate"), prune_associations])
def test_what_a_policy_of_a_plan_names_is_there(scenario: Scenario, tmp_path: Path) -> None:
    """Instances by their ids, in their own region; no condition that nothing can fulfil."""
    with rig(tmp_path) as aws:
        _, flags = scenario(aws)
        found = of_plan(aws, **flags)
        there = {f"{AWAY}:{ACCOUNT}:instance/*", f"{HOME}:{ACCOUNT}:instance/*"}
        there |= {f"{HOME}:{ACCOUNT}:instance/{name}" for name in aws.instance_ids()}
    named = {arn for one in found for arn in one["Resource"] if ":instance/" in arn}
    assert named
    assert {arn.removeprefix("arn:aws:ec2:") for arn in named} <= there
    conditions = [keys for one in found for keys in one.get("Condition", {}).values()]
    assert all(values for keys in conditions for values in keys.values())


def test_the_evaluator_knows_the_shapes_that_are_printed() -> None:
    """Each way in which a statement can fail to allow something."""
    one = {
        "Effect": "Allow",
        "Action": ["ec2:CreateTags"],
        "Resource": ["arn:aws:ec2:us-east-1:1:instance/*"],
        "Condition": {
            "ForAllValues:StringLike": {"aws:TagKeys": ["reconciler:*"]},
            "StringEquals": {"aws:RequestedRegion": ["us-east-1"]},
            "ArnLike": {"ec2:InstanceProfile": ["arn:aws:iam::1:instance-profile/*/web"]},
        },
    }
    context = {
        "aws:tagkeys": ("reconciler:holds",),
        "aws:requestedregion": ("us-east-1",),
        "ec2:instanceprofile": ("arn:aws:iam::1:instance-profile/app/web",),
    }
    fits = PolicyQuestion("ec2:CreateTags", "arn:aws:ec2:us-east-1:1:instance/i-1", context)

    def is_allowed(asked: PolicyQuestion) -> bool:
        return decide([document([one])], asked).is_allowed

    assert is_allowed(fits)
    assert not is_allowed(replace(fits, action="ec2:DeleteTags"))
    assert not is_allowed(replace(fits, resource="arn:aws:ec2:eu-west-1:1:instance/i-1"))
    for key, value in (
        ("aws:tagkeys", ("reconciler:holds", "team")),
        ("aws:requestedregion", ("eu-west-1",)),
        ("ec2:instanceprofile", ("arn:aws:iam::1:instance-profile/web",)),
    ):
        assert not is_allowed(replace(fits, context={**context, key: value})), key
    for key in ("aws:requestedregion", "ec2:instanceprofile"):
        lacking = {k: v for k, v in context.items() if k != key}
        assert not is_allowed(replace(fits, context=lacking)), key
