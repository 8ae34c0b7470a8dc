"""A clear error with its place for everything that can be wrong with a file, and never a traceback."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diagnostics import has_errors
from reconciler.spec.loader import load
from reconciler.spec.yaml.parser import MAX_FILE_BYTES

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)
)

TEXTS = {
    "unclosed": ("roles: [", "yaml-syntax", 1),
    "tab": ("roles:\n\ta: 1", "yaml-syntax", 2),
    "colon": ("a: b: c", "yaml-syntax", 1),
    "unknown alias": ("roles: *x", "yaml-syntax", 1),
    "two documents": ("roles: {}\n---\nroles: {}", "yaml-syntax", 2),
    "list on top": ("- a", "wrong-type", 1),
    "text on top": ("hello", "wrong-type", 1),
    "number on top": ("42", "wrong-type", 1),
    "bomb": (BOMB, "alias-bomb", None),
    "recursive": ("roles: &r\n  a: *r", "recursive-alias", 2),
    "recursive list": ("&a [*a]", "recursive-alias", 1),
    "tag": ("roles: !Ref x", "unknown-tag", 1),
    "python tag": ("roles: !!python/object:os.system x", "unknown-tag", 1),
    "deep": ("[" * 5000, "yaml-syntax", 1),
    "deep mapping": ("{a: " * 2000, "yaml-syntax", 1),
    "control character": ("roles: \x01", "yaml-syntax", 1),
    "duplicate": ("roles: {}\nroles: {}", "duplicate-key", 2),
    "duplicate inside": ("roles:\n  a: {trust: ec2}\n  a: {trust: ec2}", "duplicate-key", 3),
    "mapping as key": ("? {a: b}\n: c", "bad-key", 1),
    "bad merge": ("roles:\n  a: {<<: text}", "bad-merge", 2),
    "unknown section": ("role: {}", "unknown-key", 1),
    "unknown key": ("roles:\n  a:\n    trst: ec2", "unknown-key", 3),
    "roles is a list": ("roles: [a]", "wrong-type", 1),
    "role is text": ("roles:\n  a: text", "wrong-type", 2),
    "role is null": ("roles:\n  a:", "wrong-type", 2),
    "tags are a list": ("roles:\n  a: {trust: ec2, tags: [x]}", "wrong-type", 2),
    "tag is null": ("roles:\n  a: {trust: ec2, tags: {x: }}", "wrong-type", 2),
    "tag is a mapping": ("roles:\n  a: {trust: ec2, tags: {x: {y: z}}}", "wrong-type", 2),
    "name is a number": ("roles:\n  1: {trust: [1, {a: b}]}", "wrong-type", 2),
    "policies are text": ("roles:\n  a: {trust: ec2, managed_policies: x}", "wrong-type", 2),
    "document is a list": ("policies:\n  p: {document: [x]}", "wrong-type", 2),
    "document is text": ("policies:\n  p: {document: x}", "wrong-type", 2),
    "document is a number": ("policies:\n  p: {document: 4}", "wrong-type", 2),
    "no document": ("policies:\n  p: {}", "missing-key", 2),
    "trust policy is a list": ("roles:\n  r: {trust_policy: [x]}", "wrong-type", 2),
    "no role in a profile": ("instance_profiles:\n  p: {}", "missing-key", 2),
    "version 2": ("version: 2", "invalid-value", 1),
    "session": ("roles:\n  a: {trust: ec2, max_session_duration: soon}", "invalid-duration", 2),
    "none at once": (
        "instance_profiles:\n  p: {role: null, cutover: {max_unavailable: 0}}",
        "invalid-max-unavailable",
        2,
    ),
    "zero percent": (
        "instance_profiles:\n  p: {role: null, cutover: {max_unavailable: 0%}}",
        "invalid-max-unavailable",
        2,
    ),
    "strategy": (
        "instance_profiles:\n  p: {role: null, cutover: {strategy: hope}}",
        "invalid-value",
        2,
    ),
    "unknown variable": (
        "roles:\n  a: {trust: ec2, description: '${acount_id}'}",
        "unknown-variable",
        2,
    ),
    "file elsewhere": ("policies:\n  p: {document: {file: ../x.json}}", "bad-file", 2),
    "file missing": ("policies:\n  p: {document: {file: none.json}}", "unreadable-file", None),
}


@pytest.mark.parametrize("case", TEXTS)
def test_what_is_wrong_and_where(tmp_path: Path, case: str) -> None:
    text, code, line = TEXTS[case]
    (tmp_path / "bad.yaml").write_text(text, "utf-8")
    found = [d for d in load(str(tmp_path)).diagnostics if d.severity == "error"]
    assert code in [d.code for d in found], found
    if line is not None:
        assert line in [d.location.line for d in found if d.code == code]
    assert all(d.location.file.endswith(("bad.yaml", "none.json")) for d in found)


BYTES = {
    "binary": (b"\x7fELF\x00\x01\x02\x80", "not-utf-8"),
    "zeros": (b"roles: {}\n\x00\x00", "not-utf-8"),
    "latin-1": ("roles: {é: 1}".encode("latin-1"), "not-utf-8"),
    "utf-16": ("roles: {}".encode("utf-16"), "not-utf-8"),
    "utf-32": ("roles: {}".encode("utf-32"), "not-utf-8"),
}


@pytest.mark.parametrize("case", BYTES)
def test_other_encodings(tmp_path: Path, case: str) -> None:
    data, code = BYTES[case]
    (tmp_path / "bad.yaml").write_bytes(data)
    assert [d.code for d in load(str(tmp_path)).diagnostics if d.severity == "error"] == [code]


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfroles: {a: {trust: ec2}}")
    assert load(str(tmp_path)).desired.size == 1


def codes(path: Path) -> list[str]:
    return [d.code for d in load(str(path)).diagnostics]


def test_empty_files_and_folders(tmp_path: Path) -> None:
    assert codes(tmp_path) == ["no-specs"]
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "b.yaml").write_text("# a comment\n")
    assert codes(tmp_path) == ["empty-file", "empty-file"]


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert codes(tmp_path / "nowhere") == ["no-such-path"]


def test_an_unreadable_file(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    else:
        (tmp_path / "loop.yaml").write_text("roles: {}")
        (tmp_path / "loop.yaml").chmod(0)
    assert codes(tmp_path) == ["unreadable-file"]


def test_loops_of_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert "link-loop" in codes(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert codes(tmp_path) == ["not-a-file"]


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    began = time.monotonic()
    assert codes(tmp_path) == ["file-too-large"]
    assert time.monotonic() - began < 5
    assert MAX_FILE_BYTES < 100 * 1024 * 1024


def test_all_mistakes_in_one_run(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "roles:\n  a: {trst: ec2}\n  b: {trust: ec2, tags: 1}\n  c: {trust: ec2, path: x}"
    )
    (tmp_path / "b.yaml").write_text("roles: [")
    (tmp_path / "c.yaml").write_text("roles: {c: {trust: ec2}}")
    found = load(str(tmp_path)).diagnostics
    assert [d.code for d in found] == [
        "unknown-key",
        "wrong-type",
        "invalid-path",
        "yaml-syntax",
        "duplicate-name",
    ]
    assert found[0].suggestion == "did you mean 'trust'?"


@given(st.text(max_size=60))
def test_any_text_gives_findings_or_a_set(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    load(str(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "version": JSON,
        "defaults": JSON,
        "policies": st.dictionaries(
            st.text(max_size=5),
            st.fixed_dictionaries({}, optional={"document": JSON, "tags": JSON}),
            max_size=2,
        ),
        "roles": st.dictionaries(
            st.text(max_size=5),
            st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(
                    (
                        "trust",
                        "trust_policy",
                        "managed_policies",
                        "inline_policies",
                        "tags",
                        "path",
                    ),
                    JSON,
                ),
            ),
            max_size=2,
        ),
        "instance_profiles": st.dictionaries(
            st.text(max_size=5),
            st.fixed_dictionaries({}, optional={"role": JSON, "cutover": JSON}),
            max_size=2,
        ),
        "associations": st.dictionaries(
            st.text(max_size=5),
            st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(
                    ("instance_profile", "instances", "select", "regions"), JSON
                ),
            ),
            max_size=2,
        ),
    },
)


@given(SHAPES)
def test_wrong_types_everywhere(tmp_path: Path, shape: dict[str, Any]) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_text(json.dumps(shape), "utf-8")
    spec = load(str(path))
    assert all(d.location.file.endswith("fuzz.yaml") for d in spec.diagnostics)
    if not has_errors(spec.diagnostics):
        # Nothing was dropped on the way: what has no error is in the desired state.
        named = {name.casefold() for name in shape.get("policies", {})}
        assert set(spec.desired.policies) == named


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (
            "roles:\n  r:\n    trust: ec2\n    managed_policies:\n    tags: {}",
            (4, 22),
            "list of names",
        ),
        ("roles:\n  r:\n    trust: ec2\n    managed_policies: abc", (4, 23), "list of names"),
        (
            "roles:\n  r:\n    trust: ec2\n    managed_policies:\n      - a\n      -",
            (6, 8),
            "managed_policies: must be text",
        ),
        ("roles:\n  r:\n    trust: {a: b}", (3, 12), "a list of texts"),
        ("roles:\n  r:\n    trust: ec2\n    tags:", (4, 10), "a mapping, not null"),
        (
            "roles:\n  r:\n    trust: ec2\n    inline_policies:\n      x:",
            (5, 9),
            "x: must be a mapping, not null",
        ),
        (
            "associations:\n  a:\n    instance_profile: p\n    select: {tags: {app: }}",
            (4, 25),
            "text, or a list of texts, not null",
        ),
    ],
)
def test_the_wrong_type_at_its_place(
    tmp_path: Path, text: str, place: tuple[int, int], said: str
) -> None:
    (tmp_path / "s.yaml").write_text(text)
    (found,) = load(str(tmp_path)).diagnostics
    assert (found.code, found.location.line, found.location.column) == ("wrong-type", *place)
    assert said in found.message


def test_one_mistake_hides_no_other_of_the_same_resource(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        """\
roles:
  one:
    trust: ec3
    descripton: x
    path: nope
    max_session_duration: 5 min
    tags: {"aws:x": y, c: {d: e}}
    inline_policies:
      bad: [x]
      own: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "s3 Get", Resource: "*"}]}
  two: {trust: {a: b}, path: nope}
  three: {path: nope, tags: {x: {y: z}}, trust_polic: {}}
"""
    )
    found = load(str(tmp_path)).diagnostics
    assert [(d.location.line, d.code) for d in found] == [
        (3, "trust"),
        (4, "unknown-key"),
        (5, "invalid-path"),
        (6, "invalid-duration"),
        (7, "reserved-tag"),
        (7, "wrong-type"),
        (9, "wrong-type"),
        (10, "policy-action"),
        (11, "wrong-type"),
        (12, "wrong-type"),
        (12, "unknown-key"),
    ]
