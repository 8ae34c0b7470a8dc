"""What is done when the process is killed: the world before, the specs after, and who is to hold
which role in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.behaviour.test_ownership import TRUST

if TYPE_CHECKING:
    from tests.crash_sweep.stage import Stage

HOME, AWAY = "us-east-1", "eu-west-1"
DOCUMENT = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
ROLES = "roles: {v1: {trust: ec2}, v2: {trust: ec2, managed_policies: [read]}}\n"
POLICY = f"policies: {{read: {{document: {DOCUMENT}}}}}\n"
FLEET = "associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}\n"


def swapped(role: str, strategy: str = "reassociate") -> str:
    cutover = f"cutover: {{strategy: {strategy}, max_unavailable: 2}}"
    return f"{POLICY}{ROLES}instance_profiles: {{web: {{role: {role}, {cutover}}}}}\n{FLEET}"


def two(role: str) -> str:
    profiles = f"instance_profiles: {{api: {{role: {role}}}, web: {{role: {role}}}}}\n"
    return f"{POLICY}{ROLES}{profiles}{FLEET}"


def moved(profile: str) -> str:
    profiles = "instance_profiles: {web: {role: v1}, other: {role: v2}}\n"
    return (
        POLICY
        + ROLES
        + profiles
        + FLEET.replace("instance_profile: web", f"instance_profile: {profile}")
    )


def at(path: str) -> str:
    return f"""
policies: {{read: {{path: {path}, document: {DOCUMENT}}}}}
roles: {{v1: {{path: {path}, trust: ec2, managed_policies: [read]}}}}
instance_profiles: {{web: {{role: v1, path: {path}}}}}
{FLEET}"""


@dataclass(frozen=True)
class Scenario:
    """``held`` is the role that every running instance of the fleet holds in the end, ``None`` for
    no profile; ``is_served`` is false where AWS gets there by itself. ``reverted`` are the specs
    that the second run finds, where they are others."""

    name: str
    before: str | None
    after: str
    held: str | None
    flags: tuple[str, ...] = ()
    arrange: Callable[[Stage], None] = lambda _stage: None
    is_served: bool = True
    reverted: str | None = None
    command: str = "apply"
    code: int = 0
    """With which an apply ends that nothing disturbs."""
    stays: tuple[str, ...] = ()
    """Roles that instances were served until now: they are there, with all their permissions."""
    resumed_by: tuple[str, ...] = ()
    """Commands that come after the run that was struck, by turns; left out, the same again."""
    other_commit: str | None = None
    """The specs of a second run that begins in the middle of the first."""


def _launched(stage: Stage) -> None:
    """One that no spec mentions, one elsewhere, one that is stopped."""
    stage.launch(HOME, profile="web")
    stage.launch(AWAY, profile="web")
    stopped = stage.launch(HOME, profile="web")
    stage.ec2(HOME).stop_instances(InstanceIds=[stopped])


def _of_two(stage: Stage) -> None:
    for region in (HOME, AWAY):
        for profile in ("api", "web"):
            stage.launch(region, profile=profile)


def _unreadable(stage: Stage) -> None:
    """While the first run is at work, EC2 answers nothing in the other region."""
    _launched(stage)
    stage.denied.add(AWAY)


def _aged(stage: Stage) -> None:
    """Times are compared to the second."""
    _launched(stage)
    time.sleep(1.1)


def _one_stopped(stage: Stage) -> None:
    stage.ec2(HOME).stop_instances(InstanceIds=[stage.fleet[0]])


def _elsewhere(stage: Stage) -> None:
    stage.elsewhere = stage.launch(AWAY, profile="web")


def _by_hand(stage: Stage) -> None:
    stage.iam.create_role(RoleName="v1", AssumeRolePolicyDocument=TRUST)
    stage.iam.create_instance_profile(InstanceProfileName="web")
    stage.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v1")
    stage.launch(HOME, profile="web")


def _made_again(stage: Stage) -> None:
    iam, web = stage.iam, {"InstanceProfileName": "web"}
    tags = iam.list_instance_profile_tags(**web)["Tags"]
    iam.remove_role_from_instance_profile(**web, RoleName="v1")
    iam.delete_instance_profile(**web)
    iam.create_instance_profile(**web, Tags=tags)
    iam.add_role_to_instance_profile(**web, RoleName="v1")


OTHERS = """
roles: {others: {trust: ec2}}
instance_profiles: {others: {role: others}}
associations: {others: {instance_profile: others, select: {tags: {app: others}}}}
"""
"""What another owner has in the same account."""
ALLOWED = ("--allow", "replace=*")
PRUNED = ("--prune", "--allow", "consumers=*")
SCENARIOS = (
    Scenario("first apply", None, swapped("v1"), "v1"),
    Scenario("role swap", swapped("v1"), swapped("v2"), "v2", arrange=_launched),
    Scenario(
        "role swap, strategy restart",
        swapped("v1"),
        swapped("v2", "restart"),
        "v2",
        arrange=_launched,
    ),
    Scenario(
        "role swap, strategy wait",
        swapped("v1"),
        swapped("v2", "wait"),
        "v2",
        arrange=_launched,
        is_served=False,
    ),
    Scenario(
        "role swap, then reverted",
        swapped("v1"),
        swapped("v2"),
        "v1",
        arrange=_launched,
        reverted=swapped("v1"),
    ),
    Scenario(
        "role swap, strategy hop", swapped("v1"), swapped("v2", "hop"), "v2", arrange=_launched
    ),
    Scenario(
        "hop, then reverted",
        swapped("v1"),
        swapped("v2", "hop"),
        "v1",
        arrange=_launched,
        reverted=swapped("v1", "hop"),
    ),
    Scenario("move", moved("web"), moved("other"), "v2", arrange=_one_stopped),
    Scenario("prune", swapped("v1"), POLICY + ROLES, None, PRUNED),
    Scenario(
        "prune, consumers elsewhere",
        swapped("v1"),
        POLICY + "roles: {v2: {trust: ec2, managed_policies: [read]}}\n",
        None,
        PRUNED,
        arrange=_launched,
        stays=("v1",),
    ),
    Scenario(
        "destroy, consumers elsewhere",
        swapped("v2"),
        swapped("v2"),
        None,
        ("--allow", "consumers=*"),
        arrange=_launched,
        command="destroy",
        code=3,
        stays=("v2",),
    ),
    Scenario(
        "move and prune, a consumer elsewhere",
        moved("web"),
        moved("other").replace("web: {role: v1}, ", "").replace("v1: {trust: ec2}, ", ""),
        "v2",
        PRUNED,
        arrange=_elsewhere,
        stays=("v1",),
    ),
    Scenario(
        "prune, a region that cannot be read",
        swapped("v1"),
        POLICY + "roles: {v2: {trust: ec2, managed_policies: [read]}}\n",
        None,
        PRUNED,
        arrange=_unreadable,
        stays=("v1",),
    ),
    Scenario(
        "role swap, another commit begins",
        swapped("v1"),
        swapped("v2"),
        "v2",
        arrange=_launched,
        other_commit=swapped("v1"),
    ),
    Scenario("replace", at("/a/"), at("/b/"), "v1", ALLOWED, arrange=_launched),
    Scenario(
        "adoption", None, swapped("v1"), "v1", ("--adopt", "--refresh-adopted"), arrange=_by_hand
    ),
    Scenario(
        "rotation",
        swapped("v1"),
        swapped("v1"),
        "v1",
        arrange=_launched,
        command="rotate",
        resumed_by=("apply", "rotate"),
    ),
    Scenario(
        "rotation, revoked",
        swapped("v1"),
        swapped("v1"),
        "v1",
        ("--revoke", "--allow", "consumers=role/v1"),
        arrange=_aged,
        command="rotate",
        resumed_by=("apply", "rotate"),
    ),
    Scenario("stale association", swapped("v1"), swapped("v1"), "v1", arrange=_made_again),
    # One of the cut-overs begins with the listing that the other one asked for.
    Scenario("role swap of two profiles", two("v1"), two("v2"), "v2", arrange=_of_two),
)
