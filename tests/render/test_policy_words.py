"""Policy changes in words: what is gained and lost, what is equal in effect, what widens."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan.changes import Difference
from reconciler.render.styled_text import plain
from reconciler.render.text.direction import HAPPENED, PLANNED
from reconciler.render.text.values import changed_texts, difference_lines
from tests.model.test_policy_effect import MFA, A, B, allow, deny, document, let

OWN = {"Service": "ec2.amazonaws.com"}
PARTNER = {"AWS": "arn:aws:iam::222222222222:root"}


def lines(before: Any, after: Any, direction: Any = PLANNED, **more: Any) -> list[str]:
    """Below the name of the attribute."""
    difference = Difference("inline_policies.x", before, after)
    return plain([*difference_lines(difference, direction, 0, **more)]).split("\n")[1:]


EQUAL = "    # equal in effect: it allows and denies the same as before"
ROWS: dict[str, tuple[list[Any], list[Any], list[str]]] = {
    # A statement more says all by itself.
    "a statement comes": (
        [allow("s3:Get*", A)],
        [allow("s3:Get*", A), allow("sqs:*", B)],
        ["    + Allow sqs:* on arn:aws:s3:::b/*"],
    ),
    "a statement goes": (
        [allow("s3:Get*", A), deny("sqs:*", B)],
        [allow("s3:Get*", A)],
        ["    - Deny sqs:* on arn:aws:s3:::b/*"],
    ),
    "an action is exchanged": (
        [allow(["s3:GetObject", "s3:PutObject"], A)],
        [allow(["s3:GetObject", "s3:DeleteObject"], A)],
        [
            "    ~ Allow on arn:aws:s3:::a/*",
            "        - Action: s3:PutObject",
            "        + Action: s3:DeleteObject",
            "    + gains s3:DeleteObject on arn:aws:s3:::a/*",
            "    - loses s3:PutObject on arn:aws:s3:::a/*",
        ],
    ),
    "wider": (
        [allow("s3:GetObject", A)],
        [allow("s3:*", A)],
        [
            "    ~ Allow on arn:aws:s3:::a/*",
            "        - Action: s3:GetObject",
            "        + Action: s3:*",
            "    + gains s3:* on arn:aws:s3:::a/*",
        ],
    ),
    "a Deny goes in part": (
        [deny(["s3:*", "sqs:*"])],
        [deny("s3:*")],
        [
            "    ~ Deny on *",
            "        - Action: sqs:*",
            "    + loses a Deny of sqs:* on *",
        ],
    ),
    "a condition comes": (
        [allow("s3:*")],
        [allow("s3:*", Condition=MFA)],
        [
            "    ~ Allow s3:* on *",
            '        ~ Condition: null -> {"Bool": {"aws:MultiFactorAuthPresent": "true"}}',
            "    - loses s3:* on *, but for what has conditions",
        ],
    ),
    "a condition goes": (
        [let(PARTNER, Condition=MFA)],
        [let(PARTNER)],
        [
            "    ~ Allow sts:AssumeRole to arn:aws:iam::222222222222:root",
            '        ~ Condition: {"Bool": {"aws:MultiFactorAuthPresent": "true"}} -> null',
            "    + gains principal 222222222222, which had conditions",
        ],
    ),
    "split": (
        [allow(["s3:Get*", "s3:Put*"])],
        [allow("s3:Get*"), allow("s3:Put*")],
        ["    ~ Allow on *", "        - Action: s3:Put*", "    + Allow s3:Put* on *", EQUAL],
    ),
    "what is covered goes": (
        [allow("s3:*"), allow("s3:Get*", A)],
        [allow("s3:*")],
        ["    - Allow s3:Get* on arn:aws:s3:::a/*", EQUAL],
    ),
    "another Sid": (
        [allow("s3:*", Sid="One")],
        [allow("s3:*", Sid="Two")],
        ["    - One: Allow s3:* on *", "    + Two: Allow s3:* on *", EQUAL],
    ),
    "a principal": (
        [let(OWN)],
        [let({**OWN, **PARTNER})],
        [
            "    ~ Allow sts:AssumeRole",
            "        + Principal: arn:aws:iam::222222222222:root",
            "    + gains principal 222222222222",
        ],
    ),
    "an action of a principal": (
        [let(PARTNER)],
        [let(PARTNER, ["sts:AssumeRole", "sts:TagSession"])],
        [
            "    ~ Allow to arn:aws:iam::222222222222:root",
            "        + Action: sts:TagSession",
            "    + gains principal 222222222222 with sts:TagSession",
        ],
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_in_a_plan(case: str) -> None:
    before, after, told = ROWS[case]
    assert lines(document(*before), document(*after)) == told


def test_in_a_drift() -> None:
    """AWS has the first, the specs want the second."""
    aws, specs = document(allow("s3:*", A)), document(allow("s3:GetObject", A))
    assert lines(aws, specs, HAPPENED)[-1] == "    + gained s3:* on arn:aws:s3:::a/*"
    assert lines(specs, aws, HAPPENED)[-1] == "    - lost s3:* on arn:aws:s3:::a/*"
    split = document(allow("s3:*", A), allow("s3:Get*", A))
    assert lines(split, aws, HAPPENED)[-1] == (
        "    # equal in effect: it allows and denies the same as in the specs"
    )


def test_in_a_few_words() -> None:
    """For a notification."""
    aws, specs = document(allow("s3:*", A)), document(allow("s3:GetObject", A))
    told = changed_texts("inline_policies.x", aws, specs)
    assert told == ["inline_policies.x gained s3:* on arn:aws:s3:::a/*"]
    split = document(allow("s3:*", A), allow("s3:Get*", A))
    (told_equal,) = changed_texts("document", split, aws)
    assert told_equal.startswith("document equal in effect")
    added = document(allow("s3:*", A), allow("sqs:*"))
    assert changed_texts("document", added, aws) == ["document gained Allow sqs:* on *"]


def test_many_actions_are_counted() -> None:
    actions = [f"s3:Get{n}" for n in range(9)]
    before, after = document(allow("s3:Put", A)), document(allow(["s3:Put", *actions], A))
    assert lines(before, after)[-1] == (
        "    + gains s3:Get0, s3:Get1, s3:Get2, s3:Get3, s3:Get4, s3:Get5 and 3 more on "
        "arn:aws:s3:::a/*"
    )
    assert "s3:Get8 on" in lines(before, after, is_full=True)[-1]


def test_what_is_made_needs_no_words() -> None:
    assert lines(None, document(allow("s3:*"))) == ["    + Allow s3:* on *"]
