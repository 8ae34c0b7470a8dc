"""HTTP requests with retries.

Messages never contain a whole URL, since those of webhooks are secrets.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from reconciler import __version__
from reconciler.errors import DeliveryError
from reconciler.render.json.encode import json_text, parsed

_T = TypeVar("_T")
TIMEOUT_SECONDS = 20.0
TRIES = 4
LONGEST_WAIT_SECONDS = 30.0
MOST_BYTES = 20 * 1024 * 1024
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """An HTTP response."""

    status: int
    headers: Message
    body: bytes

    def json(self, shape: type[_T]) -> _T:
        """The body as JSON of that shape. Raises ``DeliveryError`` if it is not."""
        try:
            return parsed(self.body.decode("utf-8"), shape)
        except ValueError as error:
            raise DeliveryError("the response does not have the expected format") from error


@dataclass(frozen=True, slots=True)
class Web:
    """An HTTP client. ``sleep`` waits between attempts."""

    sleep: Callable[[float], None] = time.sleep

    def ask(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> WebhookResponse:
        """Sends ``body`` as JSON. Raises ``DeliveryError``. A request is sent again if its response
        was lost, so it may arrive twice."""
        host = host_of(url)
        data = None if body is None else json_text(body, None).encode()
        sent = {"User-Agent": f"reconciler/{__version__}", **(headers or {})}
        if data is not None:
            sent["Content-Type"] = "application/json; charset=utf-8"
        request = urllib.request.Request(url, data, sent, method=method)
        for left in range(TRIES - 1, -1, -1):
            try:
                answer = _sent(request)
            except (OSError, HTTPException) as error:
                if not left:
                    # Without a URL: urllib names only invalid ones, which host_of has rejected.
                    reason = getattr(error, "reason", None) or error
                    why = getattr(reason, "strerror", None) or reason or type(error).__name__
                    raise DeliveryError(f"{host}: {why}") from None
                self.sleep(_pause(TRIES - left, None))
                continue
            if answer.status not in _AGAIN or not left:
                return _good(answer, host)
            self.sleep(_pause(TRIES - left, answer.headers.get("Retry-After")))
        raise AssertionError("the last try returns or raises")


def host_of(url: str) -> str:
    """The host of a URL, which may be printed. Raises ``DeliveryError`` if it is not an HTTP
    URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise DeliveryError("the address is not a valid URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DeliveryError("the address must begin with https:// or http://")
    return parts.hostname


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirects, which would send tokens and findings to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _sent(request: urllib.request.Request) -> WebhookResponse:
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return WebhookResponse(answer.status, answer.headers, _read(answer))
    except urllib.error.HTTPError as error:
        with error:
            return WebhookResponse(error.code, error.headers, _read(error))


def _read(answer: IO[bytes]) -> bytes:
    return answer.read(MOST_BYTES)


def _good(answer: WebhookResponse, host: str) -> WebhookResponse:
    if answer.status in _REDIRECTS:
        message = f"{host}: answered {answer.status}; redirects are not followed"
        raise DeliveryError(message, answer.status)
    if answer.status >= 400:
        said = answer.body[:200].decode(errors="replace").strip()
        message = f"{host}: answered {answer.status}{f': {said}' if said else ''}"
        raise DeliveryError(message, answer.status)
    return answer


def _pause(tries: int, asked: str | None) -> float:
    """Seconds to wait: those of ``Retry-After``, otherwise exponential."""
    is_number = asked is not None and re.fullmatch("[0-9]{1,12}", asked)
    wanted = float(asked) if asked is not None and is_number else 2.0 ** (tries - 1)
    return min(wanted, LONGEST_WAIT_SECONDS)
