"""What the identity needs that assumes the roles of the targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.permissions.statements import Statement, statement
from reconciler.spec.settings import FromOrganizations


def assuming(roles: Collection[str], source: FromOrganizations | None) -> Iterator[Statement]:
    """``roles`` are ARNs, or patterns of them; ``source`` is where further targets come from."""
    yield from statement("AssumeRolesOfTargets", ["sts:AssumeRole"], roles)
    if source is None:
        return
    actions = ["organizations:ListAccounts"]
    if source.units is not None:
        actions = [
            "organizations:ListAccountsForParent",
            "organizations:ListOrganizationalUnitsForParent",
        ]
    if source.tags:
        actions.append("organizations:ListTagsForResource")
    yield from statement("ReadOrganization", actions, ["*"])
