"""Sessions with fewer handlers of events: those of the calls that are made are all there."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from reconciler.aws.hooks import CALLED, lean_session
from reconciler.plan.authorization import READS, WRITES

CLIENTS = {
    "access-analyzer": "accessanalyzer",
    "elasticloadbalancing": "elbv2",
    "tag": "resourcegroupstaggingapi",
}
"""Of services that IAM names otherwise."""
NOT_OF_TARGETS = {"aws", "events", "s3", "sns", "servicequotas"}
"""Called with the caller's own credentials, or not at all."""
KINDS = (
    *("creating-client-class", "before-parameter-build", "provide-client-params", "before-call"),
    *(
        "before-endpoint-resolution",
        "choose-signer",
        "request-created",
        "before-sign",
        "before-send",
    ),
    *(
        "response-received",
        "needs-retry",
        "after-call",
        "after-call-error",
        "getattr",
        "before-parse",
    ),
)


def handlers_of(session: Any, event: str) -> list[Any]:
    return list(session.get_component("event_emitter")._emitter._handlers.prefix_search(event))


CALLS = sorted({*READS, *WRITES})


def test_calls_of_a_target_have_all_their_handlers() -> None:
    full, lean, found = botocore.session.Session(), lean_session(), 0
    for call in CALLS:
        of, _, name = call.partition(":")
        if of in NOT_OF_TARGETS:
            continue
        model = full.get_service_model(CLIENTS.get(of, of))
        service = model.service_id.hyphenize()
        assert service in CALLED
        for kind in KINDS:
            for event in (f"{kind}.{service}", f"{kind}.{service}.{name}"):
                expected = handlers_of(full, event)
                assert handlers_of(lean, event) == expected, event
                found += len(expected)
    assert found > len(CALLS)


@pytest.mark.parametrize(
    "event", ["before-call.s3.PutObject", "docs.request-params.ec2.CopySnapshot.complete-section"]
)
def test_others_are_left_out(event: str) -> None:
    assert len(handlers_of(lean_session(), event)) < len(
        handlers_of(botocore.session.Session(), event)
    )
