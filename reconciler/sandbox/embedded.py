"""The sandbox inside this process: no port, no server, and a clock that need not be real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from moto import mock_aws

from reconciler.sandbox.fault_config import Broken
from reconciler.sandbox.moto_patches import installed
from reconciler.sandbox.state import World

_FAKE = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_CLEARED = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)


@dataclass
class JumpingClock:
    """Time that passes only during a sleep."""

    seconds: float = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Concurrent sleeps overlap."""
        until = self.seconds + max(seconds, 0.0)
        self.seconds = max(self.seconds, until)


def _cut(how: Broken) -> NoReturn:
    """As botocore says it: there is no wire to cut here."""
    url = "https://sandbox.invalid/"
    if how == "reset":
        raise ConnectionClosedError(endpoint_url=url)
    if how == "refused":
        raise EndpointConnectionError(endpoint_url=url)
    raise ReadTimeoutError(endpoint_url=url)


@contextmanager
def embedded(world: World) -> Iterator[World]:
    """From here on boto3 sends everything to the sandbox; the user's credentials are not read."""
    kept = {name: os.environ.get(name) for name in (*_FAKE, *_CLEARED)}
    os.environ.update(_FAKE)
    for name in _CLEARED:
        os.environ.pop(name, None)
    try:
        world.cut = _cut
        # Our layer first and last: moto creates its backends again when it stops.
        with installed(world), mock_aws():
            yield world
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
