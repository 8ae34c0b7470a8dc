"""``reconciler permissions``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli import completion
from reconciler.cli.arguments import Color, ColorFlag, QuietFlag, SpecsOrPlan, Var
from reconciler.cli.panels import OUTPUT, OWNERSHIP, SCOPE
from reconciler.cli.sources import SourceName
from reconciler.diagnostics import meant

PIPELINE = "Roles of a pipeline"


class PermittedCommand(StrEnum):
    """Commands whose permissions are printed."""

    plan = "plan"
    apply = "apply"
    destroy = "destroy"
    rotate = "rotate"
    forget = "forget"
    drift = "drift"
    import_ = "import"
    verify = "verify"


class PermissionsFormat(StrEnum):
    """Output formats."""

    json = "json"
    terraform = "terraform"
    cloudformation = "cloudformation"


def purpose_of(given: str) -> PermittedCommand:
    """Raises a usage error for what is no command."""
    known = [str(one) for one in PermittedCommand]
    if given not in known:
        message = f"--for takes {', '.join(known)}; not {given!r}{meant(given, known)}"
        raise typer.BadParameter(message)
    return PermittedCommand(given)


ForFlag = Annotated[
    PermittedCommand | None,
    typer.Option(
        "--for",
        metavar="|".join(PermittedCommand),
        help="The command that is run. With a saved plan: apply.",
        rich_help_panel=SCOPE,
        parser=purpose_of,
        autocompletion=completion.purposes,
    ),
]
SourceFlag = Annotated[
    list[SourceName] | None,
    typer.Option(
        "--source",
        help="With --for verify: where evidence comes from, as verify takes it; repeat for more.",
        rich_help_panel=SCOPE,
    ),
]
FormatFlag = Annotated[
    PermissionsFormat, typer.Option("--format", help="Output format.", rich_help_panel=OUTPUT)
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Target in the settings; repeat for more.",
        envvar="RECONCILER_TARGET",
        rich_help_panel=SCOPE,
        autocompletion=completion.targets,
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="REGION",
        help="Region to look for instances in; repeat for more.",
        rich_help_panel=SCOPE,
    ),
]
Owner = Annotated[
    str | None,
    typer.Option(
        "--owner",
        metavar="NAME",
        help="Owner of the spec set.",
        envvar="RECONCILER_OWNER",
        rich_help_panel=OWNERSHIP,
    ),
]
Prune = Annotated[
    bool | None,
    typer.Option(
        "--prune/--no-prune",
        help="Allow to delete owned resources that left the specs.",
        rich_help_panel=OWNERSHIP,
    ),
]
AccessAnalyzer = Annotated[
    bool,
    typer.Option(
        "--access-analyzer",
        help="Also what plan --access-analyzer asks.",
        rich_help_panel=SCOPE,
    ),
]
Revoke = Annotated[
    bool,
    typer.Option(
        "--revoke",
        help="With --for apply, or the roles of a pipeline: also what ends a rotate --revoke whose "
        "run died. Who may write inline policies may give a role any permission.",
        rich_help_panel=SCOPE,
    ),
]
GitHub = Annotated[
    str | None,
    typer.Option(
        "--github",
        metavar="ORG/REPO",
        help="Print two roles that workflows of this repository may take: one to plan, for pull "
        "requests and the branch, and one to apply, for the environment.",
        rich_help_panel=PIPELINE,
    ),
]
GitLab = Annotated[
    str | None,
    typer.Option(
        "--gitlab",
        metavar="GROUP/PROJECT",
        help="The same for a project of GitLab: to plan on every branch, to apply on one.",
        rich_help_panel=PIPELINE,
    ),
]
Host = Annotated[
    str,
    typer.Option("--gitlab-host", metavar="HOST", help="Host of GitLab.", rich_help_panel=PIPELINE),
]
Branch = Annotated[
    str,
    typer.Option("--branch", metavar="NAME", help="The default branch.", rich_help_panel=PIPELINE),
]
Environment = Annotated[
    str,
    typer.Option(
        "--environment",
        metavar="NAME",
        help="GitHub's environment in which apply runs.",
        rich_help_panel=PIPELINE,
    ),
]


def permissions(
    context: typer.Context,
    specs: SpecsOrPlan = "specs",
    purpose: ForFlag = None,
    source: SourceFlag = None,
    output: FormatFlag = PermissionsFormat.json,
    target: Targets = None,
    region: Regions = None,
    var: Var = None,
    owner: Owner = None,
    prune: Prune = None,
    access_analyzer: AccessAnalyzer = False,
    revoke: Revoke = False,
    github: GitHub = None,
    gitlab: GitLab = None,
    gitlab_host: Host = "gitlab.com",
    branch: Branch = "main",
    environment: Environment = "production",
    color: ColorFlag = Color.auto,
    quiet: QuietFlag = False,
) -> None:
    from reconciler.cli.runs.permissions import run

    run(
        context=context,
        specs=specs,
        purpose=purpose,
        source=source,
        output=output,
        target=target,
        region=region,
        var=var,
        owner=owner,
        prune=prune,
        access_analyzer=access_analyzer,
        revoke=revoke,
        github=github,
        gitlab=gitlab,
        gitlab_host=gitlab_host,
        branch=branch,
        environment=environment,
        color=color,
        quiet=quiet,
    )
