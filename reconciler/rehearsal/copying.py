"""The account of a target as a seed for the sandbox. It is only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.commands.planned import PlannedTarget
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.importer.into_set import import_source
from reconciler.importer.seed import seed_of

PARTITION = "aws"
"""The only one that the sandbox has."""


@dataclass(frozen=True, slots=True)
class AccountCopy:
    """``text`` is a seed; ``left_out`` counts what is not in it, and ``unread`` has the regions
    that could not be read, each by its reason."""

    text: str
    size: int
    left_out: Mapping[str, int]
    unread: Mapping[str, str]


def copy_of(target: PlannedTarget, say: Callable[[str], None]) -> AccountCopy:
    """Reads the account, with the instances of all enabled regions. Calls ``say`` with what is
    read, beforehand.

    Raises ``RefusedError`` if the sandbox cannot be like it, or if it cannot be read; ``AwsError``.
    """
    partition = target.plan.identity.partition
    if partition != PARTITION:
        message = f"the sandbox has no partition {partition}: a plan for it cannot be rehearsed"
        raise RefusedError(message, ExitCode.ERROR)
    connection, settings = target.connection, target.spec.settings
    owner = target.plan.owner
    own = {"account_id": None, "regions": list(target.plan.regions) or settings.regions}
    source = import_source(connection, settings.model_copy(update=own), owner, (), say)
    principals = connection.reader.users_and_groups()
    made = seed_of(source.live, principals, settings.tag_prefix)
    return AccountCopy(made.text, made.size, made.skipped, source.live.unread_regions)
