"""The fast reader of YAML and the careful one read every text alike, or the fast one declines."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.diagnostics import Diagnostic
from reconciler.errors import UnreadableError
from reconciler.spec.yaml import careful, events
from reconciler.spec.yaml.composer import Composer
from reconciler.spec.yaml.parser import parse
from reconciler.spec.yaml.tree import Tree, plain, scalars
from tests.program import ROOT
from tests.spec.test_fuzz import EDITS, PIECES, broken

CORPUS = sorted(
    path
    for folder in ("specs", "examples", "tests", ".github")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".yaml", ".yml", ".json")
)
Read = tuple[Tree | None, list[Diagnostic]] | Diagnostic


def read_by(reader: events.Reader, text: str) -> Read:
    problems: list[Diagnostic] = []
    try:
        return Composer("a.yaml", problems).document(reader(text)), problems
    except UnreadableError as error:
        return error.diagnostic


def assert_read_alike(text: str) -> bool:
    """Whether the fast reader has read it."""
    if not events.is_plain(text):
        return False
    try:
        problems: list[Diagnostic] = []
        fast = Composer("a.yaml", problems).document(events.fast(text)), problems
    except (events.NotReadError, UnreadableError):
        return False
    assert fast == read_by(careful.read, text)
    return True


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_of_the_project(path: Path) -> None:
    text = path.read_text("utf-8")
    for variant in (text, text.replace("\n", "\r\n"), text.rstrip("\n")):
        assert_read_alike(variant)


@settings(max_examples=300)
@given(EDITS)
def test_a_broken_spec(edits: list[tuple[float, int, str]]) -> None:
    assert_read_alike(broken(edits))


@settings(max_examples=300)
@given(st.lists(PIECES | st.sampled_from("ab "), max_size=12).map("".join))
def test_any_text(text: str) -> None:
    assert_read_alike(text)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(EDITS)
def test_many_broken_specs(edits: list[tuple[float, int, str]]) -> None:
    assert_read_alike(broken(edits))


@pytest.mark.slow
@settings(max_examples=50_000)
@given(st.lists(PIECES | st.sampled_from("ab "), max_size=12).map("".join))
def test_many_texts(text: str) -> None:
    assert_read_alike(text)


def test_the_fast_reader_reads_the_specs_of_the_project() -> None:
    read = [path for path in CORPUS if path.suffix == ".yaml" and "specs" in path.parts]
    assert read
    assert all(assert_read_alike(path.read_text("utf-8")) for path in read)


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    monkeypatch.setattr(yaml, "parse", None)
    tree = parse("roles: {web: {trust: ec2}}", "a.yaml", [])
    assert tree is not None
    assert plain(tree) == {"roles": {"web": {"trust": "ec2"}}}


@pytest.mark.parametrize("reader", [events.fast, careful.read])
@pytest.mark.parametrize(
    ("text", "place"),
    {
        "a:\nb: 1": (1, 3),
        "a:   # nothing\n\n\nb: 1": (1, 3),
        "x: {a: , b: 1}": (1, 7),
        "x:\n  a:\n": (2, 5),
    }.items(),
)
def test_a_value_that_is_left_out_stands_behind_its_key(
    reader: events.Reader, text: str, place: tuple[int, int]
) -> None:
    tree = Composer("a.yaml", []).document(reader(text))
    assert tree is not None
    empty = [scalar for _, scalar in scalars(tree) if scalar.text is None]
    assert [(s.location.line, s.location.column) for s in empty] == [place]
