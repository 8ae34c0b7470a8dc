"""Completion of values in a shell, as flags name it. What it takes is imported when it is asked
for: most completions are of a command or a flag."""

from __future__ import annotations

import typer


def addresses(context: typer.Context, incomplete: str) -> list[str]:
    """Of resources in the specs, and of instances that they list."""
    from reconciler.cli import suggestions

    return suggestions.addresses(context, incomplete)


def targets(context: typer.Context, incomplete: str) -> list[str]:
    """Of the settings."""
    from reconciler.cli import suggestions

    return suggestions.targets(context, incomplete)


def allowances(context: typer.Context, incomplete: str) -> list[str | tuple[str, str]]:
    """Keys of ``--allow`` with what they lift; after the equals sign, addresses."""
    from reconciler.cli import suggestions

    return suggestions.allowances(context, incomplete)


def reports(context: typer.Context, incomplete: str) -> list[str]:
    """``FORMAT=`` of the command's reports."""
    from reconciler.cli import suggestions

    return suggestions.reports(context, incomplete)


def purposes(incomplete: str) -> list[str]:
    """Commands that ``permissions`` knows."""
    from reconciler.cli import suggestions

    return suggestions.purposes(incomplete)


def destinations(incomplete: str) -> list[str]:
    """``KIND=`` of ``--notify``."""
    from reconciler.cli import suggestions

    return suggestions.destinations(incomplete)
