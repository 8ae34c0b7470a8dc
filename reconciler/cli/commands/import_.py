"""``reconciler import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import OUTPUT

SELECTION = "What to import"
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="NAME",
        help="Import a role; repeat for more.",
        rich_help_panel=SELECTION,
    ),
]
Profiles = Annotated[
    list[str] | None,
    typer.Option(
        "--instance-profile",
        metavar="NAME",
        help="Import a profile and its role; repeat for more.",
        rich_help_panel=SELECTION,
    ),
]
PathPrefix = Annotated[
    str | None,
    typer.Option(
        "--path-prefix",
        metavar="PATH",
        help="Import everything below this path.",
        rich_help_panel=SELECTION,
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="KEY=VALUE",
        help="Import resources with this tag; repeat to require several.",
        rich_help_panel=SELECTION,
    ),
]
All = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Import everything that has no other manager.",
        rich_help_panel=SELECTION,
    ),
]
FromState = Annotated[
    list[str] | None,
    typer.Option(
        "--from-tfstate",
        metavar="FILE",
        help="Import what this Terraform or OpenTofu state manages, and nothing else: a state "
        "file, or what `terraform show -json` prints; - for standard input. Only names are read. "
        "Repeat for more.",
        rich_help_panel=SELECTION,
    ),
]
Removed = Annotated[
    Path | None,
    typer.Option(
        "--removed-blocks",
        metavar="FILE",
        help="Write Terraform's `removed` blocks for what --from-tfstate imports, so that it "
        "forgets them and deletes nothing.",
        rich_help_panel=OUTPUT,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder for the specs (required, unless --seed is given).",
        rich_help_panel=OUTPUT,
    ),
]
SeedOut = Annotated[
    Path | None,
    typer.Option(
        "--seed",
        metavar="FILE",
        help="Write the whole account to FILE, for `sandbox --seed`, in place of specs.",
        rich_help_panel=OUTPUT,
    ),
]


@o.with_flags
def import_(
    out: Out = None,
    seed: SeedOut = None,
    role: Roles = None,
    instance_profile: Profiles = None,
    path_prefix: PathPrefix = None,
    tag: Tags = None,
    everything: All = False,
    from_tfstate: FromState = None,
    removed_blocks: Removed = None,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.import_ import run

    run(
        out=out,
        seed=seed,
        role=role,
        instance_profile=instance_profile,
        path_prefix=path_prefix,
        tag=tag,
        everything=everything,
        states=from_tfstate or [],
        removed=removed_blocks,
        common=common,
    )
