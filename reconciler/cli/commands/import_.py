"""``reconciler import``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli import arguments as o
from reconciler.cli.connect import connector, new_run
from reconciler.cli.console import Console
from reconciler.diagnostics import Diagnostic, has_errors
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.importer.importer import Imported, Selection, imported
from reconciler.model.address import Address
from reconciler.model.live import LiveState
from reconciler.ports import Scope
from reconciler.render.styled_text import Piece, data, line
from reconciler.spec.desired import SpecSet
from reconciler.spec.files import display_name, leads_out, root_of
from reconciler.spec.format.dump import rendered
from reconciler.spec.loader import Caller, interpret, load, read
from reconciler.spec.settings import SETTINGS_FILE, Settings

Roles = Annotated[
    list[str] | None, typer.Option("--role", metavar="NAME", help="A role; repeat for more.")
]
Profiles = Annotated[
    list[str] | None,
    typer.Option("--instance-profile", metavar="NAME", help="A profile, and its role."),
]
PathPrefix = Annotated[
    str | None, typer.Option("--path-prefix", help="Everything whose path begins so.")
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="What has this tag; several: all of them."),
]
All = Annotated[bool, typer.Option("--all", help="Everything that nobody else manages.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the specs.")]
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class _Destination:
    """The set that the new files become a part of. ``text`` are its settings as they are written,
    ``None`` for a new set; ``addresses`` are what it names already."""

    settings: Settings
    text: str | None = None
    addresses: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class _Account:
    live: LiveState
    regions: tuple[str, ...]
    owner: str
    destination: _Destination


def import_(
    out: Out,
    role: Roles = None,
    instance_profile: Profiles = None,
    path_prefix: PathPrefix = None,
    tag: Tags = None,
    everything: All = False,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    owner: o.Owner = None,
    parallelism: o.Parallelism = 10,
    quiet: o.QuietFlag = False,
    color: o.ColorFlag = o.Color.auto,
) -> None:
    """Write specs of what is in AWS. Then `plan --adopt` shows adoptions and nothing else."""
    console = Console(color.value, quiet)
    selection = Selection(
        tuple(role or ()),
        tuple(instance_profile or ()),
        path_prefix,
        o.pairs(tag, "--tag"),
        everything,
    )
    if selection == Selection():
        message = "say what: --role, --instance-profile, --path-prefix, --tag or --all"
        raise typer.BadParameter(message)
    login = o.Login(profile, endpoint_url, tuple(region or ()))
    account = _read(login, owner, parallelism, _destination(out), console)
    made, files = _made(account, selection)
    if made.missing:
        raise RefusedError(f"there is no {', no '.join(made.missing)}", ExitCode.ERROR)
    _write(out, files)
    _tell(made, len(files), out, console)


def _destination(out: Path) -> _Destination:
    """The set that ``out`` is to be a part of: its own, or one that begins above. Raises
    ``RefusedError`` where that one has errors."""
    there = root_of(out)
    if (outside := leads_out(out, there)) is not None:
        raise RefusedError("nothing is imported", ExitCode.ERROR, (outside,))
    if not os.path.lexists(there / SETTINGS_FILE):
        return _Destination(Settings())
    spec = load(str(there))
    if has_errors(spec.diagnostics):
        message = f"the specs in {there}, to which these would belong, have errors"
        raise RefusedError(message, ExitCode.ERROR, spec.diagnostics, spec.sources)
    named = frozenset(entity.resource.address for entity in spec.desired.entities())
    text = spec.sources[display_name(there / SETTINGS_FILE)]
    return _Destination(spec.settings, text, named)


def _read(
    login: o.Login,
    given_owner: str | None,
    parallelism: int,
    destination: _Destination,
    console: Console,
) -> _Account:
    settings = destination.settings
    owner = given_owner or settings.owner
    connection = connector(login, new_run(), parallelism)(None, settings)
    own = (connection.default_region,) if connection.default_region else ()
    regions = login.regions or tuple(settings.regions or own)
    if not regions:
        message = "no region is set; give --region, or set AWS_REGION"
        raise RefusedError(message, ExitCode.ERROR)
    identity = connection.reader.identity()
    if settings.account_id not in (None, identity.account_id):
        message = (
            f"these credentials are for account {identity.account_id}, the settings are for "
            f"{settings.account_id}; nothing was read"
        )
        raise RefusedError(message, ExitCode.UNDECIDED)
    console.note(data(f"reading account {identity.account_id} in {', '.join(regions)}"))
    scope = Scope(regions, settings.tag_prefix, owner, all_tags=True)
    live = connection.reader.read(identity, scope)
    unread = {str(address): why for address, why in live.unread.items()} | dict(live.unread_regions)
    if live.not_whole is not None:
        unread["*"] = live.not_whole
    if unread:
        told = tuple(f"{name}: {why}" for name, why in sorted(unread.items()))
        message = "what cannot be read cannot be imported"
        raise RefusedError(message, ExitCode.ERROR, details=told)
    return _Account(live, tuple(sorted(regions)), owner, destination)


def _made(account: _Account, selection: Selection) -> tuple[Imported, Mapping[str, str]]:
    """What cannot be said in a spec is left out, so that what is written is valid as a whole."""
    without: frozenset[Address] = frozenset()
    for _ in range(ROUNDS):
        known = account.destination.addresses
        made = imported(account.live, selection, account.owner, without, known)
        files = {name: rendered(file) for name, file in made.files.items()}
        if account.destination.text is None:
            files[SETTINGS_FILE] = rendered(_settings(account))
        wrong = _wrong(files, account)
        if not wrong - without:
            break
        without |= wrong
    return made, files


def _settings(account: _Account) -> dict[str, Any]:
    return {
        "version": 1,
        "owner": account.owner,
        "account_id": account.live.identity.account_id,
        "regions": list(account.regions),
    }


def _wrong(files: Mapping[str, str], account: _Account) -> frozenset[Address]:
    """Addresses of what AWS has and a spec may not ask for, such as a fiftieth tag."""
    identity = account.live.identity
    settings = account.destination.text
    given = {**files, **({} if settings is None else {SETTINGS_FILE: settings})}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in given.items():
            (Path(folder) / name).write_text(text, "utf-8")
        spec = interpret(read(folder), Caller(identity.account_id, identity.partition))
    errors = [d for d in spec.diagnostics if d.severity == "error"]
    return frozenset(address for d in errors if (address := _address(d, spec)))


def _address(found: Diagnostic, spec: SpecSet) -> Address | None:
    """Of the resource whose lines the finding stands in."""
    above = [
        (entity.place.here.line, entity.resource.address)
        for entity in spec.desired.entities()
        if entity.place.here.file == found.location.file
        and entity.place.here.line <= found.location.line
    ]
    return max(above)[1] if above else None


def _write(out: Path, files: Mapping[str, str]) -> None:
    """Nothing is written over: all of them, or none."""
    taken = [name for name in files if os.path.lexists(out / name)]
    if taken:
        message = f"{out} has {', '.join(sorted(taken))} already; give a folder without"
        raise RefusedError(message, ExitCode.ERROR)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".import.") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, "utf-8")
        for name in files:
            shutil.move(Path(folder) / name, out / name)


def _tell(made: Imported, files: int, out: Path, console: Console) -> None:
    noun = "resource" if made.size == 1 else "resources"
    console.out([line(Piece("Imported: ", "bold green"), f"{made.size} {noun} in {files} files.")])
    for reason, count in made.skipped.items():
        console.out([line("  left out ", f"{count}: ", data(reason))])
    console.out([line("Next: reconciler plan ", data(out), " --adopt")])
