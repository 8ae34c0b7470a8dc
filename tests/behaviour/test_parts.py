"""A part of a set that needs what the rest of the set would make: told with file and line."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.diagnostics import Diagnostic
from reconciler.errors import RefusedError
from tests.rig import Rig

DOCUMENT = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}"
SET = f"""
policies: {{p: {{document: {DOCUMENT}}}}}
roles:
  alpha: {{trust: ec2, managed_policies: [P]}}
  bound: {{trust: ec2, permissions_boundary: P}}
  trusting:
    trust_policy:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Action: sts:AssumeRole
          Principal: {{AWS: "arn:aws:iam::${{account_id}}:role/Alpha"}}
instance_profiles: {{web: {{role: ALPHA}}}}
associations: {{fleet: {{instance_profile: WEB, select: {{tags: {{app: web}}}}}}}}
"""


def errors(aws: Rig, **flags: Any) -> list[Diagnostic]:
    try:
        aws.plan(**flags)
    except RefusedError as refused:
        return [d for d in refused.diagnostics if d.severity == "error"]
    return []


@pytest.mark.parametrize(
    ("flags", "code", "missing"),
    [
        ({"only": ("role/alpha",)}, "no-such-policy", "policy/p"),
        ({"only": ("role/bound",)}, "no-such-policy", "policy/p"),
        ({"only": ("role/trusting",)}, "no-such-role", "role/alpha"),
        ({"only": ("instance-profile/web",)}, "no-such-role", "role/alpha"),
        ({"only": ("association/*",)}, "no-such-profile", "instance-profile/web"),
        ({"exclude": ("policy/*", "role/bound")}, "no-such-policy", "policy/p"),
        ({"exclude": ("role/ALPHA", "role/trusting")}, "no-such-role", "role/alpha"),
        ({"exclude": ("instance-profile/*",)}, "no-such-profile", "instance-profile/web"),
    ],
)
def test_a_missing_dependency_outside_of_the_part_is_an_error(
    aws: Rig, flags: dict[str, tuple[str, ...]], code: str, missing: str
) -> None:
    aws.launch(tags={"app": "web"})
    aws.write(SET)
    (found,) = errors(aws, **flags)
    assert found.code == code
    assert found.message.startswith(f"{missing} of this set is not in AWS yet")
    assert found.location.line > 1
    aws.settle()
    assert not errors(aws, **flags)


def test_drift_of_a_part_ignores_missing_dependencies(aws: Rig) -> None:
    aws.write(SET)
    found = aws.drift(only=("instance-profile/web", "role/bound"), for_drift=True).findings
    missing = {str(f.address) for f in found if f.status == "missing"}
    assert missing == {"instance-profile/web", "role/bound"}


def test_a_cut_over_without_its_role_in_the_part_is_an_error(aws: Rig) -> None:
    """A cut-over to a role that this plan does not make."""
    aws.write(SET)
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(profile="web")
    aws.write(
        SET.replace("role: ALPHA", "role: gamma").replace("roles:", "roles:\n  gamma: {trust: ec2}")
    )
    (found,) = errors(aws, only=("instance-profile/web",))
    assert found.code == "no-such-role"
    assert found.message.startswith("role/gamma of this set")
