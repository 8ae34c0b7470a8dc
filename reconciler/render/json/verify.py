"""A verification as JSON, in the shapes of ``verify_types.py``."""

from __future__ import annotations

from reconciler import __version__
from reconciler.commands.verify import LetGo, Verification, VerifiedConsumer, VerifiedTarget
from reconciler.model.evidence import Judgement
from reconciler.render.json import verify_types as types
from reconciler.render.json.explain import moment, served_json
from reconciler.render.json.plan import target_header


def verify_json(made: Verification, created_at: str) -> types.VerifyShape:
    """``created_at`` is as ``now_as_text`` has it."""
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "owner": made.owner,
        "sources": list(made.question.sources),
        "targets": [_target(target) for target in made.targets],
        "summary": made.summary,
        "api_calls": dict(made.api_calls),
    }


def _target(target: VerifiedTarget) -> types.VerifiedTargetShape:
    return {
        **target_header(target.plan),
        "instances": [_verified(one) for one in target.verified],
        "at_rest": target.at_rest,
        "let_go": [_let_go(one) for one in target.let_go],
        "not_read": [{"what": n.what, "reason": n.reason} for n in target.not_read],
    }


def _verified(one: VerifiedConsumer) -> types.VerifiedShape:
    row = one.instance.row
    return {
        "instance": one.instance.key.instance,
        "region": one.instance.key.region,
        "name": one.instance.tags.get("Name"),
        "status": one.judgement.status,
        "association": {
            "id": row.id if row is not None else None,
            "state": row.state if row is not None else None,
            "instance_profile": one.profile,
            "role": one.role,
        },
        "mark": served_json(one.mark),
        "evidence": evidence_json(one.judgement),
    }


def evidence_json(judged: Judgement) -> types.EvidenceShape:
    return {
        "how": judged.how,
        "because": judged.because,
        "source": judged.source,
        "role": judged.role,
        "issued_at": moment(judged.issued_at),
        "seen_at": moment(judged.seen_at),
        "call": judged.call,
        "error": judged.error,
        "until": moment(judged.until),
        "missing_permissions": list(judged.permissions),
    }


def _let_go(one: LetGo) -> types.LetGoShape:
    return {
        "role": one.role,
        "let_go_at": moment(one.at) or "",
        "last_used_at": moment(one.used.at) if one.used is not None else None,
        "last_used_region": one.used.region if one.used is not None else None,
        "unread": one.unread,
    }
