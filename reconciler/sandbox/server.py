"""The sandbox as a server on 127.0.0.1, for any AWS client; a view of whose credentials each
instance is served, at ``/_sandbox/credentials``; and switches for faults beside it."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from moto.iam.models import iam_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from reconciler.sandbox.fault_config import Broken
from reconciler.sandbox.moto_patches import installed
from reconciler.sandbox.plant import PLANTING
from reconciler.sandbox.state import World
from reconciler.sandbox.switches import with_switches

HOST = "127.0.0.1"
CREDENTIALS = "/_sandbox/credentials"


HANG_SECONDS = 5.0
"""Seconds of silence on a connection that ends without a response. AWS takes a minute, which would
make a run long; the client must handle both in the same way."""
FREE_SECONDS = 30.0
"""How long an outage waits for its own port."""
Made = TypeVar("Made")


class _Wire(threading.local):
    """How the request that this thread answers is to end, if not with the answer."""

    how: Broken | None = None

    def clear(self) -> None:
        self.how = None

    def cut(self, how: Broken) -> tuple[int, dict[str, str], str]:
        self.how = how
        return 500, {}, ""


@contextmanager
def serving(world: World, port: int, filled: threading.Event | None = None) -> Iterator[str]:
    """The URL of a running sandbox; ``port`` 0 takes a free one. Until ``filled`` is set, requests
    other than those of ``plant`` wait, so that none sees a part of the seed. Raises ``OSError`` if
    the port is in use."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    wire = _Wire()
    world.cut = wire.cut
    with installed(world):
        listener = _Listener(lambda wanted: _server(world, wanted, wire, filled), port)
        world.goes_out = listener.go_out
        listener.open()
        try:
            yield f"http://{HOST}:{listener.port}"
        finally:
            listener.close_for_good()


@dataclass
class _Listener:
    """Takes connections, but for an outage: then they are refused, as where nothing listens."""

    make: Callable[[int], BaseWSGIServer]
    port: int
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: BaseWSGIServer | None = None

    def open(self) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            self._server = self.make(self.port)
            self.port = self._server.server_port
            threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def close_for_good(self) -> None:
        self._ended.set()
        self.close()

    def go_out(self, delay: float, seconds: float) -> None:
        # Not by the thread that answers a request: closing waits for the loop that hands them out.
        threading.Thread(target=self._out, args=(delay, seconds), daemon=True).start()

    def _out(self, delay: float, seconds: float) -> None:
        if self._ended.wait(delay):
            return
        self.close()
        with self._when_free(lambda: _bound(self.port)):
            # The port stays bound, so that no other process takes it; nothing listens on it.
            self._ended.wait(seconds)
        self._when_free(self.open)

    def _when_free(self, bind: Callable[[], Made]) -> Made:
        """Linux may refuse a port for some milliseconds after its listener has closed, while the
        last of its connections ends."""
        until = time.monotonic() + FREE_SECONDS
        while True:
            try:
                return bind()
            except OSError:
                if time.monotonic() > until:
                    raise
            self._ended.wait(0.01)


def _server(world: World, port: int, wire: _Wire, filled: threading.Event | None) -> BaseWSGIServer:
    application: Any = DomainDispatcherApplication(create_backend_app)
    try:
        # werkzeug would exit if the port is in use; the caller must report that.
        _bound(port).close()
    except OSError as error:
        raise OSError(error.errno, f"port {port}: {error.strerror}", HOST) from error
    answering = _cutting(wire, with_switches(world, _with_view(world, application)))
    if filled is not None:
        answering = _waiting(filled, answering)
    return make_server(HOST, port, answering, threaded=True)


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
    except OSError:
        made.close()
        raise
    return made


def _cutting(wire: _Wire, application: Any) -> Callable[[Any, Any], Iterable[bytes]]:
    """Ends connections that are to end without an answer."""

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        wire.clear()
        answered: Iterable[bytes] = application(environ, start_response)
        if wire.how == "timeout":
            time.sleep(HANG_SECONDS)
        if wire.how is not None:
            # close() would leave it open: others hold the same file.
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answered

    return answer


def _waiting(filled: threading.Event, application: Any) -> Callable[[Any, Any], Iterable[bytes]]:
    """A request that comes while the sandbox is filled is answered when all of it is there."""
    key = f"HTTP_{PLANTING.upper().replace('-', '_')}"

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        if key not in environ:
            filled.wait()
        answered: Iterable[bytes] = application(environ, start_response)
        return answered

    return answer


def _with_view(world: World, application: Any) -> Callable[[Any, Any], Iterable[bytes]]:
    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != CREDENTIALS:
            answered: Iterable[bytes] = application(environ, start_response)
            return answered
        body = json.dumps(credentials(world), indent=2).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]

    return answer


def credentials(world: World) -> list[dict[str, str | None]]:
    """Whose credentials every instance with a profile is served, by the name of the role."""
    with world.lock:
        found = []
        held = {(row.account, row.region, row.instance) for row in world.rows}
        for key in sorted(held & world.served.keys()):
            account, region, instance = key
            role_id = world.served[key]
            role = iam_backends[account]["aws"].roles.get(role_id) if role_id else None
            name = role.name if role else None
            found.append({"account": account, "region": region, "instance": instance, "role": name})
        return found
