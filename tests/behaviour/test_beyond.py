"""Consumers that are not ours to touch: those that AWS does not show, and those that an AWS service
manages."""

from __future__ import annotations

import pytest

from reconciler.commands.apply import Applied
from reconciler.exit_codes import ExitCode
from reconciler.model.ownership import Pending, decode_role_mark
from tests.prepared import prepared
from tests.rig import AWAY, HOME, Rig

ECS = "ecs.amazonaws.com"
WAITS = "apply again when these instances are listed or replaced"
SPEC = """
roles:
  alpha: {trust: ec2}
  beta: {trust: ec2}
instance_profiles:
  web: {role: alpha, cutover: {strategy: STRATEGY, max_unavailable: 100%}}
associations:
  fleet: {instance_profile: web, select: {tags: {app: web}}}
"""


def write(aws: Rig, role: str = "alpha", strategy: str = "reassociate") -> None:
    text = SPEC.replace("role: alpha", f"role: {role}").replace("STRATEGY", strategy)
    aws.write(text)


@pytest.fixture
@prepared
def made(aws: Rig) -> Rig:
    write(aws)
    aws.settle()
    aws.clock.sleep(60)
    return aws


def reasons(applied: Applied) -> str:
    return "; ".join(o.reason for o in applied.result.outcomes if o.status == "failed")


def touched(aws: Rig, instance: str) -> list[str]:
    """Calls that changed something at the instance or its association."""
    rows = {r.id for r in aws.aws.rows if r.instance == instance}
    told = [
        c
        for c in aws.writes()
        if instance in str(c.params) or rows & set(map(str, c.params.values()))
    ]
    return [c.operation for c in told]


def is_pending(aws: Rig) -> bool:
    return isinstance(decode_role_mark(aws.profile_tags("web").get("reconciler:role-id")), Pending)


def kept(aws: Rig, address: str, **flags: bool) -> list[str]:
    targets = aws.plan(**flags).plan.targets
    return [k.reason for t in targets for k in t.kept if str(k.address) == address]


@pytest.mark.parametrize("region", [HOME, AWAY])
@pytest.mark.parametrize("strategy", ["reassociate", "restart", "hop"])
def test_an_instance_that_is_not_listed_keeps_a_cut_over_open(
    made: Rig, strategy: str, region: str
) -> None:
    shown = made.launch(1, profile="web")[0]
    hidden = made.launch(1, profile="web", region=region)[0]
    made.aws.unseen.add(hidden)
    write(made, "beta", strategy)
    made.aws.log.clear()
    applied = made.apply()
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert applied.result.advice == (WAITS,)
    assert hidden in reasons(applied)
    assert region in reasons(applied)
    assert touched(made, hidden) == []
    assert is_pending(made)
    if strategy != "hop":
        assert made.served(shown) == "beta"
        assert f"{hidden} ({region}) on instance-profile/web" in reasons(applied)
    made.aws.unseen.clear()
    made.settle()
    assert (made.served(shown), made.served(hidden, region)) == ("beta", "beta")
    assert made.profile_tags("web") == {
        "reconciler:owner": made.profile_tags("web")["reconciler:owner"],
        "reconciler:role-id": made.role_id("beta"),
    }


def test_an_unlisted_instance_that_appears_at_the_end_counts(made: Rig) -> None:
    """The last listing counts, not the first."""
    made.launch(1, profile="web")
    late: list[str] = []

    def launch(logged: object) -> None:
        if getattr(logged, "operation", "") == "AssociateIamInstanceProfile" and not late:
            late.append(made.launch(1, profile="web")[0])
            made.aws.unseen.add(late[0])

    made.aws.after.append(launch)
    write(made, "beta")
    applied = made.apply()
    made.aws.after.clear()
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert late[0] in reasons(applied)


def test_a_fresh_launch_that_is_shown_late_is_asked_for_again(made: Rig) -> None:
    """EC2 lists its association before it lists the instance."""
    late = made.launch(1, profile="web")[0]
    made.aws.unseen.add(late)
    asked: list[float] = []

    def show(logged: object) -> None:
        if getattr(logged, "operation", "") == "DescribeInstances":
            asked.append(made.clock.now())
            if asked[-1] - asked[0] >= 3:
                made.aws.unseen.clear()

    made.aws.before.append(show)
    write(made, "beta")
    made.settle()
    assert made.served(late) == "beta"


def test_a_terminated_instance_is_not_unknown(made: Rig) -> None:
    """A proxy of a world in which rows outlive their instances for a while."""
    ended = made.launch(1, profile="web")[0]
    rows = [r for r in made.aws.rows if r.instance == ended]
    made.ec2().terminate_instances(InstanceIds=[ended])
    made.aws.rows.extend(rows)
    write(made, "beta")
    made.settle()


def test_drift_reports_an_unlisted_instance_as_unknown(made: Rig) -> None:
    hidden = made.launch(1, profile="web")[0]
    made.aws.unseen.add(hidden)
    drift = made.drift(for_drift=True)
    assert drift.exit_code == ExitCode.ERROR
    (finding,) = [f for f in drift.findings if f.status == "unknown"]
    assert str(finding.address) == f"association/{hidden}"
    assert "instance-profile/web" in (finding.reason or "")
    assert kept(made, f"association/{hidden}") != []
    made.aws.unseen.clear()
    assert made.drift(for_drift=True).exit_code == ExitCode.OK


def test_a_profile_that_it_uses_is_not_deleted(made: Rig) -> None:
    made.aws.unseen.update(made.launch(2, profile="web"))
    made.write("roles: {alpha: {trust: ec2}, beta: {trust: ec2}}")
    guards = made.plan(prune=True).plan.guards
    assert any(g.key == "consumers" for g in guards), guards


def test_an_id_of_the_specs_that_is_not_shown_is_unknown(made: Rig) -> None:
    hidden = made.launch(1, profile="web")[0]
    made.aws.unseen.add(hidden)
    made.write(
        SPEC.replace("STRATEGY", "reassociate").replace(
            "select: {tags: {app: web}}", f"instances: [{hidden}]"
        )
    )
    plan = made.plan().plan
    assert [str(u.address) for u in plan.unread] == [f"association/{hidden}"]
    assert plan.is_empty


@pytest.mark.parametrize(("region", "hidden"), [(HOME, False), (AWAY, True)])
@pytest.mark.parametrize("strategy", ["reassociate", "restart", "hop"])
def test_a_managed_instance_is_left_to_its_service(
    made: Rig, strategy: str, region: str, hidden: bool
) -> None:
    if hidden:
        made.ec2(region).modify_managed_resource_visibility(DefaultVisibility="hidden")
    own = made.launch(1, profile="web")[0]
    theirs = made.launch(1, profile="web", region=region, operator=ECS)[0]
    write(made, "beta", strategy)
    (note,) = [r for r in kept(made, "instance-profile/web") if ECS in r]
    assert f"{region}/{theirs}" in note
    assert [c.consumers for c in made.plan().plan.changes if not c.address.is_instance] == [(own,)]
    made.aws.log.clear()
    applied = made.apply()
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert applied.result.advice == (WAITS,)
    assert f"{theirs} ({region}) on instance-profile/web: {ECS} must replace it" in reasons(applied)
    assert touched(made, theirs) == []
    assert (made.served(own), made.served(theirs, region)) == ("beta", "alpha")
    assert is_pending(made)
    assert made.apply().exit_code == ExitCode.PARTLY_APPLIED
    made.clock.sleep(600)
    made.launch(1, profile="web", region=region, operator=ECS)
    assert made.apply().exit_code == ExitCode.PARTLY_APPLIED
    made.ec2(region).terminate_instances(InstanceIds=[theirs])
    made.settle()
    assert made.profile_tags("web")["reconciler:role-id"] == made.role_id("beta")
    assert "reconciler:swapped" not in made.profile_tags("web")


def test_a_managed_instance_launched_during_the_swap_is_reported(made: Rig) -> None:
    """EC2 may have seen the old role still."""
    made.launch(1, profile="web", operator=ECS)
    write(made, "beta")
    made.apply()
    young = made.launch(1, profile="web", operator=ECS)[0]
    made.clock.sleep(3600)
    assert young in reasons(made.apply())


def test_a_swap_back_forgets_when_the_swap_was(made: Rig) -> None:
    theirs = made.launch(1, profile="web", operator=ECS)[0]
    write(made, "beta")
    made.apply()
    made.clock.sleep(3600)
    write(made)
    assert theirs in reasons(made.apply())
    served_alpha = made.launch(1, profile="web", operator=ECS)[0]
    made.clock.sleep(3600)
    write(made, "beta")
    assert served_alpha in reasons(made.apply())


@pytest.mark.parametrize("by", ["select", "id"])
def test_an_association_skips_a_managed_instance(made: Rig, by: str) -> None:
    theirs = made.launch(1, tags={"app": "web"}, operator=ECS)[0]
    spec = SPEC.replace("STRATEGY", "reassociate")
    if by == "id":
        spec = spec.replace("select: {tags: {app: web}}", f"instances: [{theirs}]")
    made.write(spec)
    made.aws.log.clear()
    made.settle()
    assert made.writes() == []
    assert kept(made, f"association/{theirs}") == [
        f"is not associated with instance-profile/web: {ECS} manages it"
    ]


def test_prune_keeps_the_profile_of_a_managed_instance(made: Rig) -> None:
    theirs = made.launch(1, profile="web", operator=ECS)[0]
    profile = made.iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    mark = {
        "Key": "reconciler:association",
        "Value": f"tests/{theirs}/{profile['InstanceProfileId']}",
    }
    made.ec2().create_tags(Resources=[theirs], Tags=[mark])
    made.write(SPEC.partition("associations:")[0].replace("STRATEGY", "reassociate"))
    assert made.apply(prune=True).exit_code == ExitCode.OK
    assert made.profile_of(theirs) == "web"


def test_prune_says_that_a_cut_over_waits_for_a_managed_instance(made: Rig) -> None:
    """No run died."""
    made.launch(1, profile="web", operator=ECS)
    write(made, "beta")
    made.apply()
    made.write("roles: {beta: {trust: ec2}}")
    waits = (
        "its cut-over waits for instances that reconciler cannot refresh, and is completed first"
    )
    assert waits in kept(made, "instance-profile/web", prune=True)


def test_a_managed_instance_marked_in_flight_gets_no_profile(made: Rig) -> None:
    """By a note that somebody forged, or from the time before it was managed."""
    theirs = made.launch(1, operator=ECS)[0]
    note = [{"Key": "reconciler:in-flight", "Value": f"{HOME}/{theirs}"}]
    made.iam.tag_instance_profile(InstanceProfileName="web", Tags=note)
    made.settle()
    assert made.profile_of(theirs) is None
