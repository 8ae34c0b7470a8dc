"""How long a plan takes is said, and it is not longer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.executor.estimate import about_in_words, estimate, in_words
from reconciler.render.styled_text import plain
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.sandbox.fault_config import LIKE_AWS
from tests.rig import Rig, rig
from tests.sampling import sampled

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}}}}}}}
"""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (95, "1 min 35 s"), (7260, "2 h 1 min")],
)
def test_in_words(seconds: int, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "about 1 min"),
        (95, "about 2 min"),
        (4805, "about 1 h 20 min"),
    ],
)
def test_about_in_words(seconds: int, words: str) -> None:
    assert about_in_words(seconds) == words


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart", "wait"])
@pytest.mark.parametrize(("count", "most"), sampled([(4, "50%")], [(1, "1"), (4, "1"), (6, "50%")]))
def test_about_is_right_within_a_factor_of_two(
    tmp_path: Path, strategy: str, count: int, most: str
) -> None:
    with rig(tmp_path, LIKE_AWS) as aws:
        spec = SPEC.replace("{strategy}", f"{{strategy}}, max_unavailable: {most}")
        aws.write(spec.format(role="v1", strategy=strategy))
        aws.settle()
        aws.clock.sleep(60)
        aws.launch(count, profile="web")
        aws.write(spec.format(role="v2", strategy=strategy))
        about = estimate(aws.plan().plan).about
        began = aws.clock.now()
        assert aws.apply().result.is_complete
        took = aws.clock.now() - began
        assert took / 2 <= about <= took * 2, (about, took)


@pytest.mark.parametrize(("strategy", "waits"), [("reassociate", 1), ("hop", 2)])
def test_a_cut_over_takes_so_long(aws: Rig, strategy: str, waits: int) -> None:
    aws.write(SPEC.format(role="v1", strategy=strategy))
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(3, profile="web")
    aws.write(SPEC.format(role="v2", strategy=strategy))
    plan = aws.plan().plan
    found = estimate(plan)
    assert found.least == 60 * waits
    text = plain(plan_lines(plan, Look()))
    assert f"Estimated duration: {about_in_words(found.about)}.\n" in text
    text = plain(plan_lines(plan, Look(is_full=True)))
    assert f"{about_in_words(found.about)} (at most {in_words(found.most)})." in text
    began = aws.clock.now()
    aws.settle()
    assert found.least <= aws.clock.now() - began <= found.most


def test_more_at_once_is_not_longer(aws: Rig) -> None:
    roles = "".join(f"r{n}: {{trust: ec2}}, " for n in range(30))
    aws.write(f"roles: {{{roles}}}")
    most = estimate(aws.plan().plan).most
    aws.write("roles: {r0: {trust: ec2}}")
    one = estimate(aws.plan().plan).most
    assert one < most < 5 * one


def test_nothing_takes_no_time(aws: Rig) -> None:
    aws.write("roles: {r: {trust: ec2}}")
    aws.settle()
    assert estimate(aws.plan().plan).most == 0


@pytest.mark.parametrize(("targets", "times"), [(1, 1), (8, 1), (9, 2), (16, 2)])
def test_eight_targets_take_as_long_as_one(aws: Rig, targets: int, times: int) -> None:
    aws.write(SPEC.format(role="v1", strategy="reassociate"))
    plan = aws.plan().plan
    one = estimate(plan)
    many = estimate(replace(plan, targets=plan.targets * targets))
    assert (many.about, many.most) == (one.about * times, one.most * times)
