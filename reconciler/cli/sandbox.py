"""``reconciler sandbox``."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from reconciler.cli.console import Console
from reconciler.exit_codes import ExitCode
from reconciler.report.diagnostics_text import concise
from reconciler.report.styled import Line, Piece, data, line
from reconciler.sandbox.world import Lags, World
from reconciler.spec.source import Unreadable

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")]
SeedFile = Annotated[
    Path | None, typer.Option("--seed", help="YAML file of the instances to start with.")
]
Ec2Lag = Annotated[
    float, typer.Option("--ec2-lag", min=0, help="Seconds until EC2 sees a change in IAM.")
]
Associating = Annotated[
    float, typer.Option("--associating", min=0, help="Seconds that an association takes.")
]
Disassociating = Annotated[
    float, typer.Option("--disassociating", min=0, help="Seconds until an association is gone.")
]

Restarting = Annotated[
    float, typer.Option("--restarting", min=0, help="Seconds to stop, and again to start.")
]


def sandbox(
    port: Port = 5000,
    seed: SeedFile = None,
    ec2_lag: Ec2Lag = 3.0,
    associating: Associating = 1.0,
    disassociating: Disassociating = 1.0,
    restarting: Restarting = 1.0,
) -> None:
    """Run a local AWS on 127.0.0.1 until Ctrl-C. Needs reconciler[sandbox] to be installed."""
    console = Console()
    try:
        from reconciler.sandbox import seed as seeds  # noqa: PLC0415 - moto is an extra
        from reconciler.sandbox.server import (  # noqa: PLC0415 - moto is an extra
            CREDENTIALS,
            serving,
        )
    except ImportError as error:
        console.error("the sandbox is not installed", "pip install 'reconciler[sandbox]'")
        raise typer.Exit(ExitCode.ERROR) from error
    try:
        planted = seeds.load(seed) if seed else seeds.DEFAULT
    except Unreadable as error:
        console.err(*concise([error.diagnostic]))
        raise typer.Exit(ExitCode.ERROR) from error
    except ValidationError as error:
        console.error(f"{seed}: {error.error_count()} mistakes, the first: {_first(error)}")
        raise typer.Exit(ExitCode.ERROR) from error
    world = World(lags=Lags(ec2_lag, associating, disassociating, restarting))
    with serving(world, port) as address:
        groups = seeds.plant(planted, address)
        console.out(_welcome(address, groups, address + CREDENTIALS))
        _until_stopped()
    console.out([line("The sandbox is gone, with all that was in it.")])


def _first(error: ValidationError) -> str:
    details = error.errors()[0]
    return f"{'.'.join(str(part) for part in details['loc'])}: {details['msg']}"


def _welcome(address: str, groups: tuple[Any, ...], view: str) -> list[Line]:
    return [
        line(Piece("A local AWS is running at ", "bold green"), Piece(address, "bold")),
        (),
        *(line("  ", data(f"{g.region:<12} {' '.join(g.instances)}")) for g in groups),
        (),
        line("In another terminal:"),
        (),
        line("  export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox"),
        line(f"  reconciler apply specs --endpoint-url {address}"),
        (),
        line(f"Whose credentials each instance is served: {view}"),
        line("Ctrl-C ends it."),
    ]


def _until_stopped() -> None:
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    stop.wait()
