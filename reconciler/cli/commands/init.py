"""``reconciler init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.arguments import Color, ColorFlag
from reconciler.cli.panels import OWNERSHIP, SCOPE

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the specs.")]
Owner = Annotated[
    str,
    typer.Option(
        "--owner",
        metavar="NAME",
        help="Owner of the spec set: a team, or a repository.",
        envvar="RECONCILER_OWNER",
        rich_help_panel=OWNERSHIP,
    ),
]
RegionFlag = Annotated[
    str,
    typer.Option(
        "--region",
        metavar="REGION",
        help="Region of the instances.",
        envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
        rich_help_panel=SCOPE,
    ),
]


def init(
    folder: Folder = Path("specs"),
    owner: Owner = "platform",
    region: RegionFlag = "us-east-1",
    color: ColorFlag = Color.auto,
) -> None:
    from reconciler.cli.runs.init import run

    run(folder, owner, region, color)
