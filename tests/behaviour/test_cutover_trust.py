"""What a cut-over must never do: take what it cannot give back, forget the role that consumers hold,
touch who has nothing to do with a failure, or fight another run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from moto.ec2.exceptions import EC2ClientError

from reconciler.plan.calls import ApiCall
from reconciler.plan.changes import CutOverInstance
from reconciler.sandbox.embedded import JumpingClock
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, Watch, crashing, dying, listening, refusing
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}, v3: {{trust: ec2}}}}
instance_profiles:
  web: {{role: {role}, cutover: {{max_unavailable: {most}, strategy: {strategy}}}}}
"""
GIVES_BACK = {
    "reassociate": "AssociateIamInstanceProfile",
    "restart": "StartInstances",
    "hop": "ReplaceIamInstanceProfileAssociation",
}
TAKES = {
    "reassociate": "DisassociateIamInstanceProfile",
    "restart": "StopInstances",
    "hop": "ReplaceIamInstanceProfileAssociation",
}


def spec(role: str, strategy: str = "reassociate", most: int = 1) -> str:
    return SPEC.format(role=role, strategy=strategy, most=most)


class Consumers:
    """Five of them, launched with the profile, one in another region."""

    def __init__(self, aws: Rig) -> None:
        self.aws = aws
        aws.write(spec("v1"))
        aws.settle()
        aws.clock.sleep(60)
        home = [(HOME, i) for i in aws.launch(4, profile="web")]
        self.all = [*home, (AWAY, aws.launch(1, region=AWAY, profile="web")[0])]
        self.all.sort()
        aws.clock.sleep(60)

    def served(self) -> list[str | None]:
        return [self.aws.served(i, region) for region, i in self.all]

    def mark(self) -> str:
        return self.aws.profile_tags("web")["reconciler:role-id"]

    def is_whole(self, role: str) -> None:
        assert self.served() == [role] * 5
        assert self.aws.role_in("web") == role
        assert self.mark() == self.aws.role_id(role)


@pytest.fixture
@prepared
def five(aws: Rig) -> Consumers:
    return Consumers(aws)


@contextmanager
def refusing_one(aws: Rig, operation: str, instance: str, *, asked: bool = True) -> Iterator[None]:
    """As a condition on a tag of the instance does, whatever names it."""

    def listen(logged: Logged) -> None:
        named = [*logged.params.get("InstanceIds", ()), logged.params.get("InstanceId")]
        if "AssociationId" in logged.params:
            rows = aws.aws.rows
            named += [r.instance for r in rows if r.id == logged.params["AssociationId"]]
        is_meant = logged.operation == operation and instance in named
        if is_meant and (asked or not logged.is_dry_run):
            raise EC2ClientError("UnauthorizedOperation", f"no {operation}")

    with listening(aws.aws.before, listen):
        yield


def taken(aws: Rig, since: int) -> int:
    """How many had something taken from them."""
    calls = aws.aws.log[since:]
    return sum(c.operation in ("DisassociateIamInstanceProfile", "StopInstances") for c in calls)


@pytest.mark.parametrize("strategy", GIVES_BACK)
def test_a_canary_that_could_not_be_associated_again_changes_nothing(
    aws: Rig, five: Consumers, strategy: str
) -> None:
    aws.write(spec("v2", strategy))
    since = len(aws.aws.log)
    with refusing_one(aws, GIVES_BACK[strategy], five.all[0][1]):
        applied = aws.apply()
    assert applied.exit_code == 3
    reason = next(o.reason for o in applied.result.outcomes if o.status == "failed")
    assert f"ec2:{GIVES_BACK[strategy]}" in reason
    assert five.all[0][1] in reason
    assert "nothing" in reason
    (advice,) = applied.result.advice
    assert advice.startswith(f"grant the calling identity ec2:{GIVES_BACK[strategy]} on ")
    five.is_whole("v1")
    writes = {c.operation for c in aws.aws.log[since:] if not c.is_read}
    assert writes == {"AddRoleToInstanceProfile"}  # the question, which the role inside refuses
    aws.settle()
    five.is_whole("v2")


@pytest.mark.parametrize("strategy", GIVES_BACK)
def test_a_later_instance_that_could_not_be_associated_again_is_left(
    aws: Rig, five: Consumers, strategy: str
) -> None:
    aws.write(spec("v2", strategy))
    third = five.all[2]
    watch = Watch(aws, (third,))
    with (
        refusing_one(aws, GIVES_BACK[strategy], third[1]),
        listening(aws.aws.before, watch),
    ):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert watch.most == 0
    (advice,) = applied.result.advice
    assert advice.startswith(f"grant the calling identity ec2:{GIVES_BACK[strategy]} on ")
    states = aws.ec2(third[0]).describe_instances(InstanceIds=[third[1]])
    assert states["Reservations"][0]["Instances"][0]["State"]["Name"] == "running"
    if strategy != "hop":
        assert five.served() == ["v2", "v2", "v1", "v1", "v1"]
    else:
        assert None not in five.served()
    assert five.mark().startswith("pending/")
    aws.settle()
    five.is_whole("v2")


def test_permission_is_checked_for_the_old_and_the_new_role(aws: Rig, five: Consumers) -> None:
    """What may be passed is seen only when the new role is in: the role goes back, and nobody has
    lost anything meanwhile."""
    aws.write(spec("v2"))

    def listen(logged: Logged) -> None:
        if logged.operation == "AssociateIamInstanceProfile" and aws.role_in("web") == "v2":
            raise EC2ClientError("UnauthorizedOperation", "iam:PassRole on resource v2")

    since = len(aws.aws.log)
    with listening(aws.aws.before, listen):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert taken(aws, since) == 0
    assert five.served() == ["v1"] * 5
    assert aws.role_in("web") == "v1"
    assert five.mark() == f"failed/{aws.role_id('v2')}"


def test_the_plan_shows_the_dry_runs(aws: Rig, five: Consumers) -> None:
    aws.write(spec("v2", most=2))
    steps = aws.plan().plan.targets[0].steps
    asked = [s for s in steps if s.refusal == "DryRunOperation"]
    assert all(isinstance(s.action, ApiCall) and s.action.params["DryRun"] for s in asked)
    # The canary before the swap, and each instance before its batch.
    assert len(asked) == 1 + 5
    since = len(aws.aws.log)
    aws.settle()
    done = [c for c in aws.aws.log[since:] if c.is_dry_run]
    assert [c.params["InstanceId"] for c in done] == [
        s.action.params["InstanceId"] for s in asked if isinstance(s.action, ApiCall)
    ]


def test_an_emulator_without_dry_run_is_not_blocked(aws: Rig, five: Consumers) -> None:
    """An emulator that would carry it out refuses a consumer, which has its association."""
    aws.write(spec("v2"))

    def listen(logged: Logged) -> None:
        if logged.is_dry_run:
            raise EC2ClientError("IncorrectState", "There is an existing association")

    began = aws.clock.now()
    with listening(aws.aws.before, listen):
        aws.settle()
    five.is_whole("v2")
    assert aws.clock.now() - began < 600


def die(aws: Rig, when: Callable[[Logged], bool], strategy: str = "reassociate") -> None:
    dead: list[Logged] = []

    def after(logged: Logged) -> None:
        if dead or when(logged):
            dead.append(logged)
            raise Crash

    aws.write(spec("v2", strategy))
    with listening(aws.aws.after, after), pytest.raises(Crash):
        aws.apply()


@pytest.mark.parametrize("strategy", ["reassociate", "restart"])
def test_a_resumed_run_that_is_refused_keeps_the_new_role(
    aws: Rig, five: Consumers, strategy: str
) -> None:
    """Killed when the first instance was noted to hold the role: the canary is past."""
    die(aws, lambda c: c.operation == "CreateTags", strategy=strategy)
    with refusing(aws, TAKES[strategy], "UnauthorizedOperation", times=1):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert "rolled back" not in applied.result.outcomes[-1].reason
    assert aws.role_in("web") == "v2"
    assert not five.mark().startswith("failed/")
    assert not aws.plan().plan.guards
    aws.settle()
    five.is_whole("v2")


@pytest.mark.parametrize("strategy", ["reassociate", "restart"])
def test_a_resumed_run_recognizes_a_canary_without_tags(
    aws: Rig, five: Consumers, strategy: str
) -> None:
    """Nobody may tag instances, or they have 50 tags: two hold the new role, the third is taken."""
    off: list[Logged] = []

    def third(logged: Logged) -> bool:
        if logged.operation == TAKES[strategy]:
            off.append(logged)
        return len(off) == 3

    with refusing(aws, "CreateTags", "TagLimitExceeded"):
        die(aws, third, strategy=strategy)
        aws.clock.sleep(60)
        with refusing(aws, TAKES[strategy], "UnauthorizedOperation", times=1):
            applied = aws.apply()
    assert applied.exit_code == 3
    assert aws.role_in("web") == "v2"
    assert not five.mark().startswith("failed/")
    assert not aws.plan().plan.guards
    aws.settle()
    five.is_whole("v2")
    assert "reconciler:swapped" not in aws.profile_tags("web")


def test_a_resumed_hop_that_is_refused_keeps_the_new_role(aws: Rig, five: Consumers) -> None:
    moved: list[Logged] = []

    def second_move(logged: Logged) -> bool:
        if logged.operation == "ReplaceIamInstanceProfileAssociation" and not logged.is_dry_run:
            moved.append(logged)
        return len(moved) == 2

    die(aws, second_move, strategy="hop")
    aws.clock.sleep(30)
    with refusing(aws, "ReplaceIamInstanceProfileAssociation", "UnauthorizedOperation", times=1):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert not five.mark().startswith("failed/")
    aws.settle()
    five.is_whole("v2")


@pytest.mark.parametrize("strategy", ["reassociate", "restart"])
def test_a_resumed_run_rolls_back_to_the_role_of_the_mark(
    aws: Rig, five: Consumers, strategy: str
) -> None:
    """Killed before anybody took up the new role, though it is in: the canary is still to come."""
    aws.clock.sleep(600)
    swaps: list[Logged] = []

    def swapped(logged: Logged) -> bool:
        if logged.operation == "RemoveRoleFromInstanceProfile":
            swaps.append(logged)
        return bool(swaps) and logged.operation == "AddRoleToInstanceProfile"

    die(aws, swapped, strategy=strategy)
    assert aws.role_in("web") == "v2"
    since = len(aws.aws.log)
    with refusing(aws, TAKES[strategy], "UnauthorizedOperation", times=1):
        applied = aws.apply()
    assert "rolled back" in applied.result.outcomes[-1].reason
    assert aws.role_in("web") == "v1"
    assert five.served() == ["v1"] * 5
    assert five.mark() == f"failed/{aws.role_id('v2')}"
    assert taken(aws, since) == 1  # the one that was refused
    aws.write(spec("v1"))
    aws.settle()
    five.is_whole("v1")


def test_a_roll_back_touches_only_instances_with_the_new_role(aws: Rig, five: Consumers) -> None:
    """The canary, and one that was launched after the swap."""
    aws.write(spec("v2"))
    late: list[str] = []

    def launch(logged: Logged) -> None:
        is_batch = logged.operation == "DisassociateIamInstanceProfile"
        if is_batch and not late:
            late.append("launching")
            late[0] = aws.launch(1, profile="web")[0]

    since = len(aws.aws.log)
    with (
        listening(aws.aws.after, launch),
        refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation", times=1),
    ):
        applied = aws.apply()
    assert "rolled back" in applied.result.outcomes[-1].reason
    assert five.served() == ["v1"] * 5
    assert aws.served(late[0]) == "v1"
    given = [
        c.params["InstanceId"]
        for c in aws.aws.log[since:]
        if c.operation == "AssociateIamInstanceProfile" and not c.is_dry_run
    ]
    assert set(given) == {five.all[0][1], late[0]}


def test_after_a_failed_roll_back_the_plan_counts_all_instances(aws: Rig, five: Consumers) -> None:
    aws.write(spec("v2"))
    before = aws.plan().plan.digest
    with refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation"):
        applied = aws.apply()
    assert "the roll-back failed too" in applied.result.outcomes[-1].reason
    assert five.served().count(None) == 1
    plan = aws.plan().plan
    cut = {str(c.address) for c in plan.changes if c.actions in (("cutover",), ("restore",))}
    assert cut == {f"association/{i}" for _, i in five.all}
    assert plan.digest != before
    since = len(aws.aws.log)
    aws.settle()
    five.is_whole("v2")
    counted = sum(c.actions == ("cutover",) for c in plan.changes)
    assert counted >= 4
    assert taken(aws, since) == 5


class Paused(JumpingClock):
    """A run's clock, at whose first sleep after some moment somebody else acts."""

    def __init__(self, inner: JumpingClock, acts: Callable[[], bool]) -> None:
        super().__init__()
        self._inner, self._acts = inner, acts

    def now(self) -> float:
        return self._inner.now()

    def sleep(self, seconds: float) -> None:
        if not self._acts():
            self._inner.sleep(seconds)


@pytest.mark.parametrize(
    ("strategy", "at"), [("reassociate", 1), ("reassociate", 2), ("restart", 1), ("hop", 1)]
)
def test_the_later_of_two_concurrent_applies_wins(
    aws: Rig, five: Consumers, at: int, strategy: str
) -> None:
    """While one run waits for an instance, the other commit is applied: whole."""
    other = Rig(aws.folder, aws.aws, aws.clock, aws.settings, 100)
    ended: list[int] = []

    def act() -> bool:
        off = [
            c for c in aws.aws.log[since:] if c.operation == TAKES[strategy] and not c.is_dry_run
        ]
        if len(off) < at or ended:
            return False
        ended.append(-1)
        other.write(spec("v3", strategy))
        ended[0] = other.apply().exit_code
        return True

    since = len(aws.aws.log)
    first = Rig(aws.folder, aws.aws, Paused(aws.clock, act), aws.settings, 50)
    first.write(spec("v2", strategy))
    assert first.apply().exit_code == 3
    assert ended == [0]
    for region, instance in five.all:
        assert aws.profile_of(instance, region) == "web"
    aws.settle()
    five.is_whole("v3")


def test_a_resuming_plan_names_the_roles_of_its_instances(aws: Rig, five: Consumers) -> None:
    """The new role is inside already; who was not refreshed is served the one before."""
    aws.write(spec("v2"))
    with dying(aws, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        aws.apply()
    changes = [c for c in aws.plan().plan.changes if isinstance(c, CutOverInstance)]
    assert changes
    shown = {(str(c.before), str(c.after)) for c in changes}
    assert shown == {("{'role': 'v1'}", "{'role': 'v2'}")}


def test_a_mark_with_a_future_time_counts_as_earlier(aws: Rig, five: Consumers) -> None:
    """A run died whose clock was wrong. Its note stood before this run began, whatever it says, so
    it does not win for ever."""
    aws.write(spec("v1"))
    before, other = aws.role_id("v1"), aws.role_id("v3")
    for epoch in (int(aws.clock.now()) + 3600, 253_370_764_800):
        pending = f"pending/{before}/{other}/{epoch}/dead"
        aws.iam.tag_instance_profile(
            InstanceProfileName="web", Tags=[{"Key": "reconciler:role-id", "Value": pending}]
        )
        wanted = "v2" if aws.role_in("web") == "v1" else "v1"
        aws.write(spec(wanted))
        aws.settle()
        five.is_whole(wanted)


def test_a_run_stops_when_a_later_one_has_begun(aws: Rig, five: Consumers) -> None:
    """The other has noted that it begins, and goes on when the first has looked."""
    other = Rig(aws.folder, aws.aws, aws.clock, aws.settings, 100)
    state: list[str] = []

    def act() -> bool:
        off = [c for c in aws.aws.log[since:] if c.operation == "DisassociateIamInstanceProfile"]
        if len(off) < 2 or state:
            return False
        state.append("begun")
        other.write(spec("v3"))
        with dying(aws, "TagInstanceProfile"), pytest.raises(Crash):
            other.apply()
        return True

    since = len(aws.aws.log)
    first = Rig(aws.folder, aws.aws, Paused(aws.clock, act), aws.settings, 50)
    first.write(spec("v2"))
    applied = first.apply()
    assert applied.exit_code == 3
    reason = next(o.reason for o in applied.result.outcomes if o.status == "failed")
    assert "began a cut-over of the profile to another role" in reason
    assert "the other run takes precedence" in reason
    assert applied.result.advice == ("plan again when the other run has ended",)
    aws.clock.sleep(30)
    assert None not in five.served()
    for region, instance in five.all:
        assert aws.profile_of(instance, region) == "web"
    aws.settle()
    five.is_whole("v3")


def test_a_role_that_is_changed_repeatedly_stops_the_run(aws: Rig, five: Consumers) -> None:
    aws.write(spec("v2"))
    swaps: list[int] = []

    def act() -> bool:
        if aws.role_in("web") == "v2" and len(swaps) < 20:
            swaps.append(1)
            aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v2")
            aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v3")
        return False

    first = Rig(aws.folder, aws.aws, Paused(aws.clock, act), aws.settings, 50)
    applied = first.apply()
    assert applied.exit_code == 3
    assert len(swaps) <= 4
    assert applied.result.advice == ("find out what else changes its role, then apply again",)
    assert None not in five.served()


def narrowed(*regions: str) -> str:
    return f"version: 1\nowner: tests\nconsumer_regions: [{', '.join(regions)}]\n"


def test_a_wider_region_list_resumes_a_narrowed_cut_over(aws: Rig, five: Consumers) -> None:
    aws.write(spec("v2"), narrowed(HOME))
    plan = aws.settle()
    cut = {str(c.address) for c in plan.changes if c.actions == ("cutover",)}
    assert cut == {f"association/{i}" for region, i in five.all if region == HOME}
    assert five.mark() == f"partial/{aws.role_id('v2')}/{HOME}"
    assert {aws.served(i, AWAY) for r, i in five.all if r == AWAY} == {"v1"}
    assert "reconciler:released" in aws.role_tags("v1")
    assert aws.plan().plan.is_empty
    since = len(aws.aws.log)
    aws.write(spec("v2"))
    plan = aws.settle()
    cut = {str(c.address) for c in plan.changes if c.actions == ("cutover",)}
    assert cut == {f"association/{i}" for region, i in five.all if region == AWAY}
    (change,) = (c for c in plan.changes if c.kind == "instance-profile")
    assert change.reason == "consumer_regions left out some of its instances until now"
    assert [(d.path, d.before, d.after) for d in change.differences] == [
        ("consumer_regions", [HOME], "all")
    ]
    assert taken(aws, since) == 1
    five.is_whole("v2")


def test_a_region_list_without_consumers(aws: Rig, five: Consumers) -> None:
    """Nobody is touched, so nobody is counted, and the old role is as if it were held."""
    away = [key for key in five.all if key[0] == AWAY]
    aws.ec2(AWAY).terminate_instances(InstanceIds=[i for _, i in away])
    aws.write(spec("v2"), narrowed(AWAY))
    applied = aws.apply()
    assert applied.exit_code == 0
    assert not [c for c in applied.planned.plan.changes if c.actions == ("cutover",)]
    assert five.mark() == f"partial/{aws.role_id('v2')}/{AWAY}"
    assert "reconciler:released" in aws.role_tags("v1")
    aws.write(spec("v2"), narrowed(HOME))
    plan = aws.settle()
    (change,) = (c for c in plan.changes if c.kind == "instance-profile")
    assert [(d.path, d.before, d.after) for d in change.differences] == [
        ("consumer_regions", [AWAY], [HOME])
    ]
    assert five.mark() == f"partial/{aws.role_id('v2')}/{AWAY} {HOME}"
    assert {aws.served(i) for region, i in five.all if region == HOME} == {"v2"}
    assert aws.plan().plan.is_empty


def test_a_crash_with_a_wider_region_list_is_resumed(aws: Rig, five: Consumers) -> None:
    aws.write(spec("v2"), narrowed(AWAY))
    aws.settle()
    aws.write(spec("v2"))
    with crashing(aws, 5, after=True), pytest.raises(Crash):
        aws.apply()
    since = len(aws.aws.log)
    aws.settle()
    five.is_whole("v2")
    assert not [c for c in aws.aws.log[since:] if c.region == AWAY and not c.is_read]


def by_hand(aws: Rig, before: str, after: str) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName=before)
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName=after)
    aws.clock.sleep(60)


@pytest.mark.parametrize("strategy", ["reassociate", "restart", "hop", "wait"])
@pytest.mark.parametrize("wanted", ["v2", "v3"])
def test_the_role_that_consumers_had_is_marked_as_released(
    aws: Rig, five: Consumers, strategy: str, wanted: str
) -> None:
    """It was swapped out by hand, so it is not inside; the specs agree with the hand, or not."""
    by_hand(aws, "v1", "v2")
    aws.write(spec(wanted, strategy))
    aws.settle()
    assert aws.role_in("web") == wanted
    assert "reconciler:released" in aws.role_tags("v1")
    held = aws.role_tags("v2") if wanted == "v3" else {"reconciler:released": ""}
    assert "reconciler:released" in held


def test_the_release_time_is_that_of_the_last_instance(aws: Rig, five: Consumers) -> None:
    """A roll-out may take longer than a role is kept for."""
    aws.write(spec("v2").replace("max_unavailable: 1", "max_unavailable: 1, pause: 3h"))
    aws.settle()
    released = int(aws.role_tags("v1")["reconciler:released"])
    assert aws.clock.now() - released < 600


def test_a_roll_back_marks_the_removed_role_as_released(aws: Rig, five: Consumers) -> None:
    aws.write(spec("v2"))
    with refusing(aws, "AssociateIamInstanceProfile", "UnauthorizedOperation", times=1):
        aws.apply()
    assert "reconciler:released" in aws.role_tags("v2")


def test_a_manual_swap_is_not_rolled_back(aws: Rig, five: Consumers) -> None:
    """Who was launched since holds the new role, so it is never marked as failed."""
    by_hand(aws, "v1", "v2")
    aws.write(spec("v2"))
    with refusing(aws, "DisassociateIamInstanceProfile", "UnauthorizedOperation", times=1):
        applied = aws.apply()
    assert applied.exit_code == 3
    assert aws.role_in("web") == "v2"
    assert not aws.plan().plan.guards
    aws.settle()
    five.is_whole("v2")


@pytest.mark.parametrize("death", [1, 2, 3, 4])
def test_resuming_after_the_old_role_was_put_back_by_hand(
    aws: Rig, five: Consumers, death: int
) -> None:
    """All hold the new role: the run that resumes does not take the role inside for theirs."""
    aws.write(spec("v2"))
    aws.settle()
    by_hand(aws, "v2", "v1")
    with pytest.raises(Crash), crashing(aws, death, after=True):
        aws.apply()
    with refusing(aws, "DisassociateIamInstanceProfile", "UnauthorizedOperation", times=1):
        aws.apply()
    assert not aws.profile_tags("web")["reconciler:role-id"].startswith("failed/")
    assert not aws.plan().plan.guards
    aws.settle()
    five.is_whole("v2")


@pytest.mark.parametrize("how", ["terminate_instances", "stop_instances"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_instance_that_terminates_or_stops_fails_nothing(
    aws: Rig, five: Consumers, how: str, when: str
) -> None:
    region, name = five.all[1]
    done: list[Logged] = []

    def listen(logged: Logged) -> None:
        is_off = logged.operation == "DisassociateIamInstanceProfile" and not logged.is_dry_run
        is_due = (
            is_off and aws.aws.staying(ACCOUNT, region, name) is None
            if when == "after"
            else is_off and not done
        )
        if is_due and not done:
            done.append(logged)
            getattr(aws.ec2(region), how)(InstanceIds=[name])

    aws.write(spec("v2"))
    began = aws.clock.now()
    with listening(aws.aws.after, listen):
        applied = aws.apply()
    assert applied.exit_code == 0, applied.result.outcomes
    assert aws.clock.now() - began < 300
    assert five.served().count("v2") == 4
    assert aws.plan().plan.is_empty
    if how == "terminate_instances":
        outcome = next(o for o in applied.result.outcomes if o.what == "cut-over")
        assert outcome.cut_over == 4
