"""Proof that instances are served the role of their profile: what CloudTrail and the instances
themselves say, against a sandbox that knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.commands.plan import make_plan
from reconciler.commands.verify import Verification, VerifyRequest, verify, verify_planned
from reconciler.drift.evidence import with_evidence
from reconciler.drift.findings import Drift, drift_of
from reconciler.errors import RefusedError
from reconciler.executor.evidence import Gatherer
from reconciler.model.evidence import LOOKUP_SECONDS, Judgement, LastUsed
from reconciler.planner.expectations import expectation, let_go
from reconciler.sandbox import cloudtrail
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from reconciler.spec.settings import Settings
from tests.behaviour.faults import listening, refusing
from tests.behaviour.test_ownership import TRUST
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig

SPEC = """
roles: {web-v1: {trust: ec2}, web-v2: {trust: ec2}}
instance_profiles: {web: {role: ROLE}}
"""
MINUTE, HOUR = 60.0, 3600.0


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path, Lags(ec2_sees_iam=30.0, associating=5.0, disassociating=5.0)) as made:
        yield made


@pytest.fixture
def fleet(aws: Rig) -> list[str]:
    """Three instances on a profile with ``web-v1``, an hour ago."""
    aws.write(SPEC.replace("ROLE", "web-v1"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    ids = [*aws.launch(2, profile="web"), *aws.launch(1, profile="web", region=AWAY)]
    aws.clock.sleep(HOUR)
    return ids


def uses(aws: Rig, instance: str, region: str = HOME, **how: Any) -> None:
    """Somebody on the instance calls AWS."""
    aws.served(instance, region)
    aws.aws.sessions.use((ACCOUNT, region, instance), "s3:ListBuckets", aws.clock.now(), **how)


def asked(aws: Rig, *addresses: str, **more: Any) -> Verification:
    return verify(VerifyRequest(addresses, **more), aws.request(), aws.commands())


def judged(made: Verification) -> dict[str, Judgement]:
    return {
        one.instance.key.instance: one.judgement
        for target in made.targets
        for one in target.verified
    }


def statuses(made: Verification) -> dict[str, tuple[str, str]]:
    return {name: (one.status, one.how) for name, one in judged(made).items()}


def test_a_call_of_each_instance_proves_the_role(aws: Rig, fleet: list[str]) -> None:
    one, two, away = fleet
    uses(aws, one)
    uses(aws, away, AWAY)
    made = asked(aws)
    assert statuses(made) == {
        one: ("proved", "session"),
        two: ("unknown", "no-call"),
        away: ("proved", "session"),
    }
    assert made.exit_code == 1
    uses(aws, two)
    assert asked(aws).exit_code == 0


def test_after_a_cut_over_only_new_credentials_prove_it(aws: Rig, fleet: list[str]) -> None:
    one, two, away = fleet
    aws.write(SPEC.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(10 * MINUTE)
    uses(aws, one)
    uses(aws, two, earlier=1)
    uses(aws, away, AWAY)
    made = judged(asked(aws))
    assert (made[one].status, made[one].role) == ("proved", "web-v2")
    assert (made[two].status, made[two].how, made[two].role) == (
        "unknown",
        "earlier-session",
        "web-v1",
    )


def test_a_role_that_ec2_serves_late_is_a_contradiction(aws: Rig, fleet: list[str]) -> None:
    """EC2 sees the swap later than ``propagation`` allows for."""
    aws.aws.lags = replace(aws.aws.lags, ec2_sees_iam=600.0)
    aws.write(SPEC.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(10 * MINUTE)
    for instance, region in zip(fleet, (HOME, HOME, AWAY), strict=True):
        uses(aws, instance, region)
    made = asked(aws)
    assert set(statuses(made).values()) == {("contradicted", "other-role")}
    assert made.exit_code == 2


def test_a_role_swapped_there_and_back_is_found(aws: Rig, fleet: list[str]) -> None:
    """EC2 has renewed the credentials of one instance meanwhile. Mark and profile say that nothing
    has happened; nothing but the evidence tells."""
    one, _, _ = fleet
    swap(aws, "web-v1", "web-v2")
    aws.clock.sleep(10 * MINUTE)
    aws.aws.lags = replace(aws.aws.lags, renewing=HOUR + 5 * MINUTE)
    aws.served(one)
    aws.aws.lags = replace(aws.aws.lags, renewing=0.0)
    swap(aws, "web-v2", "web-v1")
    aws.clock.sleep(10 * MINUTE)
    assert aws.served(one) == "web-v2"
    assert not aws.drift().findings
    uses(aws, one)
    found = drifted(aws)
    assert [(str(f.address), f.status, f.severity) for f in found.findings] == [
        (f"association/{one}", "stale", "critical")
    ]
    assert "role/web-v2" in str(found.findings[0].reason)
    assert found.exit_code == 2


def swap(aws: Rig, before: str, after: str) -> None:
    """By hand."""
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName=before)
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName=after)


def test_after_a_swap_by_hand_the_old_role_is_a_contradiction_while_it_may_last(
    aws: Rig, fleet: list[str]
) -> None:
    """No mark says when the role was put in, so the credentials of the old one may be from before.
    It is not what the profile holds, all the same, and no run sees to it."""
    one, two, _ = fleet
    swap(aws, "web-v1", "web-v2")
    aws.clock.sleep(10 * MINUTE)
    uses(aws, one)
    made = asked(aws)
    assert statuses(made)[one] == ("contradicted", "other-role")
    assert statuses(made)[two] == ("unknown", "no-call")
    assert made.exit_code == 2
    for wanted in ("web-v1", "web-v2"):
        aws.write(SPEC.replace("ROLE", wanted))
        (target,) = aws.plan().plan.targets
        assert sum(change.actions == ("cutover",) for change in target.changes) == 3
    aws.clock.sleep(8 * HOUR)
    assert statuses(asked(aws))[one] == ("unknown", "expired-session")
    aws.settle()
    assert {aws.served(one), aws.served(two)} == {"web-v2"}


def drifted(aws: Rig) -> Drift:
    planned = make_plan(aws.request(for_drift=True), aws.commands(), keeps_context=True)
    return with_evidence(
        drift_of(planned), verify_planned(VerifyRequest(), planned, aws.commands())
    )


def test_unknown_evidence_is_no_drift(aws: Rig, fleet: list[str]) -> None:
    found = drifted(aws)
    assert (found.findings, found.exit_code) == ((), 0)
    assert "evidence is unknown for 3 of 3 running instances: 3 no-call" in {
        note.reason for note in found.notes
    }


def test_a_contradiction_joins_what_is_known_of_the_instance(aws: Rig, fleet: list[str]) -> None:
    one, _, _ = fleet
    swap(aws, "web-v1", "web-v2")
    uses(aws, one)
    found = [f for f in drifted(aws).findings if str(f.address) == f"association/{one}"]
    assert [f.status for f in found] == ["stale"]
    assert [cause.rule for cause in found[0].causes] == ["stale-credentials", "contradicted"]


@pytest.fixture
def answering(aws: Rig) -> list[str]:
    """Three instances whose role lets their agents answer to Systems Manager."""
    core = "managed_policies: [AmazonSSMManagedInstanceCore]"
    spec = SPEC.replace("trust: ec2", f"trust: ec2, {core}")
    aws.write(spec.replace("ROLE", "web-v1"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    ids = [*aws.launch(2, profile="web"), *aws.launch(1, profile="web", region=AWAY)]
    aws.clock.sleep(HOUR)
    aws.write(spec.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    return ids


def test_the_metadata_service_of_each_instance_is_asked(aws: Rig, answering: list[str]) -> None:
    one, two, away = answering
    aws.aws.windows.add(two)
    made = asked(aws, sources=("imds",))
    assert statuses(made) == dict.fromkeys(answering, ("proved", "metadata"))
    assert {j.role for j in judged(made).values()} == {"web-v2"}
    sent = aws.aws.commands.values()
    assert {c.instances: "Invoke-RestMethod" in c.text for c in sent} == {
        (one,): False,
        (two,): True,
        (away,): False,
    }
    assert not [c for c in aws.aws.log if c.operation == "LookupEvents"]


def test_who_does_not_answer_is_unknown(aws: Rig, fleet: list[str]) -> None:
    """Their role does not let the agent use Systems Manager; CloudTrail is asked as well."""
    one, two, _ = fleet
    uses(aws, one)
    made = judged(asked(aws, sources=("imds", "cloudtrail")))
    assert (made[one].status, made[one].source) == ("proved", "cloudtrail")
    assert [s.how for s in made[one].silences] == ["no-agent"]
    assert [s.how for s in made[two].silences] == ["no-agent", "no-call"]


def test_an_agent_that_sleeps_after_a_cut_over(aws: Rig, answering: list[str]) -> None:
    aws.aws.lags = replace(aws.aws.lags, agent_sleep=15 * MINUTE)
    made = asked(aws, sources=("imds",))
    assert set(statuses(made).values()) == {("unknown", "no-answer")}
    made = asked(aws, sources=("imds",), wait=15 * MINUTE)
    assert set(statuses(made).values()) == {("proved", "metadata")}


def test_the_metadata_service_contradicts(aws: Rig, answering: list[str]) -> None:
    """EC2 serves what was in the profile before it was swapped by hand."""
    swap(aws, "web-v2", "web-v1")
    made = asked(aws, sources=("imds",))
    assert set(statuses(made).values()) == {("contradicted", "other-role")}
    assert made.exit_code == 2


@pytest.mark.parametrize(
    ("action", "source"),
    [
        ("cloudtrail:LookupEvents", "cloudtrail"),
        ("ssm:DescribeInstanceInformation", "imds"),
        ("ssm:SendCommand", "imds"),
        ("ssm:ListCommandInvocations", "imds"),
    ],
)
def test_without_permission_it_is_unknown_and_says_which(
    aws: Rig, answering: list[str], action: str, source: Any
) -> None:
    aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset({action}))
    began = aws.clock.now()
    made = asked(aws, sources=(source,), wait=HOUR)
    assert set(statuses(made).values()) == {("unknown", "denied")}
    assert {j.permissions for j in judged(made).values()} == {(action,)}
    assert made.exit_code == 1
    assert aws.clock.now() - began < MINUTE, "nobody waits for a permission"


def test_who_is_verified(aws: Rig, fleet: list[str]) -> None:
    """Not who is stopped or gone; but who is managed by a service of AWS, hidden, or not shown."""
    one, two, away = fleet
    (managed,) = aws.launch(1, profile="web", operator="ecs.amazonaws.com")
    (unseen,) = aws.launch(1, profile="web")
    aws.ec2().modify_managed_resource_visibility(DefaultVisibility="hidden")
    aws.aws.unseen.add(unseen)
    aws.ec2().stop_instances(InstanceIds=[one])
    aws.ec2(AWAY).terminate_instances(InstanceIds=[away])
    for name in (two, managed, unseen):
        uses(aws, name)
    made = asked(aws)
    assert statuses(made) == dict.fromkeys((two, managed, unseen), ("proved", "session"))
    assert made.targets[0].at_rest == 1
    assert made.exit_code == 0


@contextmanager
def refused_in(aws: Rig, region: str, operation: str, code: str) -> Iterator[None]:
    def listen(logged: Logged) -> None:
        if (logged.operation, logged.region) == (operation, region):
            raise refused(logged.service, code, "refused by the test")

    with listening(aws.aws.before, listen):
        yield


def test_a_region_that_cannot_be_read_may_hide_a_consumer(aws: Rig, fleet: list[str]) -> None:
    one, two, _ = fleet
    uses(aws, one)
    uses(aws, two)
    with refused_in(aws, AWAY, "DescribeInstances", "UnauthorizedOperation"):
        made = asked(aws)
    assert set(statuses(made).values()) == {("proved", "session")}
    assert [n.what for n in made.targets[0].not_read] == [f"instances in {AWAY}"]
    assert made.exit_code == 1


def test_throttling_of_one_region_leaves_the_others(aws: Rig, fleet: list[str]) -> None:
    one, two, away = fleet
    for name, region in ((one, HOME), (two, HOME), (away, AWAY)):
        uses(aws, name, region)
    with refused_in(aws, AWAY, "LookupEvents", "ThrottlingException"):
        made = judged(asked(aws))
    assert [made[name].status for name in fleet] == ["proved", "proved", "unknown"]
    assert made[away].how == "unreadable"
    assert "ThrottlingException" in made[away].because


def test_addresses_choose(aws: Rig, fleet: list[str]) -> None:
    one, two, away = fleet
    aws.iam.create_role(RoleName="other", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="other")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName="other")
    aws.clock.sleep(MINUTE)
    (foreign,) = aws.launch(1, profile="other")
    assert set(statuses(asked(aws))) == {one, two, away}
    assert set(statuses(asked(aws, one))) == {one}
    assert set(statuses(asked(aws, f"association/{two}", away))) == {two, away}
    assert set(statuses(asked(aws, "role/web-*"))) == {one, two, away}
    assert set(statuses(asked(aws, "instance-profile/other"))) == {foreign}
    for wrong in ("web", "policy/x", "role/", "instance-profile/wbe", "i-0123456789"):
        with pytest.raises(RefusedError) as error:
            asked(aws, wrong)
        assert error.value.exit_code == 64


def test_waiting_ends_when_everything_is_known(aws: Rig, fleet: list[str]) -> None:
    """CloudTrail is five minutes late."""
    aws.aws.lags = replace(aws.aws.lags, trail=5 * MINUTE)
    for instance, region in zip(fleet, (HOME, HOME, AWAY), strict=True):
        uses(aws, instance, region)
    began = aws.clock.now()
    assert asked(aws).exit_code == 1
    made = asked(aws, wait=15 * MINUTE)
    assert made.exit_code == 0
    assert 5 * MINUTE <= aws.clock.now() - began < 7 * MINUTE


def test_an_instance_that_ends_meanwhile_is_not_waited_for(aws: Rig, fleet: list[str]) -> None:
    one, two, away = fleet
    uses(aws, one)
    uses(aws, two)
    started = aws.clock.now()

    def end(logged: Logged) -> None:
        if aws.clock.now() > started + MINUTE and logged.operation == "LookupEvents":
            aws.aws.before.remove(end)
            aws.ec2(AWAY).terminate_instances(InstanceIds=[away])

    aws.aws.before.append(end)
    made = asked(aws, wait=HOUR)
    assert set(statuses(made)) == {one, two}
    assert aws.clock.now() - started < 5 * MINUTE


def test_a_session_that_somebody_named_after_an_instance_is_no_evidence(
    aws: Rig, fleet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may assume a role can name a session as he likes; and EC2 gives instances an identity
    of its own, named alike."""
    one, two, away = fleet
    for instance, region in ((one, HOME), (two, HOME), (away, AWAY)):
        uses(aws, instance, region)
    plain = cloudtrail._of_instance

    def forged(used: Any) -> dict[str, Any]:
        event = plain(used)
        detail = json.loads(event["CloudTrailEvent"])
        identity = detail["userIdentity"]
        context, issuer = identity["sessionContext"], identity["sessionContext"]["sessionIssuer"]
        if used.key[2] == one:
            del context["ec2RoleDelivery"]
        if used.key[2] == two:
            issuer["principalId"] = f"{ACCOUNT}:aws:ec2-instance"
            identity["principalId"] = f"{ACCOUNT}:aws:ec2-instance:{two}"
        if used.key[2] == away:
            detail = "nonsense"
        return {**event, "CloudTrailEvent": json.dumps(detail)}

    monkeypatch.setattr(cloudtrail, "_of_instance", forged)
    assert set(statuses(asked(aws)).values()) == {("unknown", "no-call")}


def test_a_refused_association_began_nothing(
    aws: Rig, fleet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudTrail has refused calls too, and the dry runs by which a cut-over asks."""
    one, _, _ = fleet
    aws.write(SPEC.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    uses(aws, one)
    plain = cloudtrail._event
    seen = []

    def refused_now(number: int, change: Any) -> dict[str, Any]:
        event = plain(number, change)
        if event["EventName"] == "AssociateIamInstanceProfile":
            detail = json.loads(event["CloudTrailEvent"])
            detail |= {"errorCode": "Client.DryRunOperation", "responseElements": None}
            detail["requestParameters"] = {
                "AssociateIamInstanceProfileRequest": {"InstanceId": one}
            }
            event |= {"EventTime": aws.clock.now(), "CloudTrailEvent": json.dumps(detail)}
            seen.append(event)
        return event

    aws.clock.sleep(MINUTE)
    monkeypatch.setattr(cloudtrail, "_event", refused_now)
    assert judged(asked(aws, one))[one].status == "proved"
    assert seen


def test_an_old_process_that_is_busy_does_not_hide_the_new_session(
    aws: Rig, fleet: list[str]
) -> None:
    one, _, _ = fleet
    aws.write(SPEC.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    uses(aws, one)
    for _ in range(120):
        aws.clock.sleep(1.0)
        uses(aws, one, earlier=1)
    made = judged(asked(aws, one))[one]
    assert (made.status, made.role) == ("proved", "web-v2")


def test_a_call_of_a_service_without_a_region_is_told_in_one_region(
    aws: Rig, fleet: list[str]
) -> None:
    _, _, away = fleet
    aws.served(away, AWAY)
    aws.aws.sessions.use((ACCOUNT, AWAY, away), "iam:ListRoles", aws.clock.now())
    assert statuses(asked(aws, away)) == {away: ("proved", "session")}
    with refused_in(aws, HOME, "LookupEvents", "AccessDeniedException"):
        assert statuses(asked(aws, away)) == {away: ("unknown", "no-call")}


def test_lookups_keep_to_the_rate_of_cloudtrail(aws: Rig, fleet: list[str]) -> None:
    """In one region: where several are asked at a time, each moves the clock of all."""
    here = aws.launch(12, profile="web")
    asked(aws, *here)
    at = [c.at for c in aws.aws.log if c.operation == "LookupEvents"]
    assert len(at) >= len(here)
    assert all(after - before >= LOOKUP_SECONDS for before, after in pairwise(at))


def test_the_use_of_the_role_that_was_let_go_of(aws: Rig, fleet: list[str]) -> None:
    one, _, _ = fleet
    aws.write(SPEC.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(10 * MINUTE)
    uses(aws, one, earlier=1)
    made = asked(aws, sources=("last-used",))
    assert set(statuses(made).values()) == {("unknown", "not-asked")}
    (old,) = made.targets[0].let_go
    assert (old.role, old.used) == ("web-v1", LastUsed(aws.clock.now(), HOME))
    with refusing(aws, "GetRole", "AccessDenied"):
        (old,) = asked(aws, sources=("last-used",)).targets[0].let_go
    assert old.unread == "not allowed to call iam:GetRole"


def test_strategy_wait_is_unknown_until_ec2_has_renewed(aws: Rig, fleet: list[str]) -> None:
    """EC2 goes on with the credentials that it has, as the strategy says: that is no
    contradiction, and no drift."""
    one, _, _ = fleet
    waits = SPEC.replace("role: ROLE", "role: web-v2, cutover: {strategy: wait}")
    aws.write(waits)
    aws.settle()
    aws.clock.sleep(10 * MINUTE)
    uses(aws, one)
    made = judged(asked(aws, one))[one]
    assert (made.status, made.how, made.role) == ("unknown", "not-renewed", "web-v1")
    assert made.until is not None
    assert all(f.severity != "critical" for f in drifted(aws).findings)
    aws.aws.lags = replace(aws.aws.lags, renewing=2 * HOUR)
    aws.clock.sleep(3 * HOUR)
    uses(aws, one)
    assert judged(asked(aws, one))[one].status == "proved"


TARGETS = """
version: 1
owner: tests
targets:
  dev: {account_id: '222222222222', role_arn: 'arn:aws:iam::222222222222:role/x'}
  prod: {account_id: '111111111111', role_arn: 'arn:aws:iam::111111111111:role/x'}
"""


def test_each_target_by_itself(aws: Rig) -> None:
    aws.write(SPEC.replace("ROLE", "web-v1"), TARGETS)
    aws.settle()
    aws.clock.sleep(MINUTE)
    ids = {}
    for account in ("111111111111", "222222222222"):
        given = aws.client("sts", HOME).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/x", RoleSessionName="launch"
        )["Credentials"]
        ec2 = boto3.client(
            "ec2",
            region_name=HOME,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )
        (made,) = ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "web"}
        )["Instances"]
        ids[account] = made["InstanceId"]
    aws.clock.sleep(MINUTE)
    prod = ids["111111111111"]
    aws.aws.sessions.use(("111111111111", HOME, prod), "s3:ListBuckets", aws.clock.now())
    made = asked(aws)
    assert [(t.plan.target, [v.judgement.how for v in t.verified]) for t in made.targets] == [
        ("dev", ["no-call"]),
        ("prod", ["session"]),
    ]
    assert statuses(asked(aws, prod)) == {prod: ("proved", "session")}
    assert made.exit_code == 1


def test_a_run_that_is_to_stop_asks_no_further(aws: Rig, answering: list[str]) -> None:
    """A cut-over asks too, and a signal must not wait for the agents of instances."""
    aws.aws.lags = replace(aws.aws.lags, agent_sleep=HOUR)
    context = make_plan(aws.request(), aws.commands(), keeps_context=True).targets[0].context
    assert context is not None
    instances = [i for i in context.live.instances.values() if i.is_running]
    expected = [expectation(i, context, let_go(context)) for i in instances]
    reader = aws.commands().connect(None, Settings()).evidence(aws.clock)
    gatherer = Gatherer(reader, aws.clock, aws.progress)
    gatherer.stop.set()
    began = aws.clock.now()
    found = gatherer.judged(expected, ("imds", "cloudtrail"))
    assert {(j.status, j.how) for j in found.values()} == {("unknown", "not-asked")}
    assert len(found) == len(answering)
    assert aws.clock.now() == began


def test_nothing_to_verify(aws: Rig) -> None:
    aws.write("roles: {web-v1: {trust: ec2}}\n")
    aws.settle()
    aws.aws.log.clear()
    made = asked(aws)
    assert (made.exit_code, statuses(made)) == (0, {})
    assert not [c for c in aws.aws.log if c.service in ("ec2", "cloudtrail")]


@pytest.mark.slow
def test_many_instances(aws: Rig) -> None:
    """One lookup each, and some for the region."""
    aws.write(SPEC.replace("ROLE", "web-v1"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    aws.launch(1000, profile="web")
    aws.clock.sleep(HOUR)
    aws.aws.lags = replace(aws.aws.lags, calls=5 * MINUTE)
    aws.aws.log.clear()
    made = asked(aws)
    assert made.summary == {"proved": 1000, "unknown": 0, "contradicted": 0}
    lookups = [c for c in aws.aws.log if c.operation == "LookupEvents"]
    assert len(lookups) == 1000 + 2
