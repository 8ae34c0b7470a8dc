"""Targets shared out among several runs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.cli.files import plan_or_drift, saved_plan
from reconciler.commands.shard import Shard
from reconciler.drift.baseline import Baseline, compared, coverage, following
from reconciler.drift.findings import drift_of
from reconciler.render.formats import as_text
from reconciler.render.json.drift import drift_json
from tests.behaviour.test_fleet import account, four, refusing_in, roles_in, settings
from tests.rig import Rig

__all__ = ["four"]
SHARDS = ("1/3", "2/3", "3/3")
FLAGS = ["--region", "us-east-1"]


def names(aws: Rig, **flags: Any) -> list[str]:
    return [t.target for t in aws.plan(**flags).plan.targets]


def test_every_target_is_in_one_shard(four: Rig) -> None:
    found = [name for shard in SHARDS for name in names(four, shard=shard)]
    assert sorted(found) == ["t1", "t2", "t3", "t4"]


def test_a_new_target_moves_no_other(four: Rig) -> None:
    """Nor does the order in the file."""
    before = {shard: names(four, shard=shard) for shard in SHARDS}
    few, more = settings(4), settings(5)
    head, _, targets = more.partition("targets:\n")
    four.write(
        "roles: {web: {trust: ec2}}", f"{head}targets:\n" + "\n".join(targets.split("\n")[::-1])
    )
    assert few != more
    after = {shard: [n for n in names(four, shard=shard) if n != "t5"] for shard in SHARDS}
    assert after == before


def test_the_division_is_the_same_in_every_process() -> None:
    """Jobs of one matrix must agree, and so must those of plan and apply, of any version."""
    found = [next(n for n in range(1, 9) if Shard(n, 8).has(f"t{t}")) for t in range(1, 9)]
    assert found == [3, 1, 7, 2, 8, 8, 6, 3]


def test_shards_are_of_the_targets_that_were_chosen(four: Rig) -> None:
    chosen = ("t1", "t3")
    found = [name for shard in SHARDS for name in names(four, shard=shard, targets=chosen)]
    assert sorted(found) == ["t1", "t3"]


def test_a_set_without_targets_is_in_one_shard(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}")
    assert [names(aws, shard=shard) for shard in ("1/2", "2/2")].count(["default"]) == 1


def test_shards_are_about_as_large() -> None:
    sizes = Counter(n for n in range(1, 9) for t in range(4000) if Shard(n, 8).has(f"acct-{t}"))
    assert sum(sizes.values()) == 4000
    assert min(sizes.values()) > 430 and max(sizes.values()) < 570


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("0/3", "shards are numbered from 1/3 to 3/3, not 0/3"),
        ("4/3", "shards are numbered from 1/3 to 3/3, not 4/3"),
        ("0/0", "shards are numbered from 1, not 0/0"),
        ("a/b", "a shard is a number of so many, such as 1/8, not 'a/b'"),
        ("1", "a shard is a number of so many, such as 1/8, not '1'"),
        ("1/3/5", "not '1/3/5'"),
        ("-1/3", "not '-1/3'"),
        ("١/٣", "such as 1/8, not"),
        ("", "not ''"),
    ],
)
def test_what_is_no_shard_is_wrong_usage(
    four: Rig, given: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", str(four.folder), f"--shard={given}"]) == 64
    assert told in capsys.readouterr().err


def empty_shard() -> str:
    """The first that none of the four is in."""
    numbers = range(1, 10)
    return next(f"{n}/9" for n in numbers if not any(Shard(n, 9).has(f"t{t}") for t in range(1, 5)))


@pytest.mark.parametrize("command", ["plan", "drift", "apply", "destroy"])
def test_an_empty_shard_is_no_error(
    four: Rig, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = empty_shard()
    approve = ["--auto-approve"] if command in ("apply", "destroy") else []
    assert run([command, str(four.folder), "--shard", shard, *approve, *FLAGS]) == 0
    shown = capsys.readouterr()
    assert "No targets. Nothing was compared." in shown.out
    assert f"Shard {shard}: 0 of 4 targets." in shown.err
    assert not four.aws.log


@pytest.mark.parametrize("shard", [*SHARDS, "empty"])
def test_a_pattern_may_be_for_a_target_of_another_shard(four: Rig, shard: str) -> None:
    """In one of the shards it matches: the others must not fail their jobs."""
    shard = empty_shard() if shard == "empty" else shard
    assert run(["plan", str(four.folder), "--only", "role/web", "--shard", shard, *FLAGS]) == 0
    assert run(["plan", str(four.folder), "--only", "role/else", "--shard", shard, *FLAGS]) == 0
    assert run(["plan", str(four.folder), "--only", "role/else", *FLAGS]) == 64


def test_mistakes_in_specs_are_told_in_an_empty_shard(
    four: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    (four.folder / "broken.yaml").write_text("roles: {a: b: c}")
    assert run(["plan", str(four.folder), "--shard", empty_shard()]) == 1
    assert "broken.yaml:1:" in capsys.readouterr().err


def test_reports_of_an_empty_shard(four: Rig) -> None:
    for command in ("plan", "drift"):
        for name in ("text", "json", "markdown", "comment", "github", "gitlab", "html"):
            report = f"{name}={four.folder.parent / 'report'}"
            flags = ["--shard", empty_shard(), "--report", report]
            assert run([command, str(four.folder), *flags]) == 0
        assert (four.folder.parent / "report").read_text("utf-8")


@pytest.mark.parametrize("shard", [*SHARDS, "empty"])
def test_a_saved_plan_of_a_shard_is_applied_in_that_shard(four: Rig, shard: str) -> None:
    """Also that of an empty one, which is not a plan of all targets."""
    shard = empty_shard() if shard == "empty" else shard
    file = four.folder.parent / "plan.json"
    four_of_it = names(four, shard=shard)
    assert run(["plan", str(four.folder), "--shard", shard, "--out", str(file), *FLAGS]) == 0
    assert json.loads(file.read_text())["request"]["shard"] == shard
    assert run(["apply", str(file)]) == 0
    assert roles_in(four) == [account(int(name[1:])) for name in four_of_it]
    assert run(["apply", str(file), "--shard", "1/3"]) == 64


def test_a_plan_of_no_shard_names_none(four: Rig) -> None:
    file = four.folder.parent / "plan.json"
    assert run(["plan", str(four.folder), "--out", str(file), *FLAGS]) == 0
    assert "shard" not in json.loads(file.read_text())["request"]


def test_a_drift_names_its_shard(four: Rig) -> None:
    found = drift_of(four.plan(for_drift=True, shard="2/3"))
    document = drift_json(found, "2026-11-23T20:00:00Z")
    assert document["shard"] == "2/3"
    file = four.folder.parent / "drift.json"
    file.write_text(as_text(document))
    assert plan_or_drift(file) == document


def test_findings_of_an_unread_target_are_not_resolved(four: Rig) -> None:
    """Nothing is known of it: they are there until it is read again."""
    now = "2026-11-23T20:00:00Z"
    first = drift_of(four.plan(for_drift=True))
    before = Baseline(first.findings)
    assert [f.target for f in first.findings] == ["t1", "t2", "t3", "t4"]
    with refusing_in(four, "GetCallerIdentity", 2):
        planned = four.plan(for_drift=True)
        found = compared(drift_of(planned), before, coverage(planned), now)
    assert found.resolved == ()
    assert [(f.target, f.status) for f in found.findings if f.transition == "new"] == [
        ("t2", "unknown")
    ]
    kept = following(found, before, coverage(planned), {})
    assert sorted((f.target, f.status) for f in kept.findings if f.target == "t2") == [
        ("t2", "missing"),
        ("t2", "unknown"),
    ]
    planned = four.plan(for_drift=True)
    again = compared(drift_of(planned), kept, coverage(planned), now)
    assert {f.transition for f in again.findings} == {"ongoing"}
    assert [(f.target, f.status) for f in again.resolved] == [("t2", "unknown")]


def test_a_plan_of_a_target_whose_account_is_not_known_can_be_read(four: Rig) -> None:
    """Neither the settings name its account nor could anybody be asked."""
    four.write(
        "roles: {web: {trust: ec2}}",
        settings(1) + "  lost: {role_arn: nothing}\n",
    )
    file = four.folder.parent / "plan.json"
    assert run(["plan", str(four.folder), "--out", str(file), *FLAGS]) == 1
    document = saved_plan(file)
    assert [t["account_id"] for t in document["targets"]] == ["unknown", account(1)]
