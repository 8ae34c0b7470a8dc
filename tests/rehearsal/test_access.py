"""What an identity with given policies would be denied, and what would allow it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from reconciler.commands.permissions import wanted_for, wanted_for_plan
from reconciler.commands.planned import Planned
from reconciler.exit_codes import ExitCode
from reconciler.model.policy_decision import Decision, PolicyQuestion
from reconciler.permissions.scope import PermissionScope
from reconciler.permissions.statements import documents
from reconciler.plan.authorization import Purpose
from reconciler.rehearsal.access import Denial, Log, allowing, denials
from reconciler.rehearsal.rehearsing import Rehearsed
from reconciler.rehearsal.telling import rehearsal_json, rehearsal_lines
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.render.json.rehearsal_types import RehearsalShape
from reconciler.render.styled_text import plain
from reconciler.sandbox.authorization import PolicyAnswer
from reconciler.sandbox.state import Logged
from tests.rehearsal.prepared import Allowed, rehearsed, staged, swapping
from tests.rig import ACCOUNT, AWAY, HOME, Rig
from tests.sampling import sampled

ROLE = f"arn:aws:iam::{ACCOUNT}:role/v2"
ANYTHING: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def printed(purpose: Purpose) -> Allowed:
    """What ``permissions --for`` prints."""

    def allowed(aws: Rig, _planned: Planned) -> list[dict[str, Any]]:
        (wanted,) = wanted_for(aws.request(), purpose)
        return [one for document in documents(wanted.statements) for one in document["Statement"]]

    return allowed


def of_plan(aws: Rig, planned: Planned) -> list[dict[str, Any]]:
    document: Any = plan_json(planned, now_as_text())
    (wanted,) = wanted_for_plan(document, aws.request())
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


def without(*actions: str) -> Allowed:
    return lambda _aws, _planned: [{"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}]


def but(**statement: Any) -> Allowed:
    """Everything, apart from what the statement denies."""
    return lambda _aws, _planned: [ANYTHING, {"Effect": "Deny", **statement}]


def needed(made: Rehearsed) -> list[Denial]:
    assert made.access is not None
    return list(made.access.needed)


@pytest.mark.parametrize(
    "allowed", [printed("apply"), *sampled([of_plan], [without("iam:CreateUser")])]
)
def test_what_is_enough(tmp_path: Path, allowed: Allowed) -> None:
    made = rehearsed(tmp_path, swapping("reassociate"), allowed=allowed)
    assert needed(made) == []
    assert made.is_well
    assert made.access is not None
    assert made.access.questions > 0
    assert made.access.allowing == ()
    text = plain(rehearsal_lines([made], unicode=True))
    assert "Allowed: everything that the apply needs, with the policies of ci.json" in text


def test_a_role_that_must_not_be_passed(tmp_path: Path) -> None:
    """Asked before anything is taken away, so nothing has changed; with what else is denied. Each
    death would tell the same again."""
    allowed = without("iam:PassRole", "ec2:DisassociateIamInstanceProfile")
    made = rehearsed(tmp_path, swapping("reassociate"), allowed=allowed, with_crashes=True)
    assert not made.is_well
    assert made.crashes is None
    passing, taking, *_ = needed(made)
    assert (passing.asked.action, passing.asked.resource) == ("iam:PassRole", ROLE)
    assert passing.phase == "apply"
    assert passing.why == "no statement allows the action"
    assert [(str(a), what) for a, what in passing.steps] == [("instance-profile/web", "cut-over")]
    assert taking.asked.action == "ec2:DisassociateIamInstanceProfile"
    assert (taking.phase, taking.steps) == ("beyond", ())
    assert {one.after for one in made.instances} <= {"v1"}
    assert "instance-profile/web" in made.remaining


@pytest.mark.parametrize(
    ("allowed", "denied"),
    sampled(
        [(without("iam:PassRole", "iam:AddRoleToInstanceProfile"), "iam:PassRole")],
        [
            (without("ec2:Disassociate*"), "ec2:DisassociateIamInstanceProfile"),
            (without("iam:TagInstanceProfile"), "iam:TagInstanceProfile"),
            (without("iam:Get*", "iam:List*"), "iam:ListRoles"),
            (printed("plan"), "iam:AddRoleToInstanceProfile"),
        ],
    ),
)
def test_what_is_suggested_allows_it(tmp_path: Path, allowed: Allowed, denied: str) -> None:
    stage = staged(tmp_path, swapping("reassociate"), allowed)
    first = stage.rehearse(with_crashes=False)
    assert denied in {one.asked.action for one in needed(first)}
    assert stage.policies is not None
    assert first.access is not None
    given = (*stage.policies.documents, *first.access.allowing)
    enough = replace(stage, policies=replace(stage.policies, documents=given))
    again = enough.rehearse(with_crashes=False)
    assert needed(again) == []
    assert again.is_well


@pytest.mark.parametrize(
    ("conditions", "why"),
    sampled(
        [({"StringEquals": {"aws:PrincipalTag/team": "web"}}, "aws:PrincipalTag/team")],
        [
            (
                {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
                "iam:PassedToService",
            ),
            (
                {"ArnLike": {"iam:AssociatedResourceArn": "arn:aws:ec2:*:*:instance/i-*"}},
                "iam:AssociatedResourceArn",
            ),
        ],
    ),
)
def test_a_condition_that_is_not_met_is_named(
    tmp_path: Path, conditions: dict[str, Any], why: str
) -> None:
    passing = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": "*",
        "Condition": conditions,
    }
    made = rehearsed(
        tmp_path,
        swapping("wait"),
        allowed=lambda aws, planned: [*without("iam:PassRole")(aws, planned), passing],
    )
    (denied,) = {one.asked.action: one for one in needed(made)}.values()
    assert (denied.asked.action, denied.why) == ("iam:PassRole", f"a condition is not met: {why}")
    assert made.access is not None
    unknown = [why] if why.startswith("aws:Principal") else []
    assert list(made.access.policies.unknown_keys) == unknown


def test_what_a_statement_denies(tmp_path: Path) -> None:
    allowed = but(Sid="NoMarks", Action="iam:TagInstanceProfile", Resource="*")
    made = rehearsed(tmp_path, swapping("wait"), allowed=allowed)
    assert [one.why for one in needed(made)] == ["the statement NoMarks denies it"]
    assert made.access is not None
    assert made.access.allowing == ()
    text = plain(rehearsal_lines([made], unicode=True))
    assert "What a statement denies, no other allows: change that statement." in text


def test_an_identity_that_may_not_plan(tmp_path: Path) -> None:
    made = rehearsed(tmp_path, swapping("wait"), allowed=without("iam:*", "ec2:*"))
    assert made.applied is None
    assert "AccessDenied" in made.stopped
    assert made.instances == ()
    actions = {one.asked.action for one in needed(made)}
    assert {"iam:GetAccountAuthorizationDetails", "iam:AddRoleToInstanceProfile"} <= actions
    (target,) = rehearsal_json([made], "now")["targets"]
    assert target["exit_code"] == ExitCode.ERROR
    assert target["stopped"] == made.stopped
    assert "Not applied: " in plain(rehearsal_lines([made], unicode=True))


def test_a_read_in_two_regions_is_allowed_in_both() -> None:
    log = Log("apply")
    for region in (HOME, AWAY):
        logged = Logged("ec2", "DescribeInstances", ACCOUNT, region, {}, "")
        asked = PolicyQuestion("ec2:DescribeInstances", "*", {"aws:requestedregion": (region,)})
        log.note(PolicyAnswer(logged, asked, Decision("implicitDeny"), "no"))
    found = denials([log], ())
    assert [one.times for one in found] == [2]
    (document,) = allowing(found, PermissionScope("aws", ACCOUNT, None, "tests", "reconciler:"))
    (statement,) = document["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": [AWAY, HOME]}}


def test_reads_that_nothing_depends_on(tmp_path: Path) -> None:
    allowed = without("iam:ListAccountAliases", "tag:GetResources")
    made = rehearsed(tmp_path, swapping("wait"), allowed=allowed)
    assert made.is_well
    assert needed(made) == []
    assert made.access is not None
    found = {one.asked.action for one in made.access.denials}
    assert found <= {"iam:ListAccountAliases", "tag:GetResources"}
    assert found
    text = plain(rehearsal_lines([made], unicode=True))
    assert "denied, and the result is the same: " in text


@pytest.mark.slow
def test_after_a_death_other_calls_are_made(tmp_path: Path) -> None:
    """The policy of the plan is enough to recover; each death is rehearsed with it."""
    made = rehearsed(tmp_path, swapping("wait"), allowed=of_plan, with_crashes=True)
    assert made.crashes is not None
    assert made.crashes.unrecovered == ()
    assert needed(made) == []


def test_in_words_and_as_json(tmp_path: Path) -> None:
    made = rehearsed(tmp_path, swapping("wait"), allowed=without("iam:PassRole"))
    text = plain(rehearsal_lines([made], unicode=True))
    assert "Denied with the policies of ci.json:" in text
    assert f"iam:PassRole on {ROLE} (by " in text
    assert "fails: instance-profile/web cut-over" in text
    assert "would still differ from the specs: " in text
    assert '"Sid": "PassRolesToEc2"' in text
    document = rehearsal_json([made], "2026-11-23T20:00:00Z")
    TypeAdapter(RehearsalShape).validate_python(document, strict=True)
    (target,) = document["targets"]
    assert target["access"] is not None
    denied = target["access"]["denied"][0]
    assert (denied["action"], denied["resource"]) == ("iam:PassRole", ROLE)
    assert denied["steps"] == [{"address": "instance-profile/web", "what": "cut-over"}]
    (document_of,) = target["access"]["allowing"]
    (statement,) = document_of["Statement"]
    assert statement["Resource"] == [ROLE]
    assert statement["Condition"]["StringEquals"] == {"iam:PassedToService": ["ec2.amazonaws.com"]}
