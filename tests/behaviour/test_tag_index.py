"""AWS's index of tags spares reads, and decides nothing: whatever it shows, and however late, the
plan is the one that is made without it."""

from __future__ import annotations

from collections import Counter

import pytest

from reconciler.executor.interrupt import Interrupt
from reconciler.render.styled_text import plain
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.sandbox.fault_config import Chaos
from tests.behaviour.faults import Crash, crashing
from tests.rig import HOME, Rig

SETTINGS = "version: 1\nowner: tests\n"
MANY = 12


def spec(count: int = MANY, *, role: str = "r", policies: int = 0, tag: str = "b") -> str:
    document = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
    made = "".join(f"  d{n}: {{document: {document}}}\n" for n in range(policies))
    roles = "".join(f"  r{n}: {{trust: ec2}}\n  s{n}: {{trust: ec2}}\n" for n in range(count))
    profiles = "".join(
        f"  p{n}: {{role: {role if n == 0 else 'r'}{n}, tags: {{a: {tag if n == 0 else 'b'}}}}}\n"
        for n in range(count)
    )
    return f"{'policies:' if made else ''}\n{made}roles:\n{roles}instance_profiles:\n{profiles}"


@pytest.fixture
def settled(aws: Rig) -> Rig:
    aws.write(spec(policies=2), SETTINGS)
    aws.settle(regions=(HOME,))
    # Beyond all that a run still remembers.
    aws.clock.sleep(8 * 3600)
    return aws


def reads(aws: Rig) -> Counter[str]:
    wanted = ("ListInstanceProfileTags", "ListPolicyTags", "GetResources")
    return Counter(one.operation for one in aws.aws.log if one.operation in wanted)


def planned(aws: Rig, **flags: object) -> tuple[Counter[str], list[str]]:
    aws.aws.log.clear()
    plan = aws.plan(regions=(HOME,), **flags).plan
    return reads(aws), [f"{c.address} {'/'.join(c.actions)}" for c in plan.changes]


def test_one_call_in_place_of_one_for_each(settled: Rig) -> None:
    assert planned(settled) == ({"GetResources": 1}, [])


def test_a_profile_whose_instances_are_associated_by_us_is_no_exception(settled: Rig) -> None:
    for name in settled.launch(2):
        settled.write(
            f"{spec(policies=2)}associations:\n  a: {{instance_profile: p1, instances: [{name}]}}\n",
            SETTINGS,
        )
        settled.settle(regions=(HOME,))
    assert planned(settled) == ({"GetResources": 1}, [])


def test_a_profile_with_an_instance_that_a_cut_over_has_marked_is_read_by_itself(
    settled: Rig,
) -> None:
    (instance,) = settled.launch(1, profile="p1")
    tags = [{"Key": "reconciler:holds", "Value": "AROA0000000000000000/iip-assoc-1"}]
    settled.ec2().create_tags(Resources=[instance], Tags=tags)
    found, _ = planned(settled)
    assert found == {"GetResources": 1, "ListInstanceProfileTags": 1}


def test_few_are_read_one_by_one(aws: Rig) -> None:
    aws.write(spec(3), SETTINGS)
    aws.settle(regions=(HOME,))
    assert planned(aws) == ({"ListInstanceProfileTags": 3}, [])


def test_prune_and_destroy_ask_iam_alone(settled: Rig) -> None:
    for flags in ({"prune": True}, {"destroy": True}):
        found, _ = planned(settled, **flags)
        assert found == {"ListInstanceProfileTags": MANY, "ListPolicyTags": 2}


@pytest.mark.parametrize(
    ("key", "value", "changes"),
    [
        ("a", "hand", ["instance-profile/p0 update"]),
        ("more", "x", ["instance-profile/p0 update"]),
        ("reconciler:role-id", "failed/AROA0000000000000000", None),
        ("reconciler:in-flight", "us-east-1/i-00000001", None),
    ],
)
def test_what_is_not_as_the_specs_want_it_is_read_by_itself(
    settled: Rig, key: str, value: str, changes: list[str] | None
) -> None:
    settled.iam.tag_instance_profile(InstanceProfileName="p0", Tags=[{"Key": key, "Value": value}])
    found, planned_changes = planned(settled)
    assert found == {"GetResources": 1, "ListInstanceProfileTags": 1}
    if changes is not None:
        assert planned_changes == changes


def test_a_copied_owner_tag_is_read_by_itself(settled: Rig) -> None:
    tags = [{"Key": "reconciler:owner", "Value": "tests/p0"}]
    settled.iam.tag_instance_profile(InstanceProfileName="p1", Tags=tags)
    found, _ = planned(settled)
    assert found == {"GetResources": 1, "ListInstanceProfileTags": 1}


def test_another_role_inside_is_read_by_itself_however_late_the_index_is(settled: Rig) -> None:
    settled.aws.chaos = Chaos(stale_index=600)
    settled.iam.remove_role_from_instance_profile(InstanceProfileName="p0", RoleName="r0")
    settled.iam.add_role_to_instance_profile(InstanceProfileName="p0", RoleName="s0")
    found, changes = planned(settled)
    assert found["ListInstanceProfileTags"] == 1
    assert changes == ["instance-profile/p0 update"]


def test_what_the_index_lacks_is_not_without_tags(settled: Rig) -> None:
    settled.aws.chaos = Chaos(index_misses=1.0)
    found, changes = planned(settled)
    assert found == {"GetResources": 1, "ListInstanceProfileTags": MANY, "ListPolicyTags": 2}
    assert not changes


def test_where_it_is_denied_it_is_as_before_and_told_in_full_once(settled: Rig) -> None:
    settled.aws.chaos = Chaos(denied=frozenset({"tag:GetResources"}))
    found, changes = planned(settled)
    assert found == {"GetResources": 1, "ListInstanceProfileTags": MANY, "ListPolicyTags": 2}
    assert not changes
    plan = settled.plan(regions=(HOME,)).plan
    full, brief = (plain(plan_lines(plan, Look(is_full=is_full))) for is_full in (True, False))
    assert full.count("tag:GetResources: AccessDenied") == 1
    assert "GetResources" not in brief


def test_another_role_in_the_specs(settled: Rig) -> None:
    settled.aws.chaos = Chaos(stale_index=600)
    settled.write(spec(role="s", policies=2), SETTINGS)
    found, changes = planned(settled)
    assert found["ListInstanceProfileTags"] == 1
    assert changes == ["instance-profile/p0 update"]


def test_a_policy_that_left_the_specs_is_found_without_prune(settled: Rig) -> None:
    settled.write(spec(policies=1), SETTINGS)
    kept = settled.plan(regions=(HOME,)).plan.targets[0].kept
    assert [(str(k.address), k.status) for k in kept] == [("policy/d1", "left")]


def test_an_apply_is_verified_although_the_index_is_late(settled: Rig) -> None:
    settled.launch(1, profile="p0")
    settled.aws.chaos = Chaos(stale_index=600)
    settled.write(spec(role="s", policies=2, tag="c"), SETTINGS)
    settled.settle(regions=(HOME,))
    assert settled.role_in("p0") == "s0"
    assert settled.profile_tags("p0")["a"] == "c"


def test_a_run_that_died_in_a_way_back_is_seen_although_the_index_is_late(settled: Rig) -> None:
    """The profile has the first role again, as the index still shows it from before: but its
    consumer has the second one."""
    (instance,) = settled.launch(1, profile="p0")
    settled.clock.sleep(60)
    settled.aws.chaos = Chaos(stale_index=3000)
    settled.write(spec(role="s", policies=2), SETTINGS)
    settled.settle(regions=(HOME,))
    assert settled.served(instance) == "s0"
    settled.write(spec(policies=2), SETTINGS)
    with crashing(settled, 5, after=True), pytest.raises(Crash):
        settled.apply(Interrupt(), regions=(HOME,))
    assert settled.role_in("p0") == "r0"
    settled.settle(regions=(HOME,))
    settled.aws.chaos = Chaos()
    assert settled.served(instance) == "r0"
