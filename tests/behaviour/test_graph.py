"""Graph: who holds what, and what the next apply does with it. One sandbox for all: nothing here
writes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jsonschema
import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from reconciler.explain.graph import Graph, make_graph
from reconciler.render.graph.formats import FORMATS
from reconciler.render.json.schemas import schema_of
from tests.behaviour.explaining import World, in_the_middle
from tests.rig import AWAY, HOME, rig

NOW = "2026-11-23T20:00:00Z"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with rig(tmp_path_factory.mktemp("graph")) as aws:
        yield in_the_middle(aws)


def graph(world: World, *, every: bool = False, **flags: object) -> Graph:
    world.aws.opened.clear()
    return make_graph(
        world.aws.request(regions=(HOME,), **flags), world.aws.commands(), every=every
    )


def links(made: Graph) -> set[tuple[str, str, str]]:
    (target,) = made.targets
    return {(str(one.before), str(one.after), one.mark) for one in target.picture.links}


def test_what_changes(world: World) -> None:
    """The consumers of all regions, though the specs have one to do with."""
    held = [
        ("role/web-v1", "instance-profile/web", "goes"),
        ("role/web-v2", "instance-profile/web", "comes"),
    ]
    used = [
        ("instance-profile/web", f"association/{one}", "fresh") for one in (world.solo, world.away)
    ]
    used.append(("instance-profile/web", f"association/{world.managed}", "same"))
    made = graph(world)
    assert {*held, *used} <= links(made)
    assert not any("legacy" in end for link in links(made) for end in link)
    (target,) = made.targets
    regions = {node.address.name: node.region for node in target.picture.nodes}
    assert (regions[world.solo], regions[world.away]) == (HOME, AWAY)


def test_everything(world: World) -> None:
    found = links(graph(world, every=True))
    assert ("role/legacy", "instance-profile/legacy", "same") in found
    assert ("instance-profile/legacy", f"association/{world.spot}", "same") in found
    (target,) = graph(world, every=True).targets
    assert "role/batch" in {str(node.address) for node in target.picture.nodes}


def test_what_is_not_planned_is_not_drawn(world: World) -> None:
    """Nor is any other region asked for it."""
    before = len(world.aws.aws.log)
    assert graph(world, only=("role/batch",)).is_empty
    asked = {(one.operation, one.region) for one in world.aws.aws.log[before:]}
    assert ("DescribeInstances", AWAY) not in asked


def test_a_region_that_may_not_be_read_is_told(world: World) -> None:
    with world.denying("ec2:DescribeInstances"):
        (target,) = graph(world, every=True).targets
    told = {one.what: one.reason for one in target.not_read}
    assert "DescribeInstances" in told[f"instances in {AWAY}"]


def test_nothing_is_written(world: World) -> None:
    before = len(world.aws.writes())
    graph(world, every=True)
    assert len(world.aws.writes()) == before


@pytest.mark.parametrize("every", [False, True])
def test_the_json_has_its_schema_and_folds_nothing(world: World, *, every: bool) -> None:
    document = json.loads(FORMATS["json"](graph(world, every=every), NOW))
    jsonschema.Draft202012Validator(schema_of("graph")).validate(document)
    (target,) = document["targets"]
    ends = {end for link in target["links"] for end in (link["before"], link["after"])}
    assert ends <= {node["address"] for node in target["nodes"]}
    marks = {node["address"]: node["mark"] for node in target["nodes"]}
    assert marks[f"association/{world.solo}"] == "cutover"
    assert ("instance-profile/legacy" in marks) == every


def test_the_command(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [str(world.aws.folder), "--region", HOME, "-q"]
    for form, start in (("mermaid", "flowchart LR\n"), ("dot", "digraph"), ("svg", "<svg"), ("html", "<!doctype html>")):  # fmt: skip
        assert run(["graph", *flags, "--format", form, "--adopt"]) == ExitCode.OK
        out = capsys.readouterr().out
        assert out.startswith(start)
        assert world.solo in out
    assert run(["graph", *flags, "--format", "png"]) == ExitCode.USAGE
