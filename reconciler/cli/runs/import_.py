"""What ``reconciler import`` does."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.console import Console
from reconciler.cli.files import STDIN, read_given, write_new
from reconciler.cli.given import AccessFlags, console_of, login_of, pairs
from reconciler.cli.progress import shown
from reconciler.commands.patience import patient
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.importer.from_terraform import chosen, released
from reconciler.importer.importer import OWNED, Imported, Selection
from reconciler.importer.into_set import destination, import_into, import_source
from reconciler.importer.seed import seed_of
from reconciler.importer.terraform_state import read_state
from reconciler.render.phrases import few
from reconciler.render.styled_text import Piece, data, line
from reconciler.render.terraform import removed_blocks
from reconciler.spec.settings import Settings

MOST = 12
"""Resources of which the same is told, by name."""


def run(
    out: Path | None,
    seed: Path | None,
    role: list[str] | None,
    instance_profile: list[str] | None,
    path_prefix: str | None,
    tag: list[str] | None,
    everything: bool,
    states: list[str],
    removed: Path | None,
    common: CommonArguments,
) -> None:
    console = console_of(common)
    login = login_of(common, console)
    selection = Selection(
        tuple(role or ()),
        tuple(instance_profile or ()),
        path_prefix=path_prefix,
        tags=pairs(tag, "--tag"),
        everything=everything,
    )
    is_chosen = selection != Selection()
    if seed is not None:
        if out is not None or is_chosen or states:
            message = "--seed writes the whole account; it takes neither --out nor a selection"
            raise typer.BadParameter(message)
        _write_seed(seed, common, login, console)
        return
    if out is None:
        raise typer.BadParameter("--out DIR is missing: the folder for the specs")
    _check(states, removed, is_chosen=is_chosen)
    managed = tuple(one for state in states for one in read_state(*read_given(state)))
    there = destination(out)
    with shown(console) as progress:
        ports = run_ports(login, progress, common.parallelism)
        source = import_source(
            patient(ports.connect(None, there.settings), ports),
            there.settings,
            common.owner,
            login.regions,
            progress.reading,
        )
        of_state = chosen(managed, source.live) if states else None
        made, files = import_into(there, source, of_state.selection if of_state else selection)
    if made.missing:
        raise RefusedError(f"not found: {', '.join(made.missing)}", ExitCode.ERROR)
    if made.size == 0 and (made.owned or not made.addresses):
        # Files without a resource would be in the way of the next attempt.
        reasons = [
            f"{reason}: {few([*names], most=MOST)}" for reason, names in made.skipped.items()
        ]
        details = (*_owners(made), *(r for r in reasons if not (made.owned and OWNED in r)))
        notes = [
            f"{why}: {few(list(f))}" for why, f in (of_state.notes if of_state else {}).items()
        ]
        message = "there is nothing to import, and no file was written"
        raise RefusedError(message, ExitCode.ERROR, details=(*details, *notes))
    _write(out, files)
    if removed is not None and of_state is not None:
        blocks, single = released(managed, of_state.taken, made.addresses)
        write_new(removed, "\n".join(removed_blocks(blocks, single)))
    counts = f"{_count(made.size, 'resource')} in {_count(len(files), 'file')}."
    console.out([line(Piece("Imported: ", "bold green"), counts)])
    where = f"  instances in {', '.join(made.regions)}" if made.regions else "  no instances"
    console.out([line(data(where))])
    for region, reason in source.unread.items():
        console.out([line("  not read ", data(f"{region}: {reason}"))])
    for reason, names in made.skipped.items():
        # Below is told who owns which.
        which = "" if reason == OWNED and made.owned else few([*names], most=MOST)
        console.out([line("  skipped, ", data(f"{reason}: {which}".rstrip()))])
    for told in _owners(made):
        console.out([line("    ", data(told))])
    for why, resources in (of_state.notes if of_state else {}).items():
        named = few(list(resources), most=MOST)
        console.out([line("  not imported, ", f"{why}: ", data(named))])
    for tool, addresses in made.managers.items():
        named = few([str(address) for address in addresses], most=MOST)
        console.out([line("  looks managed by ", f"{tool}: ", data(named))])
    if made.managers.keys() - {"CloudFormation"} or of_state:
        console.out([line("Take out of the other tool what you adopt, or both will change it.")])
    console.out([line("Next: reconciler plan ", data(out), " --adopt")])


def _owners(made: Imported) -> list[str]:
    """Which resources others manage, and what can be done about it."""
    by_owner: dict[str, list[str]] = {}
    for address, owner in made.owned.items():
        by_owner.setdefault(owner, []).append(str(address))
    found = [
        f"{few(listed, most=MOST)} {'is' if len(listed) == 1 else 'are'} managed by the owner "
        f"{owner!r}"
        for owner, listed in by_owner.items()
    ]
    if found:
        whom = next(iter(by_owner)) if len(by_owner) == 1 else "OWNER"
        found.append(
            f"import with --owner {whom} to write specs for that owner; to manage them yourself, "
            f"let that owner `reconciler forget ADDRESS` them first, or write specs and "
            "`reconciler plan --adopt --take-over`"
        )
    return found


def _check(states: list[str], removed: Path | None, *, is_chosen: bool) -> None:
    """Raises a usage error for flags that do not go together."""
    if states and is_chosen:
        message = "--from-tfstate imports what the state manages; it takes no other selection"
        raise typer.BadParameter(message)
    if not states and not is_chosen:
        message = (
            "choose what to import: --role, --instance-profile, --path-prefix, --tag, --all or "
            "--from-tfstate"
        )
        raise typer.BadParameter(message)
    if removed is not None and not states:
        raise typer.BadParameter("--removed-blocks is for what comes from --from-tfstate")
    if removed is not None and os.path.lexists(removed):
        raise RefusedError(f"{removed} exists; choose another file", ExitCode.ERROR)
    if states.count(STDIN) > 1:
        raise typer.BadParameter("--from-tfstate - is given twice: there is one standard input")


def _write_seed(path: Path, common: CommonArguments, login: AccessFlags, console: Console) -> None:
    if os.path.lexists(path):
        raise RefusedError(f"{path} exists; choose another file", ExitCode.ERROR)
    settings = Settings()
    with shown(console) as progress:
        ports = run_ports(login, progress, common.parallelism)
        connection = patient(ports.connect(None, settings), ports)
        source = import_source(connection, settings, common.owner, login.regions, progress.reading)
        principals = connection.reader.users_and_groups()
    made = seed_of(source.live, principals, settings.tag_prefix)
    write_new(path, made.text)
    regions = sorted(source.live.regions)
    console.out([line(Piece("Written: ", "bold green"), _count(made.size, "resource"), ".")])
    console.out([line(data(f"  instances in {', '.join(regions)}"))])
    for region, reason in source.live.unread_regions.items():
        console.out([line("  not read ", data(f"{region}: {reason}"))])
    for reason, count in made.skipped.items():
        console.out([line("  skipped ", f"{count}: ", data(reason))])
    console.out([line("Next: reconciler sandbox --seed ", data(path))])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _write(out: Path, files: Mapping[str, str]) -> None:
    """Writes all files, or none. Raises ``RefusedError`` if one exists."""
    taken = [name for name in files if os.path.lexists(out / name)]
    if taken:
        message = f"{out} already has {', '.join(sorted(taken))}; choose another folder"
        raise RefusedError(message, ExitCode.ERROR)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".import.") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, "utf-8")
        for name in files:
            shutil.move(Path(folder) / name, out / name)
