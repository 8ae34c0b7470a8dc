"""Where policy documents stand in a spec: the one rule for what reads, checks and formats them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.spec.yaml import cst, tree

Path = tuple[str, ...]
"""Keys on the way, as the long form has them; ``*`` for an item of a sequence."""


def is_wrapped(entries: Mapping[str, object]) -> bool:
    """Whether inline policies are given in the long form, ``{exclusive: …, policies: {…}}``. In the
    short form any name is a policy's: ``policies``, ``file``, and ``exclusive`` with a document."""
    mappings = (dict, tree.Mapping, cst.CstMapping)
    return "exclusive" in entries and not isinstance(entries["exclusive"], mappings)


def inside(path: Path, entries: Mapping[str, object]) -> Path:
    """The path of the entries of the mapping at ``path``, inline policies as in the long form."""
    match path:
        case ("roles", _, "inline_policies") if not is_wrapped(entries):
            return (*path, "policies")
        case _:
            return path


def is_document(path: Path) -> bool:
    """Whether a policy document stands there."""
    match path:
        case ("policies", _, "document") | ("roles", _, "trust_policy"):
            return True
        case ("roles", _, "inline_policies", "policies", _):
            return True
        case _:
            return False


def mapped_documents(root: tree.Tree, change: Callable[[tree.Tree], tree.Tree]) -> tree.Tree:
    """The tree with every policy document changed, and nothing else."""

    def walk(node: tree.Tree, path: Path) -> tree.Tree:
        if is_document(path):
            return change(node)
        if not isinstance(node, tree.Mapping):
            return node
        here = inside(path, node.items)
        items = {key: walk(value, (*here, key)) for key, value in node.items.items()}
        return tree.Mapping(items, node.keys, node.location)

    return walk(root, ())


def place_of_inline(root: tree.Tree, role: str, name: str) -> tuple[str, ...]:
    """The path of an inline policy as it is written, from its role on."""
    found = tree.child(root, ("roles", role, "inline_policies"))
    is_long = isinstance(found, tree.Mapping) and is_wrapped(found.items)
    return ("inline_policies", *(("policies",) if is_long else ()), name)


def place_of_managed(root: tree.Tree, role: str) -> tuple[str, ...]:
    """The path of the list of managed policies as it is written, from its role on."""
    found = tree.child(root, ("roles", role, "managed_policies"))
    return ("managed_policies", *(("policies",) if isinstance(found, tree.Mapping) else ()))
