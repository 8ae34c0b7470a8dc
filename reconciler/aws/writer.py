"""Sends calls, each of them once."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel

from reconciler.aws.errors import translated
from reconciler.aws.session import Clients
from reconciler.plan.calls import ApiCall


class AwsWriter:
    """A ``Writer`` over boto3. botocore does not retry here: after a lost response, the caller must
    read and compare first."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @property
    def calls(self) -> Mapping[str, int]:
        return dict(sorted(self._clients.counts.items()))

    def send(self, call: ApiCall) -> Mapping[str, Any]:
        client = self._clients.get(call.service, call.region)
        if call.is_dry_run:
            # EC2 takes ``DryRun`` for every action, and botocore's model lacks it for the four
            # calls about associations: there it would be refused before it is sent. Two handlers
            # carry it past the model, in the context of that one request.
            events = client.meta.events
            with _LOCK:
                for event, handler in _HANDLERS.items():
                    events.register(f"{event}.ec2", handler, unique_id=f"reconciler-{event}")
        # boto3 has ``AddRoleToInstanceProfile`` as ``add_role_to_instance_profile``.
        method = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", call.operation).lower()
        with self._clients.session.in_flight(), translated(call.name):
            answer: Mapping[str, Any] = getattr(client, method)(**call.params)
            return answer


_LOCK = threading.Lock()


def _taken_out(
    params: dict[str, Any], model: OperationModel, context: dict[str, Any], **_: object
) -> None:
    shape = model.input_shape
    if "DryRun" in params and (shape is None or "DryRun" not in shape.members):
        context["reconciler_dry_run"] = params.pop("DryRun")


def _put_in(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    if context.get("reconciler_dry_run"):
        params["body"]["DryRun"] = "true"


_HANDLERS = {"before-parameter-build": _taken_out, "before-call": _put_in}
