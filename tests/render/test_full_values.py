"""With ``-v`` nothing is shortened, in a plan and in a drift."""

from __future__ import annotations

import pytest

from reconciler.drift.findings import drift_of
from reconciler.render.styled_text import plain
from reconciler.render.text.drift import drift_lines
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from tests.rig import Rig

SPEC = """
roles:
  web: {{trust: ec2, description: "{long} {word}", inline_policies: {{read: {{Version: "2012-10-17",
    Statement: [{{Effect: Allow, Action: "s3:Get*", Resource: "*",
                 Condition: {{StringLike: {{"s3:prefix": ["{long}", "{word}"]}}}}}}]}}}}}}
"""
LONG = "x" * 120


@pytest.mark.parametrize("is_full", [False, True])
def test_the_end_of_a_long_value(aws: Rig, is_full: bool) -> None:
    aws.write(SPEC.format(long=LONG, word="before"))
    aws.settle()
    aws.write(SPEC.format(long=LONG, word="after"))
    look = Look(is_full=is_full)
    planned = plain(plan_lines(aws.plan().plan, look))
    found = plain(drift_lines(drift_of(aws.plan(for_drift=True)), look))
    for text in (planned, found):
        assert ("…" in text) != is_full
        assert text.count("after") == (3 if is_full else 0)
        assert text.count("before") == (3 if is_full else 0)
