"""Without ``ec2:DescribeRegions`` it is not known where consumers may be: what is known is shown, and
no apply goes blind."""

from __future__ import annotations

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from reconciler.explain.graph import make_graph
from reconciler.explain.reading import explain
from reconciler.render.styled_text import plain
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from tests.behaviour.faults import refusing
from tests.rig import AWAY, HOME, Rig

SPEC = """
roles: {one: {trust: ec2}, two: {trust: ec2}}
instance_profiles: {web: {role: one}}
"""
SWAPPED = SPEC.replace("{role: one}", "{role: two}")
NARROW = f"version: 1\nowner: tests\nconsumer_regions: [{HOME}]\n"
DENIED = ("DescribeRegions", "UnauthorizedOperation")
HERE = (HOME,)


@pytest.fixture
def swapped(aws: Rig) -> Rig:
    """A swap is planned; an instance here and one elsewhere use the profile."""
    aws.write(SPEC)
    aws.settle(regions=HERE)
    aws.clock.sleep(60)
    aws.launch(1, profile="web", tags={"Name": "here"})
    aws.launch(1, profile="web", region=AWAY, tags={"Name": "there"})
    aws.write(SWAPPED)
    return aws


def command(aws: Rig, name: str, *more: str) -> int:
    return run([name, *more, str(aws.folder), "--region", HOME, "-q"])


def test_a_plan_shows_what_is_known_and_an_apply_changes_nothing(
    swapped: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(swapped.writes())
    with refusing(swapped, *DENIED):
        plan = swapped.plan(regions=HERE).plan
        assert "instance-profile/web" in {str(change.address) for change in plan.changes}
        assert not plan.is_whole
        (guard,) = plan.guards
        assert [str(address) for address in guard.addresses] == ["instance-profile/web"]
        assert guard.lift == "Allow ec2:DescribeRegions, or set consumer_regions"
        assert command(swapped, "plan") == ExitCode.ERROR
        text = capsys.readouterr().out
        assert "which regions are enabled cannot be read (ec2:DescribeRegions" in text
        assert "instances in other regions than those of the plan are not known" in text
        assert command(swapped, "apply", "--auto-approve") == ExitCode.UNDECIDED
    assert len(swapped.writes()) == before
    swapped.settle(regions=HERE)


def test_a_drift_tells_it_as_unknown_with_everything_else(swapped: Rig) -> None:
    with refusing(swapped, *DENIED):
        drift = swapped.drift(regions=HERE)
    assert drift.exit_code == ExitCode.ERROR
    found = {f.status: f.reason for f in drift.findings}
    assert "modified" in found
    assert "which regions are enabled cannot be read" in (found["unknown"] or "")


def test_regions_that_are_named_need_no_list(swapped: Rig) -> None:
    swapped.write(SWAPPED, NARROW)
    with refusing(swapped, *DENIED):
        plan = swapped.plan(regions=HERE).plan
        assert not plan.guards
        assert plan.is_whole
        swapped.settle(regions=HERE)


def test_what_is_removed_may_be_in_use_elsewhere(swapped: Rig) -> None:
    """``consumer_regions`` is for cut-overs: a removal looks everywhere, and keeps what somebody may
    use whom it cannot see."""
    (here,) = swapped.instance_ids()
    swapped.ec2().terminate_instances(InstanceIds=[here])
    swapped.write("roles: {one: {trust: ec2}}", NARROW)
    with refusing(swapped, *DENIED):
        planned = swapped.plan(regions=HERE, prune=True).plan
        assert not planned.is_whole
        assert planned.is_empty
        kept = {str(k.address): k.reason for k in planned.targets[0].kept}
        assert "the account's regions cannot be listed" in kept["instance-profile/web"]
        assert "the account's regions cannot be listed" in kept["role/two"]
    again = swapped.plan(regions=HERE, prune=True).plan
    (guard,) = again.guards
    assert guard.key == "consumers"


def test_a_destroy_deletes_nothing_either(swapped: Rig) -> None:
    before = len(swapped.writes())
    with refusing(swapped, *DENIED):
        assert command(swapped, "destroy", "--auto-approve", "--owner", "tests") == ExitCode.ERROR
    assert len(swapped.writes()) == before


@pytest.mark.parametrize("asked", ["instance-profile/web", "role/one", "role/two", "here"])
def test_an_explanation_has_what_is_known(swapped: Rig, asked: str) -> None:
    if asked == "here":
        (asked,) = swapped.instance_ids()
    swapped.opened.clear()
    with refusing(swapped, *DENIED):
        made = explain(asked, swapped.request(regions=HERE), swapped.commands())
    (one,) = made.answers
    assert one.next.is_blocked
    assert "instance-profile/web" in {str(change.address) for change in one.next.changes}
    text = plain(explain_lines(made, Look()))
    assert "Allow ec2:DescribeRegions, or set consumer_regions" in text
    unread = text.index("which regions are enabled cannot be read (ec2:DescribeRegions")
    assert text.index("1 guard stops the whole apply") < unread < text.index("  it then does this:")


def test_a_picture_has_what_is_known(swapped: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    swapped.opened.clear()
    with refusing(swapped, *DENIED):
        made = make_graph(swapped.request(regions=HERE), swapped.commands(), every=True)
        (target,) = made.targets
        assert {str(node.address) for node in target.picture.nodes} >= {"role/one", "role/two"}
        assert [one.what for one in target.not_read] == ["which regions are enabled"]
        assert made.stops
        asked = ["graph", "--all", str(swapped.folder), "--region", HOME]
        assert run(asked) == ExitCode.ERROR
    assert "which regions are enabled not read: ec2:DescribeRegions" in capsys.readouterr().err
