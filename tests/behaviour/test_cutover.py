"""A role change that takes effect: what the sandbox serves each instance, case by case."""

from __future__ import annotations

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.iam.exceptions import IAMException

from reconciler.executor.interrupt import Interrupt
from reconciler.plan.calls import ApiCall
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, Watch, crashing, listening, refusing
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig
from tests.sampling import deaths, sampled

SPEC = """
roles:
  v1: {{trust: ec2}}
  v2: {{trust: ec2}}
  v3: {{trust: ec2}}
instance_profiles:
  web:
    role: {role}
    cutover: {{max_unavailable: {most}, on_failure: {on_failure}}}
associations:
  fleet:
    instance_profile: web
    select: {{tags: {{app: web}}}}
"""


def spec(role: str, most: str = "1", on_failure: str = "rollback") -> str:
    return SPEC.format(role=role, most=most, on_failure=on_failure)


class Fleet:
    """Instances of a spec, one that was launched with the profile, one in another region,
    one that is stopped."""

    def __init__(self, aws: Rig, home: int = 2) -> None:
        self.aws = aws
        self.home = aws.launch(home, tags={"app": "web"})
        self.away = aws.launch(1, region=AWAY, tags={"app": "web"})
        aws.write(spec("v1"))
        aws.settle()
        self.launched = aws.launch(1, profile="web")
        self.stopped = aws.launch(1, profile="web")
        aws.ec2().stop_instances(InstanceIds=self.stopped)

    @property
    def running(self) -> tuple[tuple[str, str], ...]:
        home = [(HOME, i) for i in (*self.home, *self.launched)]
        return (*home, *((AWAY, i) for i in self.away))

    def roles(self) -> set[str | None]:
        return {self.aws.served(instance, region) for region, instance in self.running}

    def holds(self, role: str) -> None:
        """Every running instance is served the role, and nothing is left of the work."""
        assert self.roles() == {role}
        assert self.aws.role_in("web") == role
        tags = self.aws.profile_tags("web")
        assert tags["reconciler:role-id"] == self.aws.role_id(role)
        assert not [key for key in tags if "in-flight" in key]
        for region, instance in self.running:
            assert "reconciler:holds" not in self.aws.instance_tags(instance, region)
            assert self.aws.profile_of(instance, region) == "web"
        assert self.aws.profile_of(self.stopped[0]) == "web"


@pytest.fixture
@prepared
def fleet(aws: Rig) -> Fleet:
    made = Fleet(aws)
    made.holds("v1")
    return made


@pytest.fixture
@prepared
def larger(aws: Rig) -> Fleet:
    return Fleet(aws, home=3)


def test_every_running_instance_gets_the_new_role(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    plan = aws.settle()
    fleet.holds("v2")
    cut = [str(c.address) for c in plan.changes if c.actions == ("cutover",)]
    assert len(cut) == len(fleet.running)
    aws.ec2().start_instances(InstanceIds=fleet.stopped)
    assert aws.served(fleet.stopped[0]) == "v2"


def test_regions_may_be_narrowed_and_the_plan_says_so(aws: Rig, fleet: Fleet) -> None:
    settings = f"version: 1\nowner: tests\nconsumer_regions: [{HOME}]\n"
    aws.write(spec("v2"), settings)
    plan = aws.settle(regions=(HOME,))
    notes = [k.reason for k in plan.targets[0].kept]
    assert notes == [
        f"instances are cut over only in {HOME}, as consumer_regions in the settings says"
    ]
    assert {aws.served(i) for i in fleet.home} == {"v2"}
    assert {aws.served(i, AWAY) for i in fleet.away} == {"v1"}


def test_an_instance_of_cloudformation_is_a_consumer(aws: Rig, fleet: Fleet) -> None:
    tags = ec2_backends[ACCOUNT][HOME].tags.setdefault(fleet.launched[0], {})
    tags["aws:cloudformation:stack-name"] = "theirs"
    aws.write(spec("v2"))
    aws.settle()
    fleet.holds("v2")


def test_a_new_role_that_iam_does_not_return_yet_is_waited_for(aws: Rig, fleet: Fleet) -> None:
    """Before anything is changed, so that there is no window without a role."""
    aws.write(spec("v2"))
    aws.aws.log.clear()
    with refusing(aws, "AddRoleToInstanceProfile", "NoSuchEntity", times=3) as refused:
        aws.settle()
    assert len(refused) == 3
    writes = [c.operation for c in aws.writes()]
    assert writes.index("TagInstanceProfile") > 3
    fleet.holds("v2")


@pytest.mark.parametrize(
    ("most", "wanted"), sampled([("40%", 2)], [("1", 1), ("2", 2), ("9", 4), ("1%", 1)])
)
def test_max_unavailable_is_respected(aws: Rig, larger: Fleet, most: str, wanted: int) -> None:
    aws.write(spec("v2", most))
    watch = Watch(aws, larger.running)
    with listening(aws.aws.before, watch):
        aws.settle()
    larger.holds("v2")
    assert watch.most == wanted


@pytest.mark.parametrize(
    ("canary", "most", "sizes"),
    [("1", "3", [1, 3, 1]), ("2", "100%", [2, 3]), ("40%", "2", [2, 2, 1]), ("9", "2", [2, 2, 1])],
)
def test_the_canary_has_a_size_of_its_own(
    aws: Rig, larger: Fleet, canary: str, most: str, sizes: list[int]
) -> None:
    aws.write(spec("v2", f"{most}, canary: {canary}"))
    before = len(aws.aws.log)
    aws.settle()
    larger.holds("v2")
    batches, batch = [], 0
    for call in aws.aws.log[before:]:
        if call.operation == "DisassociateIamInstanceProfile":
            batch += 1
        elif call.operation == "AssociateIamInstanceProfile" and not call.is_dry_run and batch:
            batches.append(batch)
            batch = 0
    assert batches == sizes


def test_instances_are_cut_over_in_the_planned_order(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2", "2"))
    planned = aws.plan().plan
    shown = [
        s.action.params["InstanceId"]
        for s in planned.targets[0].steps
        if isinstance(s.action, ApiCall) and s.action.operation == "AssociateIamInstanceProfile"
    ]
    before = len(aws.aws.log)
    aws.settle()
    done = [
        c.params["InstanceId"]
        for c in aws.aws.log[before:]
        if c.operation == "AssociateIamInstanceProfile"
    ]
    assert done == shown
    calls = [
        c.operation for c in aws.aws.log[before:] if c.service == "iam" and "Profile" in c.operation
    ]
    writes = [c for c in calls if not c.startswith(("Get", "List"))]
    assert writes[:4] == [
        "AddRoleToInstanceProfile",
        "TagInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        "AddRoleToInstanceProfile",
    ]


def test_a_pause_between_batches(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2").replace("max_unavailable: 1,", "max_unavailable: 1, pause: 10m,"))
    began = aws.clock.now()
    aws.settle()
    assert aws.clock.now() - began >= 3 * 600


def test_denied_before_anything_changed(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    with refusing(aws, "AddRoleToInstanceProfile", "AccessDenied"):
        applied = aws.apply()
    assert applied.exit_code == 3
    failed = next(o for o in applied.result.outcomes if o.status == "failed")
    assert str(failed.address) == "instance-profile/web"
    assert "AccessDenied" in failed.reason
    fleet.holds("v1")


def test_the_old_role_is_restored_if_the_new_one_is_refused(aws: Rig, fleet: Fleet) -> None:
    """Asked, it was allowed; when it is put in, it is not any more."""
    aws.write(spec("v2"))
    seen: list[Logged] = []

    def listen(logged: Logged) -> None:
        if logged.operation == "AddRoleToInstanceProfile" and logged.params["RoleName"] == "v2":
            seen.append(logged)
            if len(seen) == 2:
                raise IAMException("AccessDenied", "no more")

    with listening(aws.aws.before, listen):
        assert aws.apply().exit_code == 3
    assert aws.role_in("web") == "v1"
    assert fleet.roles() == {"v1"}
    aws.settle()
    fleet.holds("v2")


def test_a_manual_swap_is_drift_and_is_corrected(aws: Rig, fleet: Fleet) -> None:
    """The specs never changed; the role was swapped there and back, the second time halfway."""
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v2")
    aws.clock.sleep(100)
    late = aws.launch(1, profile="web")[0]
    assert aws.served(late) == "v2"
    findings = aws.drift().findings
    assert {f.status for f in findings} == {"modified", "stale"}
    aws.settle()
    fleet.holds("v1")
    assert aws.served(late) == "v1"


def test_swapped_by_hand_to_what_the_specs_want(aws: Rig, fleet: Fleet) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v2")
    aws.write(spec("v2"))
    assert fleet.roles() == {"v1"}
    assert not aws.settle().is_empty
    fleet.holds("v2")


def test_an_emptied_profile_gets_its_role_back(aws: Rig, fleet: Fleet) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.settle()
    fleet.holds("v1")


def test_a_role_made_again_under_the_same_name(aws: Rig, fleet: Fleet) -> None:
    """Instances hold credentials of a role that is gone, though every name is right."""
    first = aws.role_id("v1")
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.delete_role(RoleName="v1")
    aws.settle()
    assert aws.role_id("v1") != first
    fleet.holds("v1")


def test_an_instance_launched_during_the_swap_is_cut_over(aws: Rig, fleet: Fleet) -> None:
    """Launched after the swap, but before EC2 saw it: it has the old role's credentials."""
    aws.write(spec("v2"))
    late: list[str] = []

    def launch(logged: Logged) -> None:
        is_swap = logged.operation == "AddRoleToInstanceProfile" and not late
        if is_swap and aws.role_in("web") == "v2":
            late.append("launching")
            late[0] = aws.launch(1, profile="web")[0]

    with listening(aws.aws.after, launch):
        aws.settle()
    assert aws.served(late[-1]) == "v2"
    fleet.holds("v2")


def test_an_instance_launched_with_the_new_role_is_left_alone(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    late: list[str] = []

    def launch(logged: Logged) -> None:
        taken_off.append(logged.operation)
        if taken_off.count("DisassociateIamInstanceProfile") == 2 and not late:
            aws.clock.sleep(301)  # further than the clocks of AWS and ours can be apart
            late.append("launching")
            late[0] = aws.launch(1, profile="web")[0]

    taken_off: list[str] = []
    with listening(aws.aws.after, launch):
        before = len(aws.aws.log)
        aws.settle()
    assert aws.served(late[0]) == "v2"
    given = [
        c.params.get("InstanceId")
        for c in aws.aws.log[before:]
        if c.operation == "AssociateIamInstanceProfile"
    ]
    assert late[0] not in given


def test_repeated_crashes_while_the_role_changes_back_and_forth(aws: Rig, fleet: Fleet) -> None:
    """v1 to v2 dies halfway, back to v1 dies halfway, v2 once more: what earlier runs noted on
    instances must not be believed."""
    for role in ("v2", "v1", "v2", "v1"):
        aws.write(spec(role))
        with crashing(aws, 14, after=True), pytest.raises(Crash):
            aws.apply()
        assert "pending" in aws.profile_tags("web")["reconciler:role-id"]
    aws.write(spec("v2"))
    aws.settle()
    fleet.holds("v2")


def test_a_third_role_before_the_second_is_rolled_out(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    with crashing(aws, 14, after=False), pytest.raises(Crash):
        aws.apply()
    aws.write(spec("v3"))
    aws.settle()
    fleet.holds("v3")


def test_an_interrupted_cut_over_is_shown_as_in_progress(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    with crashing(aws, 7, after=True), pytest.raises(Crash):
        aws.apply()
    by_status = {f.status: f.severity for f in aws.drift().findings}
    assert by_status == {"stale": "critical", "in_progress": "warning"}
    (bare,) = [f for f in aws.drift().findings if f.status == "stale"]
    assert bare.is_bare
    changes = aws.plan().plan.changes
    assert ("restore",) in {c.actions for c in changes}
    addresses = [str(c.address) for c in changes]
    assert len(addresses) == len(set(addresses))
    aws.clock.sleep(600)
    severities = {f.severity for f in aws.drift().findings}
    assert severities == {"critical"}


@pytest.mark.parametrize(("at", "after"), deaths([*range(1, 11), 13, 22], [5, 6, 22]))
def test_a_crash_at_any_call_is_resumed(aws: Rig, fleet: Fleet, at: int, after: bool) -> None:
    aws.write(spec("v2"))
    with crashing(aws, at, after=after), pytest.raises(Crash):
        aws.apply()
    watch = Watch(aws, fleet.running)
    with listening(aws.aws.before, watch):
        aws.settle()
    fleet.holds("v2")
    assert watch.most <= 1


def test_an_interrupt_restores_the_instances_in_flight(aws: Rig, fleet: Fleet) -> None:
    """Whoever is in flight gets the profile back, and the exit code says so."""
    aws.write(spec("v2", "2"))
    stop = Interrupt()

    def listen(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile":
            stop.set()

    with listening(aws.aws.after, listen):
        applied = aws.apply(stop)
    assert applied.exit_code == 130
    assert applied.result.count("failed") == 0
    for region, instance in fleet.running:
        assert aws.profile_of(instance, region) == "web"
    aws.settle()
    fleet.holds("v2")


def test_an_interrupt_while_the_profile_is_empty(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    stop = Interrupt()

    def listen(logged: Logged) -> None:
        if logged.operation == "RemoveRoleFromInstanceProfile":
            stop.set()

    with listening(aws.aws.after, listen):
        assert aws.apply(stop).exit_code == 130
    assert aws.role_in("web") == "v2"
    aws.settle()
    fleet.holds("v2")


def test_a_canary_that_fails_is_rolled_back(aws: Rig, fleet: Fleet) -> None:
    """The first instance cannot take the profile up again; the old role goes back, and no run
    tries again until somebody says so."""
    aws.write(spec("v2"))
    with refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation", times=1):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert "rolled back" in applied.result.outcomes[-1].reason
    assert aws.role_in("web") == "v1"
    assert fleet.roles() == {"v1"}
    tag = aws.profile_tags("web")["reconciler:role-id"]
    assert tag == f"failed/{aws.role_id('v2')}"
    guard = aws.plan().plan.guards[0]
    assert guard.lift == "--allow retry=instance-profile/web"
    aws.settle(allow=frozenset({("retry", "instance-profile/web")}))
    fleet.holds("v2")


def test_after_a_roll_back_the_specs_may_go_back_too(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    with refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation", times=1):
        aws.apply()
    aws.write(spec("v1"))
    planned = aws.plan().plan
    assert [(str(c.address), c.actions) for c in planned.changes] == [
        ("instance-profile/web", ("update",))
    ]
    (found,) = aws.drift().findings
    assert (found.status, found.severity, found.differences[0].before) == ("modified", "info", "v2")
    associated = aws.associations()
    aws.settle()
    assert aws.associations() == associated
    fleet.holds("v1")


def test_after_a_roll_back_a_role_swapped_by_hand_is_found(aws: Rig, fleet: Fleet) -> None:
    """Consumers have the role that the roll-back left them with, not the one that somebody put in."""
    aws.write(spec("v2"))
    with refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation", times=1):
        aws.apply()
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v3")
    aws.write(spec("v3"))
    assert [c.actions for c in aws.plan().plan.changes if c.actions == ("cutover",)]
    aws.settle()
    fleet.holds("v3")


def test_on_failure_stop_leaves_the_new_role_in(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2", on_failure="stop"))
    with refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation", times=1):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert aws.role_in("web") == "v2"
    aws.settle()
    fleet.holds("v2")


def test_a_later_failure_stops_without_a_roll_back(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    count: list[Logged] = []

    def listen(logged: Logged) -> None:
        if logged.operation == "AssociateIamInstanceProfile" and not logged.is_dry_run:
            count.append(logged)
            if len(count) == 3:
                raise EC2ClientError("UnauthorizedOperation", "no")

    with listening(aws.aws.before, listen):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert fleet.roles() == {"v1", "v2", None}
    aws.settle()
    fleet.holds("v2")


def test_a_role_that_does_not_trust_ec2_is_reported(aws: Rig) -> None:
    """A role outside the set: plan sees it; and what changes after that, the wait tells."""
    statement = '"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}'
    trust = f'{{"Version":"2012-10-17","Statement":[{{{statement},"Action":"sts:AssumeRole"}}]}}'
    instance = aws.launch(1)[0]
    aws.iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust)
    aws.write(
        "instance_profiles: {web: {role: other}}\n"
        f"associations: {{a: {{instance_profile: web, instances: [{instance}]}}}}"
    )
    assert [d.code for d in aws.plan().diagnostics] == ["ec2-trust"]
    right = trust.replace("lambda.", "ec2.")
    aws.iam.update_assume_role_policy(RoleName="other", PolicyDocument=right)

    def spoil(logged: Logged) -> None:
        if logged.operation == "CreateInstanceProfile":
            aws.iam.update_assume_role_policy(RoleName="other", PolicyDocument=trust)

    with listening(aws.aws.after, spoil):
        applied = aws.apply()
    assert applied.exit_code == 3
    reason = next(o.reason for o in applied.result.outcomes if o.status == "failed")
    assert "does not trust ec2.amazonaws.com" in reason
    assert instance in reason


def test_stale_associations_are_replaced(aws: Rig, fleet: Fleet) -> None:
    """The profile was deleted and made again: the ARN is right, the id is not."""
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.delete_instance_profile(InstanceProfileName="web")
    plan = aws.plan().plan
    assert "instance-profile/web" in [str(c.address) for c in plan.changes]
    applied = aws.apply()
    assert applied.result.is_complete
    aws.settle()
    fleet.holds("v1")
    current = aws.iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    rows = aws.ec2().describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert {r["IamInstanceProfile"]["Id"] for r in rows} == {current["InstanceProfileId"]}


def test_two_profiles_at_once(aws: Rig) -> None:
    instances = aws.launch(2)
    text = """
roles: {{a: {{trust: ec2}}, b: {{trust: ec2}}}}
instance_profiles: {{p: {{role: {p}}}, q: {{role: {q}}}}}
associations:
  one: {{instance_profile: p, instances: [{one}]}}
  two: {{instance_profile: q, instances: [{two}]}}
"""
    one, two = instances
    aws.write(text.format(p="a", q="b", one=one, two=two))
    aws.settle()
    aws.write(text.format(p="b", q="a", one=one, two=two))
    aws.settle()
    assert (aws.served(one), aws.served(two)) == ("b", "a")


def test_the_released_role_is_kept_for_hours(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    aws.settle()
    aws.write(spec("v2").replace("  v1: {trust: ec2}\n", ""))
    kept = aws.plan(prune=True).plan.targets[0].kept
    assert [(str(k.address), k.status) for k in kept] == [("role/v1", "released")]
    aws.settle(prune=True)
    assert "v1" in aws.names()["roles"]
    aws.clock.sleep(7 * 3600)
    aws.settle(prune=True)
    assert "v1" not in aws.names()["roles"]


def test_a_denied_region_keeps_the_cut_over_open(aws: Rig, fleet: Fleet) -> None:
    """Its instances may hold the old role: nobody may say that all have the new one."""
    aws.write(spec("v2"))

    def listen(logged: Logged) -> None:
        if logged.region == AWAY and logged.operation == "DescribeInstances":
            raise EC2ClientError("UnauthorizedOperation", "not here")

    with listening(aws.aws.before, listen):
        drift = aws.drift()
        assert "unknown" in {f.status for f in drift.findings}
        assert drift.exit_code == 1
        plan = aws.plan().plan
        assert [one.region for one in plan.unread] == [AWAY]
        assert plan.diagnostics == ()
        applied = aws.apply()
    assert applied.exit_code == 3
    assert "eu-west-1 cannot be read" in applied.result.outcomes[-1].reason
    assert aws.profile_tags("web")["reconciler:role-id"].startswith("pending/")
    aws.settle()
    fleet.holds("v2")


def test_regions_of_others_that_are_denied_are_one_warning(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2"))
    aws.aws.regions = (HOME, AWAY, "ap-southeast-2")

    def listen(logged: Logged) -> None:
        if logged.region != HOME and logged.operation == "DescribeInstances":
            raise EC2ClientError("UnauthorizedOperation", "not here")

    with listening(aws.aws.before, listen):
        plan = aws.plan(regions=(HOME,)).plan
    assert plan.unread == ()
    assert [(d.code, d.message) for d in plan.diagnostics] == [
        (
            "unread-region",
            "ap-southeast-2, eu-west-1 cannot be read (ec2:DescribeInstances: "
            "UnauthorizedOperation), so their instances cannot be cut over",
        )
    ]


@pytest.mark.parametrize("operation", ["CreateTags", "DeleteTags"])
def test_a_cut_over_without_permission_to_tag_instances(
    aws: Rig, fleet: Fleet, operation: str
) -> None:
    """Who may not tag instances can cut them over all the same."""
    aws.write(spec("v2"))
    with refusing(aws, operation, "UnauthorizedOperation"):
        applied = aws.apply()
    assert applied.exit_code == 0
    assert fleet.roles() == {"v2"}
    assert "harmless" in applied.result.outcomes[-1].reason


def test_strategy_wait_swaps_and_leaves_the_rest_to_aws(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2").replace("cutover: {", "cutover: {strategy: wait, "))
    aws.settle()
    assert aws.role_in("web") == "v2"
    assert fleet.roles() == {"v1"}
    assert aws.profile_tags("web")["reconciler:role-id"].startswith(f"waiting/{aws.role_id('v2')}/")
    found = aws.drift()
    assert [(str(f.address), f.status) for f in found.findings] == [
        ("instance-profile/web", "stale")
    ]
    assert "may get the previous role until" in (found.findings[0].reason or "")
    assert found.exit_code == 2
    assert aws.plan().plan.is_empty
    aws.clock.sleep(7 * 3600)
    assert aws.drift().findings == ()


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_another_strategy_cuts_over_the_instances_that_wait(
    aws: Rig, fleet: Fleet, strategy: str
) -> None:
    """For as long as they may have the previous role."""
    aws.write(spec("v2").replace("cutover: {", "cutover: {strategy: wait, "))
    aws.settle()
    aws.clock.sleep(6 * 3600)
    aws.write(spec("v2").replace("cutover: {", f"cutover: {{strategy: {strategy}, "))
    found = {str(f.address): f.status for f in aws.drift().findings}
    running = {f"association/{instance}": "stale" for _, instance in fleet.running}
    assert found == {**running, "instance-profile/web": "modified"}
    planned = aws.plan().plan.targets[0]
    change = next(c for c in planned.changes if c.kind == "instance-profile")
    assert [(d.path, d.before, d.after) for d in change.differences] == [
        ("strategy", "wait", strategy)
    ]
    assert (change.reason or "").startswith("its instances may get the previous role until 2027")
    assert not [k for k in planned.kept if k.status == "waiting"]
    aws.settle()
    fleet.holds("v2")
    assert aws.profile_tags("web")["reconciler:role-id"] == aws.role_id("v2")


def test_another_strategy_after_the_wait_changes_nothing(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2").replace("cutover: {", "cutover: {strategy: wait, "))
    aws.settle()
    aws.write(spec("v3"))
    (change,) = (c for c in aws.plan().plan.changes if c.kind == "instance-profile")
    assert [(d.path, d.before, d.after) for d in change.differences] == [("role", "v2", "v3")]
    assert change.reason is None
    aws.clock.sleep(7 * 3600)
    aws.write(spec("v2"))
    assert aws.plan().plan.is_empty
    assert fleet.roles() == {"v1"}


def test_every_response_is_lost_once(aws: Rig, fleet: Fleet) -> None:
    """Every call of the cut-over takes effect, and its first answer is lost."""
    aws.write(spec("v2", "2"))
    lost: set[str] = set()

    def listen(logged: Logged) -> None:
        key = f"{logged.operation} {logged.params}"
        if not logged.operation.startswith(("Get", "List", "Describe")) and key not in lost:
            lost.add(key)
            error = EC2ClientError if logged.service == "ec2" else IAMException
            made = error("ServiceUnavailable", "the answer is lost")
            made.http_status = 503
            raise made

    with listening(aws.aws.after, listen):
        aws.settle()
    assert lost
    fleet.holds("v2")


def test_a_role_swapped_out_and_pruned_in_one_plan_stays(aws: Rig, fleet: Fleet) -> None:
    """It is let go by this very apply: processes may hold its credentials from then on."""
    aws.write(spec("v2").replace("  v1: {trust: ec2}\n", ""))
    kept = aws.plan(prune=True).plan.targets[0].kept
    assert [(str(k.address), k.status) for k in kept] == [("role/v1", "released")]
    aws.settle(prune=True)
    fleet.holds("v2")
    assert "v1" in aws.names()["roles"]
    now = frozenset({("release", "role/v1")})
    aws.settle(prune=True, allow=now)
    assert "v1" not in aws.names()["roles"]


def test_a_role_change_and_moves_in_one_plan(aws: Rig, larger: Fleet) -> None:
    """Instances leave the profile whose role changes: one thing after the other for each."""
    moved, stopped = larger.home[0], larger.home[1]
    aws.ec2().stop_instances(InstanceIds=[stopped])
    aws.ec2().create_tags(Resources=[moved, stopped], Tags=[{"Key": "app", "Value": "other"}])
    more = "  others: {instance_profile: other, select: {tags: {app: other}}}\nx-end: 1\n"
    text = spec("v2").replace("associations:", "  other: {role: v3}\nassociations:") + more
    aws.write(text)
    aws.settle()
    assert aws.served(moved) == "v3"
    assert aws.profile_of(stopped) == "other"
    rest = {aws.served(i) for i in (larger.home[2], *larger.launched)}
    assert rest == {"v2"}


def test_a_role_change_and_pruned_associations_in_one_plan(aws: Rig, fleet: Fleet) -> None:
    aws.write(spec("v2").replace("app: web", "app: nothing"))
    aws.settle(prune=True, allow=frozenset({("delete", "3")}))
    assert [aws.profile_of(i) for i in fleet.home] == [None] * 2
    assert aws.served(fleet.launched[0]) == "v2"


def test_an_interrupt_while_throttled(aws: Rig, fleet: Fleet) -> None:
    """The call that gives a profile back is not given up at the first refusal."""
    aws.write(spec("v2", "2"))
    stop = Interrupt()

    def listen(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile":
            stop.set()

    with (
        listening(aws.aws.after, listen),
        refusing(aws, "AssociateIamInstanceProfile", "RequestLimitExceeded", times=3),
    ):
        assert aws.apply(stop).exit_code == 130
    for region, instance in fleet.running:
        assert aws.profile_of(instance, region) == "web"
