"""Whether a document lets in or allows more than another: tables, one row a case."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.policy_widening import WIDENINGS, Kind, widenings

EC2 = {"Service": "ec2.amazonaws.com"}
PARTNER = {"AWS": "arn:aws:iam::222222222222:root"}
WITH_ID = {"StringEquals": {"sts:ExternalId": "x"}}


ACCOUNT = "111111111111"


def admitted(wanted: object, found: object) -> tuple[str, ...]:
    return tuple(w.text for w in widenings("trust_policy", wanted, found, {}))


def gained(wanted: object, found: object) -> tuple[str, ...]:
    return tuple(w.text for w in widenings("inline_policies.x", wanted, found, {}))


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
    denied = {"Statement": [{**allow, "Effect": "Deny"}]}
    told = tuple(f"inline policy x allows {grant}" for grant in found)
    assert gained(None, {"Statement": allow}) == told
    assert gained(None, denied) == ()
    assert gained(denied, {"Statement": []}) == tuple(
        f"inline policy x no longer denies {g}" for g in found
    )


def test_all_but_some_actions_is_broad() -> None:
    statement = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    assert gained(None, {"Statement": [statement]}) == (
        "inline policy x allows all actions but iam:*",
    )


def test_a_grant_that_was_there_is_not_gained() -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    one = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/a"}
    two = {**one, "Resource": [one["Resource"], "arn:aws:iam::1:role/b"]}
    wanted = {"Statement": [everything]}
    assert gained(wanted, wanted) == ()
    assert gained(None, wanted) == ("inline policy x allows *",)
    # Equal in effect.
    assert gained(wanted, {"Statement": [everything, one]}) == ()
    assert gained({"Statement": [one]}, {"Statement": [two]}) == (
        "inline policy x allows iam:PassRole",
    )
    assert gained({"Statement": [two]}, {"Statement": [one]}) == ()


KINDS: dict[str, tuple[str, object, object, Kind]] = {
    "a service": ("trust_policy", trust(), trust(let(EC2)), "new-principal"),
    "a role of ours": (
        "trust_policy",
        trust(),
        trust(let({"AWS": f"arn:aws:iam::{ACCOUNT}:role/ci"})),
        "new-principal",
    ),
    "a role of others": (
        "trust_policy",
        trust(),
        trust(let({"AWS": "arn:aws:iam::222222222222:role/ci"})),
        "other-account",
    ),
    "another account": ("trust_policy", trust(), trust(let(PARTNER)), "other-account"),
    "everyone": ("trust_policy", trust(), trust(let("*")), "everyone"),
    "NotPrincipal": (
        "trust_policy",
        trust(),
        trust({"Effect": "Allow", "NotPrincipal": PARTNER, "Action": "sts:AssumeRole"}),
        "everyone",
    ),
    "fewer conditions": (
        "trust_policy",
        trust(let(PARTNER, Condition=WITH_ID)),
        trust(let(PARTNER)),
        "more-for-a-principal",
    ),
    "a Deny": ("trust_policy", trust(let(EC2), DENY), trust(let(EC2)), "deny-gone"),
    "everything": (
        "document",
        None,
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
        "any-action",
    ),
    "pass role": (
        "inline_policies.x",
        None,
        {"Statement": {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}},
        "pass-role",
    ),
    "an administrator": (
        "managed_policies.AdministratorAccess",
        None,
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "any-action",
    ),
    "no boundary": ("permissions_boundary", "arn:aws:iam::1:policy/b", None, "boundary-removed"),
}


@pytest.mark.parametrize("case", KINDS)
def test_what_is_relevant_to_security(case: str) -> None:
    path, narrower, wider, kind = KINDS[case]
    (found,) = widenings(path, narrower, wider, {}, ACCOUNT)
    assert found.kind == kind
    assert found.in_words
    assert widenings(path, wider, wider, {}, ACCOUNT) == ()


def test_every_row_of_the_table_has_a_case() -> None:
    assert {kind for _, _, _, kind in KINDS.values()} == WIDENINGS.keys()


@pytest.mark.parametrize(
    ("path", "narrower", "wider"),
    [
        ("tags.a", None, "*"),
        ("description", "", "x"),
        ("role", "a", "b"),
        ("permissions_boundary", None, "arn:aws:iam::1:policy/b"),
        ("permissions_boundary", "arn:aws:iam::1:policy/b", "arn:aws:iam::1:policy/c"),
        ("managed_policies.AdministratorAccess", "arn", None),
        ("managed_policies.ReadOnlyAccess", None, "arn"),
        ("inline_policies.x", {"Statement": {"Effect": "Allow", "Action": "*"}}, None),
    ],
)
def test_what_is_not(path: str, narrower: object, wider: object) -> None:
    assert widenings(path, narrower, wider, {}) == ()


def test_a_policy_counts_by_its_document_where_that_is_known() -> None:
    document = {"Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}}
    (found,) = widenings("managed_policies.theirs", None, "arn", {"arn": document})
    assert found.text == "theirs allows iam:*"


@pytest.mark.parametrize("document", [None, "x", [], {}, {"Statement": None}, {"Statement": ["x"]}])
def test_what_is_no_document(document: object) -> None:
    assert gained(None, document) == ()
    assert admitted(document, document) == ()
