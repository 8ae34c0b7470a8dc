"""The versions that a report of a fault should name."""

from __future__ import annotations

import platform

from reconciler import __version__


def versions() -> dict[str, str]:
    """By name. Asks the installed distribution of botocore, for to import it takes longer."""
    from importlib.metadata import version

    return {
        "reconciler": __version__,
        "python": platform.python_version(),
        "botocore": version("botocore"),
    }


def as_text(versions: dict[str, str]) -> str:
    """A line for each."""
    return "\n".join(f"{name} {number}" for name, number in versions.items())
