"""Whether a session of an instance is denied a call because it is too old: the one thing that the
simulator cannot be asked, since it has no session.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from moto.iam.models import iam_backends

from reconciler.model.policy_decision import PolicyQuestion, decide
from reconciler.sandbox.sessions import IssuedSession


def is_revoked(account: str, session: IssuedSession, action: str, resource: str, at: float) -> bool:
    role = iam_backends[account]["aws"].roles.get(session.role_id)
    if role is None:
        return False
    context = {
        "aws:tokenissuetime": (_moment(session.issued_at),),
        "aws:currenttime": (_moment(at),),
    }
    asked = PolicyQuestion(action, resource, context)
    inline = (json.loads(text) for text in role.policies.values())
    return decide(inline, asked).outcome == "explicitDeny"


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(int(epoch), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
