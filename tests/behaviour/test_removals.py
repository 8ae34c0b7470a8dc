"""Nothing is taken away from a running instance: deletions, emptied profiles, removed associations,
moves, in one apply or in two, in any region."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.commands.apply import Apply
from reconciler.exit_codes import ExitCode
from reconciler.plan.plan import Plan
from reconciler.render.styled_text import plain
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import refusing
from tests.prepared import prepared
from tests.rig import AWAY, HOME, Rig, rig

READ = "{x: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}}"
ALPHA = f"alpha: {{trust: ec2, inline_policies: {READ}}}"
SPEC = f"""
roles: {{{ALPHA}, beta: {{trust: ec2}}}}
instance_profiles: {{web: {{role: alpha}}}}
"""
BETA = "roles: {beta: {trust: ec2}}\n"
HELD = BETA + "instance_profiles: {web: {role: beta}}\n"
TO_WEB2 = "associations: {a: {instance_profile: web2, instances: [%s]}}\n"
ANY = ("delete", "3"), ("change", "3")


@prepared
def begun(aws: Rig) -> Rig:
    aws.write(SPEC)
    aws.settle()
    aws.clock.sleep(60)
    return aws


@pytest.fixture
def made(aws: Rig) -> Rig:
    return begun(aws)


def lifts(plan: Plan) -> set[str]:
    return {guard.lift for guard in plan.guards}


def kept(plan: Plan) -> dict[str, str]:
    found = (k for target in plan.targets for k in target.kept)
    return {str(k.address): k.reason for k in found if k.status != "warning"}


def is_served(aws: Rig, instance: str, role: str, region: str = HOME) -> None:
    """The instance has the role, and the role may do what it could."""
    assert aws.served(instance, region) == role
    if role == "alpha":
        assert aws.iam.list_role_policies(RoleName="alpha")["PolicyNames"] == ["x"]


@pytest.mark.parametrize("destroy", [False, True])
def test_a_consumer_in_another_region(made: Rig, destroy: bool) -> None:
    (instance,) = made.launch(profile="web", region=AWAY)
    made.write(BETA)
    flags: dict[str, Any] = {"regions": (HOME,)}
    flags |= {"destroy": True} if destroy else {"prune": True}
    plan = made.plan(**flags).plan
    assert "--allow consumers=instance-profile/web" in lifts(plan)
    assert "role/alpha" in kept(plan)
    is_served(made, instance, "alpha", AWAY)
    allow = frozenset({("consumers", "instance-profile/web"), *ANY})
    made.apply(allow=allow, **flags)
    assert made.names()["profiles"] == []
    assert "alpha" in made.names()["roles"], "processes hold its credentials for hours"


@pytest.mark.parametrize(
    "operation", ["DescribeInstances", "DescribeIamInstanceProfileAssociations"]
)
def test_a_region_that_cannot_be_read(made: Rig, operation: str) -> None:
    (instance,) = made.launch(profile="web")
    made.write(BETA)
    with refusing(made, operation, "UnauthorizedOperation"):
        plan = made.plan(prune=True).plan
        applied = made.apply(prune=True)
    assert "cannot be read" in kept(plan)["instance-profile/web"]
    assert kept(plan)["role/alpha"] == "instance-profile/web holds it"
    assert applied.exit_code != ExitCode.OK
    is_served(made, instance, "alpha")


def test_a_role_swapped_out_by_hand(made: Rig) -> None:
    (instance,) = made.launch(profile="web")
    made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
    made.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="beta")
    made.clock.sleep(60)
    made.write(HELD)
    plan = made.plan(prune=True).plan
    assert "role/alpha" in kept(plan)
    made.apply(prune=True)
    is_served(made, instance, "beta")
    assert "alpha" in made.names()["roles"]
    assert "reconciler:released" in made.role_tags("alpha")
    assert "role/alpha" in kept(made.plan(prune=True).plan)
    made.clock.sleep(8 * 3600)
    made.settle(prune=True, allow=frozenset(ANY))
    assert "alpha" not in made.names()["roles"]


WAYS = {
    "ignored": (
        "version: 1\nowner: tests\nignore: [{match: 'instance-profile/web', attributes: [role], reason: x}]\n",
        HELD,
    ),
    "in another case": (None, BETA + "instance_profiles: {web: {role: Alpha}}\n"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", ["stopped", "none"])
def test_a_role_that_the_profile_keeps_is_not_stripped(made: Rig, way: str, state: str) -> None:
    if state == "stopped":
        (instance,) = made.launch(profile="web")
        made.ec2().stop_instances(InstanceIds=[instance])
        made.clock.sleep(120)
    written, spec = WAYS[way]
    made.write(spec, written)
    made.aws.log.clear()
    applied = made.apply(prune=True)
    assert applied.exit_code == ExitCode.PARTLY_APPLIED, "what it had to leave is told"
    assert applied.left is not None and applied.left.is_empty
    assert made.iam.list_role_policies(RoleName="alpha")["PolicyNames"] == ["x"]
    assert made.role_in("web") == "alpha"
    assert not [c for c in made.writes() if c.operation.startswith("Delete")]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_prune_after_a_move(made: Rig, stopped: bool) -> None:
    """The careful way, in two merges."""
    (instance,) = made.launch(profile="web")
    if stopped:
        made.ec2().stop_instances(InstanceIds=[instance])
        made.clock.sleep(120)
    made.write(
        f"roles: {{{ALPHA}, beta: {{trust: ec2}}}}\n"
        "instance_profiles: {web: {role: alpha}, web2: {role: beta}}\n" + TO_WEB2 % instance
    )
    made.settle(adopt=True)
    assert made.profile_of(instance) == "web2"
    assert ("reconciler:released" in made.role_tags("alpha")) is not stopped
    made.write(BETA + "instance_profiles: {web2: {role: beta}}\n" + TO_WEB2 % instance)
    made.settle(prune=True, allow=frozenset(ANY))
    assert made.names()["profiles"] == ["web2"]
    assert ("alpha" in made.names()["roles"]) is not stopped


def test_a_role_is_pruned_after_its_association(made: Rig) -> None:
    (instance,) = made.launch()
    made.write(SPEC + f"associations: {{a: {{instance_profile: web, instances: [{instance}]}}}}\n")
    made.settle()
    made.clock.sleep(60)
    made.write(SPEC)
    plan = made.plan(prune=True).plan
    assert lifts(plan) == {"--allow consumers=instance-profile/web"}
    is_served(made, instance, "alpha")
    made.settle(prune=True, allow=frozenset({("consumers", f"association/{instance}")}))
    assert made.profile_of(instance) is None
    assert "reconciler:released" in made.role_tags("alpha")
    made.write(BETA)
    made.settle(prune=True, allow=frozenset(ANY))
    assert made.names() == {"roles": ["alpha", "beta"], "profiles": [], "policies": []}
    assert made.iam.list_role_policies(RoleName="alpha")["PolicyNames"] == ["x"]


def test_the_release_time_counts_from_the_last_instance(made: Rig) -> None:
    instances = made.launch(2, profile="web")
    made.write(
        f"roles: {{{ALPHA}, beta: {{trust: ec2}}}}\n"
        "instance_profiles: {web: {role: alpha}, web2: {role: beta}}\n"
        + TO_WEB2
        % ", ".join(instances)
    )
    made.settle(adopt=True)
    notes = [
        c for c in made.writes() if c.operation == "TagRole" and c.params["RoleName"] == "alpha"
    ]
    moves = [c for c in made.writes() if c.operation == "ReplaceIamInstanceProfileAssociation"]
    at = made.writes().index
    assert at(notes[0]) < min(map(at, moves))
    assert at(notes[-1]) > max(map(at, moves))


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_an_emptied_profile_is_guarded(made: Rig, region: str) -> None:
    (instance,) = made.launch(profile="web", region=region)
    made.write(SPEC.replace("role: alpha", "role: null"))
    plan = made.plan(regions=(HOME,)).plan
    assert lifts(plan) == {"--allow consumers=instance-profile/web"}
    told = plain(plan_lines(plan, Look()))
    assert "1 running instance\n" in told
    assert "# none is touched: they keep the credentials that they have until" in told
    is_served(made, instance, "alpha", region)
    made.settle(regions=(HOME,), allow=frozenset({("consumers", "instance-profile/web")}))
    assert made.role_in("web") is None
    assert "reconciler:released" in made.role_tags("alpha")
    is_served(made, instance, "alpha", region)
    (kept,) = made.drift(regions=(HOME,)).findings
    assert (str(kept.address), kept.status) == ("instance-profile/web", "stale")
    assert "may keep the credentials of the role that it had until" in (kept.reason or "")
    made.clock.sleep(7 * 3600 + 1)
    assert made.drift(regions=(HOME,)).findings == ()
    assert made.plan(regions=(HOME,)).plan.is_empty


def test_a_profile_that_was_emptied_is_filled_again(made: Rig) -> None:
    """Who kept the old role's credentials takes up the new one."""
    (instance,) = made.launch(profile="web")
    made.write(SPEC.replace("role: alpha", "role: null"))
    made.settle(allow=frozenset({("consumers", "instance-profile/web")}))
    made.write(SPEC.replace("role: alpha", "role: beta"))
    made.settle()
    is_served(made, instance, "beta", HOME)
    assert made.drift().findings == ()


def test_an_emptied_profile_without_instances_is_not_guarded(made: Rig) -> None:
    made.write(SPEC.replace("role: alpha", "role: null"))
    assert lifts(made.plan().plan) == set()
    made.settle()


def test_an_instance_is_not_moved_to_an_empty_profile(made: Rig) -> None:
    (instance,) = made.launch(profile="web")
    made.write(
        SPEC.replace("{web: {role: alpha}}", "{web: {role: alpha}, web2: {role: null}}")
        + TO_WEB2 % instance
    )
    plan = made.plan(adopt=True).plan
    assert lifts(plan) == {f"--allow consumers=association/{instance}"}


def test_a_policy_that_is_attached_to_a_user_is_kept(aws: Rig) -> None:
    """Its older versions are the way back: they stay too."""
    document = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    )
    aws.write("policies: {p: {document: " + document + "}}\nroles: {beta: {trust: ec2}}")
    aws.settle()
    arn = "arn:aws:iam::123456789012:policy/p"
    aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    aws.iam.create_user(UserName="somebody")
    aws.iam.attach_user_policy(UserName="somebody", PolicyArn=arn)
    aws.write(BETA)
    assert kept(aws.plan(prune=True).plan) == {"policy/p": "1 user or group has it attached"}
    aws.apply(prune=True)
    assert len(aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 2


@pytest.mark.parametrize("is_later", [False, True])
def test_a_policy_that_is_the_boundary_of_a_user_is_kept(aws: Rig, is_later: bool) -> None:
    document = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    )
    aws.write("policies: {p: {document: " + document + "}}\nroles: {beta: {trust: ec2}}")
    aws.settle()
    arn = "arn:aws:iam::123456789012:policy/p"
    if is_later:
        aws.iam.create_user(UserName="somebody")
        aws.iam.put_user_permissions_boundary(UserName="somebody", PermissionsBoundary=arn)
    else:
        aws.iam.create_user(UserName="somebody", PermissionsBoundary=arn)
    aws.write(BETA)
    why = {"policy/p": "1 user has it as its permissions boundary"}
    assert kept(aws.plan(prune=True).plan) == why
    aws.apply(prune=True)
    with pytest.raises(ClientError, match="DeleteConflict"):
        aws.iam.delete_policy(PolicyArn=arn)
    aws.iam.delete_user_permissions_boundary(UserName="somebody")
    aws.settle(prune=True)
    assert aws.names()["policies"] == []


@pytest.mark.parametrize("address", ["role/alpha", "policy/p"])
def test_a_resource_in_use_since_the_plan_keeps_its_policies(made: Rig, address: str) -> None:
    """AWS would refuse the deletion, and by then policies or versions would be gone."""
    document = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    )
    made.write(SPEC + "policies: {p: {document: " + document + "}}\n")
    made.settle()
    arn = "arn:aws:iam::123456789012:policy/p"
    made.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    made.write(BETA)
    planned = made.plan(prune=True, allow=frozenset({("delete", "3")}))
    if address == "role/alpha":
        made.iam.create_instance_profile(InstanceProfileName="theirs")
        made.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="alpha")
    else:
        made.iam.create_user(UserName="somebody")
        made.iam.attach_user_policy(UserName="somebody", PolicyArn=arn)
    outcomes = Apply(planned, made.commands()).execute().result.outcomes
    (failed,) = [o for o in outcomes if o.status == "failed"]
    assert str(failed.address) == address
    assert "come into use since the plan" in failed.reason
    if address == "role/alpha":
        assert made.iam.list_role_policies(RoleName="alpha")["PolicyNames"] == ["x"]
    else:
        assert len(made.iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 2


@pytest.mark.parametrize("region", [HOME, AWAY])
@pytest.mark.parametrize(
    "after",
    [
        BETA,
        SPEC.replace("role: alpha", "role: null"),
        SPEC.replace("role: alpha", "role: null, path: /new/"),
    ],
)
def test_a_profile_is_kept_for_a_new_consumer_since_the_plan(
    made: Rig, after: str, region: str
) -> None:
    """AWS deletes and empties a profile whoever uses it; a flag was given for those of the plan."""
    made.write(after)
    flags = frozenset({("replace", "instance-profile/web")})
    planned = made.plan(prune=True, allow=flags)
    assert not planned.plan.guards
    (instance,) = made.launch(region=region, profile="web")
    outcomes = Apply(planned, made.commands()).execute().result.outcomes
    (failed,) = [o for o in outcomes if o.status == "failed"]
    assert f"{instance} ({region}) has come to run with it since the plan" in failed.reason
    assert made.served(instance, region) == "alpha"
    assert made.role_in("web") == "alpha"
    made.clock.sleep(60)
    assert made.served(made.launch(region=region, profile="web")[0], region) == "alpha"
    assert lifts(made.plan(prune=True, allow=flags).plan) == {
        "--allow consumers=instance-profile/web"
    }


@pytest.mark.parametrize("after", [BETA, SPEC.replace("role: alpha", "role: null")])
def test_a_profile_is_kept_for_an_instance_started_since_the_plan(made: Rig, after: str) -> None:
    """Of a stopped instance neither its role nor an empty profile takes anything away."""
    (instance,) = made.launch(region=AWAY, profile="web")
    made.ec2(AWAY).stop_instances(InstanceIds=[instance])
    made.clock.sleep(60)
    made.write(after)
    planned = made.plan(prune=True, allow=frozenset({("consumers", "instance-profile/web")}))
    made.ec2(AWAY).start_instances(InstanceIds=[instance])
    made.clock.sleep(60)
    outcomes = Apply(planned, made.commands()).execute().result.outcomes
    (failed,) = [o for o in outcomes if o.status == "failed"]
    assert f"{instance} ({AWAY}) has come to run with it since the plan" in failed.reason
    assert made.served(instance, AWAY) == made.role_in("web") == "alpha"


@pytest.mark.parametrize("what", ["role/alpha", "instance-profile/web"])
def test_a_replaced_resource_is_kept_for_managed_instances(made: Rig, what: str) -> None:
    """An instance of ECS's that came since the plan would be left with a role that is gone."""
    moved = {
        "role/alpha": ("alpha: {", "alpha: {path: /n/, "),
        "instance-profile/web": ("web: {", "web: {path: /n/, "),
    }
    made.write(SPEC.replace(*moved[what]))
    planned = made.plan(allow=frozenset({("replace", what)}))
    (own,) = made.launch(profile="web")
    (theirs,) = made.launch(region=AWAY, profile="web", operator="ecs.amazonaws.com")
    outcomes = Apply(planned, made.commands()).execute().result.outcomes
    (failed,) = [o for o in outcomes if o.status == "failed"]
    assert f"{theirs} ({AWAY}) has come to run with it since the plan" in failed.reason
    assert own not in failed.reason
    assert made.served(own) == made.served(theirs, AWAY) == made.role_in("web") == "alpha"


def test_a_region_denied_since_the_plan_counts_as_a_consumer(made: Rig) -> None:
    made.write(BETA)
    planned = made.plan(prune=True)
    made.launch(region=AWAY, profile="web")
    with refusing(made, "DescribeInstances", "UnauthorizedOperation"):
        outcomes = Apply(planned, made.commands()).execute().result.outcomes
    (failed,) = [o for o in outcomes if o.status == "failed"]
    assert f"{AWAY} cannot be read" in failed.reason
    assert made.role_in("web") == "alpha"


def test_a_replaced_and_emptied_profile_needs_both_flags(made: Rig) -> None:
    made.launch(region=AWAY, profile="web")
    made.write(SPEC.replace("role: alpha", "role: null, path: /new/"))
    address = "instance-profile/web"
    assert lifts(made.plan().plan) == {
        f"--allow replace={address}",
        f"--allow consumers={address}",
    }


LESS = {
    "trust": SPEC.replace("alpha: {trust: ec2", "alpha: {trust: lambda"),
    "inline policy": SPEC.replace(ALPHA, "alpha: {trust: ec2}"),
}


@pytest.mark.parametrize("what", LESS)
def test_a_role_keeps_its_policies_until_the_cut_over_is_done(made: Rig, what: str) -> None:
    """One commit moves a profile to another role and takes something from the one before: the
    canary fails, and the role that goes back in must be as it was."""
    (instance,) = made.launch(profile="web")
    made.write(LESS[what].replace("role: alpha", "role: beta"))
    assert not made.plan().plan.guards
    before = made.iam.get_role(RoleName="alpha")["Role"]["AssumeRolePolicyDocument"]
    refusal = refusing(made, "AssociateIamInstanceProfile", "UnauthorizedOperation", times=1)
    with refusal:
        made.apply()
    made.clock.sleep(60)
    assert made.role_in("web") == "alpha"
    assert made.iam.get_role(RoleName="alpha")["Role"]["AssumeRolePolicyDocument"] == before
    assert made.iam.list_role_policies(RoleName="alpha")["PolicyNames"] == ["x"]
    made.settle(allow=frozenset({("retry", "instance-profile/web")}))
    assert made.served(instance) == "beta"


@pytest.mark.parametrize("whose", ["another hand's", "ignored", "swapped by hand"])
def test_changing_the_trust_of_a_role_in_use_is_guarded(made: Rig, whose: str) -> None:
    settings = None
    if whose == "another hand's":
        made.iam.create_instance_profile(InstanceProfileName="theirs")
        made.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="alpha")
    elif whose == "ignored":
        rule = "{match: instance-profile/web, attributes: [role], reason: test}"
        settings = f"version: 1\nowner: tests\nignore: [{rule}]\n"
    else:
        made.launch(profile="web")
        made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
        made.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="beta")
    made.write(LESS["trust"].replace("role: alpha", "role: beta"), settings)
    assert lifts(made.plan().plan) == {"--allow consumers=role/alpha"}
    assert not made.plan(allow=frozenset({("consumers", "role/ALPHA")})).plan.guards


HOURS = 8 * 3600
GAMMA = "roles: {gamma: {trust: ec2}}\ninstance_profiles: {web: {role: gamma}}\n"


def test_a_role_from_two_swaps_ago_is_kept(made: Rig) -> None:
    """The mark of a cut-over names two roles; who was left out of the first may hold a third."""
    made.launch(region=AWAY, profile="web", operator="ecs.amazonaws.com")
    (instance,) = made.launch(profile="web")
    for role in ("beta", "gamma"):
        roles = f"roles: {{{ALPHA}, beta: {{trust: ec2}}, gamma: {{trust: ec2}}}}\n"
        made.write(roles + f"instance_profiles: {{web: {{role: {role}}}}}\n")
        assert made.apply().exit_code == ExitCode.PARTLY_APPLIED
        made.clock.sleep(HOURS)
    made.write(GAMMA)
    made.apply(prune=True)
    assert made.served(instance) == "gamma"
    assert made.names()["roles"] == ["alpha", "beta", "gamma"]


def test_the_role_from_before_a_roll_back_is_kept_after_a_swap_by_hand(made: Rig) -> None:
    """The mark names the role that was given up, not the one that the instances have."""
    (instance,) = made.launch(profile="web")
    roles = f"roles: {{{ALPHA}, beta: {{trust: ec2}}, gamma: {{trust: ec2}}}}\n"
    made.write(roles + "instance_profiles: {web: {role: beta}}\n")
    with refusing(made, "AssociateIamInstanceProfile", "UnauthorizedOperation", 1):
        assert made.apply().exit_code == ExitCode.PARTLY_APPLIED
    assert made.profile_tags("web")["reconciler:role-id"].startswith("failed/")
    assert made.served(instance) == "alpha"
    made.clock.sleep(HOURS)
    made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
    made.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="gamma")
    made.clock.sleep(60)
    made.write(GAMMA)
    planned = made.plan(prune=True).plan
    assert "role/alpha" in kept(planned)
    assert "role/beta" not in kept(planned), "every instance that had it was refreshed"
    made.apply(prune=True, allow=frozenset({("delete", "1")}))
    assert made.served(instance) == "gamma"
    assert "processes may hold" in kept(made.plan(prune=True).plan)["role/alpha"]


def test_the_role_that_was_given_up_is_kept_for_managed_instances(made: Rig) -> None:
    """A roll-back does not refresh them."""
    (instance,) = made.launch(profile="web")
    made.write(HELD)
    started: list[str] = []

    def launch(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile" and not started:
            made.clock.sleep(60)
            started.extend(made.launch(profile="web", operator="ecs.amazonaws.com"))

    made.aws.before.append(launch)
    with refusing(made, "AssociateIamInstanceProfile", "UnauthorizedOperation", 1):
        assert made.apply().exit_code == ExitCode.PARTLY_APPLIED
    assert made.served(instance) == "alpha"
    assert made.served(started[0]) == "beta"
    made.clock.sleep(HOURS)
    made.write(f"roles: {{{ALPHA}}}\ninstance_profiles: {{web: {{role: alpha}}}}\n")
    made.apply(prune=True, allow=frozenset({("delete", "1")}))
    assert made.served(started[0]) == "beta"
    assert "role/beta" in kept(made.plan(prune=True).plan)


@pytest.mark.parametrize("roles", [["beta"], ["beta", "gamma"]])
def test_a_role_is_kept_for_consumers_outside_of_the_regions(made: Rig, roles: list[str]) -> None:
    narrow = f"version: 1\nowner: tests\nconsumer_regions: [{HOME}]\n"
    (instance,) = made.launch(region=AWAY, profile="web")
    for role in roles:
        spec = f"roles: {{{ALPHA}, beta: {{trust: ec2}}, gamma: {{trust: ec2}}}}\n"
        made.write(spec + f"instance_profiles: {{web: {{role: {role}}}}}\n", narrow)
        made.settle()
        made.clock.sleep(HOURS)
    made.write(GAMMA.replace("gamma", roles[-1]), narrow)
    made.apply(prune=True)
    assert made.served(instance, AWAY) == "alpha"
    reason = kept(made.plan(prune=True).plan)["role/alpha"]
    assert reason.startswith("1 running instance of instance-profile/web may hold its credentials")
    # With every region looked at it is refreshed, and the role goes when its hours are over.
    made.write(GAMMA.replace("gamma", roles[-1]))
    made.apply(prune=True)
    assert made.served(instance, AWAY) == roles[-1]
    assert "alpha" in made.names()["roles"]
    made.clock.sleep(HOURS)
    made.apply(prune=True)
    assert "alpha" not in made.names()["roles"]


@pytest.mark.parametrize("again", [None, "theirs", "ours"])
@pytest.mark.parametrize("region", [HOME, AWAY])
def test_roles_are_kept_after_a_profile_was_deleted_by_hand(
    made: Rig, region: str, again: str | None
) -> None:
    """EC2 goes on serving what was inside, also where the name has another profile by now."""
    (instance,) = made.launch(region=region, profile="web")
    made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
    made.iam.delete_instance_profile(InstanceProfileName="web")
    if again == "theirs":
        made.iam.create_instance_profile(InstanceProfileName="web")
        made.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="beta")
    made.write(HELD if again == "ours" else BETA)
    plan = made.plan(prune=True).plan
    assert kept(plan)["role/alpha"].startswith(
        "1 running instance of instance-profile/web, which was deleted, may hold it; --allow release"
    )
    is_refreshed = again == "ours"
    done = ExitCode.OK if is_refreshed else ExitCode.PARTLY_APPLIED
    assert made.apply(prune=True).exit_code == done
    assert "alpha" in made.names()["roles"]
    assert made.served(instance, region) == ("beta" if is_refreshed else "alpha")
    if is_refreshed:
        assert "processes may hold" in kept(made.plan(prune=True).plan)["role/alpha"]
    allowed = made.plan(prune=True, allow=frozenset({("release", "role/alpha")})).plan
    assert "role/alpha" in {str(c.address) for c in allowed.changes}


IN_ANOTHER = "roles: {%s, beta: {trust: ec2}}\ninstance_profiles: {%s}\n"
AFTER_A_DELETION = {
    "made again": IN_ANOTHER % (ALPHA, "web: {role: beta}, other: {role: alpha}"),
    "moved": IN_ANOTHER % (ALPHA, "web2: {role: beta}, other: {role: alpha}") + TO_WEB2,
    "pruned": IN_ANOTHER % (ALPHA, "other: {role: alpha}"),
}


@pytest.mark.parametrize("way", AFTER_A_DELETION)
def test_the_role_of_a_deleted_profile_is_kept_though_another_has_it(made: Rig, way: str) -> None:
    """Which role was in a deleted profile is not known, so each of ours may have been."""
    (instance,) = made.launch()
    own = f"associations: {{a: {{instance_profile: web, instances: [{instance}]}}}}\n"
    made.write(
        SPEC.replace("{web: {role: alpha}}", "{web: {role: alpha}, other: {role: alpha}}") + own
    )
    made.settle()
    made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
    made.iam.delete_instance_profile(InstanceProfileName="web")
    spec = AFTER_A_DELETION[way]
    made.write(spec % instance if "%s" in spec else spec)
    allow = frozenset({*ANY, ("consumers", "instance-profile/web")})
    assert made.apply(prune=way == "pruned", allow=allow).exit_code == ExitCode.OK
    assert made.served(instance) == (None if way == "pruned" else "beta")
    made.write(
        "roles: {beta: {trust: ec2}}\ninstance_profiles: {web: {role: beta}, web2: {role: beta}}\n"
    )
    made.apply(prune=True, allow=frozenset({("delete", "1"), ("delete", "2")}))
    assert made.iam.list_role_policies(RoleName="alpha")["PolicyNames"] == ["x"]
    assert "processes may hold" in kept(made.plan(prune=True).plan)["role/alpha"]


@pytest.mark.parametrize("again", [False, True])
def test_instances_of_a_deleted_profile_are_not_moved_to_an_empty_one(
    made: Rig, again: bool
) -> None:
    (instance,) = made.launch(profile="web")
    made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
    made.iam.delete_instance_profile(InstanceProfileName="web")
    if again:
        tags = [
            {"Key": "reconciler:owner", "Value": "tests/web"},
            {"Key": "reconciler:role-id", "Value": "-"},
        ]
        made.iam.create_instance_profile(InstanceProfileName="web", Tags=tags)
    made.write(SPEC.replace("role: alpha", "role: null"))
    plan = made.plan().plan
    assert lifts(plan) == {"--allow consumers=instance-profile/web"}
    assert "1 running instance would be left without" in plan.guards[0].reason
    assert made.apply(allow=frozenset({("consumers", "instance-profile/web")})).exit_code == 0
    assert made.served(instance) is None
    assert not made.plan().plan.guards


def test_a_region_that_cannot_be_read_may_have_instances_of_a_deleted_profile(made: Rig) -> None:
    (instance,) = made.launch(profile="web", region=AWAY)
    made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
    made.iam.delete_instance_profile(InstanceProfileName="web")
    made.write("roles: {beta: {trust: ec2}, fn: {trust: lambda}}\n")
    made.apply()
    made.write(BETA)
    with refusing(made, "DescribeInstances", "UnauthorizedOperation"):
        reasons = kept(made.plan(prune=True).plan)
        assert "cannot be read" in reasons["role/alpha"]
        assert reasons["role/alpha"].endswith("--allow release=role/alpha deletes it anyway")
        assert "role/fn" not in reasons, "EC2 cannot serve it"
        made.apply(prune=True, allow=frozenset({("delete", "1")}))
    is_served(made, instance, "alpha", AWAY)


@pytest.mark.parametrize("way", ["pruned", "swapped"])
@pytest.mark.parametrize("left", ["moved", "removed"])
def test_a_role_is_kept_after_an_instance_left_its_profile_by_another_hand(
    made: Rig, left: str, way: str
) -> None:
    (instance,) = made.launch()
    own = f"associations: {{a: {{instance_profile: web, instances: [{instance}]}}}}\n"
    made.write(SPEC + own)
    made.settle()
    (row,) = made.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    if left == "moved":
        made.iam.create_instance_profile(InstanceProfileName="theirs")
        made.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="beta")
        made.clock.sleep(60)
        made.ec2().replace_iam_instance_profile_association(
            AssociationId=row["AssociationId"], IamInstanceProfile={"Name": "theirs"}
        )
    else:
        made.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    made.clock.sleep(60)
    if way == "pruned":
        made.write(BETA)
        assert "released by this plan" in kept(made.plan(prune=True).plan)["role/alpha"]
    else:
        made.write(HELD)
        assert "role/alpha" in kept(made.plan(prune=True).plan)
    made.apply(prune=True, allow=frozenset({("delete", "1")}))
    assert ("web" in made.names()["profiles"]) == (way == "swapped")
    assert made.iam.list_role_policies(RoleName="alpha")["PolicyNames"] == ["x"]
    assert "processes may hold" in kept(made.plan(prune=True).plan)["role/alpha"]
    made.clock.sleep(HOURS)
    made.settle(prune=True, allow=frozenset({("delete", "1")}))
    assert "alpha" not in made.names()["roles"]


@pytest.mark.parametrize("how", ["only", "bulk denied"])
@pytest.mark.parametrize("way", ["swapped by hand", "moved"])
def test_a_release_is_recorded_although_the_role_is_not_in_the_plan(
    made: Rig, how: str, way: str
) -> None:
    """Only what the specs name is read, and they do not name the role that an instance has."""
    (instance,) = made.launch()
    own = f"associations: {{a: {{instance_profile: web, instances: [{instance}]}}}}\n"
    made.write(SPEC + own)
    made.settle()
    if way == "moved":
        spec = BETA + "instance_profiles: {web2: {role: beta}}\n"
        made.write(spec)
        made.apply()
        spec += TO_WEB2 % instance
    else:
        made.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
        made.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="beta")
        made.clock.sleep(60)
        spec = HELD + own
    made.write(spec)
    if how == "only":
        made.apply(only=("association/*",) if way == "moved" else ("instance-profile/*",))
    else:
        with refusing(made, "GetAccountAuthorizationDetails", "AccessDenied"):
            made.apply()
    assert made.served(instance) == "beta"
    assert "processes may hold" in kept(made.plan(prune=True).plan)["role/alpha"]


REMOVALS = [
    BETA,
    HELD,
    SPEC.replace("role: alpha", "role: null"),
    f"roles: {{{ALPHA}, beta: {{trust: ec2}}}}\n",
    "instance_profiles: {web: {role: beta}}\nroles: {beta: {trust: ec2}}\n",
]


@settings(max_examples=10)
@given(data=st.data())
def test_no_running_instance_loses_its_credentials(data: st.DataObject) -> None:
    """Random worlds, random removals, and only the flags that have nothing to do with instances."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder)) as aws:
        begun(aws)
        regions = data.draw(st.lists(st.sampled_from([HOME, AWAY]), min_size=1, max_size=3))
        fleet = [(aws.launch(profile="web", region=region)[0], region) for region in regions]
        if data.draw(st.booleans(), "swapped by hand"):
            aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="alpha")
            aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="beta")
            aws.clock.sleep(60)
        for _ in range(data.draw(st.integers(1, 3), "applies")):
            aws.write(data.draw(st.sampled_from(REMOVALS)))
            home = data.draw(st.sampled_from([(HOME,), (AWAY,)]), "regions")
            deletions = len(
                [
                    c
                    for c in aws.plan(prune=True, regions=home).plan.changes
                    if c.actions == ("delete",)
                ]
            )
            allow = frozenset({("delete", str(deletions))})
            planned = aws.plan(prune=True, regions=home, allow=allow).plan
            if planned.guards:
                continue
            aws.apply(prune=True, regions=home, allow=allow)
            for instance, region in fleet:
                role = aws.served(instance, region)
                assert role in ("alpha", "beta"), (role, planned.changes)
                is_served(aws, instance, role, region)
