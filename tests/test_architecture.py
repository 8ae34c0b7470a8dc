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
    ("kinds", "lint", "permissions"),
    ("cutover",),
    ("planner",),
    ("executor", "impact"),
    ("aws",),
    ("commands",),
    ("doctor", "drift", "explain", "importer"),
    ("render",),
    ("notify",),
    ("sandbox",),
    ("rehearsal", "probe"),
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


@cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name: str) -> int:
    return next(n for n, rooms in enumerate(LAYERS) if name in rooms)


ROOMS: dict[str, list[Path]] = {}
for _module in MODULES:
    ROOMS.setdefault(room(_module), []).append(_module)


@pytest.mark.parametrize("here", ROOMS)
def test_a_module_imports_only_from_lower_layers(here: str) -> None:
    for path in ROOMS[here]:
        for name in imports(path) if path != ROOT / "__init__.py" else ():
            parts = name.split(".")
            if parts[0] != "reconciler" or len(parts) == 1 or parts[1] == "__version__":
                continue
            there, near = parts[1], WITHIN.get(here, set())
            allowed = there == here or there in near or layer(there) < layer(here)
            assert allowed, f"{path.name} ({here}) imports {name}"


@pytest.mark.parametrize("here", sorted(ROOMS.keys() - {"aws", "sandbox"}))
def test_only_aws_and_sandbox_import_boto(here: str) -> None:
    allowed = {"demo.py"}  # it changes AWS by hand, as somebody else would
    for path in ROOMS[here]:
        found = [n for n in imports(path) if n.split(".")[0] in ("boto3", "botocore", "moto")]
        assert not found or path.name in allowed, (path, found)


@pytest.mark.parametrize("here", sorted(ROOMS.keys() - {"cli"}))
def test_only_cli_prints(here: str) -> None:
    for path in ROOMS[here]:
        nodes = list(ast.walk(tree_of(path)))
        calls = [n.func for n in nodes if isinstance(n, ast.Call)]
        called = {f.id for f in calls if isinstance(f, ast.Name)}
        assert not called & {"print", "pprint", "input"}, path
        taken = [n for n in nodes if isinstance(n, ast.Attribute)]
        streams = {n.attr for n in taken if isinstance(n.value, ast.Name) and n.value.id == "sys"}
        assert not streams & {"stdout", "stderr", "stdin"}, path


@pytest.mark.parametrize("here", ROOMS)
def test_rooms_are_small(here: str) -> None:
    for path in ROOMS[here]:
        assert path.read_text("utf-8").count("\n") <= 600, path
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                has_more = ast.get_docstring(node) and node.body[1:]
                start = node.body[1].lineno if has_more else node.lineno
                body = (node.end_lineno or 0) - start + 1
                assert body <= 90, f"{path}: {node.name}: {body} lines"


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_there_are_no_drawers() -> None:
    assert not {part for path in MODULES for part in (path.stem, path.parent.name)} & DRAWERS


def test_commands_that_need_no_aws_do_not_import_boto3() -> None:
    script = "import sys, reconciler.cli.app; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
