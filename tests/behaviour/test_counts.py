"""Numbers of instances agree wherever they are told; where fewer are cut over than use a profile, it
is said how many are left, and why."""

from __future__ import annotations

import pytest

from reconciler.explain.explanation import Explanation
from reconciler.explain.reading import explain
from reconciler.render.formats import PLAN
from reconciler.render.json.plan import plan_json
from reconciler.render.styled_text import plain
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from tests.behaviour.faults import Crash, dying
from tests.render.situations import plan_report
from tests.rig import AWAY, HOME, Rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}}}}}}}
"""
NOW = "2026-11-23T20:00:00Z"
NARROW = f"version: 1\nowner: tests\nconsumer_regions: [{AWAY}]\n"


def begun(aws: Rig, strategy: str = "reassociate") -> Rig:
    """Two own instances and one of ECS; a swap is planned."""
    aws.write(SPEC.format(role="v1", strategy=strategy))
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(2, profile="web", tags={"Name": "web"})
    aws.launch(1, profile="web", operator="ecs.amazonaws.com")
    aws.write(SPEC.format(role="v2", strategy=strategy))
    return aws


def explained(aws: Rig, asked: str) -> tuple[Explanation, str]:
    aws.opened.clear()
    made = explain(asked, aws.request(), aws.commands())
    return made.answers[0], plain(explain_lines(made, Look()))


def test_a_managed_instance_is_one_more(aws: Rig) -> None:
    made = begun(aws).plan()
    text = plain(plan_lines(made.plan, Look()))
    assert "# 2 running instances, strategy reassociate" in text
    more = "1 more is not cut over: ecs.amazonaws.com manages it"
    assert f"# {more}" in text
    assert f"{HOME}: 3: " in text
    change = plan_json(made, NOW)["targets"][0]["changes"][0]
    assert change["blast_radius"]["instances"] == 3
    (apart,) = change["blast_radius"]["apart"]
    assert (apart["kind"], len(apart["instances"])) == ("untouchable", 1)
    for form in ("html", "markdown"):
        assert more in PLAN[form](plan_report(made)), form


@pytest.mark.parametrize("asked", ["instance-profile/web", "role/v1", "role/v2"])
def test_an_explanation_says_who_is_left_out(aws: Rig, asked: str) -> None:
    one, text = explained(begun(aws), asked)
    assert "3 running instances" in text
    assert "1 of them is never changed: ecs.amazonaws.com manages it" in text
    assert "# 1 more is not cut over: ecs.amazonaws.com manages it" in text
    assert [(a.kind, a.count) for a in one.apart] == [("untouchable", 1)]


@pytest.mark.parametrize(
    ("strategy", "call", "more", "now"),
    [
        (
            "reassociate",
            "DisassociateIamInstanceProfile",
            "1 more gets its profile back first: an earlier run took it",
            "1 of them has no profile now: a run took it, and must give it back",
        ),
        (
            "hop",
            "ReplaceIamInstanceProfileAssociation",
            "1 more moves back first: an earlier run left it on the temporary profile",
            "1 of them is on the temporary profile of a cut-over",
        ),
    ],
)
def test_an_instance_on_its_way_is_one_more(
    aws: Rig, strategy: str, call: str, more: str, now: str
) -> None:
    begun(aws, strategy)
    with pytest.raises(Crash), dying(aws, call):
        aws.apply()
    aws.clock.sleep(3600)
    text = plain(plan_lines(aws.plan().plan, Look()))
    assert "# 1 running instance, strategy" in text
    assert f"# {more}" in text
    assert f"{HOME}: 3: " in text
    one, text = explained(aws, "instance-profile/web")
    assert "3 running instances use it" in text
    assert now in text
    if strategy == "reassociate":
        # The cut-over has not reached all of them.
        assert [str(role.address) for role in one.roles] == ["role/v2", "role/v1"]
        assert "role/v1  managed by the owner tests, which its instances may still hold" in text
        _, text = explained(aws, "role/v1")
        told = "the role is not inside that profile any more, but instances may still hold it"
        assert told in text


def test_an_instance_outside_of_the_regions_is_one_more(aws: Rig) -> None:
    aws.write(SPEC.format(role="v1", strategy="reassociate"))
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(1, profile="web", tags={"Name": "here"})
    aws.launch(1, profile="web", tags={"Name": "there"}, region=AWAY)
    aws.write(SPEC.format(role="v2", strategy="reassociate"), NARROW)
    text = plain(plan_lines(aws.plan().plan, Look()))
    assert "# 1 running instance, strategy" in text
    assert "# 1 more is not cut over: consumer_regions leaves its region out" in text
