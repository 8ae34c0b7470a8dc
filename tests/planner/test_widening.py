"""What of a plan widens, and how much the plan matters for it."""

from __future__ import annotations

import pytest

from reconciler.plan.plan import TargetPlan
from tests.planner.worlds import live, plan

EVERYTHING = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}"
READ = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}"
PASS = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 'iam:PassRole', Resource: '*'}]}"


def trust(*principals: str) -> str:
    listed = ", ".join(f"'{p}'" for p in principals)
    return (
        "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 'sts:AssumeRole', "
        f"Principal: {{AWS: [{listed}]}}}}]}}"
    )


def found(planned: TargetPlan) -> list[tuple[str, str, str]]:
    return [(str(c.address), w.kind, w.in_words) for c in planned.changes for w in c.widens]


ROWS: dict[str, tuple[str, str, list[tuple[str, str, str]]]] = {
    "a policy of the set that allows everything is attached": (
        f"policies: {{p: {{document: {EVERYTHING}}}}}\nroles: {{a: {{trust: ec2}}}}",
        f"policies: {{p: {{document: {EVERYTHING}}}}}\nroles: {{a: {{trust: ec2, managed_policies: [p]}}}}",
        [("role/a", "any-action", "p allows *")],
    ),
    # Its document is the one that it is to have.
    "a policy is made wider and attached": (
        f"policies: {{p: {{document: {READ}}}}}\nroles: {{a: {{trust: ec2}}}}",
        f"policies: {{p: {{document: {PASS}}}}}\nroles: {{a: {{trust: ec2, managed_policies: [p]}}}}",
        [
            ("policy/p", "pass-role", "its document allows iam:PassRole"),
            ("role/a", "pass-role", "p allows iam:PassRole"),
        ],
    ),
    "a policy of AWS": (
        "roles: {a: {trust: ec2}}",
        "roles: {a: {trust: ec2, managed_policies: [AdministratorAccess]}}",
        [("role/a", "any-action", "AdministratorAccess allows *")],
    ),
    "a policy of AWS that reads": (
        "roles: {a: {trust: ec2}}",
        "roles: {a: {trust: ec2, managed_policies: [ReadOnlyAccess]}}",
        [],
    ),
    "another account": (
        f"roles: {{a: {{trust_policy: {trust('111111111111')}}}}}",
        f"roles: {{a: {{trust_policy: {trust('111111111111', '222222222222')}}}}}",
        [("role/a", "other-account", "lets in 222222222222 (another account)")],
    ),
    "a service": (
        "roles: {a: {trust: ec2}}",
        "roles: {a: {trust: [ec2, lambda]}}",
        [("role/a", "new-principal", "lets in lambda.amazonaws.com")],
    ),
    "a new role is trusted by a service": ("roles: {}", "roles: {a: {trust: lambda}}", []),
    "a new role lets in another account": (
        "roles: {}",
        f"roles: {{a: {{trust_policy: {trust('222222222222')}}}}}",
        [("role/a", "other-account", "lets in 222222222222 (another account)")],
    ),
    "a new role that may pass roles": (
        "roles: {}",
        f"roles: {{a: {{trust: ec2, inline_policies: {{x: {PASS}}}}}}}",
        [("role/a", "pass-role", "inline policy x allows iam:PassRole")],
    ),
    "narrower": (
        f"roles: {{a: {{trust: [ec2, lambda], inline_policies: {{x: {EVERYTHING}}}}}}}",
        f"roles: {{a: {{trust: ec2, inline_policies: {{x: {READ}}}}}}}",
        [],
    ),
    "no boundary": (
        f"policies: {{b: {{document: {READ}}}}}\nroles: {{a: {{trust: ec2, permissions_boundary: b}}}}",
        f"policies: {{b: {{document: {READ}}}}}\nroles: {{a: {{trust: ec2, permissions_boundary: null}}}}",
        [
            (
                "role/a",
                "boundary-removed",
                "loses its permissions boundary arn:aws:iam::111111111111:policy/b",
            )
        ],
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_what_widens(case: str) -> None:
    before, after, told = ROWS[case]
    assert found(plan(after, live(before))) == told


def test_a_drift_has_causes_instead() -> None:
    before, after, _ = ROWS["a service"]
    assert found(plan(after, live(before), for_drift=True)) == []


def test_what_widens_is_not_part_of_what_is_approved() -> None:
    """It follows from before and after, which are."""
    before, after, _ = ROWS["a service"]
    (change,) = plan(after, live(before)).changes
    assert change.intent == {}
