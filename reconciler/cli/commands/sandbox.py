"""``reconciler sandbox``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
Calibrate = Annotated[
    Path | None,
    typer.Option(
        "--calibrate",
        metavar="FILE",
        help="Take as long as AWS took: times from what `probe` wrote. Other flags count more.",
        rich_help_panel=_DELAYS,
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
Renewing = Annotated[
    float | None,
    _delay("--renewing", "until EC2 renews the credentials of an instance; 0 for never"),
]
Calls = Annotated[
    float | None, _delay("--calls", "between two calls of each instance to AWS; 0 for none")
]
TrailLag = Annotated[float | None, _delay("--trail-lag", "until CloudTrail tells of a call")]
AgentSleep = Annotated[
    float | None,
    _delay("--agent-sleep", "that the agent of Systems Manager sleeps after a time without a role"),
]
Reports = Annotated[
    float | None, _delay("--reports", "until a report of what a role has used is made")
]
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
    calibrate: Calibrate = None,
    chaos: ChaosSeed = None,
    ec2_lag: Ec2Lag = None,
    associating: Associating = None,
    disassociating: Disassociating = None,
    restarting: Restarting = None,
    reports: Reports = None,
    latency: Latency = None,
    renewing: Renewing = None,
    calls: Calls = None,
    trail_lag: TrailLag = None,
    agent_sleep: AgentSleep = None,
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
    from reconciler.cli.runs.sandbox import run

    run(
        port=port,
        seed=seed,
        state=state,
        calibrate=calibrate,
        chaos=chaos,
        ec2_lag=ec2_lag,
        associating=associating,
        disassociating=disassociating,
        restarting=restarting,
        reports=reports,
        latency=latency,
        renewing=renewing,
        calls=calls,
        trail_lag=trail_lag,
        agent_sleep=agent_sleep,
        stale_gets=stale_gets,
        stale_lists=stale_lists,
        stale_index=stale_index,
        index_misses=index_misses,
        unknown=unknown,
        conflict=conflict,
        page=page,
        throttle=throttle,
        errors=errors,
        lost=lost,
        concurrent=concurrent,
        expires=expires,
        outage=outage,
        deny=deny,
    )
