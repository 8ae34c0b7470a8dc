"""The accounts of an organization. Reads only.

``ListAccounts`` has those of all units; for some units ``ListAccountsForParent`` and
``ListOrganizationalUnitsForParent`` are asked, level by level. Tags cost a call for each account.
Source: docs.aws.amazon.com/organizations/latest/APIReference
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconciler.aws.session import Clients
from reconciler.errors import AwsError
from reconciler.ports import Member
from reconciler.threads import each, interruptible

_HINTS = {
    "AccessDeniedException": "targets_from needs credentials of the management account, or of a "
    "delegated administrator, that may list accounts, units and tags",
    "AWSOrganizationsNotInUseException": "targets_from needs credentials of an account that is in "
    "an organization",
    "ParentNotFoundException": "correct units in targets_from",
}


class AwsOrganization:
    """Reads with the caller's credentials. ``parallelism`` calls are made at a time."""

    def __init__(self, clients: Clients, parallelism: int = 10) -> None:
        self._clients = clients
        self._parallelism = parallelism

    def members(
        self, units: Collection[str] | None, tags: Mapping[str, Collection[str]]
    ) -> tuple[Member, ...]:
        """Active accounts in the units or below them (``None`` for all), which have one of the
        values of each tag; sorted by id. Raises ``AwsError``."""
        found = {
            account["Id"]: Member(account["Id"], account["Arn"].split(":")[1])
            for account in self._accounts(units)
            # ``Status`` is what AWS had before ``State``.
            if (account.get("State") or account.get("Status")) == "ACTIVE"
        }
        members = [found[name] for name in sorted(found)]
        if not tags:
            return tuple(members)
        wanted = {key: set(values) for key, values in tags.items()}

        def fits(member: Member) -> bool:
            pages = self._pages("list_tags_for_resource", "Tags", ResourceId=member.id)
            own = {tag["Key"]: tag["Value"] for tag in pages}
            return all(own.get(key) in values for key, values in wanted.items())

        kept = each(fits, members, self._parallelism)
        return tuple(one for one, is_kept in zip(members, kept, strict=True) if is_kept)

    def _accounts(self, units: Collection[str] | None) -> Iterator[dict[str, Any]]:
        if units is None:
            yield from self._pages("list_accounts", "Accounts")
            return
        left, seen = list(units), set(units)
        while left:
            unit = left.pop()
            yield from self._pages("list_accounts_for_parent", "Accounts", ParentId=unit)
            below = self._pages(
                "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit
            )
            new = [one["Id"] for one in below if one["Id"] not in seen]
            seen.update(new)
            left += new

    @interruptible
    def _pages(self, method: str, key: str, **params: str) -> list[dict[str, Any]]:
        client = self._clients.get("organizations")
        call = f"organizations:{client.meta.method_to_api_mapping[method]}"
        found: list[dict[str, Any]] = []
        try:
            with self._clients.session.calling(call):
                for page in client.get_paginator(method).paginate(**params):
                    found += page[key]
        except AwsError as error:
            error.hint = error.hint or _HINTS.get(error.code)
            raise
        return found
