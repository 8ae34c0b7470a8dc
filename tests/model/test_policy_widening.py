"""Whether a document lets in or allows more than another: tables, one row a case."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.policy_widening import admitted, broad_grants, gained_grants

EC2 = {"Service": "ec2.amazonaws.com"}
PARTNER = {"AWS": "arn:aws:iam::222222222222:root"}
WITH_ID = {"StringEquals": {"sts:ExternalId": "x"}}


def trust(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def let(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


DENY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sts:AssumeRole",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
WIDER = {
    "another account": (trust(let(EC2)), trust(let(EC2), let(PARTNER)), "222222222222"),
    "another account in the same statement": (
        trust(let(EC2)),
        trust(let({**EC2, **PARTNER})),
        "222222222222",
    ),
    "everyone": (trust(let(EC2)), trust(let("*")), "everyone (*)"),
    "everyone as AWS": (trust(let(EC2)), trust(let({"AWS": "*"})), "everyone (*)"),
    "another service": (
        trust(let(EC2)),
        trust(let({"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]})),
        "lambda.amazonaws.com",
    ),
    "a federated identity": (
        trust(let(EC2)),
        trust(let(EC2), let({"Federated": "accounts.google.com"}, "sts:AssumeRoleWithWebIdentity")),
        "accounts.google.com",
    ),
    "a condition is gone": (
        trust(let(PARTNER, Condition=WITH_ID)),
        trust(let(PARTNER)),
        "222222222222 with fewer conditions or more actions",
    ),
    "another action": (
        trust(let(EC2)),
        trust(let(EC2, ["sts:AssumeRole", "sts:TagSession"])),
        "ec2.amazonaws.com with fewer conditions or more actions",
    ),
    "a Deny is gone": (trust(let(EC2), DENY), trust(let(EC2)), "a Deny is missing"),
    "NotPrincipal": (
        trust(let(EC2)),
        trust({"Effect": "Allow", "NotPrincipal": PARTNER, "Action": "sts:AssumeRole"}),
        "a statement by what it excludes (NotPrincipal, NotAction)",
    ),
    "the whole of an account instead of a role": (
        trust(let({"AWS": "arn:aws:iam::222222222222:role/ci"})),
        trust(let(PARTNER)),
        "222222222222",
    ),
}
NOT_WIDER = {
    "the same": (trust(let(EC2)), trust(let(EC2))),
    "in another spelling": (trust(let(PARTNER)), trust(let({"AWS": "222222222222"}))),
    "a principal less": (trust(let({**EC2, **PARTNER})), trust(let(EC2))),
    "split in two": (trust(let({**EC2, **PARTNER})), trust(let(EC2), let(PARTNER))),
    "one more condition": (trust(let(PARTNER)), trust(let(PARTNER, Condition=WITH_ID))),
    "an action less": (trust(let(EC2, ["sts:AssumeRole", "sts:TagSession"])), trust(let(EC2))),
    "a narrower action": (trust(let(EC2, "sts:*")), trust(let(EC2))),
    "one more Deny": (trust(let(EC2)), trust(let(EC2), DENY)),
    "nothing is left": (trust(let(EC2)), trust()),
}


@pytest.mark.parametrize("case", WIDER)
def test_a_wider_trust(case: str) -> None:
    wanted, found, said = WIDER[case]
    assert admitted(wanted, found) == (said,)


@pytest.mark.parametrize("case", NOT_WIDER)
def test_a_trust_that_is_not_wider(case: str) -> None:
    assert admitted(*NOT_WIDER[case]) == ()


GRANTS = {
    "everything": ("*", ("*",)),
    "a service": ("s3:*", ()),
    "pass role": (["s3:GetObject", "iam:passrole"], ("iam:PassRole",)),
    "all of iam": ("iam:*", ("iam:*",)),
    "a pattern": ("iam:Pass*", ("iam:Pass*",)),
    "other of iam": ("iam:Get*", ()),
}


@pytest.mark.parametrize("case", GRANTS)
def test_broad_grants(case: str) -> None:
    action, found = GRANTS[case]
    allow = {"Effect": "Allow", "Action": action, "Resource": "*"}
    assert broad_grants({"Statement": allow}) == found
    assert broad_grants({"Statement": [{**allow, "Effect": "Deny"}]}) == ()


def test_all_but_some_actions_is_broad() -> None:
    statement = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    assert broad_grants({"Statement": [statement]}) == ("all actions but iam:*",)


def test_a_grant_that_was_there_is_not_gained() -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    more = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}
    wanted = {"Statement": [everything]}
    assert gained_grants(wanted, {"Statement": [everything]}) == ()
    assert gained_grants(wanted, {"Statement": [everything, more]}) == ("iam:PassRole",)
    assert gained_grants(None, wanted) == ("*",)


@pytest.mark.parametrize("document", [None, "x", [], {}, {"Statement": None}, {"Statement": ["x"]}])
def test_what_is_no_document(document: object) -> None:
    assert broad_grants(document) == ()
    assert admitted(document, document) == ()
