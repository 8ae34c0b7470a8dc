"""What ``reconciler sandbox`` does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from reconciler.cli.console import Console
from reconciler.cli.files import read_foreign, write_whole
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.probe.calibration import calibrated, read
from reconciler.render.json.probe_types import ProbeShape
from reconciler.render.phrases import few
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.sandbox.fault_config import Chaos, Lags, Outage, mixture
from reconciler.sandbox.seed import DEFAULT, Seed, SeedFile, load
from reconciler.sandbox.state import World

if TYPE_CHECKING:
    from reconciler.sandbox.plant import Planted
    from reconciler.sandbox.state_file import StateFile

QUIET = Lags(ec2_sees_iam=3.0, associating=1.0, disassociating=1.0, restarting=1.0)
"""Delays without ``--chaos``: noticeable, and short for AWS."""


MOST_LISTED = 12
"""Most instances of a region that are listed at the start."""


_Knobs = TypeVar("_Knobs", Lags, Chaos)


_FLAGS_OF_LAGS = {
    "ec2_sees_iam": "--ec2-lag",
    "associating": "--associating",
    "disassociating": "--disassociating",
    "restarting": "--restarting",
    "latency": "--latency",
    "renewing": "--renewing",
    "calls": "--calls",
    "trail": "--trail-lag",
    "agent_sleep": "--agent-sleep",
    "reports": "--reports",
}


_FLAGS_OF_CHAOS = {
    "stale_gets": "--stale-gets",
    "stale_lists": "--stale-lists",
    "stale_index": "--stale-index",
    "index_misses": "--index-misses",
    "unknown": "--unknown",
    "conflict": "--conflict",
    "page": "--page",
    "throttle": "--throttle",
    "errors": "--errors",
    "lost": "--lost",
    "concurrent": "--concurrent",
    "expires_after": "--expires",
    "outage": "--outage",
}


def run(
    port: int,
    seed: Path | None,
    state: Path | None,
    calibrate: Path | None,
    chaos: int | None,
    ec2_lag: float | None,
    associating: float | None,
    disassociating: float | None,
    restarting: float | None,
    latency: float | None,
    renewing: float | None,
    calls: float | None,
    trail_lag: float | None,
    agent_sleep: float | None,
    reports: float | None,
    stale_gets: float | None,
    stale_lists: float | None,
    stale_index: float | None,
    index_misses: float | None,
    unknown: float | None,
    conflict: float | None,
    page: int | None,
    throttle: float | None,
    errors: float | None,
    lost: float | None,
    concurrent: float | None,
    expires: int | None,
    outage: str | None,
    deny: list[str] | None,
) -> None:
    lags = {
        "ec2_sees_iam": ec2_lag,
        "associating": associating,
        "disassociating": disassociating,
        "restarting": restarting,
        "latency": latency,
        "renewing": renewing,
        "calls": calls,
        "trail": trail_lag,
        "agent_sleep": agent_sleep,
        "reports": reports,
    }
    knobs = {
        "stale_gets": stale_gets,
        "stale_lists": stale_lists,
        "stale_index": stale_index,
        "index_misses": index_misses,
        "unknown": unknown,
        "conflict": conflict,
        "page": page,
        "throttle": throttle,
        "errors": errors,
        "lost": lost,
        "concurrent": concurrent,
        "expires_after": expires,
        "outage": _outage(outage),
        "denied": frozenset(deny) if deny else None,
    }
    drawn = (QUIET, Chaos()) if chaos is None else mixture(chaos)
    measured = None if calibrate is None else _measured(calibrate)
    if measured is not None:
        drawn = calibrated(*drawn, measured)
    _serve(port, seed, state, drawn, lags, knobs, calibrate)


def _measured(file: Path) -> ProbeShape:
    """Raises ``OSError``, and ``RefusedError`` for what is no document of ``probe``."""
    try:
        text = read_foreign(file)
    except ValueError as error:
        raise RefusedError(f"{file}: {error}", ExitCode.ERROR) from error
    return read(text, str(file))


def _outage(text: str | None) -> Outage | None:
    try:
        return None if text is None else Outage.of(text)
    except ValueError as error:
        forms = "5:10 (seconds after the first call), after-40-calls:10 or CreateRole:10"
        raise typer.BadParameter(f"--outage takes {forms}; not {text!r}") from error


def _serve(
    port: int,
    seed: Path | None,
    state: Path | None,
    drawn: tuple[Lags, Chaos],
    lags: Mapping[str, Any],
    knobs: Mapping[str, Any],
    calibrate: Path | None,
) -> None:
    """Runs the sandbox until a signal. ``lags`` and ``knobs`` override what was ``drawn``."""
    console = Console()
    try:
        from reconciler.sandbox.plant import plant  # noqa: PLC0415 - moto is an extra
        from reconciler.sandbox.server import (  # noqa: PLC0415 - moto is an extra
            CREDENTIALS,
            serving,
        )
        from reconciler.sandbox.state_file import StateFile  # noqa: PLC0415 - moto is an extra
    except ImportError as error:
        console.error(
            "the sandbox is not installed", "take its extra, such as: pip install '.[sandbox]'"
        )
        raise typer.Exit(ExitCode.ERROR) from error
    goes_on = state is not None and os.path.lexists(state)
    if goes_on and seed is not None:
        console.note(f"{state} exists, so the sandbox goes on from it; --seed is not used.")
    planted, file = _start(seed, state if goes_on else None)
    world = World()
    filled = threading.Event()
    with serving(world, port, filled) as address:
        groups = plant(planted, world, file, address)
        world.lags = _turned(drawn[0], lags)
        world.chaos = _turned(drawn[1], knobs)
        filled.set()
        kept = _kept(state, world, console, StateFile) if state is not None else None
        times = None
        if calibrate is not None:  # those that it has now, of other flags included
            now = asdict(world.lags)
            flags = [f"{_FLAGS_OF_LAGS[name]} {now[name]:g}" for name in _MEASURED]
            times = line("Times of ", data(calibrate), ": ", data(" ".join(flags)))
        console.out(_welcome(address, groups, address + CREDENTIALS, state, times))
        if not world.chaos.is_calm:
            console.out(_misbehaving(world.lags, world.chaos))
        stop = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())
        stop.wait()
        is_kept = kept is not None and kept.stop()
    if kept is None:
        console.out([line("Sandbox stopped; its data is discarded.")])
    elif is_kept:
        console.out([line("Sandbox stopped; its data is in ", data(state), ".")])
    else:
        raise typer.Exit(ExitCode.ERROR)


def _start(seed: Path | None, state: Path | None) -> tuple[Seed, SeedFile | None]:
    """Raises ``RefusedError`` with the places of all mistakes."""
    if state is not None:
        return load(state, may_be_empty=False)
    return load(seed) if seed is not None else (DEFAULT, None)


def _kept(state: Path, world: World, console: Console, kind: type[StateFile]) -> StateFile:
    """The file, written for the first time. Raises ``OSError`` if that is impossible."""

    def failed(error: OSError) -> None:
        console.error(f"{state}: {error.strerror or error}; the sandbox is not kept")

    made = kind(world, lambda text: write_whole(state, text), failed)
    made.start()
    return made


def _turned(drawn: _Knobs, given: Mapping[str, Any]) -> _Knobs:
    return replace(drawn, **{name: value for name, value in given.items() if value is not None})


def _misbehaving(lags: Lags, chaos: Chaos) -> list[Line]:
    """The flags that reproduce this mixture of faults."""
    said = {**_FLAGS_OF_LAGS, **_FLAGS_OF_CHAOS}
    values = {**asdict(lags), **asdict(chaos), "outage": chaos.outage}
    turned = [f"{flag} {values[name]}" for name, flag in said.items() if values[name]]
    turned += [f"--deny {action}" for action in sorted(chaos.denied)]
    return [(), line("Faults: ", data(" ".join(turned)))]


def _welcome(
    address: str,
    groups: tuple[Planted, ...],
    view: str,
    state: Path | None,
    times: Line | None,
) -> list[Line]:
    instances: dict[str, list[str]] = {}
    for group in groups:
        instances.setdefault(group.region, []).extend(group.instances)
    return [
        line(Piece("A local AWS is running at ", "bold green"), Piece(address, "bold")),
        (),
        *(
            line("  ", data(f"{region:<14} {few(ids, most=MOST_LISTED)}"))
            for region, ids in instances.items()
        ),
        (),
        line("In another terminal:"),
        (),
        line("  export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox"),
        line(f"  reconciler apply specs --endpoint-url {address}"),
        (),
        line(f"Role that each instance is using: {view}"),
        *([] if state is None else [line("Its data is kept in ", data(state), ".")]),
        *([] if times is None else [times]),
        line("Press Ctrl-C to stop."),
    ]


_MEASURED = ("ec2_sees_iam", "associating", "disassociating", "restarting", "trail")
