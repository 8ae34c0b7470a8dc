"""Gains and losses of a document, whatever its statements are cut into: tables, one row a case."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.policy_effect import Effect, compared, covers
from reconciler.model.trust import matches


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def allow(action: Any, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def deny(action: Any, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, on, **more), "Effect": "Deny"}


def let(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


def told(effects: tuple[Effect, ...]) -> list[tuple[str, list[str], list[str]]]:
    return [(e.effect, [a.text for a in e.actions], [o.text for o in e.on]) for e in effects]


A, B = "arn:aws:s3:::a/*", "arn:aws:s3:::b/*"
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
EQUAL = {
    "split": ([allow(["s3:Get*", "s3:Put*"])], [allow("s3:Get*"), allow("s3:Put*")]),
    "merged over resources": (
        [allow("s3:Get*", A), allow("s3:Get*", B)],
        [allow("s3:Get*", [B, A])],
    ),
    "another Sid": ([allow("s3:*", Sid="One")], [allow("s3:*", Sid="Two")]),
    "what is covered goes": ([allow("s3:*"), allow("s3:GetObject", A)], [allow("s3:*")]),
    "what is covered comes": ([allow("*")], [allow("*"), allow("iam:PassRole")]),
    "twice": ([allow("s3:*")], [allow("s3:*"), allow("s3:*")]),
    "in another case": ([allow("S3:getobject")], [allow("s3:GetObject")]),
    "a narrower one with a condition": (
        [allow("s3:*")],
        [allow("s3:*"), allow("s3:Get*", Condition=MFA)],
    ),
    "a Deny split": ([deny(["s3:Get*", "s3:Put*"])], [deny("s3:Put*"), deny("s3:Get*")]),
    "NotAction again": (
        [{"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}],
        [{"Effect": "Allow", "NotAction": ["sts:*", "IAM:*"], "Resource": "*"}],
    ),
    "trust split": (
        [let({"Service": ["a.b", "c.d"]})],
        [let({"Service": "a.b"}), let({"Service": "c.d"})],
    ),
    "an account in another spelling": (
        [let({"AWS": "arn:aws:iam::222222222222:root"})],
        [let({"AWS": "222222222222"})],
    ),
    "everyone covers a role": ([let("*")], [let("*"), let({"AWS": "arn:aws:iam::1:role/x"})]),
}


@pytest.mark.parametrize("case", EQUAL)
def test_equal_in_effect(case: str) -> None:
    before, after = EQUAL[case]
    assert compared(document(*before), document(*after)).is_equal
    assert compared(document(*after), document(*before)).is_equal


CHANGED = {
    "an action more": (
        [allow("s3:GetObject", A)],
        [allow(["s3:GetObject", "s3:PutObject"], A)],
        [("Allow", ["s3:PutObject"], [A])],
        [],
    ),
    "a resource more": (
        [allow("s3:Get*", A)],
        [allow("s3:Get*", [A, B])],
        [("Allow", ["s3:Get*"], [B])],
        [],
    ),
    "wider": ([allow("s3:GetObject", A)], [allow("s3:*")], [("Allow", ["s3:*"], ["*"])], []),
    "narrower": ([allow("s3:*")], [allow("s3:Get*")], [], [("Allow", ["s3:*"], ["*"])]),
    "a condition comes": (
        [allow("s3:*")],
        [allow("s3:*", Condition=MFA)],
        [],
        [("Allow", ["s3:*"], ["*"])],
    ),
    "a condition goes": (
        [allow("s3:*", Condition=MFA)],
        [allow("s3:*")],
        [("Allow", ["s3:*"], ["*"])],
        [],
    ),
    "a Deny comes": ([allow("*")], [allow("*"), deny("iam:*")], [("Deny", ["iam:*"], ["*"])], []),
    "a Deny goes": ([allow("*"), deny("iam:*")], [allow("*")], [], [("Deny", ["iam:*"], ["*"])]),
    "an action moves": (
        [allow(["s3:Get*", "s3:Put*"], A)],
        [allow("s3:Get*", [A, B]), allow("s3:Put*", B)],
        [("Allow", ["s3:Get*"], [B]), ("Allow", ["s3:Put*"], [B])],
        [("Allow", ["s3:Put*"], [A])],
    ),
    "all but some": (
        [allow("s3:*")],
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
        [("Allow", ["all actions but iam:*"], ["*"])],
        [("Allow", ["s3:*"], ["*"])],
    ),
    "a principal": (
        [let({"Service": "a.b"})],
        [let({"Service": "c.d"})],
        [("Allow", ["sts:AssumeRole"], ["c.d"])],
        [("Allow", ["sts:AssumeRole"], ["a.b"])],
    ),
    "everyone": (
        [let({"AWS": "222222222222"})],
        [let("*")],
        [("Allow", ["sts:AssumeRole"], ["everyone (*)"])],
        [],
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_gains_and_losses(case: str) -> None:
    before, after, gained, lost = CHANGED[case]
    found = compared(document(*before), document(*after))
    assert not found.is_equal
    assert (told(found.gained), told(found.lost)) == (gained, lost)
    back = compared(document(*after), document(*before))
    assert (told(back.gained), told(back.lost)) == (lost, gained)


def test_a_version_that_reads_variables_otherwise_is_no_equal() -> None:
    statement = allow("s3:*", "arn:aws:s3:::${aws:username}/*")
    found = compared(document(statement), document(statement, version="2008-10-17"))
    assert not found.is_equal
    plain = allow("s3:*", A)
    assert compared(document(plain), document(plain, version="2008-10-17")).is_equal


@pytest.mark.parametrize(
    "what", [None, "x", [], {}, {"Statement": None}, {"Statement": ["x"]}, {"Statement": [{}]}]
)
def test_what_is_no_document_allows_nothing(what: object) -> None:
    found = compared(what, document(allow("s3:*")))
    assert told(found.gained) == [("Allow", ["s3:*"], ["*"])]
    assert compared(what, what).is_equal


@pytest.mark.parametrize(
    ("pattern", "other", "is_covered"),
    [
        ("*", "s3:Get?", True),
        ("s3:*", "s3:Get*", True),
        ("s3:Get*", "s3:*", False),
        ("s3:?et", "s3:*et", False),
        ("s3:?et", "s3:?et", True),
        ("s3:*et", "s3:?et", True),
        ("a*b*c", "axxbxxc", True),
        ("a*b*c", "axxcxxb", False),
        ("a*", "a", True),
        ("", "", True),
        ("a", "ab", False),
        ("[a]", "a", False),
    ],
)
def test_patterns(pattern: str, other: str, is_covered: bool) -> None:
    assert covers(pattern, other) is is_covered


WORDS = st.text(alphabet="ab*?", max_size=6)


@given(WORDS, WORDS, st.text(alphabet="ab", max_size=6))
def test_what_is_covered_is_matched(pattern: str, other: str, text: str) -> None:
    if covers(pattern, other) and matches(other, text):
        assert matches(pattern, text)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    began = time.process_time()
    assert not covers("*a" * 500, "a" * 499)
    actions = [f"s3:{'*x' * 5}{n}" for n in range(300)]
    compared(document(allow(actions)), document(allow([f"{a}?" for a in actions])))
    assert time.process_time() - began < 5
