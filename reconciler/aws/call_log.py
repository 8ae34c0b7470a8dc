"""What the log is told of each attempt of a call: never what was sent, nor what was answered."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from reconciler.ports import Attempt, CallLog, attempts_so_far

_WELL_FORMED = re.compile(r"[A-Za-z0-9_.:/+=-]{1,200}")
PREFIXES = {
    "accessanalyzer": "access-analyzer",
    "eventbridge": "events",
    "resource-groups-tagging-api": "tag",
    "resourcegroupstaggingapi": "tag",
}
"""Services whose client, or id in botocore's events, is not named as their actions in IAM are."""


class Tap:
    """Tells ``log`` of every attempt that botocore makes with the clients of a session, also with
    those that it makes itself to get credentials.

    botocore emits ``before-send`` and ``response-received`` for each attempt, its own retries
    included, in the thread of the call, and no other attempt of that thread between the two. It
    does not emit the second one if a response cannot be parsed; then ``after-call-error`` comes."""

    def __init__(self, log: CallLog, run: str) -> None:
        self._log = log
        self._run = run
        self._sent = threading.local()

    def attach(self, session: Any) -> None:
        """``session`` is botocore's; clients that it has made already are not covered."""
        emitter = session.get_component("event_emitter")
        # First: the time before other handlers counts, and one of them may be a whole fake AWS.
        emitter.register_first("before-send", self._sending)
        emitter.register("response-received", self._received)
        emitter.register("after-call-error", self._broken)

    def _sending(self, request: Any, **_: object) -> None:
        self._sent.at = (time.time(), time.monotonic())
        # Equal for attempts of the same call: IAM's and EC2's parameters are the body.
        body = request.body
        self._sent.request = (request.url, body if isinstance(body, str | bytes) else None)

    def _received(
        self,
        event_name: str,
        context: Mapping[str, Any],
        parsed_response: Mapping[str, Any] | None,
        exception: BaseException | None,
        **_: object,
    ) -> None:
        answer = parsed_response or {}
        metadata = answer.get("ResponseMetadata", {})
        code = type(exception).__name__ if exception else answer.get("Error", {}).get("Code")
        self._tell(
            event_name, context, metadata.get("HTTPStatusCode"), code, metadata.get("RequestId")
        )

    def _broken(
        self, event_name: str, context: Mapping[str, Any], exception: BaseException, **_: object
    ) -> None:
        self._tell(event_name, context, None, type(exception).__name__, None)

    def _tell(
        self,
        event_name: str,
        context: Mapping[str, Any],
        status: int | None,
        code: object,
        request_id: object,
    ) -> None:
        at, began = getattr(self._sent, "at", None) or (None, 0.0)
        if at is None:
            return  # nothing was sent, or it was told already
        self._sent.at = None
        _, service, operation = event_name.split(".", 2)
        attempt = int(context.get("retries", {}).get("attempt", 1))
        self._log.attempted(
            Attempt(
                at=at,
                run=self._run,
                call=f"{PREFIXES.get(service, service)}:{operation}",
                region=context.get("client_region"),
                number=self._number(attempt, is_refused=code is not None),
                seconds=time.monotonic() - began,
                status=status,
                code=_well_formed(code),
                request_id=_well_formed(request_id),
            )
        )

    def _number(self, attempt: int, *, is_refused: bool) -> int:
        """``attempt`` is botocore's count, which knows nothing of those before its own."""
        earlier = attempts_so_far()
        if earlier is None:
            return attempt
        number = earlier.pop(self._sent.request, 0) + 1
        if is_refused:
            earlier[self._sent.request] = number
        return number


def _well_formed(text: object) -> str | None:
    """Codes and ids come from whoever answers: free text may be anything."""
    if not text:
        return None
    return str(text) if _WELL_FORMED.fullmatch(str(text)) else "malformed"
