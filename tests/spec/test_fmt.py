"""One layout: what a file means stays, comments stay with what they are about, and a second time
changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import NotWritableError
from reconciler.spec.format.formatter import formatted
from reconciler.spec.yaml.parser import parse
from reconciler.spec.yaml.quoting import scalar
from reconciler.spec.yaml.tree import plain
from tests.program import ROOT, Program

SPECS = sorted([*(ROOT / "specs").glob("*.yaml"), *(ROOT / "examples").glob("*/specs/*.yaml")])


def meaning(text: str) -> Any:
    tree = parse(text, "a.yaml", [])
    return tree and plain(tree)


UGLY = """\
# yaml-language-server: $schema=./spec.json

# About the web tier.
roles:
    web:     # the first
        tags:  {b: "c"  ,  a: 'd'}
        # why ec2
        trust:   "ec2"
        managed_policies:
        - one
        # two, since
        -   two   # at the end


        description: |
              a text
                of two lines

        # nothing more
    # the other one
    other: &other {trust: [ec2, 'lambda'], inline_policies: {p: {Statement: [{Resource: '*', Action: "s3:*", Effect: Allow}], Version: 2012-10-17}}}
version: 1
x-a: >-
  folded
  text
# the end
"""
TIDY = """\
# yaml-language-server: $schema=./spec.json

version: 1
x-a: >-
  folded
  text

# About the web tier.
roles:
  web:  # the first
    description: |
      a text
        of two lines
    # why ec2
    trust: ec2
    managed_policies:
      - one
      # two, since
      - two  # at the end
    tags: {b: c, a: d}

    # nothing more
  # the other one
  other: &other
    trust: [ec2, lambda]
    inline_policies:
      p: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: s3:*, Resource: "*"}]}
# the end
"""


def test_one_layout() -> None:
    assert formatted(UGLY) == TIDY
    assert formatted(TIDY) == TIDY


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.name)
def test_our_own_specs(path: Path) -> None:
    once = formatted(path.read_text("utf-8"))
    assert formatted(once) == once


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("%YAML 1.2\n---\na: 1\n", "directives"),
        ("? [a, b]\n: c\n", "key that is not plain"),
        (
            "a: [x,  # why\n  y]\nb: {"
            + ", ".join(f"k{n}: value" for n in range(30))
            + ",\n # c\n z: 1}\n",
            "inside of brackets",
        ),
    ],
)
def test_what_is_left_to_its_author(text: str, why: str) -> None:
    with pytest.raises(NotWritableError, match=why):
        formatted(text)


def test_an_alias_stays_behind_its_anchor() -> None:
    text = "roles:\n  a: &a {trust: ec2}\npolicies:\n  b: {tags: *a}\n"
    assert formatted(text) == text


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment\n", "---\n# c\n", "a:\n", "[]\n", "x\n"]
)
def test_small_texts(text: str) -> None:
    once = formatted(text)
    assert formatted(once) == once
    assert meaning(once) == meaning(text)


WORDS = st.text("ab:#-'\" é0", max_size=8) | st.sampled_from(
    ["on", "0123", "1.10", "2012-10-17", "*", "arn:aws:iam::1:role/x", "s3:Get*", "${aws:username}"]
)
KEYS = st.sampled_from(["roles", "policies", "version", "x-a", "trust", "tags", "k", "on", "a b"])
COMMENTS = st.sampled_from(["", "", "", "# a", "#b", "#  c: d", "# - e"])
VALUES = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A mapping, written as people write: blocks and brackets, any indent, comments anywhere."""

    def comment() -> str:
        made = draw(COMMENTS)
        return f"  {made}" if made else ""

    def above(indent: int) -> list[str]:
        lines = [""] * draw(st.integers(0, 2))
        made = draw(COMMENTS)
        where = indent if draw(st.booleans()) else draw(st.integers(0, 6))
        return [*lines, " " * where + made] if made else lines

    def text(value: str) -> str:
        how = draw(st.sampled_from(["plain", "single", "double"]))
        if how == "single" and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        if how == "double" and value.isprintable():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return scalar(value, in_flow=True)

    def flow(value: Any) -> str:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return "[" + ", ".join(flow(v) for v in value) + "]"
        return "{" + ", ".join(f"{text(k)}: {flow(v)}" for k, v in value.items()) + "}"

    def block(value: Any, indent: int) -> list[str]:
        if isinstance(value, dict):
            return [line for k, v in value.items() for line in entry(f"{text(k)}:", v, indent)]
        return [line for v in value for line in entry("-", v, indent)]

    def entry(head: str, value: Any, indent: int) -> list[str]:
        pad = " " * indent
        lines = above(indent)
        if isinstance(value, str) or not value or draw(st.booleans()):
            return [*lines, f"{pad}{head} {flow(value)}{comment()}"]
        deeper = indent + draw(st.integers(1, 4))
        if isinstance(value, list) and head != "-" and draw(st.booleans()):
            deeper = indent
        return [*lines, f"{pad}{head}{comment()}", *block(value, deeper)]

    value = draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
    return "\n".join([*block(value, 0), *above(0)]) + "\n"


def holds(text: str) -> None:
    """``formatted`` itself compares values and comments, and raises where they are not the same."""
    once = formatted(text)
    assert formatted(once) == once, (text, once)
    assert meaning(once) == meaning(text)
    assert "\n\n\n" not in once
    assert not any(line != line.rstrip() for line in once.split("\n"))


@given(files())
@settings(max_examples=60)
def test_whatever_people_write(text: str) -> None:
    holds(text)


@pytest.mark.slow
@given(files())
@settings(max_examples=1_000)
def test_whatever_people_write_at_length(text: str) -> None:
    holds(text)


def test_the_command(tmp_path: Path) -> None:
    program = Program(tmp_path)
    path = tmp_path / "specs" / "a.yaml"
    path.parent.mkdir()
    path.write_text(UGLY)
    path.chmod(0o640)
    checked = program.run("fmt", "--check")
    assert (checked.returncode, path.read_text()) == (1, UGLY)
    assert "specs/a.yaml: would change" in checked.stderr
    assert program.run("fmt").returncode == 0
    assert path.read_text() == TIDY
    assert path.stat().st_mode & 0o777 == 0o640
    assert program.run("fmt", "--check", "specs/a.yaml").returncode == 0
    path.write_text("a: [")
    broken = program.run("fmt", "specs/a.yaml")
    assert broken.returncode == 1
    assert "specs/a.yaml:1:5: error[yaml-syntax]" in broken.stderr
    path.write_text("a: 1\n---\nb: 2\n")
    assert "yaml-syntax" in program.run("fmt").stderr
    path.write_text("? [a, b]\n: c\n")
    assert program.run("fmt").returncode == 1
    path.write_text("%YAML 1.2\n---\nroles: {}\n")
    code = "not-formatted"
    assert f"specs/a.yaml: error[{code}]" in program.run("fmt").stderr
    assert program.run("fmt", "nowhere").returncode == 1


@pytest.mark.parametrize("text", ["##[group]x", 'a "##vso[x]y"', "\\##[x] it's", "##[a\n##[b"])
def test_no_command_for_a_runner(text: str) -> None:
    """What is in AWS comes into a patch, and that into a job's log."""
    written = scalar(text)
    assert "##[" not in written
    assert "##vso[" not in written
    assert meaning(f"x-a: {written}\n") == {"x-a": text}
    assert meaning(formatted(f"x-a: [{scalar(text, True)}]\n")) == {"x-a": [text]}
