"""A plan on a copy of the account: what is measured there, and that the account stays as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from reconciler.exit_codes import ExitCode
from reconciler.rehearsal.telling import rehearsal_json, rehearsal_lines
from reconciler.render.json.rehearsal_types import RehearsalShape
from reconciler.render.styled_text import plain
from tests.rehearsal.prepared import SPEC, rehearsed, swapping
from tests.rig import AWAY, HOME, Rig
from tests.sampling import sampled

READ_ONLY = """
roles: {v1: {trust: ec2}, new: {trust: lambda, inline_policies: {x: {Version: '2012-10-17',
  Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}}}}
"""


def creating(aws: Rig) -> None:
    aws.write(READ_ONLY.replace("new:", "other:"))
    aws.settle()
    aws.write(READ_ONLY)


@pytest.mark.parametrize(
    ("strategy", "bare", "stopped"),
    sampled([("hop", 0, 0)], [("reassociate", 10, 0), ("restart", 0, 50), ("wait", 0, 0)]),
)
def test_what_each_instance_goes_through(
    tmp_path: Path, strategy: str, bare: float, stopped: float
) -> None:
    made = rehearsed(tmp_path, swapping(strategy))
    assert made.is_well
    assert made.is_same_plan
    assert made.took == pytest.approx(made.about, rel=1)
    if strategy == "wait":
        assert made.instances == ()
        return
    assert {one.trace.key.region for one in made.instances} == {HOME, AWAY}
    for one in made.instances:
        assert (one.before, one.after) == ("v1", "v2")
        assert bare <= one.trace.without_profile <= bare * 1.5
        assert stopped <= one.trace.stopped <= stopped * 1.5
    if strategy != "hop":
        first, second = made.instances
        assert first.trace.at < second.trace.at


def test_after_a_swap_by_hand_the_role_before_is_not_known(tmp_path: Path) -> None:
    """The instances have the role of before the swap, or the other one if they were associated
    since: the profile does not say which."""

    def prepare(aws: Rig) -> None:
        swapping("reassociate")(aws)
        aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
        aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v2")
        aws.clock.sleep(600)

    made = rehearsed(tmp_path, prepare)
    assert made.is_well
    assert [(one.before, one.after) for one in made.instances] == [(None, "v2")] * 2
    text = plain(rehearsal_lines([made], unicode=False))
    assert text.count("not known -> v2") == 2
    (target,) = rehearsal_json([made], "now")["targets"]
    assert all("outside" in (i["role_before_unknown"] or "") for i in target["instances"])


def test_a_death_after_each_write(tmp_path: Path) -> None:
    made = rehearsed(tmp_path, creating, with_crashes=True)
    assert made.crashes is not None
    assert (made.writes, made.crashes.deaths, made.crashes.unrecovered) == (2, 2, ())
    document = rehearsal_json([made], "now")
    TypeAdapter(RehearsalShape).validate_python(document, strict=True)
    text = plain(rehearsal_lines([made], unicode=True))
    assert "Killed after each of its 2 writes: 2 times the next apply finished it." in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "writes"), [("reassociate", 18), ("hop", 19), ("restart", 18)]
)
def test_a_death_in_a_cut_over(tmp_path: Path, strategy: str, writes: int) -> None:
    made = rehearsed(tmp_path, swapping(strategy), with_crashes=True)
    assert made.crashes is not None
    assert (made.writes, made.crashes.deaths) == (writes, writes)
    assert made.crashes.unrecovered == ()


def test_a_rehearsal_in_words_and_as_json(tmp_path: Path) -> None:
    made = rehearsed(tmp_path, swapping("reassociate"))
    text = plain(rehearsal_lines([made], unicode=True))
    assert "Nothing was written to AWS." in text
    assert re.search(
        r"after 1 min .* i-\w+ \(us-east-1\)  v1 → v2  without its profile for 1\d s", text
    )
    assert (
        "Rehearsal complete! Resources: 0 added, 1 changed, 0 destroyed; 2 instances cut over."
        in text
    )
    document = rehearsal_json([made], "now")
    TypeAdapter(RehearsalShape).validate_python(document, strict=True)
    (target,) = document["targets"]
    assert (target["exit_code"], target["is_same_plan"], target["crashes"]) == (
        ExitCode.OK,
        True,
        None,
    )
    assert {one["role_after"] for one in target["instances"]} == {"v2"}


def test_a_failure_on_the_copy_is_told(tmp_path: Path) -> None:
    """AWS refuses an eleventh policy, and the specs raise the quota that the account has not."""

    def too_many(aws: Rig) -> None:
        names = ", ".join(f"p{n}" for n in range(11))
        document = (
            "{Version: '2012-10-17', Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}"
        )
        policies = "".join(f"  p{n}: {{document: {document}}}\n" for n in range(11))
        roles = f"roles: {{r: {{trust: ec2, managed_policies: [{names}]}}}}\n"
        quota = "version: 1\nowner: tests\nquotas: {managed_policies_per_role: 11}\n"
        aws.write(f"policies:\n{policies}{roles}", quota)

    made = rehearsed(tmp_path, too_many)
    assert not made.is_well
    (target,) = rehearsal_json([made], "now")["targets"]
    assert [one["what"] for one in target["failures"]] == ["iam:AttachRolePolicy"]


def watched(aws: Rig) -> None:
    """Everything that a roll-out can be told to watch, and two checkpoints."""
    group = f"arn:aws:elasticloadbalancing:{HOME}:123456789012:targetgroup/web/0123456789abcdef"
    checks = f"{{alarms: [errors], target_groups: ['{group}'], denied: {{}}}}"
    swapping("reassociate")(aws)
    aws.launch(2, profile="web")
    more = f"reassociate, bake: 10m, checkpoints: [20%, 60%], checks: {checks}"
    aws.write(SPEC.format(role="v2", strategy=more))


def test_what_is_watched_is_well_on_the_copy_and_checkpoints_are_passed(tmp_path: Path) -> None:
    made = rehearsed(tmp_path, watched)
    assert made.is_well, made.applied
    assert {(one.before, one.after) for one in made.instances} == {("v1", "v2")}
    assert made.took >= 600
