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
from moto import backend_index, mock_aws
from moto.core import models
from moto.core.base_backend import BackendDict, BaseBackend

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


_FIRST = ("iam", "ec2", "sts", "cloudtrail")
"""Services that are asked for most. moto looks through a hundred for each request."""


@contextmanager
def _mocked() -> Iterator[None]:
    """moto for boto3 alone, which starts at once: for the library ``requests``, which nothing here
    sends to AWS with, it would make seven hundred answers ready."""
    services, methods = backend_index.backend_url_patterns, models.RESPONSES_METHODS
    backend_index.backend_url_patterns = sorted(services, key=lambda one: one[0] not in _FIRST)
    models.RESPONSES_METHODS = []
    try:
        with mock_aws():
            try:
                yield
            finally:
                # moto makes its backends again before it drops them. Those of S3 close files so.
                for kept in BackendDict._instances:
                    if kept.backend.reset is BaseBackend.reset:
                        kept.clear()
    finally:
        backend_index.backend_url_patterns = services
        models.RESPONSES_METHODS = methods


@contextmanager
def embedded(world: World) -> Iterator[World]:
    """From here on boto3 sends everything to the sandbox; the user's credentials are not read."""
    kept = {name: os.environ.get(name) for name in (*_FAKE, *_CLEARED)}
    os.environ.update(_FAKE)
    for name in _CLEARED:
        os.environ.pop(name, None)
    try:
        world.cut = _cut
        with installed(world), _mocked():
            yield world
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
