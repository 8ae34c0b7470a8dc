"""Situations in which a command is run with the policy that is printed for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from reconciler.sandbox.state import Alarm, RoleUse, Target
from tests.behaviour.faults import Crash, dying
from tests.rig import ACCOUNT, AWAY, HOME, Rig

SETTINGS = f"version: 1\nowner: tests\nregions: [{HOME}, {AWAY}]\naccount_id: '123456789012'\n"
NARROW = SETTINGS + f"consumer_regions: [{HOME}, {AWAY}]\n"
DOCUMENT = (
    "{Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}"
)
SWAP = """
roles: {v1: {trust: ec2, path: /app/}, v2: {trust: ec2}}
instance_profiles: {web: {role: ROLE, cutover: {strategy: STRATEGY, max_unavailable: 50%}}}
"""
WIDE = f"""
policies: {{read: {{path: /app/, tags: {{a: b}}, document: {DOCUMENT}}}}}
roles:
  web: {{trust: ec2, managed_policies: [read], inline_policies: {{own: {DOCUMENT}}}, tags: {{a: b}}}}
  bound: {{trust: lambda, permissions_boundary: read}}
instance_profiles: {{web: {{role: web, tags: {{a: b}}}}}}
"""


PURPOSES = {"refused": "plan", "ending": "apply"}
"""``ending`` is the apply of a caller who may end what a ``rotate --revoke`` owes."""
Scenario = Callable[[Rig], tuple[str, dict[str, Any]]]
"""Brings AWS into the state before, writes the specs, and says what is run with which flags."""


def create(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    return "apply", {}


def adopt(aws: Rig) -> tuple[str, dict[str, Any]]:
    trust = {"Version": "2012-10-17", "Statement": [_taken_by_ec2()]}
    aws.iam.create_role(RoleName="web", Path="/old/", AssumeRolePolicyDocument=json.dumps(trust))
    aws.iam.create_instance_profile(InstanceProfileName="web", Path="/old/")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    aws.clock.sleep(60)
    aws.launch(1, profile="web")
    aws.write("roles: {web: {trust: ec2}}\ninstance_profiles: {web: {role: web}}\n", SETTINGS)
    return "apply", {"adopt": True, "refresh_adopted": True}


def _taken_by_ec2() -> dict[str, Any]:
    service = {"Service": "ec2.amazonaws.com"}
    return {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}


def swap(strategy: str, settings: str = NARROW) -> Scenario:
    def made(aws: Rig) -> tuple[str, dict[str, Any]]:
        text = SWAP.replace("STRATEGY", strategy)
        aws.write(text.replace("ROLE", "v1"), settings)
        aws.settle()
        aws.clock.sleep(60)
        aws.launch(2, profile="web")
        aws.write(text.replace("ROLE", "v2"), settings)
        return "apply", {}

    made.__name__ = f"swap_{strategy}"
    return made


def watched(aws: Rig) -> tuple[str, dict[str, Any]]:
    """A roll-out with everything that it can be told to watch."""
    group = f"arn:aws:elasticloadbalancing:{HOME}:123456789012:targetgroup/web/0123456789abcdef"
    checks = f"alarms: [errors], target_groups: ['{group}'], denied: {{max: 0, window: 5m}}"
    made = swap("reassociate")(aws)
    one, *_ = aws.instance_ids()
    aws.aws.alarms["123456789012", HOME, "errors"] = Alarm("OK")
    aws.aws.targets["123456789012", HOME, group, one] = Target("healthy")
    more = f"bake: 5m, checks: {{{checks}}}, strategy: reassociate"
    aws.write(SWAP.replace("strategy: STRATEGY", more).replace("ROLE", "v2"), NARROW)
    return made


def proving(policy: str = "") -> Scenario:
    """A roll-out that looks for evidence of each batch: with one policy the agent of Systems
    Manager answers, without it CloudTrail is asked."""

    def made(aws: Rig) -> tuple[str, dict[str, Any]]:
        planned = swap("reassociate")(aws)
        more = "strategy: reassociate, verify: {source: [imds, cloudtrail], timeout: 1m}"
        text = SWAP.replace("strategy: STRATEGY", more).replace("ROLE", "v2")
        held = f"v2: {{trust: ec2, managed_policies: [{policy}]}}"
        aws.write(text.replace("v2: {trust: ec2}", held), NARROW)
        return planned

    made.__name__ = f"proving_{policy}"
    return made


def taken(settings: str, name: str, **flags: Any) -> Scenario:
    """Consumers lose a role that is used for one that is changed, and that one changes itself."""

    def made(aws: Rig) -> tuple[str, dict[str, Any]]:
        text = SWAP.replace("STRATEGY", "reassociate")
        own = "trust: ec2, managed_policies: [AmazonSQSFullAccess], inline_policies: {own: DOC}"
        text = text.replace("trust: ec2", own)
        wide = DOCUMENT.replace("s3:GetObject", "s3:*")
        aws.write(text.replace("ROLE", "v1").replace("DOC", wide), NARROW)
        aws.settle()
        aws.clock.sleep(60)
        aws.launch(1, profile="web")
        at = aws.clock.now() - 86_400
        for role in ("v1", "v2"):
            used = aws.aws.used.setdefault((ACCOUNT, aws.role_id(role)), {})
            used["s3:PutObject"] = RoleUse(at, HOME)
        aws.write(text.replace("ROLE", "v2").replace("DOC", DOCUMENT), settings)
        return name, flags

    made.__name__ = f"taken_{name}"
    return made


WARNED = NARROW + "impact: warn\n"


def update(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    changed = WIDE.replace("a: b", "c: d").replace("s3:GetObject", "s3:ListBucket")
    changed = changed.replace(
        "trust: lambda, permissions_boundary: read", "trust: ecs-tasks, permissions_boundary: null"
    )
    changed = changed.replace("managed_policies: [read]", "description: new").replace(
        "own:", "other:"
    )
    aws.write(changed, NARROW)
    return "apply", {"allow": frozenset({("boundary", "role/bound")})}


MOVE = """
roles: {one: {trust: ec2}}
instance_profiles: {one: {role: one}, two: {role: one}}
associations: {all: {instance_profile: PROFILE, select: {tags: {role: web}}}}
"""


def associate(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.launch(1, tags={"role": "web"}, region=AWAY)
    aws.write(MOVE.replace("PROFILE", "one"), NARROW)
    return "apply", {}


def by_id(aws: Rig) -> tuple[str, dict[str, Any]]:
    (one,) = aws.launch(1)
    select = "select: {tags: {role: web}}"
    assert select in MOVE
    text = MOVE.replace(select, f"instances: [{one}]")
    aws.write(text.replace("PROFILE", "two"), NARROW)
    return "apply", {}


def move(aws: Rig) -> tuple[str, dict[str, Any]]:
    ids = aws.launch(2, tags={"role": "web"})
    aws.write(MOVE.replace("PROFILE", "one"), NARROW)
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=ids[:1])
    aws.write(MOVE.replace("PROFILE", "two"), NARROW)
    return "apply", {}


def prune(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.launch(1, tags={"role": "web"})
    aws.write(
        WIDE.replace("instance_profiles: {web:", "instance_profiles: {gone: {role: null}, web:"),
        NARROW,
    )
    aws.settle()
    aws.write("roles: {other: {trust: ec2}}\n", NARROW)
    return "apply", {"prune": True, "allow": frozenset({("delete", "9"), ("change", "9")})}


def prune_associations(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.launch(1, tags={"role": "web"})
    aws.write(MOVE.replace("PROFILE", "one"), NARROW)
    aws.settle()
    aws.write(MOVE.partition("associations")[0], NARROW)
    return "apply", {"prune": True, "allow": frozenset({("delete", "9"), ("consumers", "*")})}


def replaced(before: str, after: str) -> Scenario:
    """With another path."""

    def made(aws: Rig) -> tuple[str, dict[str, Any]]:
        aws.write(before, NARROW)
        aws.settle()
        aws.write(after, NARROW)
        lifted = ("replace", "*"), ("delete", "9"), ("change", "9"), ("consumers", "*")
        return "apply", {"allow": frozenset(lifted)}

    made.__name__ = "replace"
    return made


PATHS = f"""
policies: {{read: {{path: /a/, document: {DOCUMENT}}}}}
roles: {{one: {{trust: ec2, path: /a/, managed_policies: [read]}}}}
instance_profiles: {{one: {{role: one, path: /a/}}}}
"""


def only(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    return "plan", {"only": ("role/*",)}


def one_by_one(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    return "plan", {"only": ("role/web", "policy/read", "instance-profile/web")}


def elsewhere(aws: Rig) -> tuple[str, dict[str, Any]]:
    """A policy that is not where the specs let one expect it."""
    aws.write(WIDE, NARROW)
    aws.settle()
    aws.write(WIDE.replace("path: /app/, ", ""), NARROW)
    return "plan", {"only": ("policy/read",)}


MANY = "".join(f"  p{n}: {{document: {DOCUMENT}}}\n" for n in range(12))


def many(aws: Rig) -> tuple[str, dict[str, Any]]:
    """So many that tags are read in bulk."""
    aws.write(f"policies:\n{MANY}", NARROW)
    return "plan", {}


def over_quota(aws: Rig) -> tuple[str, dict[str, Any]]:
    """The account is asked for its own quota."""
    attached = ", ".join(f"p{n}" for n in range(11))
    role = f"roles: {{big: {{trust: ec2, managed_policies: [{attached}]}}}}\n"
    aws.write(f"policies:\n{MANY}{role}", NARROW)
    return "refused", {}


def versions(aws: Rig) -> tuple[str, dict[str, Any]]:
    """A policy takes five."""
    aws.write(WIDE, NARROW)
    aws.settle()
    arn = "arn:aws:iam::123456789012:policy/app/read"
    for n in range(4):
        statement = {"Effect": "Allow", "Action": f"s3:Get{n}", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    return "apply", {}


def drifted(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    aws.iam.attach_role_policy(RoleName="web", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    aws.launch(1)
    return "drift", {}


def bounded(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE.replace(", permissions_boundary: read", ""), NARROW)
    aws.settle()
    aws.write(WIDE, NARROW)
    return "apply", {}


def released(aws: Rig) -> tuple[str, dict[str, Any]]:
    """A role that left the specs is told when its last instance went."""
    aws.launch(1, tags={"role": "web"})
    old = MOVE.replace("{one: {trust: ec2}}", "{one: {trust: ec2}, old: {trust: ec2}}")
    aws.write(old.replace("{role: one}, two", "{role: old}, two").replace("PROFILE", "one"), NARROW)
    aws.settle()
    aws.write(MOVE.replace("one: {role: one}, ", "").replace("PROFILE", "two"), NARROW)
    return "apply", {}


def drifted_in_part(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    aws.iam.delete_role_policy(RoleName="web", PolicyName="own")
    return "drift", {"only": ("role/web", "policy/read")}


def imported(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, SETTINGS)
    aws.settle()
    return "import", {}


def nowhere(aws: Rig) -> tuple[str, dict[str, Any]]:
    """Consumers are looked for everywhere."""
    swap("reassociate", SETTINGS)(aws)
    return "plan", {}


def verified(aws: Rig) -> tuple[str, dict[str, Any]]:
    """One instance answers to Systems Manager, the other has called AWS."""
    core = "managed_policies: [AmazonSSMManagedInstanceCore]"
    roles = (
        f"roles: {{asked: {{trust: ec2, {core}}}, old: {{trust: ec2}}, quiet: {{trust: ec2}}}}\n"
    )
    roles += f"policies: {{read: {{document: {DOCUMENT}}}}}\n"
    profiles = "instance_profiles: {asked: {role: asked}, quiet: {role: old}}\n"
    aws.write(roles + profiles, NARROW)
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(1, profile="asked")
    (quiet,) = aws.launch(1, profile="quiet")
    aws.clock.sleep(60)
    aws.write(roles + profiles.replace("role: old", "role: quiet"), NARROW)
    aws.settle()
    aws.clock.sleep(60)
    aws.served(quiet)
    key = ("123456789012", HOME, quiet)
    aws.aws.sessions.use(key, "s3:ListBuckets", aws.clock.now())
    return "verify", {}


GONE = frozenset({("delete", "9"), ("consumers", "*"), ("release", "*")})


def destroyed(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.launch(1, tags={"role": "web"})
    all_of_them = "associations: {all: {instance_profile: web, select: {tags: {role: web}}}}\n"
    aws.write(WIDE + all_of_them, NARROW)
    aws.settle()
    return "destroy", {"destroy": True, "allow": GONE}


def forgotten(aws: Rig) -> tuple[str, dict[str, Any]]:
    destroyed(aws)
    return "forget", {"forget": ("*",)}


def rotated(strategy: str) -> Scenario:
    def made(aws: Rig) -> tuple[str, dict[str, Any]]:
        swap(strategy)(aws)
        aws.write(SWAP.replace("STRATEGY", strategy).replace("ROLE", "v1"), NARROW)
        allow = frozenset({("consumers", "role/v1")})
        rotation = "fresh" if strategy == "hop" else "revoke"
        flags = {"rotate": ("instance-profile/web",), "rotation": rotation, "allow": allow}
        return "rotate", flags if rotation == "revoke" else {**flags, "allow": frozenset()}

    made.__name__ = f"rotated_{strategy}"
    return made


def ended(aws: Rig) -> tuple[str, dict[str, Any]]:
    """An apply takes away what revoked the sessions of a role that left the specs, and revokes what
    a run that died owes."""
    swap("reassociate")(aws)
    text = SWAP.replace("STRATEGY", "reassociate").replace("ROLE", "v1")
    aws.write(text, NARROW)
    aws.apply(rotate=("role/v2",), rotation="revoke")
    aws.clock.sleep(13 * 3600)
    with dying(aws, "CreateTags"), suppress(Crash):
        aws.apply(rotate=("instance-profile/web",), rotation="revoke")
    aws.write(text.replace(", v2: {trust: ec2}", ""), NARROW)
    return "ending", {}


def rotated_and_cleaned(aws: Rig) -> tuple[str, dict[str, Any]]:
    """A rotation that denies nothing takes away what is over. The specs name a policy of AWS that
    the role does not have yet."""
    ended(aws)
    aws.settle()
    text = SWAP.replace("STRATEGY", "reassociate").replace("ROLE", "v1")
    held = "v1: {trust: ec2, path: /app/, managed_policies: [ReadOnlyAccess]}"
    text = text.replace("v1: {trust: ec2, path: /app/}", held)
    aws.write(text.replace(", v2: {trust: ec2}", ""), NARROW)
    aws.clock.sleep(13 * 3600)
    return "rotate", {"rotate": ("instance-profile/web",)}


def left_and_revoked(aws: Rig) -> tuple[str, dict[str, Any]]:
    """Sessions of a role that left the specs after a swap."""
    swap("reassociate")(aws)
    aws.settle()
    text = SWAP.replace("STRATEGY", "reassociate").replace("ROLE", "v2")
    aws.write(text.replace("v1: {trust: ec2, path: /app/}, ", ""), NARROW)
    aws.clock.sleep(60)
    return "rotate", {"rotate": ("role/v1",), "rotation": "revoke"}


SCENARIOS: tuple[Scenario, ...] = (
    create,
    adopt,
    update,
    swap("reassociate"),
    swap("hop"),
    swap("restart"),
    swap("wait"),
    watched,
    proving(),
    proving("AmazonSSMManagedInstanceCore"),
    taken(WARNED, "apply"),
    taken(NARROW, "plan", impact=True),
    associate,
    by_id,
    move,
    prune,
    prune_associations,
    bounded,
    released,
    imported,
    nowhere,
    replaced(PATHS, PATHS.replace("read: {path: /a/", "read: {path: /b/")),
    replaced(PATHS, PATHS.replace("one, path: /a/", "one, path: /b/")),
    replaced(PATHS, PATHS.replace("ec2, path: /a/", "ec2, path: /b/")),
    only,
    one_by_one,
    elsewhere,
    many,
    over_quota,
    versions,
    drifted,
    drifted_in_part,
    destroyed,
    rotated("reassociate"),
    rotated("hop"),
    rotated("restart"),
    ended,
    rotated_and_cleaned,
    left_and_revoked,
    forgotten,
    verified,
)
SAMPLE = (
    *(
        "create",
        "verified",
        "swap_hop",
        "watched",
        "proving_",
        "proving_AmazonSSMManagedInstanceCore",
        "destroyed",
        "rotated_reassociate",
        "rotated_hop",
        "ended",
        "rotated_and_cleaned",
        "left_and_revoked",
        "forgotten",
        "drifted_in_part",
    ),
    *("taken_apply", "imported"),
)
