"""Blocks of Terraform's configuration: what lets it take over a resource, or let go of it.

Sources: developer.hashicorp.com/terraform/language/block/import and block/removed; the ids are
those of the pages of the provider, registry.terraform.io/providers/hashicorp/aws, under "Import".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.render.escape import printable
from reconciler.render.json.encode import json_text


@dataclass(frozen=True, slots=True)
class Import:
    """A resource for Terraform: its type, ``names`` to call it by, and the id that it has there."""

    type: str
    names: tuple[str, ...]
    id: str


def hcl(value: Any) -> str:
    """JSON is HCL, but for templates in its strings."""
    text = json_text(value).replace("\n", "\n  ")
    return text.replace("${", "$${").replace("%{", "%%{")


def label(name: str) -> str:
    """What Terraform takes for a name: letters, digits, ``_`` and ``-``, no digit at the head."""
    made = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return made if re.match(r"[A-Za-z_]", made) else f"_{made}"


def import_blocks(found: Iterable[Import]) -> Iterator[str]:
    """One for each, under names of their own."""
    taken: set[str] = set()
    for one in found:
        name = f"{one.type}.{label('_'.join(one.names))}"
        numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
        to = next(free for free in (name, *numbered) if free not in taken)
        taken.add(to)
        yield f"import {{\n  to = {to}\n  id = {hcl(one.id)}\n}}\n"


def removed_blocks(blocks: Iterable[str], single: Iterable[str] = ()) -> Iterator[str]:
    """For resources that Terraform forgets and does not destroy, by their address in it. A block is
    for all instances of a resource, so ``single`` ones are commands."""
    for address in blocks:
        keep = "  lifecycle {\n    destroy = false\n  }"
        yield f"removed {{\n  from = {printable(address)}\n{keep}\n}}\n"
    if commands := [f"terraform state rm {shlex.quote(address)}" for address in single]:
        head = "Terraform also manages other instances of these. One by one:"
        yield "\n".join(comments([head, *commands])) + "\n"


def comments(lines: Iterable[str]) -> Iterator[str]:
    for one in lines:
        yield f"# {printable(one)}"
