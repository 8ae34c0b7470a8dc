"""Where to look for instances: consumers of a profile may be in any enabled region."""

from __future__ import annotations

from reconciler.commands.request import Connection
from reconciler.errors import UNREADABLE, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.explain.explanation import NotRead
from reconciler.plan.changes import WHICH_REGIONS
from reconciler.planner.options import Options
from reconciler.ports import Reader


def near(options: Options, connection: Connection) -> str:
    """A region to ask which there are. Raises ``RefusedError``."""
    found = options.regions[0] if options.regions else connection.default_region
    if found is None:
        message = "no region is set; pass --region, or set AWS_REGION or regions"
        raise RefusedError(message, ExitCode.ERROR)
    return found


def everywhere(
    options: Options, connection: Connection, reader: Reader
) -> tuple[tuple[str, ...], NotRead | None]:
    """Every enabled region; those of the set where they cannot be listed, and that they cannot.
    Raises ``RefusedError`` without a region."""
    asked = near(options, connection)
    try:
        return reader.enabled_regions(asked), None
    except AwsError as error:
        if error.code not in UNREADABLE:
            raise
        why = NotRead(WHICH_REGIONS, f"{error.call}: {error.code}")
        return tuple(sorted({asked, *options.own_regions})), why
