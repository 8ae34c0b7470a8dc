"""Policies in a file: each shape, and each mistake at its place."""

from __future__ import annotations

import json

import pytest

from reconciler.errors import RefusedError
from reconciler.model.policy_decision import statements
from reconciler.render.policies import NamedRole, PolicySet, as_json
from reconciler.spec.policy_file import policies_in

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ONE = {"Version": "2012-10-17", "Statement": [ALLOW]}
ROLE = NamedRole("reconciler-plan", ONE, ("a",))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (json.dumps(ONE), 1),
        (json.dumps(ONE, indent="\t"), 1),
        (json.dumps({**ONE, "Statement": ALLOW}), 1),
        (json.dumps([ONE, ONE]), 2),
        (as_json(PolicySet({"a": ONE})), 1),
        (as_json(PolicySet({"a-1": ONE, "a-2": ONE})), 2),
        (as_json(PolicySet({"a": ONE}, (ROLE,))), 1),
    ],
)
def test_shapes(text: str, count: int) -> None:
    found = policies_in(text, "ci.json")
    assert [statements(one) for one in found] == [[ALLOW]] * count


TYPO = """\
{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "allow", "Action": "iam:*", "Resource": "*"},
    {"Effect": "Allow", "Action": "iam", "Resource": "*"}
  ]
}
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "ci.json:1:1: error[policy-file]: is not JSON: Expecting value"),
        ('{"Version": ', "ci.json:1:13: error[policy-file]: is not JSON: Expecting value"),
        ("[]", "ci.json: error[policy-file]: has no policy: "),
        ("{}", "ci.json: error[policy-file]: has no policy: "),
        ("3", "ci.json:1:1: error[policy-file]: is not a policy: "),
        ('[\n {"a": 1}]', "ci.json:2:2: error[policy-file]: is not a policy: "),
        ('{"PolicyDocument": 1}', "ci.json:1:2: error[policy-file]: is not a policy: "),
        (TYPO, "ci.json:4:16: error[policy-effect]: Effect is Allow or Deny"),
        (TYPO, "ci.json:5:35: error[policy-action]: an action is SERVICE:ACTION"),
        (
            json.dumps({**ONE, "Statement": {**ALLOW, "Principal": "*"}}),
            "error[unknown-key]: unknown key 'Principal'",
        ),
        (
            json.dumps({"roles": {"plan": {}, "apply": {}}}),
            "ci.json:1:2: error[policy-file]: has several roles: pass the policies of one",
        ),
        ('{"Statement": [], "Statement": []}', "error[duplicate-key]"),
        ("[" * 100_000, "error[policy-file]: is nested too deeply"),
    ],
)
def test_mistakes_are_told_at_their_place(text: str, told: str) -> None:
    with pytest.raises(RefusedError) as refused:
        policies_in(text, "ci.json")
    assert any(told in str(one) for one in refused.value.diagnostics), refused.value.diagnostics


def test_a_file_that_has_no_policy_has_a_code_of_its_own() -> None:
    with pytest.raises(RefusedError) as refused:
        policies_in("[3]", "ci.json")
    assert {one.code for one in refused.value.diagnostics} == {"policy-file"}
