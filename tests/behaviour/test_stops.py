"""A guard or a conflict stops the whole apply: what is said of any address must tell of it."""

from __future__ import annotations

import json

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from reconciler.explain.explanation import Explanation
from reconciler.explain.graph import make_graph
from reconciler.explain.reading import explain
from reconciler.render.graph.formats import FORMATS
from reconciler.render.json.explain import explain_json
from reconciler.render.styled_text import plain
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from tests.behaviour.explaining import template
from tests.behaviour.test_ownership import TRUST
from tests.rig import HOME, Rig

SPEC = """
roles: {one: {trust: ec2}, two: {trust: ec2}}
instance_profiles:
  web: {role: one}
  db: {role: one}
  other: {role: one}
"""
GUARDED = """
version: 1
owner: tests
guards: {protected: [instance-profile/db, instance-profile/other]}
"""
NOW = "2026-11-23T20:00:00Z"


def swapped(aws: Rig, settings: str | None = None) -> None:
    """All profiles are to hold another role; a launch template names the one called web."""
    aws.write(SPEC)
    aws.settle(regions=(HOME,))
    aws.ec2().create_launch_template(
        LaunchTemplateName="web-lt", LaunchTemplateData=template("web")
    )
    aws.write(SPEC.replace("role: one", "role: two"), settings)


def explained(aws: Rig, asked: str) -> tuple[Explanation, str]:
    aws.opened.clear()
    made = explain(asked, aws.request(regions=(HOME,)), aws.commands())
    return made.answers[0], plain(explain_lines(made, Look()))


def test_a_guard_on_another_profile_is_told(aws: Rig) -> None:
    swapped(aws, GUARDED)
    one, text = explained(aws, "instance-profile/web")
    assert not one.next.guards
    assert one.next.is_blocked
    assert "elsewhere in the plan, 2 guards stop it: apply then changes nothing" in text
    assert "instance-profile/db is protected by the settings" in text
    assert "override with --allow protected=instance-profile/db" in text
    assert "after the next apply" not in text
    assert "so role/one, and role/two once what stops the next apply is allowed" in text


def test_its_own_guard_is_told_in_full_and_the_others_besides(aws: Rig) -> None:
    swapped(aws, GUARDED)
    one, text = explained(aws, "instance-profile/db")
    assert [guard.key for guard in one.next.guards] == ["protected"]
    assert [stop.key for stop in one.next.elsewhere] == ["protected"]
    assert "Override with --allow protected=instance-profile/db" in text
    assert "elsewhere in the plan, 1 guard also stops it" in text


def test_without_any_the_next_apply_does_it(aws: Rig) -> None:
    swapped(aws)
    one, text = explained(aws, "instance-profile/web")
    assert not one.next.is_blocked
    assert "and role/two after the next apply" in text


def test_what_the_apply_has_nothing_to_do_with_is_not_told_of_it(aws: Rig) -> None:
    """In the JSON it is, for programs that decide by it whether to apply."""
    aws.iam.create_role(RoleName="alien", AssumeRolePolicyDocument=TRUST)
    aws.write(SPEC)
    aws.settle(regions=(HOME,))
    aws.write(SPEC.replace("roles: {", "roles: {alien: {trust: ec2}, "))
    one, text = explained(aws, "instance-profile/web")
    assert "elsewhere in the plan" not in text
    assert [(stop.key, stop.lift) for stop in one.next.elsewhere] == [(None, "--adopt")]
    made = explain("instance-profile/web", aws.request(regions=(HOME,)), aws.commands())
    (shape,) = explain_json(made, NOW)["answers"]
    assert shape["next"]["blocked"] is True
    assert shape["next"]["elsewhere"][0]["addresses"] == ["role/alien"]


def test_every_picture_says_it(aws: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    swapped(aws, GUARDED)
    aws.opened.clear()
    made = make_graph(aws.request(regions=(HOME,)), aws.commands(), every=False)
    for name, form in FORMATS.items():
        drawn = form(made, NOW)
        if name == "json":
            told = json.loads(drawn)["stops"]
            assert [stop["lift"] for stop in told] == [
                "--allow protected=instance-profile/db",
                "--allow protected=instance-profile/other",
            ]
        else:
            assert "2 guards stop the next apply" in drawn, name
    assert run(["graph", str(aws.folder), "--region", HOME]) == ExitCode.OK
    told = capsys.readouterr().err
    assert "override with --allow protected=instance-profile/db" in told


def test_a_picture_of_what_nothing_stops_does_not(aws: Rig) -> None:
    swapped(aws)
    made = make_graph(aws.request(regions=(HOME,)), aws.commands(), every=False)
    for form in FORMATS.values():
        assert "stop the next apply" not in form(made, NOW)
    assert made.stops == ()
