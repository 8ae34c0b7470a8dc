"""What roles in use lose by a plan: exactly what they used and will not be allowed, by the answers
of AWS's reports and of its simulator."""

from __future__ import annotations

import html
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.commands.plan import make_plan
from reconciler.commands.planfile import saved_from
from reconciler.commands.planned import Planned
from reconciler.render.formats import PLAN
from reconciler.render.json.plan import plan_json
from reconciler.render.json.planfile import plan_of
from reconciler.render.styled_text import plain
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.sandbox.state import RoleUse
from tests.behaviour.faults import refusing
from tests.render.situations import NOW, plan_report
from tests.rig import ACCOUNT, AWAY, Rig, Silence, save

DAY = 86_400


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def document(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(*inline: Any, **more: Any) -> dict[str, Any]:
    return {"trust": "ec2", "inline_policies": {"p": document(*inline)} if inline else {}, **more}


@dataclass(frozen=True, slots=True)
class Case:
    """From one set of roles to the next. ``after`` of a swap is the role that gets in."""

    roles: dict[str, Any]
    roles_after: dict[str, Any]
    used: tuple[str, ...]
    lost: tuple[str, ...]
    policies: dict[str, Any] | None = None
    policies_after: dict[str, Any] | None = None
    held: str = "web"
    held_after: str = "web"


READS, WRITES = "s3:GetObject", "s3:PutObject"
BUCKET = "arn:aws:s3:::assets"
CASES = {
    "a swap": Case(
        {"web-v1": role(allow([READS, WRITES])), "web-v2": role(allow(READS))},
        {"web-v1": role(allow([READS, WRITES])), "web-v2": role(allow(READS))},
        (READS, WRITES),
        (WRITES,),
        held="web-v1",
        held_after="web-v2",
    ),
    "a swap to a role that is changed, and one that is made": Case(
        {"web-v1": role(allow("s3:*"))},
        {"web-v1": role(allow("s3:*")), "web-v2": role(allow(["s3:Get*", "s3:List*"]))},
        (READS, WRITES, "s3:ListBucket"),
        (WRITES,),
        held="web-v1",
        held_after="web-v2",
    ),
    "a policy of AWS is detached": Case(
        {"web": role(allow(READS), managed_policies=["AmazonSQSFullAccess"])},
        {"web": role(allow(READS), managed_policies=[])},
        (READS, "sqs:SendMessage", "sqs:ListQueues"),
        ("sqs:ListQueues", "sqs:SendMessage"),
    ),
    "a policy of AWS takes the place of another": Case(
        {"web": role(managed_policies=["AmazonSQSFullAccess"])},
        {"web": role(managed_policies=["AmazonSQSReadOnlyAccess"])},
        ("sqs:SendMessage", "sqs:ListQueues"),
        ("sqs:SendMessage",),
    ),
    "an inline policy is narrowed": Case(
        {"web": role(allow([READS, WRITES, "s3:ListBucket"]))},
        {"web": role(allow([READS, "s3:ListBucket"]))},
        (READS, WRITES),
        (WRITES,),
    ),
    "a policy of the account changes": Case(
        {"web": role(managed_policies=["app"])},
        {"web": role(managed_policies=["app"])},
        (READS, WRITES),
        (WRITES,),
        policies={"app": {"document": document(allow([READS, WRITES]))}},
        policies_after={"app": {"document": document(allow(READS), allow("ec2:Describe*"))}},
    ),
    "a boundary is added": Case(
        {"web": role(allow("*"))},
        {"web": role(allow("*"), permissions_boundary="limit")},
        (READS, WRITES, "ec2:DescribeInstances"),
        ("ec2:DescribeInstances", WRITES),
        policies={"limit": {"document": document(allow("s3:Get*"))}},
    ),
    "a boundary is narrowed": Case(
        {"web": role(allow("s3:*"), permissions_boundary="limit")},
        {"web": role(allow("s3:*"), permissions_boundary="limit")},
        (READS, WRITES),
        (WRITES,),
        policies={"limit": {"document": document(allow("s3:*"))}},
        policies_after={"limit": {"document": document(allow("s3:Get*"))}},
    ),
    "a Deny is added": Case(
        {"web": role(allow("s3:*"))},
        {"web": role(allow("s3:*"), deny("s3:Put*"))},
        (READS, WRITES),
        (WRITES,),
    ),
    "all but some actions": Case(
        {"web": role(allow("*"))},
        {"web": role({"Effect": "Allow", "NotAction": ["s3:Put*", "iam:*"], "Resource": "*"})},
        (READS, WRITES, "iam:GetRole"),
        ("iam:GetRole", WRITES),
    ),
    "a wildcard is narrowed": Case(
        {"web": role(allow("s3:*Object"))},
        {"web": role(allow("s3:G?tObject"))},
        (READS, WRITES),
        (WRITES,),
    ),
    "a service without its actions": Case(
        {"web": role(allow(["sqs:*", READS]))},
        {"web": role(allow(READS))},
        (READS, "sqs"),
        ("sqs",),
    ),
    "some of a service without its actions": Case(
        {"web": role(allow(["sqs:*", READS]))},
        {"web": role(allow(["sqs:SendMessage", READS]))},
        (READS, "sqs"),
        ("sqs",),
    ),
    "a service without its actions that is kept": Case(
        {"web": role(allow("*"))},
        {"web": role(allow(["sqs:*", READS]))},
        (READS, "sqs"),
        (),
    ),
    "what is lost was not used": Case(
        {"web": role(allow([READS, WRITES]))},
        {"web": role(allow(READS))},
        (READS,),
        (),
    ),
    "what was used was denied already": Case(
        {"web": role(allow(READS), deny("s3:Put*"), allow("s3:Put*"))},
        {"web": role(allow(READS), deny("s3:Put*"))},
        (READS, WRITES),
        (),
    ),
    "more is allowed": Case(
        {"web": role(allow(READS))},
        {"web": role(allow("s3:*"))},
        (READS, WRITES),
        (),
    ),
    "the same in other words": Case(
        {"web": role(allow([READS, WRITES], [BUCKET, f"{BUCKET}/*"]))},
        {"web": role(allow("S3:GETOBJECT", f"{BUCKET}*"), allow(WRITES, [f"{BUCKET}*"]))},
        (READS, WRITES),
        (),
    ),
    "one bucket of two": Case(
        {"web": role(allow(WRITES, [f"{BUCKET}/*", f"{BUCKET}-b/*"]))},
        {"web": role(allow(WRITES, f"{BUCKET}/*"))},
        (WRITES,),
        (WRITES,),
    ),
    "a condition that stays": Case(
        {"web": role(allow("s3:*", Condition={"Bool": {"aws:SecureTransport": "true"}}))},
        {
            "web": role(
                allow(["s3:Get*", "s3:Put*"], Condition={"Bool": {"aws:SecureTransport": "true"}})
            )
        },
        (READS, WRITES, "s3:ListBucket"),
        ("s3:ListBucket",),
    ),
    "a condition that comes": Case(
        {"web": role(allow("s3:*"))},
        {"web": role(allow("s3:*", Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}))},
        (READS,),
        (READS,),
    ),
    "a variable that stays": Case(
        {"web": role(allow([READS, WRITES], "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"))},
        {"web": role(allow(READS, "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"))},
        (READS, WRITES),
        (WRITES,),
    ),
}


def spec(roles: Any, policies: Any, held: str) -> str:
    return json.dumps(
        {
            "roles": roles,
            "policies": policies or {},
            "instance_profiles": {"web": {"role": held}},
        }
    )


def use(aws: Rig, role: str, *what: str, days: int = 2, region: str = AWAY) -> None:
    at = aws.clock.now() - days * DAY
    held = aws.aws.used.setdefault((ACCOUNT, aws.role_id(role)), {})
    held.update(dict.fromkeys(what, RoleUse(at, region)))


def begun(aws: Rig, case: Case) -> None:
    aws.write(spec(case.roles, case.policies, case.held))
    aws.settle()
    aws.clock.sleep(60)  # until EC2 sees the profile
    aws.launch(profile="web", region=AWAY)
    use(aws, case.held, *case.used)
    aws.write(spec(case.roles_after, case.policies_after or case.policies, case.held_after))


def lost(planned: Planned) -> tuple[str, ...]:
    (target,) = planned.plan.targets
    assert not [u for found in target.impact.values() for one in found for u in one.unknown]
    return tuple(
        sorted({loss.what for found in target.impact.values() for i in found for loss in i.losses})
    )


def warnings(planned: Planned) -> list[str]:
    codes = ("used-permission-lost", "impact-unknown")
    return [d.message for d in planned.diagnostics if d.code in codes]


@pytest.mark.parametrize("name", CASES)
def test_exactly_what_was_used_and_is_lost_is_named(aws: Rig, name: str) -> None:
    case = CASES[name]
    begun(aws, case)
    planned = aws.plan(impact=True)
    assert lost(planned) == case.lost
    assert len(warnings(planned)) == len(case.lost)
    assert planned.severity in ("critical", "warning" if case.lost else "info")
    assert planned.plan.digest == aws.plan().plan.digest


SWAP = CASES["a swap"]
GUARD = "version: 1\nowner: tests\nimpact: guard\n"
LOST = "web-v2 does not allow s3:PutObject, used 2 days ago by role web-v1 in eu-west-1"


class Told(Silence):
    """Keeps what is read as well."""

    def reading(self, what: str) -> None:
        self.told.append(what)


def unescaped(text: str) -> str:
    """As Markdown, HTML and annotations show it."""
    return html.unescape(text.replace("%3A", ":").replace("\\", ""))


def calls(aws: Rig, since: int) -> Counter[str]:
    return Counter(logged.operation for logged in aws.aws.log[since:])


def test_nothing_is_asked_unless_it_is_wanted(aws: Rig) -> None:
    begun(aws, SWAP)
    before = len(aws.aws.log)
    assert warnings(aws.plan()) == []
    assert not {"GenerateServiceLastAccessedDetails"} & calls(aws, before).keys()


def test_each_policy_of_aws_is_read_once(aws: Rig) -> None:
    """The one that the specs name now, which no role has yet, and the one that the role has."""
    begun(aws, CASES["a policy of AWS takes the place of another"])
    before = len(aws.aws.log)
    aws.plan(impact=True)
    found = calls(aws, before)
    assert (found["GetPolicy"], found["GetPolicyVersion"]) == (2, 2)


def test_a_loss_is_told_wherever_a_plan_is(aws: Rig) -> None:
    begun(aws, SWAP)
    planned = aws.plan(impact=True)
    assert warnings(planned) == [LOST]
    (found,) = [d for d in planned.diagnostics if d.code == "used-permission-lost"]
    assert (found.severity, found.location.line) == ("warning", 1)
    assert f"! {LOST}" in plain(plan_lines(planned.plan, Look()))
    shown: Any = plan_json(planned, NOW)
    (change,) = [c for c in shown["targets"][0]["changes"] if "impact" in c]
    used_at = datetime.fromtimestamp(aws.clock.now() - 2 * DAY, UTC)
    assert change["address"] == "instance-profile/web"
    (impact,) = change["impact"]
    assert abs(datetime.fromisoformat(impact["losses"][0].pop("used_at")) - used_at).seconds < 60
    assert impact == {
        "role": "web-v1",
        "role_after": "web-v2",
        "losses": [{"kind": "denied", "what": WRITES, "detail": [], "region": AWAY}],
        "unknown": [],
    }
    for name in PLAN.keys() - {"gitlab", "aws-cli"}:
        assert LOST in unescaped(PLAN[name](plan_report(planned))), name


def test_new_conditions_are_told_as_such(aws: Rig) -> None:
    begun(aws, CASES["a condition that comes"])
    assert warnings(aws.plan(impact=True)) == [
        "web allows s3:GetObject only under conditions (aws:SourceVpce), used 2 days ago in "
        "eu-west-1"
    ]


def test_some_of_the_resources_are_told_as_such(aws: Rig) -> None:
    begun(aws, CASES["one bucket of two"])
    (told,) = warnings(aws.plan(impact=True))
    assert told.startswith(
        "web allows s3:PutObject on fewer resources (no longer on arn:aws:s3:::assets-b/*; AWS "
        "does not record which were used)"
    )


def test_a_service_is_told_as_such(aws: Rig) -> None:
    begun(aws, CASES["some of a service without its actions"])
    assert warnings(aws.plan(impact=True)) == [
        "web allows less of sqs (no longer sqs:*; AWS does not record which actions were used), "
        "used 2 days ago in eu-west-1"
    ]


def test_a_role_without_running_instances_is_swapped_without_a_word(aws: Rig) -> None:
    aws.write(spec(SWAP.roles, None, SWAP.held))
    aws.settle()
    use(aws, SWAP.held, *SWAP.used)
    aws.write(spec(SWAP.roles_after, None, SWAP.held_after))
    assert warnings(aws.plan(impact=True)) == []


def test_a_role_that_no_instance_has_counts_when_it_changes(aws: Rig) -> None:
    case = CASES["an inline policy is narrowed"]
    aws.write(spec(case.roles, None, "web"))
    aws.settle()
    use(aws, "web", WRITES, days=0)
    aws.write(spec(case.roles_after, None, "web"))
    assert warnings(aws.plan(impact=True)) == [
        "web no longer allows s3:PutObject, used within the last day in eu-west-1"
    ]


def test_an_instance_that_moves_to_another_profile_loses_its_role(aws: Rig) -> None:
    roles = SWAP.roles
    given: dict[str, Any] = {
        "roles": roles,
        "instance_profiles": {"a": {"role": "web-v1"}, "b": {"role": "web-v2"}},
        "associations": {"web": {"instance_profile": "a", "select": {"tags": {"app": ["web"]}}}},
    }
    aws.launch(2, tags={"app": "web"})
    aws.write(json.dumps(given))
    aws.settle()
    use(aws, "web-v1", *SWAP.used)
    given["associations"]["web"]["instance_profile"] = "b"
    aws.write(json.dumps(given))
    planned = aws.plan(impact=True)
    assert warnings(planned) == [LOST]
    assert {a.kind for a in planned.plan.targets[0].impact} == {"association"}
    assert len(planned.plan.targets[0].impact) == 2


def test_a_use_that_aws_has_forgotten_counts_no_more(aws: Rig) -> None:
    begun(aws, SWAP)
    use(aws, SWAP.held, *SWAP.used, days=401)
    assert warnings(aws.plan(impact=True)) == []


def test_a_guard_stops_apply_and_is_lifted(aws: Rig) -> None:
    begun(aws, SWAP)
    aws.write(spec(SWAP.roles_after, None, SWAP.held_after), GUARD)
    planned = aws.plan()
    (guard,) = planned.plan.guards
    assert guard.lift == "--allow impact=instance-profile/web"
    assert guard.reason == "instance-profile/web takes away what role/web-v1 has used: s3:PutObject"
    lifted = frozenset({("impact", "instance-profile/web")})
    assert aws.plan(allow=lifted).plan.digest == planned.plan.digest
    assert warnings(aws.plan(allow=lifted)) == [LOST]
    aws.settle(allow=lifted)


def test_the_flag_makes_no_less_of_the_setting(aws: Rig) -> None:
    begun(aws, SWAP)
    aws.write(spec(SWAP.roles_after, None, SWAP.held_after), GUARD)
    assert [g.key for g in aws.plan(impact=True).plan.guards] == ["impact"]
    aws.write(spec(SWAP.roles_after, None, SWAP.held_after), GUARD.replace("guard", "warn"))
    assert aws.plan(impact=True).plan.guards == ()


@pytest.mark.parametrize(
    ("denied", "asked_for"),
    [
        ("iam:GenerateServiceLastAccessedDetails", "what roles have used cannot be found out"),
        ("iam:GetServiceLastAccessedDetails", "what role/web has used cannot be found out"),
        ("iam:SimulatePrincipalPolicy", "what role/web will be allowed cannot be found out"),
        ("iam:SimulateCustomPolicy", "what role/web will be allowed cannot be found out"),
    ],
)
def test_what_is_denied_is_unknown_and_stops_with_a_guard(
    aws: Rig, denied: str, asked_for: str
) -> None:
    case = CASES["a boundary is narrowed"]
    begun(aws, case)
    with refusing(aws, denied.partition(":")[2], "AccessDenied"):
        (told,) = warnings(aws.plan(impact=True))
        assert told.endswith(f"{asked_for} ({denied}: AccessDenied)")
        assert aws.plan(impact=True).plan.guards == ()
        aws.write(spec(case.roles_after, case.policies_after, "web"), GUARD)
        (guard,) = aws.plan().plan.guards
        assert guard.lift == "--allow impact=policy/limit"
        assert aws.plan(allow=frozenset({("impact", "policy/limit")})).plan.guards == ()


def test_a_permission_that_is_lacking_is_tried_and_told_once(aws: Rig) -> None:
    roles = {f"r{number}": role(allow([READS, WRITES])) for number in range(3)}
    aws.write(json.dumps({"roles": roles}))
    aws.settle()
    less = {name: role(allow(READS)) for name in roles}
    aws.write(json.dumps({"roles": less}))
    before = len(aws.aws.log)
    with refusing(aws, "GenerateServiceLastAccessedDetails", "AccessDenied"):
        assert len(warnings(aws.plan(impact=True))) == 1
    assert calls(aws, before)["GenerateServiceLastAccessedDetails"] == 1


def test_a_policy_of_aws_that_may_not_be_read_is_unknown(aws: Rig) -> None:
    case = CASES["a policy of AWS is detached"]
    begun(aws, case)
    with refusing(aws, "GetPolicyVersion", "AccessDenied"):
        (told,) = warnings(aws.plan(impact=True))
    assert "AmazonSQSFullAccess cannot be found out (iam:GetPolicyVersion: AccessDenied)" in told


def test_a_report_that_takes_its_time_is_waited_for_and_told(aws: Rig) -> None:
    begun(aws, SWAP)
    aws.aws.lags = replace(aws.aws.lags, reports=45.0)
    aws.progress = Told()
    assert warnings(aws.plan(impact=True)) == [LOST]
    waits = [line for line in aws.progress.told if "AWS makes the report" in line]
    assert len(waits) == 3
    assert waits[0].startswith("what role/web-v1 used: AWS makes the report (1")


def test_a_report_that_does_not_come_is_unknown(aws: Rig) -> None:
    begun(aws, SWAP)
    aws.aws.lags = replace(aws.aws.lags, reports=1e6)
    (told,) = warnings(aws.plan(impact=True))
    assert told.endswith("what role/web-v1 has used cannot be found out (no report within 180 s)")


def test_a_saved_plan_asks_again_and_apply_stops(
    aws: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(aws, SWAP)
    saved = tmp_path / "plan.json"
    save(aws.plan(impact=True), saved)
    request = saved_from(plan_of(saved.read_text("utf-8"), "plan.json"), "plan.json").request
    assert warnings(make_plan(request, aws.commands())) == [LOST]
    aws.write(spec(SWAP.roles_after, None, SWAP.held_after), GUARD)
    save(aws.plan(), saved)
    before = len(aws.writes())
    aws.aws.lags = replace(aws.aws.lags, reports=0.0)  # the program waits by its own clock
    assert run(["apply", str(saved)]) == 4
    assert "--allow impact=instance-profile/web" in capsys.readouterr().out
    assert len(aws.writes()) == before


def test_many_roles_ask_at_once_and_few_times(aws: Rig) -> None:
    used = [f"ec2:Describe{number}" for number in range(120)]
    roles = {f"r{number}": role(allow("*")) for number in range(3)}
    aws.write(json.dumps({"roles": roles}))
    aws.settle()
    for name in roles:
        use(aws, name, *used)
    aws.write(json.dumps({"roles": {name: role(allow("s3:*")) for name in roles}}))
    before = len(aws.aws.log)
    assert len(lost(aws.plan(impact=True))) == 120
    asked = calls(aws, before)
    # No statement is left about them, so AWS need not say that they are denied.
    assert asked["SimulateCustomPolicy"] <= 6
    assert asked["SimulatePrincipalPolicy"] == 6
    assert asked["GenerateServiceLastAccessedDetails"] == 3
