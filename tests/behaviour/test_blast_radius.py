"""Whom a plan reaches: what is read for it and when, what is told, and what happens where it may not
be read. One sandbox for all: nothing here writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.commands.planned import Planned
from reconciler.render.formats import PLAN
from reconciler.render.json.plan import plan_json
from reconciler.render.styled_text import plain
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from tests.behaviour.explaining import SPEC, World, in_the_middle
from tests.render.situations import NOW, plan_report
from tests.rig import AWAY, HOME, rig

SOURCES = {
    "DescribeAutoScalingGroups",
    "DescribeLaunchTemplateVersions",
    "DescribeSpotFleetRequests",
    "DescribeFleets",
    "ListClusters",
}
SWAPPED = SPEC.replace("web: {role: web-v1}", "web: {role: web-v2}")
ALONE = SPEC.partition("associations:")[0]
"""With an association, the member of the group would move, and a plan that takes something away
looks everywhere in any case."""
MORE = ALONE.replace("InstanceCore, read]}", "InstanceCore, read, AmazonS3ReadOnlyAccess]}")
"""The role that running instances have gets a policy more."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with rig(tmp_path_factory.mktemp("radius")) as aws:
        yield in_the_middle(aws)


def planned(world: World, spec: str, **flags: Any) -> tuple[Planned, Counter[str]]:
    """And what was asked of AWS for it."""
    world.aws.write(spec)
    world.aws.opened.clear()
    before = len(world.aws.aws.log)
    made = world.aws.plan(regions=(HOME,), **flags)
    return made, Counter(f"{c.operation} {c.region}" for c in world.aws.aws.log[before:])


def test_a_plan_without_changes_asks_nothing_more(world: World) -> None:
    made, asked = planned(world, ALONE)
    assert made.plan.is_empty
    assert not SOURCES & {name.partition(" ")[0] for name in asked}
    assert not any(name.endswith(AWAY) for name in asked)
    _, tagged = planned(
        world, ALONE.replace("batch: {trust: lambda}", "batch: {trust: lambda, tags: {a: b}}")
    )
    assert asked == tagged


def test_a_swap_names_its_consumers_and_asks_nobody_without_a_group(world: World) -> None:
    made, asked = planned(world, SWAPPED)
    (target,) = made.plan.targets
    (radius,) = target.blast_radius.values()
    # The managed one too, which no cut-over touches.
    assert [(group.region, group.count) for group in radius.consumers] == [(AWAY, 1), (HOME, 2)]
    assert not SOURCES & {name.partition(" ")[0] for name in asked}


def test_a_change_of_a_role_is_for_every_region(world: World) -> None:
    made, asked = planned(world, MORE)
    (target,) = made.plan.targets
    (radius,) = target.blast_radius.values()
    assert radius.regions == (AWAY, HOME)
    assert radius.count == 3
    assert asked["DescribeRegions us-east-1"] == 1
    text = plain(plan_lines(made.plan, Look()))
    assert "# for 3 running instances:" in text
    assert f"#   {AWAY}: 1: {world.away}" in text
    assert "#   us-east-1: 2: solo, " in text
    change = plan_json(made, NOW)["targets"][0]["changes"][0]
    assert change["blast_radius"]["instances"] == 3
    for form in ("markdown", "html", "text", "json"):
        assert world.away in PLAN[form](plan_report(made)) or form == "markdown"


def test_a_group_that_starts_something_else_is_a_warning(world: World) -> None:
    made, asked = planned(world, SPEC, adopt=True)
    (warning,) = [d for d in made.diagnostics if d.code == "new-instances-differ"]
    assert "Auto Scaling group web-asg (launch template web-lt, version 2)" in warning.message
    assert "starts new instances with instance-profile/legacy (role/legacy)" in warning.message
    assert "instance-profile/web (role/web-v1) by the specs" in warning.message
    assert asked["DescribeAutoScalingGroups us-east-1"] == 1
    assert asked["DescribeLaunchTemplateVersions us-east-1"] == 1
    # Nothing else of this region starts consumers that the plan changes.
    assert not {"DescribeFleets us-east-1", "ListClusters us-east-1"} & asked.keys()
    text = plain(plan_lines(made.plan, Look()))
    assert "! Auto Scaling group web-asg (launch template web-lt, version 2)" in text


def test_what_is_denied_is_told_once_and_changes_nothing_else(world: World) -> None:
    whole, _ = planned(world, SPEC, adopt=True)
    with world.denying("autoscaling:DescribeAutoScalingGroups"):
        made, _ = planned(world, SPEC, adopt=True)
    assert made.plan.digest == whole.plan.digest
    told = [k.reason for k in made.plan.targets[0].kept if str(k.address) == "*"]
    assert told == [
        "what new instances get in us-east-1 is not known: "
        "autoscaling:DescribeAutoScalingGroups (AccessDenied) refused"
    ]
    assert not [d for d in made.diagnostics if d.code == "new-instances-differ"]
    text = plain(plan_lines(made.plan, Look()))
    assert text.count("DescribeAutoScalingGroups") == 1


def test_regions_that_may_not_be_listed_are_left_out(world: World) -> None:
    with world.denying("ec2:DescribeRegions"):
        made, _ = planned(world, MORE)
    (radius,) = made.plan.targets[0].blast_radius.values()
    assert radius.regions == (HOME,)
    assert radius.count == 2


def test_a_drift_reads_nothing_for_it(world: World) -> None:
    made, asked = planned(world, MORE, for_drift=True)
    assert made.plan.targets[0].blast_radius == {}
    assert "DescribeRegions us-east-1" not in asked


WIDER = ALONE.replace("batch: {trust: lambda}", "batch: {trust: [lambda, ec2]}")


def test_a_pipeline_may_fail_on_it(world: World) -> None:
    """From the severity on that it names; a plan exits with 0 otherwise."""
    rows: list[tuple[str, tuple[str, ...], dict[str, int]]] = [
        (ALONE, (), {"info": 0}),
        (MORE, (), {"info": 2, "warning": 0}),
        (SPEC, ("--adopt",), {"warning": 2, "critical": 0}),
        (WIDER, (), {"critical": 2}),
    ]
    for spec, flags, codes in rows:
        world.aws.write(spec)
        asked = ["plan", str(world.aws.folder), "--region", HOME, "-q", *flags]
        for severity, code in codes.items():
            assert run([*asked, "--fail-on", severity]) == code, (spec, severity)
