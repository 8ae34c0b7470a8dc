"""Asks AWS: whole lists page by page, single things by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.aws.errors import translated
from reconciler.aws.session import Clients
from reconciler.ports import AwsError

PAGE = 1000
_READS = re.compile(r"(get|list|describe)_\w+")


class Asking:
    """Makes no call whose name is not Get, List or Describe."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @property
    def counts(self) -> Mapping[str, int]:
        return dict(sorted(self._clients.counts.items()))

    def pages(
        self, service: str, operation: str, key: str, region: str | None = None, **params: Any
    ) -> list[dict[str, Any]]:
        """Every item of a list."""
        pages = self.raw_pages(service, operation, region, **params)
        return [item for page in pages for item in page.get(key, ())]

    def raw_pages(
        self, service: str, operation: str, region: str | None = None, **params: Any
    ) -> Iterator[dict[str, Any]]:
        client = self._client(service, operation, region)
        with translated(f"{service}:{_camel(operation)}"):
            config = {"PageSize": PAGE}
            if client.can_paginate(operation):
                yield from client.get_paginator(operation).paginate(
                    **params, PaginationConfig=config
                )
            else:
                yield getattr(client, operation)(**params)

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        client = self._client(service, operation, None)
        with translated(f"{service}:{_camel(operation)}"):
            answer: dict[str, Any] = getattr(client, operation)(**params)
            return answer

    def found(self, operation: str, **params: Any) -> dict[str, Any] | None:
        """One thing of IAM's, ``None`` where there is none of that name."""
        try:
            return self.call("iam", operation, **params)
        except AwsError as error:
            if error.code == "NoSuchEntity":
                return None
            raise

    def _client(self, service: str, operation: str, region: str | None) -> Any:
        if not _READS.fullmatch(operation):
            raise AssertionError(f"a reader does not call {operation}")
        return self._clients.get(service, region)


def _camel(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))
