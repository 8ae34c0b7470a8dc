"""A first apply, a prune and a move that die at any call: the next apply ends the work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.faults import Crash, crashing
from tests.rig import Rig
from tests.sampling import deaths

DOCUMENT = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
FULL = f"""
policies: {{read: {{document: {DOCUMENT}}}}}
roles:
  web: {{trust: ec2, managed_policies: [read], inline_policies: {{a: {DOCUMENT}}}, tags: {{a: b}}}}
instance_profiles: {{web: {{role: web}}, empty: {{role: null}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""
LITTLE = "roles: {other: {trust: ec2}}"
PRUNE = frozenset({("delete", "3"), ("change", "3"), ("consumers", "instance-profile/web")})


def dies(aws: Rig, at: int, after: bool, **flags: Any) -> bool:
    """Whether the apply got as far as to die."""
    try:
        with crashing(aws, at, after=after):
            aws.apply(**flags)
    except Crash:
        return True
    return False


@pytest.mark.parametrize(("at", "after"), deaths([1, 2, 3, 5, 6, 7, 8, 9], [1, 5, 8]))
def test_a_crash_of_the_first_apply_is_resumed(aws: Rig, at: int, after: bool) -> None:
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write(FULL)
    dies(aws, at, after)
    aws.settle()
    aws.clock.sleep(10)
    assert aws.served(instance) == "web"
    assert aws.names() == {"roles": ["web"], "profiles": ["empty", "web"], "policies": ["read"]}


@pytest.mark.parametrize(("at", "after"), deaths(range(1, 7), [3, 4]))
def test_a_crash_of_a_prune_is_resumed(aws: Rig, at: int, after: bool) -> None:
    aws.launch(1, tags={"app": "web"})
    aws.write(FULL)
    aws.settle()
    aws.write(LITTLE)
    assert dies(aws, at, after, prune=True, allow=PRUNE)
    pruned(aws)
    assert aws.names() == {"roles": ["other", "web"], "profiles": [], "policies": ["read"]}
    assert aws.role_tags("web")["reconciler:released"].isdigit()
    aws.clock.sleep(7 * 3600)
    pruned(aws)
    assert aws.names() == {"roles": ["other"], "profiles": [], "policies": []}


def pruned(aws: Rig) -> None:
    guards = aws.plan(prune=True).plan.guards
    aws.settle(prune=True, allow=frozenset(_pair(g.lift) for g in guards))


def _pair(lift: str) -> tuple[str, str]:
    key, _, value = lift.removeprefix("--allow ").partition("=")
    return key, value
