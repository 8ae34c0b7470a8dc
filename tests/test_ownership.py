"""Our tags: what is written is what is read, and a stranger's text is nobody's mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.ownership import (
    Failed,
    InstanceKey,
    Pending,
    RoleMark,
    Settled,
    Waiting,
    decode_in_flight,
    decode_role_mark,
    encode_in_flight,
    encode_role_mark,
    fitting,
    split_tags,
)

MARKS: list[tuple[RoleMark, str]] = [
    (Settled("AROA1"), "AROA1"),
    (Settled("-"), "-"),
    (Pending("AROA1", "AROA2", 17, "run"), "pending/AROA1/AROA2/17/run"),
    (Pending("-", "AROA2", 17, "run"), "pending/-/AROA2/17/run"),
    (Waiting("AROA1", 17), "waiting/AROA1/17"),
    (Failed("AROA1"), "failed/AROA1"),
]


@pytest.mark.parametrize(("mark", "text"), MARKS)
def test_role_marks(mark: RoleMark, text: str) -> None:
    assert encode_role_mark(mark) == text
    assert decode_role_mark(text) == mark


@pytest.mark.parametrize(
    "text", [None, "", "pending/a/b/soon/run", "pending/a/b", "a/b", "waiting/a/x"]
)
def test_what_is_no_mark(text: str | None) -> None:
    assert decode_role_mark(text) is None


KEYS = st.builds(
    InstanceKey,
    st.sampled_from(["us-east-1", "ap-southeast-2", "us-gov-west-1"]),
    st.from_regex(r"i-[0-9a-f]{17}", fullmatch=True),
)


@given(st.sets(KEYS, max_size=60))
def test_who_is_in_flight(keys: set[InstanceKey]) -> None:
    chosen = fitting((), sorted(keys))
    marks = encode_in_flight(chosen)
    assert decode_in_flight(marks) == set(chosen)
    assert len(marks) <= 4
    assert all(len(value) <= 256 for value in marks.values())
    assert len(chosen) == len(keys) or len(chosen) >= 28


def test_tags_are_sorted_by_whose_they_are() -> None:
    split = split_tags({"a": "1", "reconciler:owner": "me", "AWS:x": "2"}, "reconciler:")
    assert (split.user, split.marks, split.aws) == ({"a": "1"}, {"owner": "me"}, {"AWS:x": "2"})
