"""Import into a spec set: the set that the files join, the live state, and valid files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.commands.request import Connection
from reconciler.commands.selection import refuse_account
from reconciler.diagnostics import Diagnostic, has_errors
from reconciler.errors import UNREADABLE, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.importer.importer import Imported, Selection, imported
from reconciler.model.address import Address
from reconciler.model.live import LiveState
from reconciler.plan.changes import WHOLE_ACCOUNT
from reconciler.ports import Scope
from reconciler.spec.desired import SpecSet
from reconciler.spec.files import display_name, leads_out, root_of
from reconciler.spec.format.dump import rendered
from reconciler.spec.loader import Caller, interpret, load, read
from reconciler.spec.settings import SETTINGS_FILE, Settings

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """The spec set that the new files join. ``text`` is its settings file, ``None`` for a new set;
    ``addresses`` are the resources that it already names."""

    settings: Settings
    text: str | None = None
    addresses: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class ImportSource:
    """The live state of the account, and the owner to import for. ``regions`` are those in which
    the set looks for instances; ``unread`` are the enabled ones that could not be read, each with
    the reason."""

    live: LiveState
    regions: tuple[str, ...]
    owner: str
    unread: Mapping[str, str] = field(default_factory=dict)


def destination(out: Path) -> ImportTarget:
    """The spec set of the folder ``out``: a new one, or the one that an upper folder begins.

    Raises ``RefusedError`` if that set has errors, or if ``out`` is a link that leads out of it."""
    there = root_of(out)
    if (outside := leads_out(out, there)) is not None:
        raise RefusedError("nothing is imported", ExitCode.ERROR, (outside,))
    if not os.path.lexists(there / SETTINGS_FILE):
        return ImportTarget(Settings())
    spec = load(str(there))
    if has_errors(spec.diagnostics):
        message = f"the specs in {there}, which the new files would join, have errors"
        raise RefusedError(message, ExitCode.ERROR, spec.diagnostics, spec.sources)
    named = frozenset(entity.resource.address for entity in spec.desired.entities())
    text = spec.sources[display_name(there / SETTINGS_FILE)]
    return ImportTarget(spec.settings, text, named)


def import_source(
    connection: Connection,
    settings: Settings,
    given_owner: str | None,
    given_regions: tuple[str, ...],
    say: Callable[[str], None],
) -> ImportSource:
    """Reads the account, with the instances of ``given_regions``, or else of all enabled ones.
    Calls ``say`` with a description of what is read, beforehand.

    Raises ``RefusedError`` for the wrong account, and if a part of it cannot be read that the set
    is for; ``AwsError``."""
    owner = given_owner or settings.owner
    own = (connection.default_region,) if connection.default_region else ()
    regions = given_regions or tuple(settings.regions or own)
    if not regions:
        message = "no region is set; pass --region, or set AWS_REGION"
        raise RefusedError(message, ExitCode.ERROR)
    identity = connection.reader.identity()
    refuse_account("default", identity, None, settings)
    say(f"account {identity.account_id}")
    everywhere = given_regions or _enabled(connection, regions[0])
    say(f"instances in {', '.join(sorted({*everywhere, *regions}))}")
    scope = Scope(tuple({*everywhere, *regions}), settings.tag_prefix, owner, all_tags=True)
    live = connection.reader.read(identity, scope)
    unread = {str(address): why for address, why in live.unread.items()}
    unread |= {region: why for region, why in live.unread_regions.items() if region in regions}
    if live.not_whole is not None:
        unread[WHOLE_ACCOUNT] = live.not_whole
    if unread:
        told = tuple(f"{name}: {why}" for name, why in sorted(unread.items()))
        message = "unreadable resources cannot be imported"
        raise RefusedError(message, ExitCode.ERROR, details=told)
    elsewhere = {r: why for r, why in sorted(live.unread_regions.items()) if r not in regions}
    return ImportSource(live, tuple(sorted(regions)), owner, elsewhere)


def _enabled(connection: Connection, near: str) -> tuple[str, ...]:
    """Raises ``RefusedError`` if they cannot be asked for."""
    try:
        return connection.reader.enabled_regions(near)
    except AwsError as error:
        if error.code not in UNREADABLE:
            raise
        message = f"{error}; pass --region for each region that has instances"
        raise RefusedError(message, ExitCode.ERROR) from error


def import_into(
    destination: ImportTarget, source: ImportSource, selection: Selection
) -> tuple[Imported, Mapping[str, str]]:
    """What is imported, and the text of each file by its name.

    Resources whose spec would be invalid are left out, so that the set is valid as a whole."""
    without: frozenset[Address] = frozenset()
    regions = None if destination.text is None else source.regions
    for _ in range(ROUNDS):
        made = imported(
            source.live, selection, source.owner, without, destination.addresses, regions
        )
        files = {name: rendered(file) for name, file in made.files.items()}
        if destination.text is None:
            files[SETTINGS_FILE] = rendered(_settings(source, made))
        wrong = _wrong(files, destination, source)
        if not wrong - without:
            break
        without |= wrong
    return made, files


def _settings(source: ImportSource, made: Imported) -> dict[str, Any]:
    return {
        "version": 1,
        "owner": source.owner,
        "account_id": source.live.identity.account_id,
        "regions": sorted({*source.regions, *made.regions}),
    }


def _wrong(
    files: Mapping[str, str], destination: ImportTarget, source: ImportSource
) -> frozenset[Address]:
    """Addresses whose spec is invalid, for example because AWS has too many tags there."""
    identity, settings = source.live.identity, destination.text
    given = {**files, **({} if settings is None else {SETTINGS_FILE: settings})}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in given.items():
            (Path(folder) / name).write_text(text, "utf-8")
        spec = interpret(read(folder), Caller(identity.account_id, identity.partition))
    errors = [d for d in spec.diagnostics if d.severity == "error"]
    return frozenset(address for d in errors if (address := _address(d, spec)))


def _address(found: Diagnostic, spec: SpecSet) -> Address | None:
    """The resource that the finding's line belongs to."""
    above = [
        (entity.place.here.line, entity.resource.address)
        for entity in spec.desired.entities()
        if entity.place.here.file == found.location.file
        and entity.place.here.line <= found.location.line
    ]
    return max(above)[1] if above else None
