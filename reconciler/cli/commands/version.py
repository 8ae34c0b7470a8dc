"""``reconciler version``."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed

from reconciler import __version__
from reconciler.cli import arguments as o
from reconciler.cli.console import Console
from reconciler.render.styled_text import line


def version(as_json: o.Json = False) -> None:
    """Print the versions of the program, Python and botocore."""
    versions = {
        "reconciler": __version__,
        "python": platform.python_version(),
        "botocore": installed("botocore"),
    }
    console = Console(color="never")
    if as_json:
        console.out_json(versions)
    else:
        console.out([line(f"{name} {number}") for name, number in versions.items()])
