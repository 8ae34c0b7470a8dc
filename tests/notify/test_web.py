"""What is sent to other systems, and what is said when they do not take it."""

from __future__ import annotations

import pytest

from reconciler.errors import DeliveryError
from reconciler.notify.webhook import LONGEST_WAIT_SECONDS, TRIES, Web
from tests.receiver import Received, Reply, receiver


def answers(*statuses: int, **headers: str) -> tuple[list[float], Web, list[int]]:
    slept: list[float] = []
    return slept, Web(slept.append), list(statuses)


def test_requests_are_json() -> None:
    with receiver() as there:
        answer = Web().ask("POST", f"{there.url}/hook", {"ä": 1}, {"X-A": "b"})
    (came,) = there.received
    assert answer.status == 200
    assert came.json == {"ä": 1}
    assert came.headers["content-type"].startswith("application/json")
    assert came.headers["user-agent"].startswith("reconciler/")
    assert came.headers["x-a"] == "b"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_temporary_errors_are_retried(status: int) -> None:
    slept, web, left = answers(status, status, 200)
    with receiver(lambda _: (left.pop(0), {}, b"")) as there:
        web.ask("POST", there.url, {})
    assert len(there.received) == 3
    assert slept == [1.0, 2.0]


def test_retry_after_is_honoured_up_to_a_limit() -> None:
    slept, web, left = answers(429, 429, 200)
    waits = ["7", "9999"]
    with receiver(
        lambda _: (left.pop(0), {"Retry-After": waits.pop(0) if waits else "0"}, b"")
    ) as there:
        web.ask("POST", there.url, {})
    assert slept == [7.0, LONGEST_WAIT_SECONDS]


def test_retries_are_limited() -> None:
    slept, web, _ = answers()
    with (
        receiver(lambda _: (503, {}, b"busy")) as there,
        pytest.raises(DeliveryError, match="503: busy"),
    ):
        web.ask("POST", f"{there.url}/secret", {})
    assert len(there.received) == TRIES
    assert len(slept) == TRIES - 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_client_errors_are_not_retried(status: int) -> None:
    with (
        receiver(lambda _: (status, {}, b"no_such_hook")) as there,
        pytest.raises(DeliveryError) as caught,
    ):
        Web().ask("POST", f"{there.url}/T0/secret", {})
    assert len(there.received) == 1
    assert str(caught.value) == f"127.0.0.1: answered {status}: no_such_hook"


def test_a_redirect_is_not_followed() -> None:
    """Findings and tokens stay with the host that they are for."""

    def away(_: Received) -> Reply:
        return 302, {"Location": f"{there.url}/elsewhere"}, b""

    with receiver(away) as there, pytest.raises(DeliveryError, match="redirects are not followed"):
        Web().ask("POST", f"{there.url}/secret", {}, {"Authorization": "Bearer x"})
    assert len(there.received) == 1


def test_a_refused_connection() -> None:
    with receiver() as there:
        url = there.url
    slept, web, _ = answers()
    with pytest.raises(DeliveryError) as caught:
        web.ask("POST", f"{url}/T0/secret", {})
    assert str(caught.value) == "127.0.0.1: Connection refused"
    assert len(slept) == TRIES - 1


@pytest.mark.parametrize(
    "url", ["ftp://x/secret", "file:///etc/passwd", "x/secret", "http:///secret"]
)
def test_only_http_urls_are_accepted(url: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        Web().ask("POST", url, {})
    assert "secret" not in str(caught.value)
    assert "passwd" not in str(caught.value)
