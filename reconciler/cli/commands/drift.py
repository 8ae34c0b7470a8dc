"""``reconciler drift``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion
from reconciler.cli.panels import OUTPUT, SCOPE
from reconciler.drift.severity import Severity

Unmanaged = Annotated[
    bool,
    typer.Option(
        "--unmanaged",
        help="Also report roles and profiles without an owner, and orphaned ones.",
        rich_help_panel=SCOPE,
    ),
]
Who = Annotated[
    bool,
    typer.Option(
        "--who", help="Look up the author of each change in CloudTrail.", rich_help_panel=OUTPUT
    ),
]
EvidenceFlag = Annotated[
    bool,
    typer.Option(
        "--evidence",
        help="Also look in CloudTrail for instances that use another role than their profile's.",
        rich_help_panel=SCOPE,
    ),
]
ACCEPTING = "Accepting a drift"
AcceptFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="ADDRESS",
        help="Print a patch that makes the specs match AWS; repeat for more addresses.",
        rich_help_panel=ACCEPTING,
        autocompletion=completion.addresses,
    ),
]
WriteFlag = Annotated[
    bool,
    typer.Option(
        "--write",
        help="With --accept: edit the files instead of printing a patch.",
        rich_help_panel=ACCEPTING,
    ),
]
FailOn = Annotated[
    Severity,
    typer.Option(
        "--fail-on",
        help="Exit with 2 only for findings of this severity or higher.",
        rich_help_panel=OUTPUT,
    ),
]


NOTIFICATIONS = "Baseline and notifications"
BaselineFlag = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE|s3://BUCKET/KEY",
        help="Store the findings, and report them as new, changed, ongoing or resolved.",
        rich_help_panel=NOTIFICATIONS,
    ),
]
NotifyFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="KIND=PLACE",
        help="Send findings that are new, changed or resolved to slack=URL, webhook=URL, sns=ARN "
        "or eventbridge=BUS; env:NAME reads the place from an environment variable. "
        "Repeat for more.",
        rich_help_panel=NOTIFICATIONS,
        autocompletion=completion.destinations,
    ),
]
MetricsFlag = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="prometheus=FILE",
        help="Write metrics to a file.",
        rich_help_panel=NOTIFICATIONS,
    ),
]


@o.with_flags
def drift(
    specs: o.Specs = "specs",
    as_json: o.Json = False,
    report: o.Report = None,
    unmanaged: Unmanaged = False,
    who: Who = False,
    evidence: EvidenceFlag = False,
    baseline: BaselineFlag = None,
    notify: NotifyFlag = None,
    metrics: MetricsFlag = None,
    fail_on: FailOn = "info",
    accept: AcceptFlag = None,
    write: WriteFlag = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.drift import run

    run(
        specs,
        as_json,
        report,
        unmanaged,
        who,
        evidence,
        baseline,
        notify,
        metrics,
        fail_on,
        accept,
        write,
        common,
    )
