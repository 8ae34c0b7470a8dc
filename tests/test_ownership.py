"""Our tags: what is written is what is read, and a stranger's text is nobody's mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.ownership import (
    Failed,
    Flight,
    InstanceKey,
    Partial,
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
    (Partial("AROA1", ("eu-west-1",)), "partial/AROA1/eu-west-1"),
    (Partial.of("AROA1", ["us-east-1", "eu-west-1"]), "partial/AROA1/eu-west-1 us-east-1"),
    (Partial.of("AROA1", [f"region-{n:05}" for n in range(30)]), "partial/AROA1/"),
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


FLIGHTS = st.builds(Flight, KEYS, st.booleans())


@given(st.sets(FLIGHTS, max_size=60))
def test_who_is_in_flight(flights: set[Flight]) -> None:
    chosen = fitting((), sorted(flights))
    marks = encode_in_flight(chosen)
    assert decode_in_flight(marks) == set(chosen)
    assert len(marks) <= 4
    assert all(len(value) <= 256 for value in marks.values())
    assert len(chosen) == len(flights) or len(chosen) >= 24


def test_who_is_in_flight_is_read_as_written() -> None:
    key = InstanceKey("us-east-1", "i-0abc")
    flights = (Flight(key), Flight(InstanceKey("us-east-1", "i-0def"), is_stop=True))
    marks = {"in-flight": "us-east-1/i-0abc us-east-1/i-0def/start"}
    assert encode_in_flight(flights) == marks
    assert decode_in_flight(marks) == set(flights)
    assert (
        decode_in_flight({"in-flight": "garbage / a/", "in-flight.2": "", "in-flights": "a/b"})
        == set()
    )


def test_tags_are_sorted_by_whose_they_are() -> None:
    split = split_tags({"a": "1", "reconciler:owner": "me", "AWS:x": "2"}, "reconciler:")
    assert (split.user, split.marks, split.aws) == ({"a": "1"}, {"owner": "me"}, {"AWS:x": "2"})
