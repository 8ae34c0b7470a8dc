"""Asks AWS: whole lists page by page, single things by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from reconciler.aws import parse
from reconciler.aws.errors import translated
from reconciler.aws.session import Clients
from reconciler.ports import AwsError

PAGE = 1000
_READS = re.compile(r"(get|list|describe)_\w+")
INCOMPLETE = "IncompleteAnswer"
"""Our own code: what answered left out what AWS never leaves out."""
_NOT_THERE = frozenset(
    {"ResponseParserError", "NotImplemented", "InvalidAction", "UnknownOperation"}
)
NOT_IMPLEMENTED = 501


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
        with translated(call_name(service, operation)):
            config = {"PageSize": PAGE}
            if client.can_paginate(operation):
                yield from client.get_paginator(operation).paginate(
                    **params, PaginationConfig=config
                )
            else:
                yield getattr(client, operation)(**params)

    def one(self, operation: str, member: str, **params: Any) -> Any:
        """What IAM answers about one thing under ``member``."""
        client = self._client("iam", operation, None)
        call = call_name("iam", operation)
        with translated(call), whole(call):
            return parse.need(getattr(client, operation)(**params), member)

    def found(self, operation: str, member: str, **params: Any) -> Any | None:
        """The same, ``None`` where there is nothing of that name."""
        try:
            return self.one(operation, member, **params)
        except AwsError as error:
            if error.code == "NoSuchEntity":
                return None
            raise

    def _client(self, service: str, operation: str, region: str | None) -> Any:
        if not _READS.fullmatch(operation):
            raise AssertionError(f"a reader does not call {operation}")
        return self._clients.get(service, region)


@contextmanager
def whole(call: str) -> Iterator[None]:
    """An answer that lacks what is needed, as ``AwsError`` that names call and member."""
    try:
        yield
    except parse.Missing as error:
        raise AwsError(call, INCOMPLETE, f"the answer has no {error.member}") from error


def why(error: AwsError) -> str:
    """Why something could not be read, in few words."""
    what = error.message if error.code == INCOMPLETE else error.code
    return f"{error.call}: {what}"


def has_no_answer(error: AwsError) -> bool:
    """Whether what answers does not know the call at all: an emulator says so with 501, or with a
    page of HTML."""
    return error.code in _NOT_THERE or error.status == NOT_IMPLEMENTED


def call_name(service: str, operation: str) -> str:
    return f"{service}:" + "".join(word.capitalize() for word in operation.split("_"))
