"""A path that changes: deleted and made again, with everything that uses it brought over."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.executor.interrupt import Interrupt
from reconciler.exit_codes import ExitCode
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, crashing, dying, listening
from tests.behaviour.test_ownership import TRUST
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig
from tests.sampling import deaths

SPEC = """
policies:
  read: {{path: {policy}, document: &d {{Version: 2012-10-17,
    Statement: [{{Effect: Allow, Action: 's3:*', Resource: '*'}}]}}}}
  edge: {{document: *d}}
roles:
  web: {{path: {role}, trust: ec2, managed_policies: [read, ReadOnlyAccess],
    inline_policies: {{own: *d}}, permissions_boundary: edge, tags: {{team: web}}}}
  admin:
    trust_policy:
      Version: 2012-10-17
      Statement: [{{Effect: Allow, Action: 'sts:AssumeRole',
        Principal: {{AWS: 'arn:aws:iam::${{account_id}}:role{role}web'}}}}]
    managed_policies: [read]
instance_profiles:
  web: {{role: web, path: {profile}, tags: {{team: web}}}}
  spare: {{role: web}}
associations:
  fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}
"""
BEFORE = {"policy": "/a/", "role": "/a/", "profile": "/a/"}
ADDRESSES = {"policy": "policy/read", "role": "role/web", "profile": "instance-profile/web"}


def spec(*moved: str) -> str:
    return SPEC.format(**BEFORE | dict.fromkeys(moved, "/b/"))


def allowed(*moved: str) -> dict[str, Any]:
    return {"allow": frozenset(("replace", ADDRESSES[name]) for name in moved)}


class Fleet:
    """Two instances of the spec, one that was launched, one elsewhere, one that is stopped."""

    def __init__(self, aws: Rig) -> None:
        self.aws = aws
        self.home = aws.launch(2, tags={"app": "web"})
        self.away = aws.launch(1, region=AWAY, tags={"app": "web"})
        aws.write(spec())
        aws.settle()
        self.home += aws.launch(1, profile="web")
        self.idle = aws.launch(1, profile="web")
        aws.ec2().stop_instances(InstanceIds=self.idle)
        aws.clock.sleep(60)

    def is_served(self) -> None:
        profile = self.aws.iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
        tags = self.aws.profile_tags("web")
        assert tags == {
            "team": "web",
            "reconciler:owner": "tests/web",
            "reconciler:role-id": self.aws.role_id("web"),
        }
        assert self.aws.role_in("spare") == "web"
        assert {self.aws.served(i) for i in self.home} == {"web"}
        assert {self.aws.served(i, AWAY) for i in self.away} == {"web"}
        rows = [*rows_of(self.aws, HOME), *rows_of(self.aws, AWAY)]
        assert {row["IamInstanceProfile"]["Id"] for row in rows} == {profile["InstanceProfileId"]}
        assert {row["IamInstanceProfile"]["Arn"] for row in rows} == {profile["Arn"]}
        assert len(rows) == 5
        for instance in self.home[:2]:
            mark = self.aws.instance_tags(instance)["reconciler:association"]
            assert mark == f"tests/{instance}/{profile['InstanceProfileId']}"
        attached = self.aws.iam.list_attached_role_policies(RoleName="web")["AttachedPolicies"]
        assert [p["PolicyName"] for p in attached] == ["ReadOnlyAccess", "read"]
        trust = self.aws.iam.get_role(RoleName="admin")["Role"]["AssumeRolePolicyDocument"]
        role = self.aws.iam.get_role(RoleName="web")["Role"]
        assert trust["Statement"][0]["Principal"]["AWS"] == role["Arn"]
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith("/edge")


def rows_of(aws: Rig, region: str) -> list[dict[str, Any]]:
    answer = aws.ec2(region).describe_iam_instance_profile_associations()
    rows: list[dict[str, Any]] = answer["IamInstanceProfileAssociations"]
    return rows


@pytest.fixture
@prepared
def fleet(aws: Rig) -> Fleet:
    made = Fleet(aws)
    made.is_served()
    return made


MOVES = [("policy",), ("role",), ("profile",), ("role", "profile"), ("policy", "role", "profile")]


@pytest.mark.parametrize("moved", MOVES, ids="+".join)
def test_everything_that_uses_a_replaced_resource_follows(
    fleet: Fleet, moved: tuple[str, ...]
) -> None:
    ids = {name: unique_id(fleet.aws, name) for name in ADDRESSES}
    fleet.aws.write(spec(*moved))
    plan = fleet.aws.settle(**allowed(*moved))
    replaced = {str(c.address) for c in plan.changes if c.actions == ("delete", "create")}
    assert replaced == {ADDRESSES[name] for name in moved}
    fleet.is_served()
    for name in ADDRESSES:
        assert (unique_id(fleet.aws, name) != ids[name]) == (name in moved), name


def unique_id(aws: Rig, kind: str) -> str:
    if kind == "role":
        return aws.role_id("web")
    if kind == "profile":
        found = aws.iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
        return str(found["InstanceProfileId"])
    listed = aws.iam.list_policies(Scope="Local")["Policies"]
    return next(str(p["PolicyId"]) for p in listed if p["PolicyName"] == "read")


def test_a_replacement_names_what_it_breaks(fleet: Fleet) -> None:
    """By the plan and by the guard, which the flag that it names lifts."""
    fleet.aws.write(spec("role", "profile", "policy"))
    plan = fleet.aws.plan().plan
    guards = {g.lift: g.reason for g in plan.guards}
    wanted = {f"--allow replace={address}" for address in ADDRESSES.values()}
    assert set(guards) == {*wanted, "--allow delete=3"}
    role = guards["--allow replace=role/web"]
    assert "4 running instances without valid credentials until cut over" in role
    assert "trust policies and resource policies that name its id break" in role
    assert "launches that name its ARN fail" in guards["--allow replace=instance-profile/web"]
    assert "2 roles without it until it is attached again" in guards["--allow replace=policy/read"]
    change = next(c for c in plan.changes if str(c.address) == "role/web")
    assert len(change.consumers) == 4
    everything = {"allow": frozenset({("replace", "*"), ("delete", "3")})}
    assert not fleet.aws.plan(**everything).plan.guards


@pytest.mark.parametrize(("at", "after"), deaths([3, 5, 8, 11, 14, 17, 20, 28], [3, 14, 28]))
def test_a_crash_at_some_calls_of_a_replacement_is_resumed(
    fleet: Fleet, at: int, after: bool
) -> None:
    die_and_go_on(fleet, at, after)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 53))
def test_a_crash_at_every_call_of_a_replacement_is_resumed(
    fleet: Fleet, at: int, after: bool
) -> None:
    die_and_go_on(fleet, at, after)


def die_and_go_on(fleet: Fleet, at: int, after: bool) -> None:
    moved = ("policy", "role", "profile")
    fleet.aws.write(spec(*moved))
    with pytest.raises(Crash), crashing(fleet.aws, at, after=after):
        fleet.aws.apply(**allowed(*moved))
    fleet.aws.settle(**allowed(*moved))
    fleet.is_served()


def test_associations_of_a_replaced_profile_stay_owned(fleet: Fleet) -> None:
    """What was made for the spec can still be pruned once its profile was made again."""
    fleet.aws.write(spec("profile"))
    fleet.aws.settle(**allowed("profile"))
    fleet.aws.write(spec("profile").partition("associations:")[0])
    pruned = fleet.aws.settle(prune=True, allow=frozenset({("delete", "3")}))
    assert {str(c.address) for c in pruned.changes} == {
        f"association/{i}" for i in (*fleet.home[:2], *fleet.away)
    }


def _outside_profile(aws: Rig) -> None:
    aws.iam.create_instance_profile(InstanceProfileName="theirs")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="web")


def _outside_trust(aws: Rig) -> None:
    trust = TRUST.replace('"Service":"ec2.amazonaws.com"', f'"AWS":"{role_arn()}"')
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=trust)


def _outside_role(aws: Rig) -> None:
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    aws.iam.attach_role_policy(RoleName="theirs", PolicyArn=policy_arn())


def _a_user(aws: Rig) -> None:
    aws.iam.create_user(UserName="somebody")
    aws.iam.attach_user_policy(UserName="somebody", PolicyArn=policy_arn())


def _a_boundary(aws: Rig) -> None:
    aws.iam.create_role(
        RoleName="theirs", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=policy_arn()
    )


def role_arn() -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/a/web"


def policy_arn() -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/a/read"


USES: dict[str, tuple[Any, str, str]] = {
    "a profile": (_outside_profile, "role", "instance-profile/theirs outside this plan holds it"),
    "a trust": (_outside_trust, "role", "role/theirs trusts it by its current ARN"),
    "a role": (_outside_role, "policy", "role/theirs outside this plan has it attached"),
    "a user": (_a_user, "policy", "1 user or group has it attached"),
    "a boundary": (_a_boundary, "policy", "role/theirs has it as its boundary"),
}


@pytest.mark.parametrize("case", USES)
def test_a_replacement_is_refused_while_others_use_the_resource(fleet: Fleet, case: str) -> None:
    """No flag lifts that."""
    use, moved, wanted = USES[case]
    use(fleet.aws)
    fleet.aws.write(spec(moved))
    guards = fleet.aws.plan(allow=frozenset({("replace", "*")})).plan.guards
    assert [g.key for g in guards] == ["replace"]
    assert wanted in guards[0].reason
    assert not guards[0].lift.startswith("--")


def test_excluded_resources_count_as_users(fleet: Fleet) -> None:
    fleet.aws.write(spec("role"))
    only = {"exclude": ("instance-profile/spare",), **allowed("role")}
    reasons = [g.reason for g in fleet.aws.plan(**only).plan.guards]
    assert len(reasons) == 1 and "instance-profile/spare outside this plan" in reasons[0]
    reasons = [g.reason for g in fleet.aws.plan(only=("role/web",), **allowed("role")).plan.guards]
    assert len(reasons) == 1 and "its users are not known" in reasons[0]


def test_an_adoption_that_replaces_is_guarded(aws: Rig) -> None:
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST, Path="/a/")
    aws.write("roles: {web: {trust: ec2, path: /b/}}")
    plan = aws.plan(adopt=True, allow=frozenset({("replace", "role/web")})).plan
    assert [g.lift for g in plan.guards] == ["--allow strip=role/web"]
    aws.settle(adopt=True, allow=frozenset({("replace", "role/web"), ("strip", "role/web")}))
    assert aws.iam.get_role(RoleName="web")["Role"]["Path"] == "/b/"


def test_a_replaced_profile_that_changes_its_role(aws: Rig) -> None:
    """The role is noted as let go, like by any other cut-over, so it stays for hours."""
    roles = "roles: {r1: {trust: ec2}, r2: {trust: ec2}}\n"
    aws.write(f"{roles}instance_profiles: {{p: {{role: r2, path: /a/}}}}")
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(1, profile="p")
    aws.write("roles: {r1: {trust: ec2}}\ninstance_profiles: {p: {role: r1, path: /b/}}")
    lifted = frozenset({("replace", "instance-profile/p"), ("delete", "1")})
    aws.settle(prune=True, allow=lifted)
    assert "reconciler:released" in aws.role_tags("r2")
    aws.clock.sleep(7 * 3600)
    aws.settle(prune=True)
    assert aws.names()["roles"] == ["r1"]


def test_replacing_roles_that_trust_each_other(aws: Rig) -> None:
    trust = """
  {name}:
    path: {path}
    trust_policy:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Principal: {{AWS: "arn:aws:iam::${{account_id}}:role{path}{other}"}}
          Action: sts:AssumeRole
"""
    names = [("a", "b"), ("b", "a")]

    def roles(path: str) -> str:
        return "roles:" + "".join(trust.format(name=n, other=o, path=path) for n, o in names)

    aws.write(roles("/x/"))
    aws.settle()
    aws.write(roles("/y/"))
    aws.settle(allow=frozenset({("replace", "role/*")}))
    assert {r["Path"] for r in aws.iam.list_roles()["Roles"]} == {"/y/"}


def test_a_profile_that_was_deleted_by_hand(fleet: Fleet) -> None:
    """One apply makes it again and has its instances take it up."""
    iam = fleet.aws.iam
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
    iam.delete_instance_profile(InstanceProfileName="web")
    plan = fleet.aws.settle()
    assert [c.actions for c in plan.changes if c.kind == "instance-profile"] == [("create",)]
    assert len([c for c in plan.changes if c.actions == ("cutover",)]) == 5
    fleet.is_served()


def test_a_profile_of_others_that_was_recreated(aws: Rig) -> None:
    """To replace an association by one of the same profile does nothing, so it is made anew."""
    iam = aws.iam

    def make() -> str:
        made = iam.create_instance_profile(InstanceProfileName="theirs")["InstanceProfile"]
        iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
        aws.clock.sleep(60)
        return str(made["InstanceProfileId"])

    iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    make()
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write("associations: {f: {instance_profile: theirs, select: {tags: {app: web}}}}")
    aws.settle()
    iam.remove_role_from_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
    iam.delete_instance_profile(InstanceProfileName="theirs")
    made = make()
    assert aws.settle().changes
    assert [row["IamInstanceProfile"]["Id"] for row in rows_of(aws, HOME)] == [made]
    assert aws.instance_tags(instance)["reconciler:association"] == f"tests/{instance}/{made}"


@pytest.mark.parametrize(
    "operation", ["RemoveRoleFromInstanceProfile", "DeleteRole", "DeletePolicy", "DetachRolePolicy"]
)
def test_an_interrupt_during_a_replacement(fleet: Fleet, operation: str) -> None:
    """Nothing stays deleted, no profile empty, no role without its policy; and the next run does
    the rest."""
    stop = Interrupt()

    def interrupt(logged: Logged) -> None:
        if logged.operation == operation:
            stop.set()

    moved = ("policy", "role", "profile")
    fleet.aws.write(spec(*moved))
    with listening(fleet.aws.aws.after, interrupt):
        assert fleet.aws.apply(stop, **allowed(*moved)).exit_code == ExitCode.INTERRUPTED
    assert fleet.aws.role_in("web") == fleet.aws.role_in("spare") == "web"
    attached = fleet.aws.iam.list_attached_role_policies(RoleName="web")["AttachedPolicies"]
    assert len(attached) == 2
    rows = [*rows_of(fleet.aws, HOME), *rows_of(fleet.aws, AWAY)]
    assert len(rows) == 5
    fleet.aws.settle(**allowed(*moved))
    fleet.is_served()


def test_an_interrupt_before_the_first_step(fleet: Fleet) -> None:
    stop = Interrupt()
    stop.set()
    fleet.aws.write(spec("role"))
    fleet.aws.aws.log.clear()
    assert fleet.aws.apply(stop, **allowed("role")).exit_code == ExitCode.INTERRUPTED
    assert fleet.aws.writes() == []


@pytest.mark.parametrize("role", ["v1", "v2"])
def test_a_role_is_made_again_after_a_cut_over_that_died(aws: Rig, role: str) -> None:
    """The profile was left empty: its first half ends with another mark then."""
    text = """
roles:
  v1: {trust: ec2}
  v2: {trust: ec2}
instance_profiles:
  web: {role: ROLE, cutover: {strategy: reassociate}}
"""
    aws.write(text.replace("ROLE", "v1"))
    aws.settle()
    aws.clock.sleep(60)
    (instance,) = aws.launch(profile="web")
    aws.write(text.replace("ROLE", role))
    with dying(aws, "AssociateIamInstanceProfile"), pytest.raises(Crash):
        aws.apply(refresh=("instance-profile/web",) if role == "v1" else ())
    again = text.replace(f"{role}: {{trust: ec2}}", f"{role}: {{trust: ec2, path: /x/}}")
    aws.write(again.replace("ROLE", role))
    aws.settle(allow=frozenset({("replace", "*"), ("release", "*"), ("consumers", "*")}))
    assert aws.role_in("web") == role
    assert aws.served(instance) == role
    assert aws.plan().plan.is_empty
