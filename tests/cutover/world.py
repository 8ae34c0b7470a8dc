"""A small AWS with rules of its own: one instance profile, its temporary profile and their
consumers.

Nothing here comes from ``reconciler/cutover``, so a wrong model of AWS there is not a wrong model
here as well. A call that AWS would refuse fails the test: the walk looks before every decision, so
no call is made on an old look. What a call must never do is not said here but in ``walking``.

Sources: docs.aws.amazon.com/IAM/latest/APIReference and docs.aws.amazon.com/AWSEC2/latest/
APIReference, the pages of the calls; docs.aws.amazon.com/AWSEC2/latest/UserGuide/
iam-roles-for-amazon-ec2.html for what an instance is served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile
from reconciler.model.ownership import InstanceKey, Pending
from reconciler.model.resources import InstanceProfile
from reconciler.plan.calls import ApiCall
from reconciler.plan.gates import GateAnswers

PREFIX = "reconciler:"
HERE = "us-east-1"
OLD, NEW = "AROAOLD", "AROANEW"
NAMES = {OLD: "old", NEW: "new"}
HOME_NAME, SHADOW_NAME = "web", "web.reconciler-hop"
ARN = f"arn:aws:iam::123456789012:instance-profile/{HOME_NAME}"
SHADOW_ARN = f"arn:aws:iam::123456789012:instance-profile/{SHADOW_NAME}"
HOME_ID, SHADOW_ID = "AIPAWEB", "AIPASHADOW"
SHADOW_MARKS = {"owner": f"me/{SHADOW_NAME}", "temporary-of": HOME_NAME}
LAG = 50.0
"""For so long EC2 sees in a profile the role that was there before, in seconds."""


@dataclass(frozen=True)
class World:
    """AWS, and what it serves each instance: the role that EC2 saw when the profile was taken on.

    ``history`` holds what was inside the profile from when on.
    """

    profile: LiveProfile
    instances: dict[InstanceKey, LiveInstance]
    served: dict[InstanceKey, str | None]
    history: tuple[tuple[float, str | None], ...]
    idle: frozenset[InstanceKey] = frozenset()
    """Those that somebody had stopped."""
    freed: frozenset[InstanceKey] = frozenset()
    """Those whose profile, or whose note, somebody took away."""
    temporary: LiveProfile | None = None
    shadow_history: tuple[tuple[float, str | None], ...] = ()
    now: float = 1000.0
    made: int = 0
    roles: Mapping[str, str] = field(default_factory=lambda: {"old": OLD, "new": NEW})
    """The roles of the account: the id that each name has now."""
    gates: GateAnswers | None = None
    """What the run was last told about what is watched."""
    alarm: bool = False
    """Whether the alarm rings."""
    skew: float = 0.0
    """How far EC2's clock is ahead of ours, in seconds: launch times are EC2's."""

    def key(self) -> object:
        """The state but for the time, so that equal ones are walked once."""
        rows = tuple(
            (
                str(k),
                i.state,
                tuple((r.profile_id, r.state) for r in i.rows),
                self.served[k],
                _holds(i),
            )
            for k, i in sorted(self.instances.items())
        )
        marks = {k: v for k, v in self.profile.marks.items() if k != "role-id"}
        mark = self.profile.mark
        plain = replace(mark, epoch=0, run="") if isinstance(mark, Pending) else mark
        fresh = self.now - self.history[-1][0] < LAG
        temporary = self.temporary and (
            self.temporary.role_id,
            dict(self.temporary.marks) == SHADOW_MARKS,
        )
        young = bool(self.shadow_history) and self.now - self.shadow_history[-1][0] < LAG
        noted = tuple(sorted(marks.items()))
        begun = mark.epoch if isinstance(mark, Pending) else 0
        late = tuple(k for k, i in self.instances.items() if i.launched_at > begun)
        away = (self.idle, self.freed, late, self.skew, self.alarm)
        return (self.profile.role_id, plain, noted, rows, fresh, temporary, young, away)

    def seen_by_ec2(self, arn: str = ARN) -> str | None:
        """The role that EC2 sees in the profile, or in its temporary one."""
        history = self.shadow_history if arn == SHADOW_ARN else self.history
        return [None, *(role for at, role in history if at <= self.now - LAG)][-1]

    def serves(self, row: AssociationRow | None) -> str | None:
        """What an instance that takes on the profile of the association is served from now on. A
        profile that was made again has another id: its older associations serve nothing."""
        if row is None or row.profile_id not in (HOME_ID, SHADOW_ID):
            return None
        return self.seen_by_ec2(row.profile_arn)


def _holds(instance: LiveInstance) -> tuple[str, bool]:
    role, _, association = instance.marks.get("holds", "").partition("/")
    return role, instance.row is not None and association == instance.row.id


def happened(world: World, call: ApiCall) -> World:
    """AWS a second later, once ``call`` took effect."""
    assert not call.is_dry_run, "a question changes nothing"
    return _RULES[call.service, call.operation](replace(world, now=world.now + 1), call)


Rule = Callable[[World, ApiCall], World]


def _inside(profile: LiveProfile, role: str | None, role_id: str | None) -> LiveProfile:
    return replace(profile, resource=replace(profile.resource, role=role), role_id=role_id)


def _named(world: World, call: ApiCall) -> LiveProfile:
    """The profile that a call to IAM names."""
    name = call.params["InstanceProfileName"]
    if name == HOME_NAME:
        return world.profile
    assert name == SHADOW_NAME, name
    assert world.temporary is not None, f"{call.operation}: NoSuchEntity: {name}"
    return world.temporary


def _with_profile(world: World, profile: LiveProfile) -> World:
    if profile.resource.name == HOME_NAME:
        return replace(world, profile=profile)
    return replace(world, temporary=profile)


def _with_role(world: World, profile: LiveProfile, role: str | None) -> World:
    """From now on the profile holds ``role``; EC2 sees that later."""
    role_id = None if role is None else world.roles[role]
    world = _with_profile(world, _inside(profile, role, role_id))
    event = (world.now, role_id)
    if profile.resource.name == HOME_NAME:
        return replace(world, history=(*world.history, event))
    return replace(world, shadow_history=(*world.shadow_history, event))


def _add_role(world: World, call: ApiCall) -> World:
    """A profile holds one role. Its id is that of the role that has the name now."""
    profile, role = _named(world, call), call.params["RoleName"]
    assert profile.resource.role is None, "LimitExceeded: a profile holds one role"
    assert role in world.roles, f"NoSuchEntity: role/{role}"
    return _with_role(world, profile, role)


def _remove_role(world: World, call: ApiCall) -> World:
    profile, role = _named(world, call), call.params["RoleName"]
    assert profile.resource.role == role, f"NoSuchEntity: role/{role} is not inside"
    return _with_role(world, profile, None)


def _short(key: str) -> str:
    """A mark's name. Keys of other prefixes are the user's tags, which no cut-over may write."""
    assert key.startswith(PREFIX), key
    return key[len(PREFIX) :]


def _tags(call: ApiCall) -> dict[str, str]:
    return {_short(tag["Key"]): tag["Value"] for tag in call.params["Tags"]}


def _tag_profile(world: World, call: ApiCall) -> World:
    """Tags that are there and not named stay."""
    profile = _named(world, call)
    return _with_profile(world, replace(profile, marks={**profile.marks, **_tags(call)}))


def _untag_profile(world: World, call: ApiCall) -> World:
    """To take off a tag that is not there is no error."""
    profile, gone = _named(world, call), {_short(key) for key in call.params["TagKeys"]}
    marks = {name: value for name, value in profile.marks.items() if name not in gone}
    return _with_profile(world, replace(profile, marks=marks))


def _tag_role(world: World, call: ApiCall) -> World:
    assert call.params["RoleName"] in world.roles, "NoSuchEntity"
    assert _tags(call)
    return world


def _create_profile(world: World, call: ApiCall) -> World:
    """It is made empty."""
    assert call.params["InstanceProfileName"] == SHADOW_NAME, call.params
    assert world.temporary is None, f"EntityAlreadyExists: {SHADOW_NAME}"
    assert call.params["Path"] == "/"
    made = replace(temporary(None), marks=_tags(call))
    return replace(world, temporary=made, shadow_history=((world.now, None),))


def _delete_profile(world: World, call: ApiCall) -> World:
    """AWS asks only that it be empty; ``walking`` asks that nobody uses it."""
    profile = _named(world, call)
    assert profile.resource.role is None, "DeleteConflict: a role is inside"
    assert profile is world.temporary
    return replace(world, temporary=None, shadow_history=())


def _instance(world: World, call: ApiCall, name: str) -> LiveInstance:
    key = InstanceKey(call.region or "", name)
    assert key in world.instances, f"InvalidInstanceID.NotFound: {key}"
    return world.instances[key]


def _of_association(world: World, call: ApiCall) -> LiveInstance:
    name = call.params["AssociationId"]
    for instance in world.instances.values():
        if instance.key.region == call.region and name in {row.id for row in instance.rows}:
            return instance
    raise AssertionError(f"InvalidAssociationID.NotFound: {name}")


def _with_instance(world: World, instance: LiveInstance, served: str | None) -> World:
    key = instance.key
    return replace(
        world,
        instances={**world.instances, key: instance},
        served={**world.served, key: served},
    )


def _given(world: World, call: ApiCall, instance: LiveInstance) -> World:
    """A new association, with an id that was never there; it takes the profile on if it runs."""
    arn = call.params["IamInstanceProfile"]["Arn"]
    assert arn == ARN or (arn == SHADOW_ARN and world.temporary is not None), arn
    profile_id = SHADOW_ID if arn == SHADOW_ARN else HOME_ID
    row = AssociationRow(f"new-{world.made}", arn, profile_id, "associated")
    served = world.serves(row) if instance.state == "running" else None
    world = _with_instance(world, replace(instance, rows=(row,)), served)
    return replace(world, made=world.made + 1)


def _associate(world: World, call: ApiCall) -> World:
    instance = _instance(world, call, call.params["InstanceId"])
    assert instance.state in ("running", "stopped"), "IncorrectInstanceState"
    assert not instance.rows, "IncorrectState: there is an association"
    return _given(world, call, instance)


def _disassociate(world: World, call: ApiCall) -> World:
    """Whatever it was served, it is served nothing."""
    instance = _of_association(world, call)
    assert instance.state in ("running", "stopped"), "IncorrectInstanceState"
    return _with_instance(world, replace(instance, rows=()), None)


def _replace(world: World, call: ApiCall) -> World:
    """Of a running instance only; to replace a profile by itself does nothing."""
    instance = _of_association(world, call)
    assert instance.state == "running", "IncorrectState: not the active association"
    row, arn = instance.rows[0], call.params["IamInstanceProfile"]["Arn"]
    return world if row.profile_arn == arn else _given(world, call, instance)


def _stop(world: World, call: ApiCall) -> World:
    (name,) = call.params["InstanceIds"]
    instance = _instance(world, call, name)
    assert instance.state in ("running", "stopped"), "IncorrectInstanceState"
    return _with_instance(world, replace(instance, state="stopped"), None)


def _start(world: World, call: ApiCall) -> World:
    """It takes its profile on anew; to start one that runs does nothing."""
    (name,) = call.params["InstanceIds"]
    instance = _instance(world, call, name)
    assert instance.state in ("running", "stopped"), "IncorrectInstanceState"
    if instance.state == "running":
        return world
    started = replace(instance, state="running", launched_at=world.now + world.skew)
    return _with_instance(world, started, world.serves(started.row))


def _tag_instances(world: World, call: ApiCall) -> World:
    for name in call.params["Resources"]:
        instance = _instance(world, call, name)
        tagged = replace(instance, marks={**instance.marks, **_tags(call)})
        world = _with_instance(world, tagged, world.served[instance.key])
    return world


def _untag_instances(world: World, call: ApiCall) -> World:
    """A key without a value takes the tag off whatever its value is."""
    assert all(set(tag) == {"Key"} for tag in call.params["Tags"])
    gone = {_short(tag["Key"]) for tag in call.params["Tags"]}
    for name in call.params["Resources"]:
        instance = _instance(world, call, name)
        marks = {key: value for key, value in instance.marks.items() if key not in gone}
        bare = replace(instance, marks=marks)
        world = _with_instance(world, bare, world.served[instance.key])
    return world


_RULES: dict[tuple[str, str], Rule] = {
    ("iam", "AddRoleToInstanceProfile"): _add_role,
    ("iam", "RemoveRoleFromInstanceProfile"): _remove_role,
    ("iam", "TagInstanceProfile"): _tag_profile,
    ("iam", "UntagInstanceProfile"): _untag_profile,
    ("iam", "TagRole"): _tag_role,
    ("iam", "CreateInstanceProfile"): _create_profile,
    ("iam", "DeleteInstanceProfile"): _delete_profile,
    ("ec2", "AssociateIamInstanceProfile"): _associate,
    ("ec2", "DisassociateIamInstanceProfile"): _disassociate,
    ("ec2", "ReplaceIamInstanceProfileAssociation"): _replace,
    ("ec2", "StopInstances"): _stop,
    ("ec2", "StartInstances"): _start,
    ("ec2", "CreateTags"): _tag_instances,
    ("ec2", "DeleteTags"): _untag_instances,
}
OPERATIONS = frozenset(operation for _, operation in _RULES)


def temporary(role: str | None) -> LiveProfile:
    return LiveProfile(
        resource=InstanceProfile(SHADOW_NAME, NAMES.get(role or "")),
        id=SHADOW_ID,
        arn=SHADOW_ARN,
        marks=SHADOW_MARKS,
        role_id=role,
    )
