"""The house: what each layer may import, who talks to AWS, who prints, how large rooms are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import reconciler

ROOT = Path(reconciler.__file__).parent

LAYERS = (
    ("diagnostics", "exit_codes", "clock", "threads"),
    ("errors",),
    ("model",),
    ("plan",),
    ("ports",),
    ("spec",),
    ("kinds",),
    ("cutover",),
    ("planner",),
    ("executor",),
    ("aws",),
    ("commands",),
    ("drift", "importer"),
    ("render",),
    ("notify",),
    ("sandbox",),
    ("cli", "__main__"),
)
"""Lowest first. A module imports from lower layers, and from its own package."""

WITHIN = {"__main__": {"cli"}}
"""What packages of one layer may take from each other."""

DRAWERS = {"utils", "util", "helpers", "common", "base", "manager", "misc"}
MODULES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name: str) -> int:
    return next(n for n, rooms in enumerate(LAYERS) if name in rooms)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_lower_layers(path: Path) -> None:
    if path == ROOT / "__init__.py":
        return
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "reconciler" or len(parts) == 1 or parts[1] == "__version__":
            continue
        there = parts[1]
        allowed = there == here or there in WITHIN.get(here, set()) or layer(there) < layer(here)
        assert allowed, f"{path.name} ({here}) imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_aws_and_sandbox_import_boto(path: Path) -> None:
    if room(path) in ("aws", "sandbox"):
        return
    allowed = {"demo.py"}  # it changes AWS by hand, as somebody else would
    found = [n for n in imports(path) if n.split(".")[0] in ("boto3", "botocore", "moto")]
    assert not found or path.name in allowed, found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_cli_prints(path: Path) -> None:
    if room(path) == "cli":
        return
    tree = tree_of(path)
    called = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not called & {"print", "pprint", "input"}
    streams = {
        n.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "sys"
    }
    assert not streams & {"stdout", "stderr", "stdin"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_are_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 600
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            start = (
                node.body[1].lineno if ast.get_docstring(node) and node.body[1:] else node.lineno
            )
            body = (node.end_lineno or 0) - start + 1
            assert body <= 90, f"{node.name}: {body} lines"


def test_there_are_no_drawers() -> None:
    assert not {part for path in MODULES for part in (path.stem, path.parent.name)} & DRAWERS


def test_commands_that_need_no_aws_do_not_import_boto3() -> None:
    script = "import sys, reconciler.cli.app; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
