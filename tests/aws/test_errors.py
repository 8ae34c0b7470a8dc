"""What surely was not sent, what may have been, and what is no error of AWS at all."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from reconciler.aws.errors import translated
from reconciler.aws.paging import ApiReader
from reconciler.aws.session import Login, Session, reading
from reconciler.errors import AwsError
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.state import World

Answer = Callable[[socket.socket], None]


@contextmanager
def answering(answer: Answer) -> Iterator[int]:
    """A port, each of whose connections is answered, and then closed."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)

        def serve() -> None:
            try:
                while True:
                    made, _ = listener.accept()
                    with made:
                        answer(made)
            except OSError:
                return  # the test is over

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def hang_up(_made: socket.socket) -> None: ...


def say_nothing(made: socket.socket) -> None:
    made.recv(9999)
    time.sleep(1.2)


def reset(made: socket.socket) -> None:
    made.recv(10)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def said(text: bytes) -> Answer:
    def answer(made: socket.socket) -> None:
        made.recv(9999)
        made.sendall(text)

    return answer


CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<GetRoleResponse><a>"
CUT_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n<GetRole"
PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n<html><body>Sign in to go on</body></html>    "
)
NO_TUNNEL = said(b"HTTP/1.1 503 no\r\n\r\n")


def failure(url: str, proxies: dict[str, str] | None = None) -> AwsError:
    config = Config(
        retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1, proxies=proxies
    )
    iam = boto3.client(
        "iam",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=config,
    )
    with pytest.raises(AwsError) as raised, translated("iam:GetRole"):
        iam.get_role(RoleName="x")
    return raised.value


@pytest.mark.parametrize("answer", [hang_up, say_nothing, reset, said(b"HTTP/1.1 400 bad\r\n\r\n")])
def test_a_handshake_that_fails_has_sent_nothing(answer: Answer) -> None:
    with answering(answer) as port:
        found = failure(f"https://127.0.0.1:{port}")
    assert (found.was_not_sent, found.is_uncertain) == (True, False), found


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nowhere.invalid"])
def test_without_a_connection_nothing_was_sent(url: str) -> None:
    found = failure(url)
    assert (found.was_not_sent, found.is_uncertain) == (True, False), found


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(scheme: str) -> None:
    found = failure(f"{scheme}://iam.example", {scheme: "http://127.0.0.1:9"})
    assert (found.code, found.was_not_sent) == ("ProxyConnectionError", True)


def test_a_proxy_that_makes_no_tunnel() -> None:
    """It was reached: what it says is the way to what is wrong, such as its password."""
    with answering(NO_TUNNEL) as port:
        found = failure("https://iam.example", {"https": f"http://me:secret@127.0.0.1:{port}"})
    assert (found.code, found.was_not_sent) == ("ProxyConnectionError", True)
    proxy = f"the proxy http://127.0.0.1:{port}"
    assert found.message == f"{proxy} made no connection, and answered 503 no"


def test_a_web_page_is_not_from_aws() -> None:
    """Such as one to sign in to a network: well-formed, and without any member of an answer."""
    with answering(said(PAGE)) as port:
        found = failure(f"http://127.0.0.1:{port}")
    assert (found.code, found.is_uncertain) == ("ResponseParserError", True)
    with pytest.raises(KeyError), translated("iam:GetRole"):
        raise KeyError("of our own")


@pytest.mark.parametrize("answer", [said(b""), say_nothing, reset, said(CUT_OFF), said(CUT_CHUNK)])
def test_what_was_sent_may_have_taken_effect(answer: Answer) -> None:
    with answering(answer) as port:
        found = failure(f"http://127.0.0.1:{port}")
    assert (found.was_not_sent, found.is_uncertain) == (False, True), found


def test_an_error_of_our_own_is_not_one_of_the_credentials() -> None:
    """Not every RuntimeError is how botocore says that they have expired."""
    with pytest.raises(RuntimeError, match="thread"), translated("iam:GetRole"):
        raise RuntimeError("can't start new thread")


@pytest.fixture
def asking() -> Iterator[ApiReader]:
    with embedded(World()):
        yield ApiReader(reading(Session(Login(run="test", region="us-east-1"))))


class Body:
    def stream(self) -> Iterator[bytes]:
        yield b"<ListRolesResponse><ListRolesResult><Roles>"


def cut_off(asking: ApiReader, times: int) -> list[int]:
    """The next answers of IAM end in the middle."""
    left = [1] * times

    def answer(request: Any, **_: object) -> AWSResponse | None:
        return AWSResponse(request.url, 200, HTTPHeaders(), Body()) if left and left.pop() else None

    client = asking._clients.get("iam")
    client.meta.events.register_first("before-send.iam", answer)
    return left


def test_an_answer_that_is_cut_off_is_asked_for_again(asking: ApiReader) -> None:
    left = cut_off(asking, 2)
    assert asking.pages("iam", "list_roles", "Roles") == []
    assert left == []
    left = cut_off(asking, 2)
    assert asking.found("get_role", "Role", RoleName="x") is None
    assert left == []


def test_what_is_always_cut_off_is_an_error(asking: ApiReader) -> None:
    cut_off(asking, 9)
    with pytest.raises(AwsError) as raised:
        asking.pages("iam", "list_roles", "Roles")
    assert "cut off" in raised.value.message
