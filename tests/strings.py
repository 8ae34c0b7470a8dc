"""Prints every text that a user can see, with its place: ``make strings``.

Messages, reasons, notes of steps, headings, help, summaries, banners: string constants with words
in them, found in the syntax tree. Left out are docstrings (except those that become help or a
description in a JSON Schema), keys, codes, names, addresses and members of AWS's requests.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "reconciler"

# A docstring of these becomes a description in a JSON Schema: models of the specs, shapes of JSON.
DESCRIBED = ("spec/models.py", "spec/settings.py", "render/json/types.py")
# Here a word with a capital is a heading; elsewhere it is a member of a request or a policy.
HEADED = ("render", "notify", "cli")

WORDS = re.compile(r"[A-Za-z]{2,}[,:;)'\"’`]*\s+[('\"`{]*[A-Za-z{]|\{\}[,:;)]*\s+[a-z]{2,}")
HEADING = re.compile(r"[A-Z][a-z]+[.:!]?\s*")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a file that a user can see; a value is shown as ``{}``."""
    tree = ast.parse(path.read_text("utf-8"))
    headed = path.relative_to(PACKAGE).parts[0] in HEADED
    hidden = set(_hidden(tree, described=str(path).endswith(DESCRIBED)))
    for node in _outermost(tree):
        text = _text(node)
        seen = WORDS.search(text) or (headed and HEADING.fullmatch(text))
        if seen and id(node) not in hidden:
            yield node.lineno, text


def _outermost(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Strings in the order of the file. The parts of an f-string count with it; strings inside its
    values follow."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            yield child
            for part in child.values:
                if isinstance(part, ast.FormattedValue):
                    yield from _outermost(part)
        elif isinstance(child, ast.Constant):
            if isinstance(child.value, str):
                yield child
        else:
            yield from _outermost(child)


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
    return "".join(map(str, parts))


def _hidden(tree: ast.AST, *, described: bool) -> Iterator[int]:
    """Docstrings that stay in the code, patterns, annotations, operands of comparisons, indexes."""
    shown = {
        id(node.body[0])
        for node in ast.walk(tree)
        if _is_command(node) or (described and isinstance(node, ast.ClassDef))
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as docstring) if id(node) not in shown:
                yield id(docstring)
            case ast.arg(annotation=ast.AST() as annotation):
                yield from map(id, ast.walk(annotation))
            case ast.FunctionDef(returns=ast.AST() as annotation):
                yield from map(id, ast.walk(annotation))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"))):
                yield from map(id, ast.walk(node.args[0]))
            case ast.Compare() | ast.Subscript():
                yield from map(id, ast.iter_child_nodes(node))


def _is_command(node: ast.AST) -> bool:
    """Whether a docstring is the help of a command."""
    decorators = getattr(node, "decorator_list", [])
    return any("command" in ast.dump(d) or "callback" in ast.dump(d) for d in decorators)


def main() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        for line, text in texts(path):
            shown = text.replace("\n", "\\n")
            sys.stdout.write(f"{path.relative_to(ROOT)}:{line}: {shown}\n")


if __name__ == "__main__":
    main()
