"""``reconciler sandbox``."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.exit_codes import ExitCode
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

_DELAYS, _FAULTS = "Delays", "Faults"
Port = Annotated[
    int,
    typer.Option("--port", metavar="N", min=0, max=65535, help="Port; 0 picks a free one."),
]
Start = Annotated[
    Path | None,
    typer.Option(
        "--seed",
        metavar="FILE",
        help="What is there at the start, as YAML; `import --seed` writes one from an account.",
    ),
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help="Keep the sandbox in this file, and go on from it at the next start.",
    ),
]
ChaosSeed = Annotated[
    int | None,
    typer.Option(
        "--chaos",
        metavar="N",
        min=0,
        help="Inject faults, in a mixture chosen by this seed.",
        rich_help_panel=_FAULTS,
    ),
]


def _delay(flag: str, text: str) -> Any:
    return _seconds(flag, text, _DELAYS)


def _seconds(flag: str, text: str, panel: str = _FAULTS) -> Any:
    what = f"Seconds {text}."
    return typer.Option(flag, metavar="SECONDS", min=0, help=what, rich_help_panel=panel)


def _share(flag: str, text: str) -> Any:
    return typer.Option(
        flag, metavar="SHARE", min=0, max=1, help=f"{text}; 0 to 1.", rich_help_panel=_FAULTS
    )


Ec2Lag = Annotated[float | None, _delay("--ec2-lag", "until EC2 sees a change in IAM")]
Associating = Annotated[float | None, _delay("--associating", "until an association is in effect")]
Disassociating = Annotated[
    float | None, _delay("--disassociating", "until a disassociation is complete")
]
Restarting = Annotated[float | None, _delay("--restarting", "to stop, and again to start")]
Latency = Annotated[float | None, _delay("--latency", "from a request to its answer")]
StaleGets = Annotated[
    float | None, _seconds("--stale-gets", "by which a read of one IAM resource may be outdated")
]
StaleLists = Annotated[
    float | None, _seconds("--stale-lists", "by which an IAM listing may be outdated")
]
StaleIndex = Annotated[
    float | None, _seconds("--stale-index", "by which AWS's index of tags is outdated")
]
IndexMisses = Annotated[
    float | None, _share("--index-misses", "Share of the resources that the index of tags lacks")
]
Unknown = Annotated[
    float | None, _seconds("--unknown", "for which writes do not find a new resource")
]
Conflict = Annotated[
    float | None, _seconds("--conflict", "for which a deletion still sees what was detached")
]
Page = Annotated[
    int | None,
    typer.Option(
        "--page", metavar="N", min=1, help="Maximum items per page.", rich_help_panel=_FAULTS
    ),
]
Throttle = Annotated[
    float | None,
    _share("--throttle", "Share of AWS's request rate limits to allow (0: no throttling)"),
]
Errors = Annotated[
    float | None,
    _share("--errors", "Share of calls that fail with a 5xx, a reset or a timeout"),
]
Lost = Annotated[
    float | None,
    _share("--lost", "Share of writes that take effect while the response is lost"),
]
Concurrent = Annotated[
    float | None,
    _share("--concurrent", "Share of writes that fail with ConcurrentModification"),
]
Expires = Annotated[
    int | None,
    typer.Option(
        "--expires",
        metavar="N",
        min=1,
        help="Number of calls after which the credentials expire.",
        rich_help_panel=_FAULTS,
    ),
]
OutageFlag = Annotated[
    str | None,
    typer.Option(
        "--outage",
        metavar="WHEN:SECONDS",
        help="Refuse connections once, from WHEN (seconds after the first call, after-N-calls, or "
        "OPERATION), for SECONDS.",
        rich_help_panel=_FAULTS,
    ),
]
Deny = Annotated[
    list[str] | None,
    typer.Option(
        "--deny",
        metavar="ACTION",
        help="Action that is denied, such as iam:PassRole, or ec2:StopInstances@i-0abc for one "
        "instance; repeat for more.",
        rich_help_panel=_FAULTS,
    ),
]


def sandbox(
    port: Port = 5000,
    seed: Start = None,
    state: State = None,
    chaos: ChaosSeed = None,
    ec2_lag: Ec2Lag = None,
    associating: Associating = None,
    disassociating: Disassociating = None,
    restarting: Restarting = None,
    latency: Latency = None,
    stale_gets: StaleGets = None,
    stale_lists: StaleLists = None,
    stale_index: StaleIndex = None,
    index_misses: IndexMisses = None,
    unknown: Unknown = None,
    conflict: Conflict = None,
    page: Page = None,
    throttle: Throttle = None,
    errors: Errors = None,
    lost: Lost = None,
    concurrent: Concurrent = None,
    expires: Expires = None,
    outage: OutageFlag = None,
    deny: Deny = None,
) -> None:
    lags = {
        "ec2_sees_iam": ec2_lag,
        "associating": associating,
        "disassociating": disassociating,
        "restarting": restarting,
        "latency": latency,
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
    _serve(port, seed, state, chaos, lags, knobs)


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
    chaos: int | None,
    lags: Mapping[str, Any],
    knobs: Mapping[str, Any],
) -> None:
    """Runs the sandbox until a signal. ``lags`` and ``knobs`` override the mixture of ``chaos``."""
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
    drawn = (QUIET, Chaos()) if chaos is None else mixture(chaos)
    world = World()
    filled = threading.Event()
    with serving(world, port, filled) as address:
        groups = plant(planted, world, file, address)
        world.lags = _turned(drawn[0], lags)
        world.chaos = _turned(drawn[1], knobs)
        filled.set()
        kept = _kept(state, world, console, StateFile) if state is not None else None
        console.out(_welcome(address, groups, address + CREDENTIALS, state))
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
    address: str, groups: tuple[Planted, ...], view: str, state: Path | None
) -> list[Line]:
    return [
        line(Piece("A local AWS is running at ", "bold green"), Piece(address, "bold")),
        (),
        *_found(groups),
        (),
        line("In another terminal:"),
        (),
        line("  export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox"),
        line(f"  reconciler apply specs --endpoint-url {address}"),
        (),
        line(f"Role that each instance is using: {view}"),
        *([] if state is None else [line("Its data is kept in ", data(state), ".")]),
        line("Press Ctrl-C to stop."),
    ]


def _found(groups: tuple[Planted, ...]) -> Iterator[Line]:
    """A line for each region, with its first instances."""
    regions = dict.fromkeys(group.region for group in groups)
    for region in regions:
        ids = [name for group in groups if group.region == region for name in group.instances]
        yield line("  ", data(f"{region:<14} {few(ids, most=MOST_LISTED)}"))
