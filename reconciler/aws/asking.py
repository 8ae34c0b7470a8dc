"""Asks AWS: whole lists page by page, single things by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from reconciler.aws.errors import CUT_OFF, translated
from reconciler.aws.session import Clients
from reconciler.ports import AwsError

PAGE = 1000
_READS = re.compile(r"(get|list|describe)_\w+")
_T = TypeVar("_T")
TRIES = 3
"""How often something is asked whose answer arrives in part. All other failures of the way to AWS
botocore repeats by itself; this one it tells when it has stopped to look."""


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
    ) -> list[dict[str, Any]]:
        client = self._client(service, operation, region)
        config = {"PageSize": PAGE}

        def ask() -> list[dict[str, Any]]:
            if not client.can_paginate(operation):
                return [getattr(client, operation)(**params)]
            asked = client.get_paginator(operation)
            return list(asked.paginate(**params, PaginationConfig=config))

        return _whole(f"{service}:{_camel(operation)}", ask)

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        client = self._client(service, operation, None)

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = getattr(client, operation)(**params)
            return answer

        return _whole(f"{service}:{_camel(operation)}", ask)

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


def _whole(call: str, ask: Callable[[], _T]) -> _T:
    """The answer, asked for again where it was cut off."""
    for _ in range(TRIES - 1):
        try:
            with translated(call):
                return ask()
        except AwsError as error:
            if error.code not in CUT_OFF:
                raise
    with translated(call):
        return ask()


def _camel(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))
