"""``reconciler comment``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Where(StrEnum):
    """Code hosts."""

    github = "github"
    gitlab = "gitlab"


WhereArgument = Annotated[Where, typer.Argument(help="Code host of the request.")]
Document = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="What `plan --out`, `apply --report json=FILE` or `drift --report json=FILE` wrote.",
    ),
]
Project = Annotated[
    str | None,
    typer.Option(
        "--repository",
        metavar="NAME",
        help="Repository, or project at GitLab. Default: from the CI environment.",
    ),
]
Number = Annotated[
    int | None,
    typer.Option(
        "--number",
        metavar="N",
        min=1,
        help="Pull or merge request number. Default: from the CI environment.",
    ),
]
ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        metavar="URL",
        help="API of the code host. Default: from the CI environment.",
    ),
]
Together = Annotated[
    bool,
    typer.Option("--together", help="One comment for all targets, not one for each account."),
]


def comment(
    where: WhereArgument,
    document: Document,
    project: Project = None,
    number: Number = None,
    api_url: ApiUrl = None,
    together: Together = False,
) -> None:
    from reconciler.cli.runs.comment import run

    run(where, document, project, number, api_url, together)
