"""Our tags: what is written is what is read, and a stranger's text is nobody's mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.ownership import (
    ALL,
    IN_FLIGHT_TAGS,
    OWNER_PATTERN,
    AssociationMark,
    Failed,
    Flight,
    InstanceKey,
    MalformedMark,
    OwnerTag,
    Partial,
    Pending,
    RoleMark,
    Settled,
    Swapped,
    Waiting,
    association_mark,
    decode_association,
    decode_in_flight,
    decode_owner,
    decode_released,
    decode_role_mark,
    decode_swapped,
    decode_temporary_of,
    encode_in_flight,
    encode_owner,
    encode_role_mark,
    encode_swapped,
    encode_temporary_of,
    fitting,
    split_tags,
)
from reconciler.spec.check.aws_limits import is_tag_text

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
    "text",
    [
        None,
        "",
        "pending/a/b/soon/run",
        "pending/a/b",
        "a/b",
        "waiting/a/x",
        "pending/a/b/²/run",
        "waiting/a/²",
        "waiting/a/٣",
        "waiting/a/99999999999999999999",
        "waiting/a/999999999999",
        "waiting/a/-1",
        "waiting/a/1 ",
        "pending/a/b/1/run\n",
        "pending/a/b/1/",
        "pending//b/1/run",
        "failed/",
        "AROA 1",
        "AROA-1",
        "${role/a.id}",
    ],
)
def test_what_is_no_mark(text: str | None) -> None:
    assert decode_role_mark(text) is None


def test_an_id_that_aws_has_not_given_yet() -> None:
    """As a plan that is played through has it."""
    mark = Pending("AROA1", "${app,v2.id}", 17, "this-run")
    assert decode_role_mark(encode_role_mark(mark)) == mark


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("17", 17), ("0", 0), ("253370764800", 253370764800)]
    + [(t, None) for t in (None, "", "²", "1.5", "99999999999999999999", "999999999999", " 1")],
)
def test_when_a_role_was_released(text: str | None, seconds: int | None) -> None:
    assert decode_released(text) == seconds


TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.sampled_from(["pending", "waiting", "failed", "AROA1", "-", "²", "9" * 20, "r", ""])
    ).map("/".join),
)


@given(TEXTS)
def test_whatever_stands_in_a_tag(text: str) -> None:
    """It is read as it would be written, or not at all."""
    mark = decode_role_mark(text)
    assert mark is None or decode_role_mark(encode_role_mark(mark)) == mark
    owner = decode_owner(text)
    assert owner is None or owner.name is None or encode_owner(owner.owner, owner.name) == text
    names = ("owner", "role-id", "released", "in-flight", "association", "holds", "temporary-of")
    for name in (*names, "shadow-of", "in-flight.2", "of-a-later-release"):
        split = split_tags({f"p:{name}": text}, "p:")
        assert set(split.marks) <= {name} and not split.user
        assert decode_in_flight(split.marks) is not None


NAMES = st.from_regex(r"[A-Za-z0-9_+=,.@-]{1,128}", fullmatch=True)


@given(st.from_regex(OWNER_PATTERN, fullmatch=True), NAMES)
def test_the_owner_names_the_resource(owner: str, name: str) -> None:
    text = encode_owner(owner, name)
    assert len(text) <= 256
    assert is_tag_text(text)
    tag = decode_owner(text)
    assert tag == OwnerTag(owner, name)
    assert tag.is_of(name.upper()) and not tag.is_of(name + "x")


def test_the_owner_in_the_form_of_the_first_release() -> None:
    tag = decode_owner("team")
    assert tag == OwnerTag("team")
    assert not tag.is_of("team") and not tag.is_of("")


@pytest.mark.parametrize("text", [None, "", "/web", "team/", "a b", "team/a/b", "team/a,b", "tëam"])
def test_what_is_no_owner(text: str | None) -> None:
    assert decode_owner(text) is None


def test_marks_on_instances() -> None:
    text = association_mark("team", "i-0123456789abcdef0", "AIPA1")
    assert decode_association(text) == AssociationMark("team", "i-0123456789abcdef0", "AIPA1")
    for bad in ("", "team/i-1/AIPA1", "team/i-0123456789abcdef0", f"{text}/x", f"{text} "):
        assert decode_association(bad) is None


def test_a_temporary_profile() -> None:
    assert decode_temporary_of({"temporary-of": encode_temporary_of("a,b")}) == "a,b"
    assert decode_temporary_of({"shadow-of": "web"}) == "web"
    assert decode_temporary_of({"temporary-of": "a b"}) is None
    assert decode_temporary_of({}) is None


def test_when_a_role_was_swapped() -> None:
    assert decode_swapped(encode_swapped(Swapped("AROA1", 17))) == Swapped("AROA1", 17)
    for text in (
        None,
        "",
        "AROA1",
        "AROA1/",
        "AROA1/soon",
        "AROA1/\u00b2",
        "a/b/1",
        "A B/1",
        "A/" + "1" * 13,
        "A/" + "9" * 12,
        "\u00c4/1",
        "A=B/1",
    ):
        assert decode_swapped(text) is None


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
    assert len(marks) <= IN_FLIGHT_TAGS
    assert all(len(value) <= 256 for value in marks.values())
    assert len(chosen) == len(flights) or len(chosen) >= 18


def test_who_is_in_flight_is_read_as_written() -> None:
    key = InstanceKey("us-east-1", "i-0123456a")
    flights = (Flight(key), Flight(InstanceKey("us-east-1", "i-0123456b"), is_stop=True))
    marks = {"in-flight": "us-east-1/i-0123456a us-east-1/i-0123456b/start"}
    assert encode_in_flight(flights) == marks
    assert decode_in_flight(marks) == set(flights)
    assert (
        decode_in_flight({"in-flight": "garbage / a/", "in-flight.2": "", "in-flights": "a/b"})
        == set()
    )


@pytest.mark.parametrize(
    "text",
    [
        "nowhere/i-0123456a",
        "us-east-1/i-xyz",
        "us-east-1/i-0123456",
        "us-east-1/i-0123456789abcdef01",
        "us-east-²/i-0123456a",
        "us-east-1/i-0123456a/stop",
        "us-east-1/i-0123456a/start/x",
        "US-EAST-1/i-0123456a",
        "/i-0123456a",
    ],
)
def test_who_is_not_in_flight(text: str) -> None:
    """And hides nobody who is."""
    good = "us-east-1/i-0123456b"
    assert decode_in_flight({"in-flight": f"{text} {good}"}) == {
        Flight(InstanceKey("us-east-1", "i-0123456b"))
    }
    split = split_tags({"p:in-flight": f"{text} {good}", "p:in-flight.2": text}, "p:")
    assert split.marks == {"in-flight": good}
    assert split.malformed_marks == (
        MalformedMark("p:in-flight", text),
        MalformedMark("p:in-flight.2", text),
    )


def test_regions_that_there_are() -> None:
    tags = {"p:in-flight": "us-east-1/i-0123456a xx-nowhere-1/i-0123456b"}
    split = split_tags(tags, "p:", is_region=lambda name: name == "us-east-1")
    assert split.marks == {"in-flight": "us-east-1/i-0123456a"}
    assert split.malformed_marks == (MalformedMark("p:in-flight", "xx-nowhere-1/i-0123456b"),)


def test_a_region_that_there_is_not_was_never_looked_at() -> None:
    tags = {"reconciler:role-id": "partial/AROA1/eu-west-1 us-nowhere-1"}
    split = split_tags(tags, "reconciler:", is_region="eu-west-1".__eq__)
    assert split.marks == {}
    assert [stray.key for stray in split.malformed_marks] == ["reconciler:role-id"]


def test_tags_are_sorted_by_whose_they_are() -> None:
    split = split_tags({"a": "1", "reconciler:owner": "me", "AWS:x": "2"}, "reconciler:")
    assert (split.user, split.marks, split.aws) == ({"a": "1"}, {"owner": "me"}, {"AWS:x": "2"})


def test_keys_of_a_role_ignore_case_and_no_others() -> None:
    tags = {"Reconciler:Owner": "me/web", "RECONCILER:released": "²", "Team": "x"}
    split = split_tags(tags, "reconciler:", same_key=str.casefold)
    assert (split.user, split.marks) == ({"Team": "x"}, {"owner": "me/web"})
    assert split.malformed_marks == (MalformedMark("RECONCILER:released", "²"),)
    assert split_tags(tags, "reconciler:").user == tags


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("AROANEW/900", Swapped("AROANEW", 900)),
        ("AROANEW/900/10", Swapped("AROANEW", 900, 10)),
        ("AROANEW/900/100", Swapped("AROANEW", 900, ALL)),
        ("AROANEW/900/0", None),
        ("AROANEW/900/101", None),
        ("AROANEW/900/", None),
        ("AROANEW/900/10/1", None),
        ("AROANEW/900/-1", None),
    ],
)
def test_a_checkpoint_in_the_mark_of_a_swap(text: str, mark: Swapped | None) -> None:
    assert decode_swapped(text) == mark
    assert mark is None or encode_swapped(mark) == text
