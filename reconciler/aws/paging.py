"""Asks AWS: whole lists page by page, single things by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from reconciler.aws import parse
from reconciler.aws.call_log import PREFIXES
from reconciler.aws.errors import CUT_OFF
from reconciler.aws.session import Clients
from reconciler.errors import AwsError
from reconciler.ports import repeating
from reconciler.threads import interruptible

PAGE = 1000
_PAGES = {
    "describe_auto_scaling_groups": 100,
    "describe_launch_configurations": 100,
    "describe_launch_template_versions": 200,
    "get_resources": 100,
    "list_clusters": 100,
}
"""The most items that a call answers, where it is fewer."""
_READS = re.compile(r"(get|list|describe)_\w+")
_T = TypeVar("_T")
INCOMPLETE = "IncompleteAnswer"
"""Our own code for a response without a member that AWS always sends."""
_NOT_THERE = frozenset(
    {"ResponseParserError", "NotImplemented", "InvalidAction", "UnknownOperation"}
)
NOT_IMPLEMENTED = 501
TRIES = 3
"""How often a call is made if its response arrives in part. botocore retries every other network
failure by itself; it reports this one once it has stopped reading."""


class ApiReader:
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
        return self.each_page(lambda page: page, service, operation, region, **params)

    @interruptible
    def each_page(
        self,
        made: Callable[[dict[str, Any]], _T],
        service: str,
        operation: str,
        region: str | None = None,
        **params: Any,
    ) -> list[_T]:
        """What ``made`` takes of each page, which is not kept: a page of instances is a megabyte,
        most of which is not used. All pages are asked for again where one was cut off."""
        client = self._client(service, operation, region)
        config = {"PageSize": _PAGES.get(operation, PAGE)}

        def ask() -> list[_T]:
            if not client.can_paginate(operation):
                return [made(getattr(client, operation)(**params))]
            asked = client.get_paginator(operation)
            return [made(page) for page in asked.paginate(**params, PaginationConfig=config)]

        return self._answered(call_name(service, operation), ask, region)

    @interruptible
    def one(self, operation: str, member: str, **params: Any) -> Any:
        """What IAM answers about one thing under ``member``."""
        client = self._client("iam", operation, None)
        call = call_name("iam", operation)

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = getattr(client, operation)(**params)
            return answer

        with whole(call):
            return parse.need(self._answered(call, ask), member)

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

    @repeating()
    def _answered(self, call: str, ask: Callable[[], _T], region: str | None = None) -> _T:
        """The answer, asked for again where it was cut off."""
        session = self._clients.session
        for _ in range(TRIES - 1):
            try:
                with session.calling(call, region):
                    return ask()
            except AwsError as error:
                if error.code not in CUT_OFF:
                    raise
        with session.calling(call, region):
            return ask()


@contextmanager
def whole(call: str) -> Iterator[None]:
    """A response that lacks a needed member, as ``AwsError`` that names call and member."""
    try:
        yield
    except parse.IncompleteAnswerError as error:
        raise AwsError(call, INCOMPLETE, f"the response has no {error.member}") from error


def why(error: AwsError) -> str:
    """Why something could not be read, in few words."""
    what = error.message if error.code == INCOMPLETE else error.code
    return f"{error.call}: {what}"


def has_no_answer(error: AwsError) -> bool:
    """Whether the endpoint does not support the call: an emulator answers with 501, or with an HTML
    page."""
    return error.code in _NOT_THERE or error.status == NOT_IMPLEMENTED


def call_name(service: str, operation: str) -> str:
    return f"{PREFIXES.get(service, service)}:" + "".join(
        word.capitalize() for word in operation.split("_")
    )
