"""Names as IAM compares them, in the one type that does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reconciler
from reconciler.model.address import ANY_INSTANCE, EVERYTHING, Address, Arns, same_resource

ROOT = Path(reconciler.__file__).parent
NAMES = st.text("abcXYZ019+=,.@_-", min_size=1, max_size=20)
KINDS = st.sampled_from(["role", "policy", "instance-profile"])
ARNS = Arns("aws", "111111111111")


@given(KINDS, NAMES)
def test_the_case_of_a_name_does_not_count(kind: str, name: str) -> None:
    one, other = Address(kind, name.upper()), Address(kind, name.lower())
    assert one == other
    assert hash(one) == hash(other)
    assert not one < other and not other < one
    assert str(one) == f"{kind}/{name.upper()}"


@given(KINDS, NAMES)
def test_an_address_is_read_as_it_is_written(kind: str, name: str) -> None:
    assert str(Address.parse(f"{kind}/{name}")) == f"{kind}/{name}"


def test_instances_and_kinds_are_told_apart() -> None:
    assert Address("association", "i-0A") != Address("association", "i-0a")
    assert Address("role", "web") != Address("policy", "web")
    assert Address("role", "web") != "role/web"
    assert (str(EVERYTHING), str(ANY_INSTANCE)) == ("*", "association/*")


MATCHES = [
    ("role/Web-1", "role/web-*", True),
    ("role/web-1", "ROLE/WEB-?", True),
    ("role/web-1", "role/web", False),
    ("role/web", "*", True),
    ("policy/web", "role/*", False),
    ("association/i-0abc", "association/i-0a*", True),
    ("association/i-0abc", "association/i-0A*", False),
]


@pytest.mark.parametrize(("address", "pattern", "wanted"), MATCHES)
def test_globs(address: str, pattern: str, wanted: bool) -> None:
    assert Address.parse(address).matches(pattern) is wanted


def test_arns() -> None:
    role = ARNS.of("role", "/web/", "app")
    assert role == "arn:aws:iam::111111111111:role/web/app"
    assert ARNS.address(role) == Address("role", "APP")
    assert ARNS.address("arn:aws:iam::222222222222:role/web/app") is None
    assert ARNS.address("arn:aws-cn:iam::111111111111:role/app") is None
    assert ARNS.address("arn:aws:iam::aws:policy/ReadOnlyAccess") is None
    assert ARNS.aws_managed("/", "ReadOnlyAccess") == "arn:aws:iam::aws:policy/ReadOnlyAccess"


SAME = [
    (ARNS.of("instance-profile", "/", "web"), ARNS.of("instance-profile", "/a/", "WEB"), True),
    (ARNS.of("instance-profile", "/", "web"), ARNS.of("role", "/", "web"), False),
    (ARNS.of("role", "/", "web"), Arns("aws", "222222222222").of("role", "/", "web"), False),
]


@pytest.mark.parametrize(("left", "right", "wanted"), SAME)
def test_one_resource_whatever_its_path(left: str, right: str, wanted: bool) -> None:
    assert same_resource(left, right) is wanted


FOLDS = re.compile(r"\.(casefold|lower|upper)\b")
"""Anything that makes a comparison of names by itself."""
ELSEWHERE = {
    "address.py": "this is the place",
    "diagnostics.py": "suggestions for a word that is wrong",
    "policy_document.py": "keys and actions of policies",
}


def test_names_are_compared_nowhere_else() -> None:
    """In the part that decides: what is read, planned and executed."""
    decides = ("planner", "kinds", "cutover", "executor", "commands", "plan")
    files = [p for name in decides for p in sorted((ROOT / name).rglob("*.py"))]
    found = [str(p.relative_to(ROOT)) for p in files if FOLDS.search(p.read_text("utf-8"))]
    assert not set(found) - ELSEWHERE.keys(), found
