"""Sends calls, each of them once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.aws.errors import translated
from reconciler.aws.session import Clients
from reconciler.requests import ApiCall


class AwsWriter:
    """A ``Writer`` over boto3. botocore does not resend: what to do about a lost answer is for
    those to decide who can read and compare."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @property
    def calls(self) -> Mapping[str, int]:
        return dict(sorted(self._clients.counts.items()))

    def send(self, call: ApiCall) -> Mapping[str, Any]:
        client = self._clients.get(call.service, call.region)
        with translated(call.name):
            answer: Mapping[str, Any] = getattr(client, _method(call.operation))(**call.params)
            return answer


def _method(operation: str) -> str:
    """``AddRoleToInstanceProfile`` as boto3 has it: ``add_role_to_instance_profile``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()
