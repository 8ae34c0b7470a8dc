"""Planning with progress on the terminal."""

from __future__ import annotations

from dataclasses import replace

from reconciler.cli.console import Console
from reconciler.cli.progress import Live, progress_for
from reconciler.commands.plan import Planned, make_plan
from reconciler.commands.request import Request, RunPorts
from reconciler.render.text.diagnostics import full


def planning(request: Request, ports: RunPorts, console: Console) -> Planned:
    """The plan. Shows progress while AWS is read, then the warnings about the specs. Raises as
    ``make_plan``."""
    progress = progress_for(console)
    try:
        planned = make_plan(request, replace(ports, progress=progress))
    finally:
        if isinstance(progress, Live):
            progress.stop()
    console.err(*full(planned.diagnostics, planned.sources))
    return planned
