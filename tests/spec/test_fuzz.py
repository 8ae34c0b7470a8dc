"""Broken files: no traceback, no hang, and not all of the memory. ``make sweep`` tries more of them."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.diagnostics import has_errors
from reconciler.spec.loader import load
from tests.program import ROOT

WHOLE = """
version: 1
x-common: &common {team: web, 'a:b': "c d"}
defaults: {tags: *common, path: /app/}
policies:
  read:
    description: |
      Reads what it must.
      And no more.
    document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}
roles:
  web:
    trust: ec2
    managed_policies: [read, AmazonSSMManagedInstanceCore, "arn:aws:iam::aws:policy/ReadOnlyAccess"]
    inline_policies: {logs: {Statement: {Effect: Allow, Action: 'logs:*', Resource: '*'}}}
    max_session_duration: 2h
    tags: {<<: *common, env: "${account_id}"}
  other: {trust_policy: {Statement: [{Effect: Allow, Principal: {AWS: '123456789012'}, Action: 'sts:AssumeRole'}]}}
instance_profiles:
  web: {role: web, cutover: {strategy: hop, max_unavailable: 25%, pause: 30s, on_failure: rollback}}
  empty: {role: null}
associations:
  fleet: {instance_profile: web, select: {tags: {app: [web, api]}}, regions: [eu-west-1]}
  two: {instance_profile: web, instances: [i-0123456789abcdef0, i-0123456789abcdef1]}
"""
PIECES = st.sampled_from(
    [
        *(
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "- ",
            "\n",
            "\n  ",
            "&a ",
            "*a",
            "*common",
            "<<: ",
            "!!int ",
        ),
        *("'", '"', "|\n", ">", "#", "? ", "---\n", "...\n", "%YAML 1.1\n", "\t", "\x00", "\x85"),
        *(
            "${",
            "${var.x}",
            "$${",
            "null",
            "~",
            "yes",
            "0x1F",
            "1e400",
            ".inf",
            "2024-01-01",
            "\ufeff",
        ),
        *("\u202e", "\ud800", "é", "日本", "a" * 300, "🙂", "*", "**", "\\", "\r"),
    ]
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), PIECES), min_size=1, max_size=5)


def broken(edits: list[tuple[float, int, str]]) -> str:
    text = WHOLE
    for where, gone, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + gone :]
    return text


def load_it(folder: Path, edits: list[tuple[float, int, str]]) -> None:
    path = folder / "fuzz.yaml"
    path.write_bytes(broken(edits).encode("utf-8", "surrogatepass"))
    found = load(str(path)).diagnostics
    assert all(d.location.file.endswith("fuzz.yaml") and d.message and d.code for d in found)


def test_what_is_whole_has_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "fuzz.yaml").write_text(WHOLE)
    found = load(str(tmp_path / "fuzz.yaml")).diagnostics
    assert not has_errors(found), found


@settings(max_examples=150)
@given(EDITS)
def test_a_broken_file(tmp_path: Path, edits: list[tuple[float, int, str]]) -> None:
    load_it(tmp_path, edits)


@pytest.mark.slow
@settings(max_examples=5000)
@given(EDITS)
def test_many_broken_files(tmp_path: Path, edits: list[tuple[float, int, str]]) -> None:
    load_it(tmp_path, edits)


LARGE: dict[str, Callable[[], str]] = {
    "values": lambda: "roles:\n" + "- a\n" * 2_500_000,
    "keys": lambda: "".join(f"k{n}: v\n" for n in range(700_000)),
    "flow": lambda: "a: [" + "a," * 4_000_000 + "a]",
    "one text": lambda: "a: " + "x" * 10_000_000,
    "lines": lambda: "a: |\n" + "  x\n" * 990_000,
    "more lines": lambda: "a: |\n" + "  x\n" * 2_000_000,
    "open brackets": lambda: "a: " + "[" * 5_000_000,
    "aliases": lambda: "a: &a [x]\nb: [" + "*a," * 1_500_000 + "*a]",
}
LIMIT = 500 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("kind", LARGE)
def test_a_large_file_is_bounded(tmp_path: Path, kind: str) -> None:
    """In a process of its own, which may take 500 MB, and ten seconds on an idle machine."""
    (tmp_path / "large.yaml").write_text(LARGE[kind]())
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "validate", "large.yaml"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert done.returncode in (0, 1), done.stderr[-500:]
    assert "Traceback" not in done.stderr
