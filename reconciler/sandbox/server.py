"""The sandbox as a server on 127.0.0.1, for any AWS client; and a view of whose credentials each
instance is served, at ``/_sandbox/credentials``."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.iam.models import iam_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from reconciler.sandbox.layer import installed
from reconciler.sandbox.world import World

HOST = "127.0.0.1"
CREDENTIALS = "/_sandbox/credentials"


@contextmanager
def serving(world: World, port: int) -> Iterator[str]:
    """The address of a running sandbox; ``port`` 0 takes a free one. Raises ``OSError`` when the
    port is taken."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with installed(world):
        server = _server(world, port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _server(world: World, port: int) -> BaseWSGIServer:
    application: Any = DomainDispatcherApplication(create_backend_app)
    _refuse_taken(port)
    return make_server(HOST, port, _with_view(world, application), threaded=True)


def _refuse_taken(port: int) -> None:
    """werkzeug would end the process when the port is taken; that is for our caller to say."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise OSError(error.errno, f"port {port}: {error.strerror}", HOST) from error


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
