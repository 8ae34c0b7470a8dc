"""Which instances have which profile: by id, by tags, in each region, running and stopped."""

from __future__ import annotations

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.iam.exceptions import IAMException
from moto.iam.models import iam_backends

from reconciler.executor.interrupt import Interrupt
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, crashing, listening, refusing
from tests.rig import AWAY, HOME, Rig
from tests.sampling import deaths

TWO = """
roles: {{a: {{trust: ec2}}, b: {{trust: ec2}}}}
instance_profiles: {{one: {{role: a}}, two: {{role: b}}}}
associations:
  fleet: {{instance_profile: {profile}, {which}}}
"""


def two(profile: str, which: str = "select: {tags: {app: web}}") -> str:
    return TWO.format(profile=profile, which=which)


def test_instances_are_selected_by_tags_in_every_region(aws: Rig) -> None:
    home = aws.launch(2, tags={"app": "web", "env": "prod"})
    away = aws.launch(1, region=AWAY, tags={"app": "web", "env": "stage"})
    other = aws.launch(1, tags={"app": "batch", "env": "prod"})
    dev = aws.launch(1, tags={"app": "web", "env": "dev"})
    aws.write(two("one", "select: {tags: {app: web, env: [prod, stage]}}"))
    aws.settle()
    assert [aws.served(i) for i in home] == ["a", "a"]
    assert aws.served(away[0], AWAY) == "a"
    assert aws.profile_of(other[0]) is None
    assert aws.profile_of(dev[0]) is None
    mark = aws.instance_tags(home[0])["reconciler:association"]
    profile = aws.iam.get_instance_profile(InstanceProfileName="one")["InstanceProfile"]
    assert mark == f"tests/{home[0]}/{profile['InstanceProfileId']}"


def test_regions_of_an_association(aws: Rig) -> None:
    home, away = aws.launch(1, tags={"app": "web"}), aws.launch(1, region=AWAY, tags={"app": "web"})
    aws.write(two("one", f"select: {{tags: {{app: web}}}}, regions: [{AWAY}]"))
    aws.settle()
    assert aws.profile_of(home[0]) is None
    assert aws.served(away[0], AWAY) == "a"


def test_an_instance_id_in_an_excluded_region_is_an_error(aws: Rig) -> None:
    """It would never get its profile, so it is an error that says where it is, also for a drift."""
    home, away = aws.launch(1), aws.launch(1, region=AWAY)
    ids = f"instances: [{home[0]}, {away[0]}]"
    aws.write(two("one", f"{ids}, regions: [{HOME}]"))
    (found,) = aws.plan().diagnostics
    assert found.code == "no-such-instance"
    assert found.message == f"instance {away[0]} does not exist in {HOME}: it is in {AWAY}"
    assert found.location.line == 5
    aws.write(two("one", f"{ids}, regions: [{HOME}, {AWAY}]"))
    aws.settle()
    assert aws.served(away[0], AWAY) == "a"


def test_a_region_in_a_profile_name(aws: Rig) -> None:
    home, away = aws.launch(1, tags={"app": "web"}), aws.launch(1, region=AWAY, tags={"app": "web"})
    aws.write(
        f"roles: {{r: {{trust: ec2}}}}\n"
        f"instance_profiles: {{web-{HOME}: {{role: r}}, web-{AWAY}: {{role: r}}}}\n"
        "associations: {a: {instance_profile: 'web-${region}', select: {tags: {app: web}}}}"
    )
    aws.settle()
    assert aws.profile_of(home[0]) == f"web-{HOME}"
    assert aws.profile_of(away[0], AWAY) == f"web-{AWAY}"


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_move_to_another_profile(aws: Rig, state: str) -> None:
    instances = aws.launch(3, tags={"app": "web"})
    aws.write(two("one"))
    aws.settle()
    aws.clock.sleep(60)
    if state == "stopped":
        aws.ec2().stop_instances(InstanceIds=instances)
    aws.write(two("two"))
    before = len(aws.aws.log)
    plan = aws.settle()
    assert [c.actions for c in plan.changes] == [("update",)] * 3
    calls = {c.operation for c in aws.aws.log[before:] if c.service == "ec2"}
    assert ("ReplaceIamInstanceProfileAssociation" in calls) is (state == "running")
    aws.ec2().start_instances(InstanceIds=instances)
    assert [aws.served(i) for i in instances] == ["b"] * 3
    assert not [key for key in aws.profile_tags("two") if "in-flight" in key]


@pytest.mark.parametrize(("at", "after"), deaths(range(1, 8), [2, 3, 5]))
def test_an_interrupted_move_of_a_stopped_instance_is_finished(
    aws: Rig, at: int, after: bool
) -> None:
    """Even when the specs no longer name it on the next run."""
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write(two("one"))
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=[instance])
    aws.write(two("two"))
    with crashing(aws, at, after=after):
        try:
            aws.apply()
        except Crash:
            aws.write(two("two", "select: {tags: {app: nothing}}"))
    aws.apply()
    assert aws.profile_of(instance) in ("one", "two")


def test_many_stopped_instances_move_at_once(aws: Rig) -> None:
    """More than the note on the profile can hold at a time."""
    instances = aws.launch(40, tags={"app": "web"})
    aws.write(two("one"))
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=instances)
    aws.write(two("two"))
    aws.settle()
    assert {aws.profile_of(i) for i in instances} == {"two"}


def test_a_manual_association_is_corrected(aws: Rig) -> None:
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write(two("one"))
    aws.settle()
    aws.clock.sleep(60)
    row = aws.ec2().describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"][
        0
    ]
    aws.ec2().replace_iam_instance_profile_association(
        AssociationId=row["AssociationId"], IamInstanceProfile={"Name": "two"}
    )
    aws.clock.sleep(60)
    assert aws.served(instance) == "b"
    aws.settle()
    assert aws.served(instance) == "a"


def test_a_profile_outside_the_set(aws: Rig) -> None:
    instance = aws.launch(1, tags={"app": "web"})[0]
    trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=trust)
    aws.iam.create_instance_profile(InstanceProfileName="theirs")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
    aws.clock.sleep(60)
    aws.write("associations: {a: {instance_profile: theirs, select: {tags: {app: web}}}}")
    aws.settle()
    assert aws.served(instance) == "theirs"
    assert aws.profile_tags("theirs") == {}


def test_a_profile_that_does_not_exist(aws: Rig) -> None:
    aws.launch(1, tags={"app": "web"})
    aws.write("associations: {a: {instance_profile: nobodys, select: {tags: {app: web}}}}")
    (found,) = aws.plan().diagnostics
    assert found.code == "no-such-profile"
    assert found.location.line == 1


def test_an_instance_that_does_not_exist(aws: Rig) -> None:
    gone = aws.launch(1)[0]
    aws.ec2().terminate_instances(InstanceIds=[gone])
    aws.write(two("one", f"instances: [{gone}, i-0123456789abcdef0]"))
    found = [(d.severity, d.code) for d in aws.plan().diagnostics]
    assert found == [("warning", "instance-ended"), ("error", "no-such-instance")]


def test_an_instance_selected_by_two_associations_is_an_error(aws: Rig) -> None:
    aws.launch(1, tags={"app": "web", "env": "prod"})
    aws.write(two("one") + "  other: {instance_profile: two, select: {tags: {env: prod}}}\n")
    planned = aws.plan()
    (found,) = planned.diagnostics
    assert found.code == "claimed-twice"
    assert "'fleet'" in found.message
    assert "association" not in {c.kind for c in planned.plan.changes}


def test_associations_that_left_the_specs_are_kept_until_pruned(aws: Rig) -> None:
    """Only where our tag says that we made it: what was launched with a profile stays."""
    made = aws.launch(1, tags={"app": "web"})[0]
    aws.write(two("one"))
    aws.settle()
    launched = aws.launch(1, profile="one")[0]
    copied = aws.launch(1, profile="one")[0]
    tag = aws.instance_tags(made)["reconciler:association"]
    aws.ec2().create_tags(
        Resources=[copied], Tags=[{"Key": "reconciler:association", "Value": tag}]
    )
    aws.write(two("one", "select: {tags: {app: nothing}}"))
    kept = aws.plan().plan.targets[0].kept
    assert [str(k.address) for k in kept] == [f"association/{made}"]
    aws.settle()
    assert aws.profile_of(made) == "one"
    aws.settle(prune=True)
    assert aws.profile_of(made) is None
    assert "reconciler:association" not in aws.instance_tags(made)
    assert [aws.profile_of(i) for i in (launched, copied)] == ["one", "one"]


def test_a_region_that_an_association_names_is_pruned(aws: Rig) -> None:
    first, second = aws.launch(2, region=AWAY)
    aws.write(two("one", f"instances: [{first}, {second}], regions: [{AWAY}]"))
    aws.settle(regions=(HOME,))
    aws.write(two("one", f"instances: [{first}], regions: [{AWAY}]"))
    kept = aws.plan(regions=(HOME,)).plan.targets[0].kept
    assert [(str(k.address), k.reason) for k in kept] == [
        (f"association/{second}", "left the specs; use --prune")
    ]
    aws.settle(prune=True, regions=(HOME,))
    assert [aws.profile_of(i, AWAY) for i in (first, second)] == ["one", None]
    aws.apply(destroy=True, regions=(HOME,))
    assert aws.profile_of(first, AWAY) is None


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_an_association_outside_of_the_regions_is_reported_and_kept(aws: Rig, state: str) -> None:
    """Whoever prunes or destroys looks into every region, and removes in those of the set."""
    (instance,) = aws.launch(region=AWAY, tags={"app": "web"})
    if state == "stopped":
        aws.ec2(AWAY).stop_instances(InstanceIds=[instance])
        aws.clock.sleep(60)
    aws.write(two("one"))
    aws.settle()
    kept = f"is made by this owner, and kept: {AWAY} is not among the regions of the set"
    for left in (two("one"), two("one").partition("associations")[0]):
        aws.write(left)
        flags = {"prune": True, "regions": (HOME,)}
        for notes in (aws.plan(**flags).plan.targets[0].kept, aws.drift(**flags).notes):
            told = [(str(k.address), k.reason, k.status) for k in notes]
            assert told == [(f"association/{instance}", kept, "warning")]
        aws.settle(prune=True, regions=(HOME,))
        assert aws.profile_of(instance, AWAY) == "one"


def test_a_prune_without_permission_to_list_regions(aws: Rig) -> None:
    """It goes on and says what it did not look for; where something is to be removed, that as
    well is something that could not be read."""
    aws.launch(tags={"app": "web"})
    aws.write(two("one"))
    aws.settle()
    with refusing(aws, "DescribeRegions", "UnauthorizedOperation"):
        plan = aws.plan(prune=True, regions=(HOME,)).plan
        assert plan.is_empty
        assert [d.code for d in plan.diagnostics] == ["unread-region"]
        aws.write(two("one"), f"version: 1\nowner: tests\nconsumer_regions: [{HOME}]\n")
        assert aws.plan(prune=True, regions=(HOME,)).plan.diagnostics == ()
        aws.write(two("one").partition("associations")[0])
        assert not aws.plan(prune=True, regions=(HOME,)).plan.is_whole


def test_a_region_of_an_association_that_cannot_be_read_is_unknown(aws: Rig) -> None:
    (instance,) = aws.launch(region=AWAY)
    aws.write(two("one", f"instances: [{instance}], regions: [{AWAY}]"))
    aws.settle(regions=(HOME,))

    def denied(logged: Logged) -> None:
        if logged.operation == "DescribeInstances" and logged.region == AWAY:
            raise EC2ClientError("UnauthorizedOperation", "denied by the test")

    with listening(aws.aws.before, denied):
        plan = aws.plan(regions=(HOME,)).plan
        assert not plan.is_whole
        (unread,) = plan.unread
        assert unread.region == AWAY
        found = aws.drift(regions=(HOME,)).findings
        assert [(f.status, f.region) for f in found] == [("unknown", AWAY)]


def test_an_instance_that_terminates_during_the_apply(aws: Rig) -> None:
    first, second = aws.launch(2, tags={"app": "web"})
    aws.write(two("one"))

    def listen(logged: Logged) -> None:
        if logged.operation == "AddRoleToInstanceProfile" and logged.params["RoleName"] == "a":
            aws.ec2().terminate_instances(InstanceIds=[first])

    with listening(aws.aws.after, listen):
        applied = aws.apply()
    assert applied.exit_code == 0
    assert aws.served(second) == "a"
    aws.settle()


def test_a_failed_step_skips_only_dependent_steps(aws: Rig) -> None:
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write(two("one"))

    def deny(logged: Logged) -> None:
        is_one = logged.params.get("InstanceProfileName") == "one"
        if logged.operation == "CreateInstanceProfile" and is_one:
            raise IAMException("AccessDenied", "not this one")

    with listening(aws.aws.before, deny):
        applied = aws.apply()
    assert applied.exit_code == 3
    by_status = {
        status: {str(o.address) for o in applied.result.outcomes if o.status == status}
        for status in ("applied", "failed", "skipped")
    }
    assert by_status["failed"] == {"instance-profile/one"}
    assert by_status["skipped"] == {"instance-profile/one", f"association/{instance}"}
    assert by_status["applied"] == {"role/a", "role/b", "instance-profile/two"}
    aws.settle()
    assert aws.served(instance) == "a"


def test_throttling_and_delayed_visibility_are_retried(aws: Rig) -> None:
    """EC2 does not know the profile yet, and AWS asks for patience: both pass."""
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write(two("one"), "version: 1\nowner: tests\npropagation: 0s\n")
    with refusing(aws, "CreateRole", "Throttling", times=3):
        aws.apply()
    aws.settle()
    assert aws.profile_of(instance) == "one"


@pytest.mark.parametrize(
    "operation", ["TagInstanceProfile", "DisassociateIamInstanceProfile", "CreateTags"]
)
def test_interrupted_while_stopped_instances_move(aws: Rig, operation: str) -> None:
    """Nothing new starts, and whoever lost its profile gets the new one."""
    instances = aws.launch(3, tags={"app": "web"})
    aws.write(two("one"))
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=instances)
    aws.write(two("two"))
    stop = Interrupt()

    def listen(logged: Logged) -> None:
        if logged.operation == operation:
            stop.set()

    with listening(aws.aws.after, listen):
        assert aws.apply(stop).exit_code == 130
    assert None not in {aws.profile_of(i) for i in instances}
    aws.settle()
    assert {aws.profile_of(i) for i in instances} == {"two"}


TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)


class TestOnAProfileThatIsNotOurs:
    """Whoever may tag instances says what a rule selects; that must not take them from others."""

    @pytest.fixture
    def theirs(self, aws: Rig) -> str:
        """An instance on a profile that no spec names, with the tag that the rule looks for."""
        aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
        aws.iam.create_instance_profile(InstanceProfileName="theirs")
        aws.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
        aws.clock.sleep(60)
        aws.write(two("one"))
        aws.settle()
        aws.clock.sleep(60)
        return aws.launch(1, profile="theirs", tags={"app": "web"})[0]

    @pytest.mark.parametrize("state", ["running", "stopped"])
    def test_a_selected_instance_on_an_unowned_profile_is_a_conflict(
        self, aws: Rig, theirs: str, state: str
    ) -> None:
        if state == "stopped":
            aws.ec2().stop_instances(InstanceIds=[theirs])
        plan = aws.plan().plan
        assert plan.is_empty
        assert [(str(c.address), c.reason, c.lift, c.owner) for c in plan.conflicts] == [
            (
                f"association/{theirs}",
                "is on instance-profile/theirs, which is not managed",
                "--adopt",
                None,
            )
        ]
        found = [(str(f.address), f.status) for f in aws.drift().findings]
        assert found == [(f"association/{theirs}", "unadopted")]
        aws.settle(adopt=True)
        assert aws.profile_of(theirs) == "one"
        assert aws.profile_tags("theirs") == {}
        assert not aws.plan().plan.conflicts

    def test_the_adopt_setting_resolves_the_conflict(self, aws: Rig, theirs: str) -> None:
        aws.write(two("one"), f"{aws.settings}adopt: true\n")
        aws.settle()
        assert aws.profile_of(theirs) == "one"

    def test_an_instance_listed_by_id_is_moved(self, aws: Rig, theirs: str) -> None:
        aws.write(two("one", f"instances: [{theirs}]"))
        aws.settle()
        assert aws.profile_of(theirs) == "one"

    @pytest.mark.parametrize("only", [(), ("association/*",)])
    @pytest.mark.parametrize("form", ["others/theirs", "others"])
    def test_a_profile_of_another_owner_needs_take_over(
        self, aws: Rig, theirs: str, form: str, only: tuple[str, ...]
    ) -> None:
        """Its tags are read for this alone: no spec names it, and its role is not ours."""
        owned = [{"Key": "reconciler:owner", "Value": form}]
        aws.iam.tag_instance_profile(InstanceProfileName="theirs", Tags=owned)
        for flags in ({}, {"adopt": True}, {"take_over": True}):
            conflicts = aws.plan(only=only, **flags).plan.conflicts
            assert [(c.lift, c.owner) for c in conflicts] == [("--adopt --take-over", "others")]
        aws.write(two("one", f"instances: [{theirs}]"))
        conflicts = aws.plan(only=only, adopt=True).plan.conflicts
        assert [(c.lift, c.owner) for c in conflicts] == [("--take-over", "others")]
        aws.settle(only=only, take_over=True)
        assert aws.profile_of(theirs) == "one"

    def test_a_profile_with_a_copied_owner_tag_is_unowned(self, aws: Rig, theirs: str) -> None:
        owned = [{"Key": "reconciler:owner", "Value": "tests/one"}]
        aws.iam.tag_instance_profile(InstanceProfileName="theirs", Tags=owned)
        assert [c.lift for c in aws.plan().plan.conflicts] == ["--adopt"]

    def test_moving_from_a_profile_of_cloudformation(self, aws: Rig, theirs: str) -> None:
        """It is not touched: the instance leaves it, and a person said so."""
        profile = iam_backends["123456789012"]["aws"].get_instance_profile("theirs")
        profile.tags.append({"Key": "aws:cloudformation:stack-name", "Value": "x"})
        assert [c.lift for c in aws.plan().plan.conflicts] == ["--adopt"]
        aws.settle(adopt=True)
        assert aws.profile_of(theirs) == "one"

    def test_a_profile_whose_owner_cannot_be_read(self, aws: Rig, theirs: str) -> None:
        with refusing(aws, "GetInstanceProfile", "AccessDenied"):
            plan = aws.plan(adopt=True).plan
            drift = aws.drift()
        assert plan.is_empty
        assert [str(u.address) for u in plan.unread] == [f"association/{theirs}"]
        assert drift.exit_code == 1

    def test_the_conflict_is_found_with_only_associations(self, aws: Rig, theirs: str) -> None:
        plan = aws.plan(only=("association/*",)).plan
        assert [c.lift for c in plan.conflicts] == ["--adopt"]

    def test_an_instance_that_we_associated_is_moved(self, aws: Rig, theirs: str) -> None:
        """On a profile outside the set, as a spec asked for."""
        aws.write(two("theirs"))
        aws.settle()
        made = aws.launch(1, tags={"app": "web"})[0]
        aws.settle()
        aws.write(two("one"))
        conflicts = aws.plan().plan.conflicts
        assert [str(c.address) for c in conflicts] == [f"association/{theirs}"]
        aws.ec2().terminate_instances(InstanceIds=[theirs])
        aws.settle()
        assert aws.profile_of(made) == "one"

    def test_a_deleted_profile_is_no_conflict(self, aws: Rig, theirs: str) -> None:
        """Its instances have nothing that could be taken away."""
        aws.iam.remove_role_from_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
        aws.iam.delete_instance_profile(InstanceProfileName="theirs")
        aws.settle()
        assert aws.served(theirs) == "a"

    def test_an_association_of_another_owner(self, aws: Rig, theirs: str) -> None:
        profile = aws.iam.get_instance_profile(InstanceProfileName="theirs")["InstanceProfile"]
        mark = f"others/{theirs}/{profile['InstanceProfileId']}"
        given = [{"Key": "reconciler:association", "Value": mark}]
        aws.ec2().create_tags(Resources=[theirs], Tags=given)
        conflicts = aws.plan(adopt=True).plan.conflicts
        assert [(c.reason, c.lift) for c in conflicts] == [
            ("belongs to the owner 'others'", "--adopt --take-over")
        ]
        aws.settle(adopt=True, take_over=True)
        assert aws.profile_of(theirs) == "one"

    def test_an_association_that_is_taken_over_as_it_is(self, aws: Rig, theirs: str) -> None:
        """Afterwards it takes no flag any longer, and its owner before has lost it."""
        aws.settle(adopt=True)
        before = aws.instance_tags(theirs)["reconciler:association"]
        plan = aws.settle(owner="others", adopt=True, take_over=True)
        (change,) = [c for c in plan.changes if c.address.name == theirs]
        assert change.reason == "taken over from 'tests'"
        mark = aws.instance_tags(theirs)["reconciler:association"]
        assert mark == before.replace("tests/", "others/")
        assert not aws.plan(owner="others").plan.conflicts
        lifts = {c.lift for c in aws.plan().plan.conflicts}
        assert lifts == {"--adopt --take-over"}


PARTS = {
    "one.yaml": "instance_profiles: {a: {role: r}}\n"
    "associations: {a: {instance_profile: a, select: {tags: {app: a}}}}\n",
    "two.yaml": "instance_profiles: {b: {role: r}}\n"
    "associations: {b: {instance_profile: b, select: {tags: {app: b}}}}\n",
}


def test_a_part_of_a_set_is_planned_with_its_instances(aws: Rig) -> None:
    """And what the rest of the set is about, or left it, is let alone."""
    first = aws.launch(1, tags={"app": "a"})[0]
    second = aws.launch(1, tags={"app": "b"})[0]
    aws.write("roles: {r: {trust: ec2}}")
    for name, text in PARTS.items():
        (aws.folder / name).write_text(text)
    aws.settle(only=("role/*",))
    part = str(aws.folder / "one.yaml")
    plan = aws.settle(path=part)
    assert [str(c.address) for c in plan.changes] == ["instance-profile/a", f"association/{first}"]
    assert aws.profile_of(second) is None
    aws.settle()
    assert aws.profile_of(second) == "b"
    (aws.folder / "two.yaml").write_text("x-nothing: 1")
    assert aws.plan(path=part, prune=True).plan.is_empty
    kept = aws.plan().plan.targets[0].kept
    assert [str(k.address) for k in kept] == [f"association/{second}", "instance-profile/b"]


def test_selectors_are_part_of_the_digest(aws: Rig) -> None:
    """Instances that a rule selects are not: the rule is."""
    aws.write(two("one"))
    aws.settle()
    aws.launch(1, tags={"app": "web"})
    whole, roles = aws.plan().plan, aws.plan(only=("role/*",)).plan
    assert whole.digest != roles.digest
    assert len(whole.changes) == 1 and roles.is_empty
