"""What is ignored stays as it is, in whatever case its name is spelled."""

from __future__ import annotations

import pytest

from reconciler.kinds.unmanaged_attributes import keep_live
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import Role

TRUST, READ, WRITE = (PolicyDocument.of({"Statement": [{"Sid": s}]}) for s in ("t", "r", "w"))
ARN = "arn:aws:iam::111111111111:policy/team/Read"
LIVE = Role("web", TRUST, managed_policies=(ARN,), inline_policies=(("Logs", READ),))


@pytest.mark.parametrize("name", ["Logs", "logs"])
def test_an_inline_policy(name: str) -> None:
    wanted = Role("web", TRUST, inline_policies=(("logs", WRITE), ("own", WRITE)))
    after = keep_live(wanted, LIVE, [f"inline_policies.{name}"])
    assert after.inline_policies == (("Logs", READ), ("own", WRITE))


@pytest.mark.parametrize("name", ["Read", "read"])
def test_a_managed_policy(name: str) -> None:
    assert keep_live(Role("web", TRUST), LIVE, [f"managed_policies.{name}"]).managed_policies == (
        ARN,
    )
