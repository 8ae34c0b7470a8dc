"""A saved plan in place of specs, as ``apply`` and ``rehearse`` take it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from reconciler.cli.files import is_saved_plan, saved_plan
from reconciler.cli.given import OF_REQUEST, typed
from reconciler.commands.planfile import Saved, saved_from

_OF_A_PLAN = OF_REQUEST - {"allow", "parallelism"}
"""Flags that a saved plan stores, so that they are not accepted with one."""


def saved_at(path: Path, context: typer.Context, allow: frozenset[tuple[str, str]]) -> Saved | None:
    """The saved plan, with the guards that ``allow`` overrides now; ``None`` if ``path`` has specs.

    Raises a usage error for planning flags. Environment variables for them are ignored, since the
    plan stores their values."""
    if not is_saved_plan(path):
        return None
    if typed(context, _OF_A_PLAN) or any(key != "growth" for key, _ in allow):
        raise typer.BadParameter(
            "planning flags cannot be combined with a saved plan, except --allow growth=ADDRESS"
        )
    saved = saved_from(saved_plan(path), str(path))
    return replace(saved, request=replace(saved.request, allow=saved.request.allow | allow))
