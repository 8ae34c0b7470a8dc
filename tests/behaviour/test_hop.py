"""Strategy ``hop``: the role changes, and no instance is without credentials for a moment."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.executor.interrupt import Interrupt
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, Watch, crashing, listening, refusing
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig
from tests.sampling import deaths, sampled

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
SHADOW = "web.reconciler-hop"


DEATHS = deaths(range(1, 27), [6, 9, 17])
MOMENTS = sampled([6], [2, 4, 8, 9, 10, 12, 14, 16])


def spec(role: str, strategy: str = "hop") -> str:
    cutover = f"{{strategy: {strategy}, max_unavailable: 2}}"
    return f"""
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}, v3: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {cutover}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""


class Served:
    """At every request: no instance that was served a role's credentials is served none."""

    def __init__(self, aws: Rig, fleet: list[tuple[str, str]]) -> None:
        self.aws, self.fleet = aws, fleet
        self.bare: list[str] = []

    def __call__(self, logged: Logged) -> None:
        for region, instance in self.fleet:
            if self.aws.aws.served.get((ACCOUNT, region, instance)) is None:
                self.bare.append(f"{instance} at {logged.operation}")


@pytest.fixture
@prepared
def fleet(aws: Rig) -> tuple[Rig, list[tuple[str, str]]]:
    """Five running instances on v1, two of the specs, two of nobody's, one elsewhere; one more that
    is stopped. The specs want v2."""
    mine = aws.launch(2, tags={"app": "web"})
    aws.write(spec("v1"))
    aws.settle()
    aws.clock.sleep(60)
    others = aws.launch(3, profile="web")
    aws.ec2().stop_instances(InstanceIds=others[2:])
    away = aws.launch(1, region=AWAY, profile="web")
    aws.write(spec("v2"))
    running = [*((HOME, i) for i in (*mine, *others[:2])), *((AWAY, i) for i in away)]
    for region, instance in running:
        assert aws.served(instance, region) == "v1"
    return aws, running


def is_whole(aws: Rig, running: list[tuple[str, str]], role: str) -> None:
    aws.clock.sleep(30)
    assert {aws.served(i, region) for region, i in running} == {role}
    assert {aws.profile_of(i, region) for region, i in running} == {"web"}
    assert aws.role_in("web") == role
    assert aws.names()["profiles"] == ["web"]
    tags = aws.profile_tags("web")
    assert tags["reconciler:role-id"] == aws.role_id(role)
    assert not [key for key in tags if "in-flight" in key]
    assert aws.plan().plan.is_empty


def test_no_instance_is_without_credentials(fleet: tuple[Rig, list[tuple[str, str]]]) -> None:
    aws, running = fleet
    watch, served = Watch(aws, tuple(running)), Served(aws, running)
    with listening(aws.aws.before, watch), listening(aws.aws.before, served):
        aws.settle()
    assert watch.most == 0
    assert served.bare == []
    is_whole(aws, running, "v2")
    assert not [w for w in aws.writes() if w.operation == "DisassociateIamInstanceProfile"]


def test_the_old_role_is_kept_for_hours(fleet: tuple[Rig, list[tuple[str, str]]]) -> None:
    """Processes may hold its credentials: a prune in the same plan leaves it, and so does the next."""
    aws, running = fleet
    aws.write(spec("v2").replace("v1: {trust: ec2}, ", ""))
    change, delete = frozenset({("change", "*")}), frozenset({("delete", "*")})
    aws.settle(prune=True, allow=change | delete)
    assert aws.role_tags("v1")["reconciler:released"].isdigit()
    assert "v1" in aws.names()["roles"]
    is_whole(aws, running, "v2")
    aws.clock.sleep(7 * 3600)
    aws.settle(prune=True, allow=change | delete)
    assert "v1" not in aws.names()["roles"]


def test_the_plan_shows_the_hop(fleet: tuple[Rig, list[tuple[str, str]]]) -> None:
    aws, _ = fleet
    steps = [getattr(s.action, "operation", "wait") for s in aws.plan().plan.targets[0].steps]
    order = ["CreateInstanceProfile", "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"]
    assert [s for s in steps if s in order] == [
        "CreateInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile",
    ]
    asked = [s for s in aws.plan().plan.targets[0].steps if s.refusal == "DryRunOperation"]
    assert len(asked) == 5
    assert steps.count("ReplaceIamInstanceProfileAssociation") - len(asked) == 10
    reasons = {c.reason for c in aws.plan().plan.changes if c.address.is_instance}
    assert reasons == {"through a temporary profile"}


@pytest.mark.parametrize(("at", "after"), DEATHS)
def test_a_crash_at_any_call_of_a_hop_is_resumed(
    fleet: tuple[Rig, list[tuple[str, str]]], at: int, after: bool
) -> None:
    aws, running = fleet
    watch = Watch(aws, tuple(running))
    with listening(aws.aws.before, watch):
        with crashing(aws, at, after=after), pytest.raises(Crash):
            aws.apply()
        aws.settle()
    assert watch.most == 0
    is_whole(aws, running, "v2")


@pytest.mark.parametrize("at", MOMENTS)
@pytest.mark.parametrize(
    "then", [spec("v1"), spec("v3"), spec("v2", "reassociate"), spec("v1", "wait")]
)
def test_the_specs_change_half_way(
    fleet: tuple[Rig, list[tuple[str, str]]], at: int, then: str
) -> None:
    aws, running = fleet
    with crashing(aws, at, after=True), pytest.raises(Crash):
        aws.apply()
    aws.write(then)
    aws.settle()
    if "wait" in then:
        assert aws.names()["profiles"] == ["web"]
        assert {aws.profile_of(i, region) for region, i in running} == {"web"}
    else:
        is_whole(aws, running, "v1" if "role: v1" in then else "v3" if "role: v3" in then else "v2")


def test_the_profile_leaves_the_specs_half_way(fleet: tuple[Rig, list[tuple[str, str]]]) -> None:
    aws, running = fleet
    with crashing(aws, 6, after=True), pytest.raises(Crash):
        aws.apply()
    aws.write("roles: {v1: {trust: ec2}, v2: {trust: ec2}, v3: {trust: ec2}}")
    aws.settle()
    assert aws.names()["profiles"] == ["web"]
    assert {aws.profile_of(i, region) for region, i in running} == {"web"}
    assert {aws.served(i, region) for region, i in running} == {aws.role_in("web")}


def test_a_failed_canary_returns_to_its_profile(
    fleet: tuple[Rig, list[tuple[str, str]]],
) -> None:
    aws, running = fleet

    def spoil(logged: Logged) -> None:
        if logged.params.get("InstanceProfileName") == SHADOW and "Add" in logged.operation:
            trust = TRUST.replace("ec2.", "lambda.")
            aws.iam.update_assume_role_policy(RoleName="v2", PolicyDocument=trust)

    with listening(aws.aws.after, spoil):
        applied = aws.apply()
    assert applied.exit_code == 3
    reasons = [o.reason for o in applied.result.outcomes if o.status == "failed"]
    assert any("rolled back" in reason for reason in reasons), reasons
    aws.clock.sleep(60)
    assert aws.role_in("web") == "v1"
    assert {aws.profile_of(i, region) for region, i in running} == {"web"}
    assert {aws.served(i, region) for region, i in running} == {"v1"}
    assert aws.names()["profiles"] == ["web"]
    assert aws.profile_tags("web")["reconciler:role-id"] == f"failed/{aws.role_id('v2')}"
    aws.write(spec("v1"))
    aws.settle()
    is_whole(aws, running, "v1")


def test_an_interrupt_during_the_move_to_the_temporary_profile(
    fleet: tuple[Rig, list[tuple[str, str]]],
) -> None:
    aws, running = fleet
    stop = Interrupt()

    def press(logged: Logged) -> None:
        if logged.operation == "ReplaceIamInstanceProfileAssociation":
            stop.set()

    with listening(aws.aws.before, press):
        assert aws.apply(stop).exit_code == 130
    assert aws.role_in("web") == "v1"
    for region, instance in running:
        assert aws.profile_of(instance, region) in ("web", SHADOW)
    aws.settle()
    is_whole(aws, running, "v2")


def test_a_profile_with_the_name_of_the_temporary_one(
    fleet: tuple[Rig, list[tuple[str, str]]],
) -> None:
    aws, running = fleet
    aws.iam.create_instance_profile(InstanceProfileName=SHADOW)
    applied = aws.apply()
    reasons = [o.reason for o in applied.result.outcomes if o.status == "failed"]
    assert any("is not our temporary profile" in reason for reason in reasons), reasons
    assert aws.role_in("web") == "v1"
    assert {aws.served(i, region) for region, i in running} == {"v1"}
    assert aws.names()["profiles"] == ["web", SHADOW]


def test_instances_launched_stopped_and_terminated_during_a_hop(
    fleet: tuple[Rig, list[tuple[str, str]]],
) -> None:
    aws, running = fleet
    seen: list[str] = []

    def act(logged: Logged) -> None:
        if logged.operation != "ReplaceIamInstanceProfileAssociation":
            return
        seen.append(logged.operation)
        if len(seen) == 3:
            running.append((HOME, aws.launch(1, profile="web")[0]))
            aws.ec2().stop_instances(InstanceIds=[running[0][1]])
            aws.ec2().terminate_instances(InstanceIds=[running[1][1]])

    with listening(aws.aws.after, act):
        aws.settle()
    is_whole(aws, running[2:], "v2")
    assert aws.profile_of(running[0][1]) == "web"
    aws.ec2().start_instances(InstanceIds=[running[0][1]])
    assert aws.served(running[0][1]) == "v2"


def test_moving_is_denied(fleet: tuple[Rig, list[tuple[str, str]]]) -> None:
    aws, running = fleet
    operation = "ReplaceIamInstanceProfileAssociation"
    with refusing(aws, operation, "UnauthorizedOperation"):
        applied = aws.apply()
    reasons = [o.reason for o in applied.result.outcomes if o.status == "failed"]
    assert any("ec2:ReplaceIamInstanceProfileAssociation" in reason for reason in reasons), reasons
    assert aws.role_in("web") == "v1"
    assert {aws.served(i, region) for region, i in running} == {"v1"}
    aws.settle(allow=frozenset({("retry", "instance-profile/web")}))
    is_whole(aws, running, "v2")


def test_the_temporary_profile_is_read_with_only(fleet: tuple[Rig, list[tuple[str, str]]]) -> None:
    aws, running = fleet
    with crashing(aws, 6, after=True), pytest.raises(Crash):
        aws.apply()
    only: dict[str, Any] = {"only": ("instance-profile/web",)}
    aws.settle(**only)
    is_whole(aws, running, "v2")


@pytest.mark.parametrize(
    ("position", "asked"),
    sampled([(4, False)], [(0, False), (1, False), (0, True), (1, True), (4, True)]),
)
def test_the_role_is_not_swapped_under_an_instance_that_was_refused(
    fleet: tuple[Rig, list[tuple[str, str]]], position: int, asked: bool
) -> None:
    """Whichever it is, also the last of all: it stays on the profile, so the old role stays in."""
    aws, running = fleet
    region, instance = sorted(running, key=lambda one: (one[1], one[0]))[position]
    row, operation = association(aws, region, instance), "ReplaceIamInstanceProfileAssociation"
    with refusing(aws, operation, "UnauthorizedOperation", asked=asked, AssociationId=row):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert aws.role_in("web") == "v1"
    assert aws.served(instance, region) == "v1"
    assert aws.profile_of(instance, region) == "web"
    allow = frozenset({("retry", "instance-profile/web")})
    aws.settle(allow=allow if aws.plan().plan.guards else frozenset())
    is_whole(aws, running, "v2")


def association(aws: Rig, region: str, instance: str) -> str:
    only = [{"Name": "instance-id", "Values": [instance]}]
    answer = aws.ec2(region).describe_iam_instance_profile_associations(Filters=only)
    (row,) = answer["IamInstanceProfileAssociations"]
    return str(row["AssociationId"])
