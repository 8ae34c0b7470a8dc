"""What a role is allowed, for programs."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import __version__
from reconciler.commands.can import RoleAnswer
from reconciler.impact.allowed import Answer, DecidingStatement
from reconciler.render.json.can_types import (
    CanAnswerShape,
    CanShape,
    RoleAnswerShape,
    StatementShape,
)
from reconciler.render.json.plan import source_json


def can_json(found: Sequence[RoleAnswer], created_at: str) -> CanShape:
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "roles": [_role(one) for one in found],
    }


def _role(found: RoleAnswer) -> RoleAnswerShape:
    return {
        "target": found.target,
        "role": found.role,
        "source": source_json(found.place),
        "by": "simulator" if found.is_online else "specs",
        "answers": [_answer(one) for one in found.answers],
        "not_counted": list(found.not_counted),
    }


def _answer(answer: Answer) -> CanAnswerShape:
    return {
        "action": answer.action,
        "resource": answer.resource,
        "outcome": answer.outcome,
        "why": answer.why,
        "resources": list(answer.on),
        "statements": [_statement(one) for one in answer.by],
    }


def _statement(statement: DecidingStatement) -> StatementShape:
    return {
        "policy": statement.policy,
        "statement": statement.name,
        "effect": statement.effect,
        "condition_keys": list(statement.keys),
        "source": source_json(statement.place),
    }
