"""Exactly the plan that was reviewed is applied, or nothing is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.files import saved_plan
from reconciler.commands.apply import Apply
from reconciler.commands.plan import make_plan
from reconciler.commands.planfile import (
    Saved,
    growth,
    refuse_stale,
    refuse_unexpected,
    saved_from,
    specs_digest,
)
from reconciler.commands.planned import Planned
from reconciler.errors import RefusedError
from reconciler.plan.plan import intended
from tests.rig import Rig, save

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2, description: '{text}'}}}}
instance_profiles: {{web: {{role: {role}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""


@pytest.fixture
def ready(aws: Rig) -> Rig:
    """v1 is applied to two instances, v2 is in the specs and its plan is saved."""
    aws.launch(2, tags={"app": "web"})
    aws.write(SPEC.format(role="v1", text="x"))
    aws.settle()
    aws.write(SPEC.format(role="v2", text="x"))
    save(aws.plan(), path(aws))
    return aws


def path(aws: Rig) -> Path:
    return aws.folder / "plan.json"


def load(aws: Rig) -> Saved:
    return saved_from(saved_plan(path(aws)), "plan.json")


def made_again(aws: Rig) -> tuple[Saved, Planned]:
    saved = load(aws)
    return saved, make_plan(saved.request, aws.commands())


def compared(aws: Rig) -> Planned:
    saved, planned = made_again(aws)
    now = intended(planned.plan.targets, planned.plan.owner)
    refuse_stale(saved, now, planned.plan.digest, specs_digest(planned))
    return planned


def refused(aws: Rig) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        compared(aws)
    assert caught.value.exit_code == 5
    return caught.value


def test_the_first_plan_of_a_set_is_accepted(aws: Rig) -> None:
    """It has a step of every kind, waits with their seconds among them."""
    aws.launch(tags={"app": "web"})
    aws.write(SPEC.format(role="v1", text="x"), f"{aws.settings}propagation: 5s\n")
    save(aws.plan(), path(aws))
    assert '"seconds": 5' in path(aws).read_text("utf-8")
    compared(aws)


def test_a_saved_plan_is_applied(ready: Rig) -> None:
    assert Apply(compared(ready), ready.commands()).execute().exit_code == 0
    assert ready.role_in("web") == "v2"


def test_a_new_instance_does_not_make_a_plan_stale(ready: Rig) -> None:
    ready.launch(3, tags={"app": "web"})
    ready.launch(1, profile="web")
    assert compared(ready)


def test_a_cut_over_that_grew_by_over_a_quarter_needs_a_flag(ready: Rig) -> None:
    """The plan is not stale, but a person approved a cut-over of two instances."""
    saved, planned = made_again(ready)
    assert list(growth(saved, planned, ready.clock.now())) == []
    ready.launch(1, profile="web")
    saved, planned = made_again(ready)
    guards = list(growth(saved, planned, ready.clock.now()))
    assert [(g.key, g.lift) for g in guards] == [("growth", "--allow growth=instance-profile/web")]
    assert "3 running instances; 2 when" in guards[0].reason
    allowed = replace(saved.request, allow=frozenset({("growth", "instance-profile/web")}))
    planned = make_plan(allowed, ready.commands())
    assert list(growth(saved, planned, ready.clock.now())) == []


def test_a_plan_that_was_already_applied_is_stale(ready: Rig) -> None:
    Apply(compared(ready), ready.commands()).execute()
    (moved,) = refused(ready).details
    assert moved == "instance-profile/web: was planned as update (role); has no changes now"


def test_an_unplanned_change_in_aws_makes_a_plan_stale(ready: Rig) -> None:
    ready.iam.update_role(RoleName="v2", Description="by hand", MaxSessionDuration=3600)
    (moved,) = refused(ready).details
    assert moved == "role/v2: was not planned; is now update (description)"


def test_a_change_to_a_planned_attribute_makes_a_plan_stale(ready: Rig) -> None:
    """What it was when the plan was reviewed, and what it is now."""
    ready.iam.update_role(RoleName="v2", Description="one", MaxSessionDuration=3600)
    save(ready.plan(), path(ready))
    ready.iam.update_role(RoleName="v2", Description="two", MaxSessionDuration=3600)
    (moved,) = refused(ready).details
    assert moved == 'role/v2: description was "one", is now "two"'


def test_a_deleted_role_makes_a_plan_stale(ready: Rig) -> None:
    ready.iam.delete_role(RoleName="v2")
    details = refused(ready).details
    assert "role/v2: was not planned; is now create" in details


def test_changed_specs_make_a_plan_stale(ready: Rig) -> None:
    ready.write(SPEC.format(role="v2", text="y"))
    assert "specs" in refused(ready).message


def test_a_changed_selector_makes_a_plan_stale(ready: Rig) -> None:
    saved, _ = made_again(ready)
    ready.write(SPEC.format(role="v2", text="x").replace("app: web", "app: all"))
    planned = make_plan(saved.request, ready.commands())
    now = intended(planned.plan.targets, planned.plan.owner)
    with pytest.raises(RefusedError) as caught:
        refuse_stale(saved, now, planned.plan.digest, saved.specs)
    assert caught.value.details == ("the rule of 'fleet': the rule has changed",)


FORGED: dict[str, Any] = {
    "a change taken out": lambda d: d["targets"][0]["changes"].pop(0),
    "another role": lambda d: d["targets"][0]["changes"][0]["after"].update(role="admin"),
    "another digest": lambda d: d.update(digest="sha256:" + "0" * 64),
    "another account": lambda d: d["targets"][0].update(account_id="999999999999"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_plan_file_is_refused(ready: Rig, case: str) -> None:
    document = json.loads(path(ready).read_text())
    FORGED[case](document)
    path(ready).write_text(json.dumps(document))
    with pytest.raises(RefusedError) as caught:
        load(ready)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"request": 1}', "null", '{"request": {}, "digest": 1}']
)
def test_a_file_without_a_plan_is_refused(ready: Rig, text: str) -> None:
    path(ready).write_text(text)
    with pytest.raises(RefusedError) as caught:
        load(ready)
    assert caught.value.exit_code == 1


def test_a_saved_plan_keeps_its_flags(ready: Rig) -> None:
    flags = {
        "prune": True,
        "owner": "tests",
        "only": ("role/*",),
        "allow": frozenset({("delete", "3")}),
    }
    planned = ready.plan(**flags)
    save(planned, path(ready))
    assert load(ready).request == planned.request


def test_an_expected_digest(ready: Rig) -> None:
    """Of the plan that was approved only the digest is known: it is said what the plan is now."""
    plan = ready.plan().plan
    refuse_unexpected(plan.digest, plan)
    with pytest.raises(RefusedError) as caught:
        refuse_unexpected("sha256:a", plan)
    assert caught.value.exit_code == 5
    assert caught.value.details == (
        "instance-profile/web: update (role)",
        'settings: consumer_regions: "all", propagation: 60, tag_prefix: "reconciler:"',
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("propagation: 0s", "propagation was 60, is now 0"),
        (
            "consumer_regions: [us-east-1]",
            'consumer_regions was "all", is now ["us-east-1"]',
        ),
    ],
)
def test_changed_cut_over_settings_make_a_plan_stale(ready: Rig, line: str, told: str) -> None:
    saved, planned = made_again(ready)
    text = (ready.folder / "reconciler.yaml").read_text()
    (ready.folder / "reconciler.yaml").write_text(f"{text}{line}\n")
    now = ready.plan()
    with pytest.raises(RefusedError) as caught:
        refuse_unexpected(planned.plan.digest, now.plan)
    assert caught.value.exit_code == 5
    assert line.partition(":")[0] in caught.value.details[-1]
    intent = intended(now.plan.targets, now.plan.owner)
    with pytest.raises(RefusedError) as caught:
        refuse_stale(saved, intent, now.plan.digest, saved.specs)
    assert caught.value.details == (told,)


def test_a_changed_tag_prefix_makes_a_plan_stale(aws: Rig) -> None:
    """Of any plan: with another prefix other things are ours. What a cut-over rests on is of no
    account where there can be none."""
    aws.write("roles: {web: {trust: ec2}}")
    digest = aws.plan().plan.digest
    aws.write("roles: {web: {trust: ec2}}", f"{aws.settings}tag_prefix: 'acme/'\n")
    assert aws.plan().plan.digest != digest
    aws.write("roles: {web: {trust: ec2}}", f"{aws.settings}propagation: 5s\n")
    assert aws.plan().plan.digest == digest
