"""What completes a value in a shell: what the specs in the folder name, without AWS. Specs with
errors complete nothing. Imported when a value is completed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

import typer

from reconciler.diagnostics import has_errors
from reconciler.notify.notifier import KINDS
from reconciler.plan.authorization import Purpose
from reconciler.planner.options import ALLOW, COUNTS
from reconciler.planner.patterns import of_the_specs
from reconciler.render import formats
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import load

REPORTS: Mapping[str, Mapping[str, object]] = {
    "validate": formats.VALIDATE,
    "drift": formats.DRIFT,
    "forget": formats.FORGET,
}
"""Formats of ``--report`` by command; all others report plans."""


def addresses(context: typer.Context, incomplete: str) -> list[str]:
    """Of resources in the specs, and of instances that they list."""
    return _beginning(incomplete, _addresses(context))


def targets(context: typer.Context, incomplete: str) -> list[str]:
    """Of the settings."""
    spec = _specs(context)
    return [] if spec is None else _beginning(incomplete, spec.settings.targets)


def allowances(context: typer.Context, incomplete: str) -> list[str | tuple[str, str]]:
    """Keys of ``--allow`` with what they lift; after the equals sign, addresses."""
    key, equals, _ = incomplete.partition("=")
    if not equals:
        return [(f"{name}=", what) for name, what in ALLOW.items() if name.startswith(key)]
    if key not in ALLOW or key in COUNTS:
        return []
    return [*_beginning(incomplete, (f"{key}={address}" for address in _addresses(context)))]


def reports(context: typer.Context, incomplete: str) -> list[str]:
    """``FORMAT=`` of the command's reports."""
    known = REPORTS.get(context.info_name or "", formats.PLAN)
    return [f"{name}=" for name in known if name.startswith(incomplete)]


def purposes(incomplete: str) -> list[str]:
    """Commands that ``permissions`` knows."""
    return _beginning(incomplete, get_args(Purpose))


def destinations(incomplete: str) -> list[str]:
    """``KIND=`` of ``--notify``."""
    return [f"{kind}=" for kind in KINDS if kind.startswith(incomplete)]


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return sorted(word for word in words if word.startswith(incomplete))


def _addresses(context: typer.Context) -> list[str]:
    spec = _specs(context)
    return [] if spec is None else [str(address) for address in of_the_specs(spec.desired)]


def _specs(context: typer.Context) -> SpecSet | None:
    """The set of the command line, or the one that the command takes without an argument; ``None``
    if it has errors."""
    # The flag that is completed has no value yet: typer stops there, and leaves arguments unread.
    unread = [word for word in context.args if not word.startswith("-")]
    path = unread[0] if unread else context.params.get("specs")
    try:
        spec = load(str(path or "specs"))
    except OSError:
        return None  # it went, or may not be read: nothing to complete
    return None if has_errors(spec.diagnostics) else spec
