"""The flags that several commands have. Precedence: flags, ``RECONCILER_*`` variables, settings,
defaults.

A planning flag is a field of ``CommonArguments`` and one of the same name of
``planner.options.PlanFlags``; ``render.json.types.RequestShape`` says which a saved plan stores.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, get_args, get_type_hints

import typer

from reconciler.cli import completion
from reconciler.cli.panels import ACCESS, OUTPUT, OWNERSHIP, RUN, SCOPE


class Color(StrEnum):
    """When to use colors."""

    auto = "auto"
    always = "always"
    never = "never"


class TagSource(StrEnum):
    """Where tags of profiles and policies are read."""

    auto = "auto"
    iam = "iam"


Specs = Annotated[
    str,
    typer.Argument(metavar="SPECS", help="File or folder of specs.", envvar="RECONCILER_SPECS"),
]
SpecsOrPlan = Annotated[
    str,
    typer.Argument(
        metavar="SPECS|PLAN",
        help="File or folder of specs, or a saved plan.",
        envvar="RECONCILER_SPECS",
    ),
]
SpecsFlag = Annotated[
    str,
    typer.Option(
        "--specs",
        metavar="SPECS",
        help="File or folder of specs.",
        envvar="RECONCILER_SPECS",
        rich_help_panel=SCOPE,
    ),
]
Var = Annotated[
    list[str] | None,
    typer.Option(
        "--var",
        metavar="NAME=VALUE",
        help="Set a variable; repeat for more.",
        rich_help_panel=SCOPE,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.", rich_help_panel=OUTPUT)]
QuietFlag = Annotated[
    bool, typer.Option("--quiet", "-q", help="Hide progress.", rich_help_panel=OUTPUT)
]
ColorFlag = Annotated[
    Color,
    typer.Option(
        "--color", help="When to use colors.", envvar="RECONCILER_COLOR", rich_help_panel=OUTPUT
    ),
]
MaxTime = Annotated[
    str | None,
    typer.Option(
        "--max-time",
        metavar="DURATION",
        help="Start nothing new after this time, such as 90s, 30m or 2h.",
        rich_help_panel=RUN,
    ),
]
MaxRps = Annotated[
    float | None,
    typer.Option(
        "--max-rps",
        metavar="N",
        min=0.1,
        max=1000,
        help="Most calls a second that change something, for IAM and for EC2; without it as many "
        "as AWS takes.",
        envvar="RECONCILER_MAX_RPS",
        rich_help_panel=RUN,
    ),
]
Report = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="FORMAT=PATH",
        help="Also write a report; PATH - is stdout. Repeat for more.",
        rich_help_panel=OUTPUT,
        autocompletion=completion.reports,
    ),
]
AutoApprove = Annotated[
    bool, typer.Option("--auto-approve", help="Do not ask for approval.", rich_help_panel=RUN)
]
NoInput = Annotated[
    bool,
    typer.Option(
        "--no-input", help="Never prompt; fail if a prompt is needed.", rich_help_panel=RUN
    ),
]

PreflightFlag = Annotated[
    bool,
    typer.Option(
        "--preflight",
        help="Before the first change, ask AWS whether the plan's calls are allowed and the quotas "
        "suffice, and change nothing if not.",
        rich_help_panel=RUN,
    ),
]
Check = Annotated[
    str | None,
    typer.Option(
        "--check",
        metavar="COMMAND",
        help="Run this command after each batch of a cut-over; the batch fails if it ends with "
        "another exit code than 0.",
        rich_help_panel=RUN,
    ),
]
Record = Annotated[
    list[str] | None,
    typer.Option(
        "--record",
        metavar="FILE|s3://BUCKET/KEY",
        help="Write what became of each cut-over and instance, as JSON, or as Markdown if the name "
        "ends in .md; repeat for both.",
        rich_help_panel=OUTPUT,
    ),
]


class EngineName(StrEnum):
    """What shares targets out among machines."""

    dask = "dask"


class OnlyFor(tuple[str, ...]):
    """Names of the command functions that have a flag."""


_PLANS = OnlyFor(("plan", "apply", "rehearse", "destroy", "drift", "graph"))
_READS_ALL = OnlyFor((*_PLANS, "forget", "explain", "verify", "rotate"))
_SHARES_TARGETS = OnlyFor(("plan", "apply", "destroy", "drift", "forget", "rotate"))
_KNOWS_SHARDS = OnlyFor((*_READS_ALL, "doctor"))
_KNOWS_TARGETS = OnlyFor((*_KNOWS_SHARDS, "can"))
_READS_TAGS = OnlyFor((*_READS_ALL, "import_"))
_CHANGES = OnlyFor(("plan", "apply", "rehearse", "destroy", "rotate"))
_ADOPTS = OnlyFor(("plan", "apply", "rehearse", "graph"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonArguments:
    """Flags of the commands that read an account (those that plan, and ``import``), in the order of
    ``--help``.

    A field without ``OnlyFor`` is a flag of all of them. In a command without the flag, the field
    has its default. Fields that go into a ``Request`` have the same name there."""

    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="NAME",
            help="Target in the settings; repeat for more.",
            envvar="RECONCILER_TARGET",
            rich_help_panel=SCOPE,
            autocompletion=completion.targets,
        ),
        _KNOWS_TARGETS,
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Only the I-th of N parts of the targets, such as 1/8, for a job of each.",
            envvar="RECONCILER_SHARD",
            rich_help_panel=SCOPE,
        ),
        _KNOWS_SHARDS,
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="ADDRESS",
            help="Plan only this, such as role/web or 'role/web-*'; repeat for more.",
            rich_help_panel=SCOPE,
            autocompletion=completion.addresses,
        ),
        _PLANS,
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="ADDRESS",
            help="Leave this out, such as 'association/*'; repeat for more.",
            rich_help_panel=SCOPE,
            autocompletion=completion.addresses,
        ),
        _PLANS,
    ] = None
    regions: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            metavar="REGION",
            help="Region to look for instances in; repeat for more.",
            rich_help_panel=SCOPE,
        ),
    ] = None
    variables: Annotated[Var, _KNOWS_TARGETS] = None
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner",
            metavar="NAME",
            help="Owner of the spec set.",
            envvar="RECONCILER_OWNER",
            rich_help_panel=OWNERSHIP,
        ),
    ] = None
    prune: Annotated[
        bool | None,
        typer.Option(
            "--prune/--no-prune",
            help="Delete owned resources that left the specs.",
            rich_help_panel=OWNERSHIP,
        ),
        _ADOPTS,
    ] = None
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="Start managing existing resources without an owner.",
            rich_help_panel=OWNERSHIP,
        ),
        _ADOPTS,
    ] = False
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="With --adopt: also resources with another owner.",
            rich_help_panel=OWNERSHIP,
        ),
        _ADOPTS,
    ] = False
    refresh_adopted: Annotated[
        bool,
        typer.Option(
            "--refresh-adopted",
            help="With --adopt: also cut consumers over.",
            rich_help_panel=OWNERSHIP,
        ),
        _ADOPTS,
    ] = False
    refresh: Annotated[
        list[str] | None,
        typer.Option(
            "--refresh",
            metavar="ADDRESS",
            help="Cut this profile's consumers over though nothing differs; repeat for more.",
            rich_help_panel=OWNERSHIP,
            autocompletion=completion.addresses,
        ),
        _ADOPTS,
    ] = None
    impact: Annotated[
        bool,
        typer.Option(
            "--impact",
            help="Warn of permissions that roles in use would lose and that AWS knows they used.",
            envvar="RECONCILER_IMPACT",
            rich_help_panel=OUTPUT,
        ),
        _ADOPTS,
    ] = False
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="KEY=VALUE",
            help="Override a guard with the KEY=VALUE that the plan prints; repeat for more.",
            rich_help_panel=OWNERSHIP,
            autocompletion=completion.allowances,
        ),
        _CHANGES,
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Profile of the AWS configuration to use.",
            rich_help_panel=ACCESS,
        ),
    ] = None
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url",
            metavar="URL",
            help="AWS endpoint URL, such as a sandbox.",
            rich_help_panel=ACCESS,
        ),
    ] = None
    parallelism: Annotated[
        int,
        typer.Option(
            "--parallelism",
            metavar="N",
            min=1,
            max=50,
            help="Concurrent AWS calls, 1 to 50.",
            envvar="RECONCILER_PARALLELISM",
            rich_help_panel=ACCESS,
        ),
    ] = 10
    target_parallelism: Annotated[
        int,
        typer.Option(
            "--target-parallelism",
            metavar="N",
            min=1,
            max=512,
            help="Targets at a time, 1 to 512, each with its own --parallelism.",
            envvar="RECONCILER_TARGET_PARALLELISM",
            rich_help_panel=ACCESS,
        ),
    ] = 8
    max_failures: Annotated[
        int | None,
        typer.Option(
            "--max-failures",
            metavar="N",
            min=1,
            help="Begin no further target once N have failed; without it, one that fails stops no "
            "other.",
            envvar="RECONCILER_MAX_FAILURES",
            rich_help_panel=ACCESS,
        ),
        _READS_ALL,
    ] = None
    engine: Annotated[
        EngineName | None,
        typer.Option(
            "--engine",
            help="Work on targets on other machines, each target as a task; without it in this "
            "process.",
            envvar="RECONCILER_ENGINE",
            rich_help_panel=ACCESS,
        ),
        _SHARES_TARGETS,
    ] = None
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Scheduler of the --engine, such as tcp://10.0.0.5:8786.",
            envvar="RECONCILER_SCHEDULER",
            rich_help_panel=ACCESS,
        ),
        _SHARES_TARGETS,
    ] = None
    tag_source: Annotated[
        TagSource,
        typer.Option(
            "--tag-source",
            help="Where tags are read: auto asks AWS's index of tags, and IAM for what that cannot "
            "tell; iam asks IAM alone.",
            envvar="RECONCILER_TAG_SOURCE",
            rich_help_panel=ACCESS,
        ),
        _READS_TAGS,
    ] = TagSource.auto
    quiet: QuietFlag = False
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            help="Show unabridged values. With -vv: also log every AWS call to stderr.",
            rich_help_panel=OUTPUT,
        ),
    ] = 0
    log_file: Annotated[
        str | None,
        typer.Option(
            "--log-file",
            metavar="FILE",
            help="Append every AWS call to a file, as JSON lines.",
            envvar="RECONCILER_LOG",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    color: ColorFlag = Color.auto


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the signature that typer reads: a parameter of type ``CommonArguments`` is
    replaced by one for each of its fields that the command has."""
    own = inspect.signature(command, eval_str=True).parameters
    common = [name for name, one in own.items() if one.annotation is CommonArguments]
    if not common:
        return command
    hints = get_type_hints(CommonArguments, include_extras=True)
    flags = []
    for flag in fields(CommonArguments):
        hint = hints[flag.name]
        only_for = [one for one in get_args(hint) if isinstance(one, OnlyFor)]
        if not only_for or command.__name__ in only_for[0]:
            keyword = inspect.Parameter.KEYWORD_ONLY
            made = inspect.Parameter(flag.name, keyword, default=flag.default, annotation=hint)
            flags.append(made)

    @functools.wraps(command)
    def called(**given: Any) -> None:
        made = CommonArguments(**{flag.name: given.pop(flag.name) for flag in flags})
        command(**given, **{common[0]: made})

    kept = [one for name, one in own.items() if name not in common]
    # `inspect.signature`, which typer uses, prefers this attribute.
    vars(called)["__signature__"] = inspect.Signature([*kept, *flags])
    called.__annotations__ = {one.name: one.annotation for one in (*kept, *flags)}
    return called
