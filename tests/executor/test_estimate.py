"""How long a plan takes is said, and it is not longer."""

from __future__ import annotations

import pytest

from reconciler.executor.estimate import estimate, in_words
from reconciler.render.text.plan import Look, plan_lines
from tests.rig import Rig

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
    text = "\n".join("".join(piece.text for piece in one) for one in plan_lines(plan, Look()))
    assert f"Estimated duration: {in_words(found.least)} (at most " in text
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
