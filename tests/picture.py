"""The picture of the packages in ``docs/architecture.md``, from the imports of the code."""

from __future__ import annotations

import re

from tests.test_architecture import LAYERS, MODULES, ROOT, imports, room

PATH = ROOT.parent / "docs" / "architecture.md"
_PART = re.compile(r"(<!-- picture -->\n```text\n).*?(```\n<!-- end -->)", re.DOTALL)


def edges() -> dict[str, set[str]]:
    """By package or module at the root, those that it imports."""
    made: dict[str, set[str]] = {}
    for path in MODULES:
        if path == ROOT / "__init__.py":
            continue
        here = room(path)
        names = (name.split(".") for name in imports(path))
        found = {parts[1] for parts in names if parts[0] == "reconciler" and len(parts) > 1}
        made.setdefault(here, set()).update(found - {here, "__version__"})
    return made


def picture() -> str:
    """A line for each package, the highest first: what it imports, in the order of the layers."""
    found = edges()
    order = [name for layer in LAYERS for name in layer]
    lines = []
    for layer in reversed(LAYERS):
        for name in layer:
            lower = [other for other in order if other in found.get(name, ())]
            lines.append(f"{name:<12} -> {' '.join(lower)}".rstrip(" ->").rstrip())
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def page() -> str:
    text = PATH.read_text("utf-8")
    return _PART.sub(lambda found: found[1] + picture() + found[2], text)
