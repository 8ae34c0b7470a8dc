"""Between the plan and the first write of a cut-over somebody else was at work: what they did stays,
and is said. What this very plan did before is no such thing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.commands.apply import Applied, Apply
from reconciler.exit_codes import ExitCode
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, dying, is_write, listening
from tests.prepared import prepared
from tests.rig import Rig

SPEC = """
roles: {{alpha: {{trust: ec2}}, beta: {{trust: ec2}}, gamma: {{trust: ec2}}, last: {{trust: ec2{more}}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}}}{tags}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""


def spec(role: str, *, more: str = "", tags: str = "", strategy: str = "reassociate") -> str:
    return SPEC.format(role=role, more=more, tags=tags, strategy=strategy)


@pytest.fixture
@prepared
def fleet(aws: Rig) -> Rig:
    aws.launch(2, tags={"app": "web"})
    aws.write(spec("alpha"))
    aws.settle()
    aws.clock.sleep(60)
    return aws


def owned_by_others(aws: Rig) -> None:
    tags = [{"Key": "reconciler:owner", "Value": "other-team/web"}]
    aws.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags)


def unowned(aws: Rig) -> None:
    aws.iam.untag_instance_profile(InstanceProfileName="web", TagKeys=["reconciler:owner"])


def with_another_role(aws: Rig) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="gamma")


def emptied(aws: Rig) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")


def deleted(aws: Rig) -> None:
    emptied(aws)
    aws.iam.delete_instance_profile(InstanceProfileName="web")


def made_again(aws: Rig) -> None:
    deleted(aws)
    aws.iam.create_instance_profile(InstanceProfileName="web")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="gamma")


def pending(aws: Rig) -> None:
    now = int(aws.clock.now())
    mark = f"pending/{aws.role_id('alpha')}/{aws.role_id('gamma')}/{now}/another"
    tags = [{"Key": "reconciler:role-id", "Value": mark}]
    aws.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags)


def failed(aws: Rig) -> None:
    tags = [{"Key": "reconciler:role-id", "Value": f"failed/{aws.role_id('beta')}"}]
    aws.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags)


HANDS: list[tuple[Callable[[Rig], None], str]] = [
    (owned_by_others, "was taken over by the owner 'other-team'"),
    (unowned, "lost its owner tag since the plan"),
    (with_another_role, "was changed to role/gamma outside of this run"),
    (emptied, "was changed to no role outside of this run"),
    (deleted, "was deleted since the plan"),
    (made_again, "was deleted and created again"),
    (pending, "is in a cut-over that run another began since the plan"),
    (failed, "was marked by another run"),
]


def refused(aws: Rig, applied: Applied, words: str, since: int) -> None:
    """It was said, and nothing was written to the profile or its instances by us."""
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    broken = [o for o in applied.result.outcomes if o.status == "failed"]
    assert [str(o.address) for o in broken] == ["instance-profile/web"], broken
    assert "ChangedSincePlanned" in broken[0].reason
    assert words in broken[0].reason
    assert broken[0].reason.endswith("plan again")
    touched = [c for c in aws.aws.log[since:] if is_write(c) and c.operation != "UpdateRole"]
    assert [c.operation for c in touched] == []


@pytest.mark.parametrize(("hand", "words"), HANDS, ids=lambda p: getattr(p, "__name__", ""))
@pytest.mark.parametrize("strategy", ["reassociate", "hop", "wait"])
def test_a_change_while_approval_is_asked_stops_the_cut_over(
    fleet: Rig, hand: Callable[[Rig], None], words: str, strategy: str
) -> None:
    fleet.write(spec("beta", strategy=strategy))
    planned = fleet.plan()
    hand(fleet)
    before = len(fleet.aws.log)
    applied = Apply(planned, fleet.commands()).execute()
    refused(fleet, applied, words, before)


def test_a_change_during_an_earlier_step_stops_the_cut_over(fleet: Rig) -> None:
    """The cut-over waits for the role's own change; meanwhile the profile goes to another team."""
    fleet.write(spec("beta").replace("beta: {trust: ec2}", "beta: {trust: ec2, description: x}"))
    planned = fleet.plan()

    def hand(logged: Logged) -> None:
        if logged.operation == "UpdateRole" and not done:
            done.append(True)
            owned_by_others(fleet)

    done: list[bool] = []
    with listening(fleet.aws.after, hand):
        applied = Apply(planned, fleet.commands()).execute()
    assert done
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert "other-team" in " ".join(o.reason for o in applied.result.outcomes)
    assert fleet.role_in("web") == "alpha"


def test_a_planned_interrupted_cut_over_is_resumed(fleet: Rig) -> None:
    fleet.write(spec("beta"))
    with dying(fleet, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        fleet.apply()
    fleet.settle()
    assert {fleet.served(i) for i in fleet.instance_ids()} == {"beta"}


def test_a_cut_over_that_another_run_resumed_first(fleet: Rig) -> None:
    """Planned while a run was dead; another run went on with it before "yes"."""
    fleet.write(spec("beta"))
    with dying(fleet, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        fleet.apply()
    planned = fleet.plan()
    fleet.settle()
    before = len(fleet.aws.log)
    applied = Apply(planned, fleet.commands()).execute()
    assert applied.exit_code == ExitCode.OK
    assert not [c for c in fleet.aws.log[before:] if is_write(c)]


def test_own_tag_changes_do_not_stop_a_cut_over(fleet: Rig) -> None:
    fleet.write(spec("beta", tags=", tags: {team: web}"))
    fleet.settle()
    assert {fleet.served(i) for i in fleet.instance_ids()} == {"beta"}


@pytest.mark.parametrize("refresh", [False, True])
def test_own_adoption_does_not_stop_a_cut_over(aws: Rig, refresh: bool) -> None:
    aws.write("roles: {alpha: {trust: ec2, instance_profile: false}, beta: {trust: ec2}}")
    aws.settle()
    aws.iam.create_instance_profile(InstanceProfileName="web")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="alpha")
    aws.clock.sleep(60)
    instance = aws.launch(1, profile="web")[0]
    aws.write(
        "roles: {alpha: {trust: ec2}, beta: {trust: ec2}}\ninstance_profiles: {web: {role: beta}}"
    )
    aws.settle(adopt=True, refresh_adopted=refresh)
    assert aws.served(instance) == "beta"


def test_own_replacement_does_not_stop_a_cut_over(fleet: Rig) -> None:
    """The profile is made again between two halves."""
    fleet.write(spec("alpha", tags=", path: /new/"))
    fleet.settle(allow=frozenset({("replace", "instance-profile/web")}))
    assert {fleet.served(i) for i in fleet.instance_ids()} == {"alpha"}


@pytest.mark.parametrize("hand", [owned_by_others, pending])
def test_a_change_between_the_two_parts_of_a_replacement(
    fleet: Rig, hand: Callable[[Rig], None]
) -> None:
    fleet.write(spec("alpha").replace("alpha: {trust: ec2}", "alpha: {trust: ec2, path: /new/}"))
    done: list[bool] = []

    def listen(logged: Logged) -> None:
        if logged.operation == "CreateRole" and not done:
            done.append(True)
            hand(fleet)

    with listening(fleet.aws.after, listen):
        applied = fleet.apply(allow=frozenset({("replace", "role/alpha")}))
    assert done
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert "since the plan" in " ".join(o.reason for o in applied.result.outcomes)
    assert fleet.role_in("web") is None


def test_a_temporary_profile_with_a_new_owner_stops_the_cut_over(fleet: Rig) -> None:
    fleet.write(spec("beta", strategy="hop"))
    with dying(fleet, "ReplaceIamInstanceProfileAssociation"), pytest.raises(Crash):
        fleet.apply()
    planned = fleet.plan()
    names = [n for n in fleet.names()["profiles"] if n != "web"]
    tags = [{"Key": "reconciler:owner", "Value": f"other-team/{names[0]}"}]
    fleet.iam.tag_instance_profile(InstanceProfileName=names[0], Tags=tags)
    applied = Apply(planned, fleet.commands()).execute()
    broken = [o for o in applied.result.outcomes if o.status == "failed"]
    assert "taken over by the owner 'other-team'" in broken[0].reason
    assert names[0] in broken[0].reason


def test_a_change_before_the_mark_for_a_stopped_instance(fleet: Rig) -> None:
    """A stopped instance moves to the profile: the note about it is a write like any other."""
    fleet.write(
        "roles: {alpha: {trust: ec2}}\ninstance_profiles: {web: {role: alpha}, o: {role: alpha}}\n"
        "associations: {fleet: {instance_profile: o, select: {tags: {app: web}}}}"
    )
    fleet.settle()
    fleet.ec2().stop_instances(InstanceIds=fleet.instance_ids())
    fleet.write(
        "roles: {alpha: {trust: ec2}}\ninstance_profiles: {web: {role: alpha}, o: {role: alpha}}\n"
        "associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}"
    )
    planned = fleet.plan()
    owned_by_others(fleet)
    applied = Apply(planned, fleet.commands()).execute()
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert {fleet.profile_of(i) for i in fleet.instance_ids()} == {"o"}
