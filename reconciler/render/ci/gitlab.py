"""For GitLab: the numbers of a merge request's widget, and findings as code quality.

Source: docs.gitlab.com/ci/yaml/artifacts_reports (terraform, codequality)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from reconciler.render import phrases
from reconciler.render.ci.repository import Repository
from reconciler.render.json.encode import json_text
from reconciler.render.json.types import DiagnosticShape, DriftShape, PlanShape

MOST = 999_999
_SEVERITY = {"error": "critical", "warning": "minor"}


def plan_widget(document: PlanShape) -> str:
    """The counts of GitLab's widget: a replacement is created and deleted; a cut-over is
    updated."""
    n = phrases.counted(phrases.changes_of(document))
    return _widget(
        create=n["add"] + n["replace"],
        update=n["adopt"] + n["change"] + n["cutover"],
        delete=n["destroy"] + n["replace"],
    )


def drift_widget(document: DriftShape) -> str:
    """What it would take to be in sync again."""
    n = document["summary"]
    changed = n["modified"] + n["stale"] + n["in_progress"] + n["unadopted"]
    return _widget(create=n["missing"], update=changed, delete=n["left"])


def _widget(create: int, update: int, delete: int) -> str:
    counts = {"create": create, "update": update, "delete": delete}
    return json_text({name: min(count, MOST) for name, count in counts.items()}, None) + "\n"


def code_quality(found: Iterable[DiagnosticShape], repository: Repository) -> str:
    issues = []
    seen: dict[str, int] = {}
    for one in found:
        path = repository.path(one["file"])
        text = f"{path}\n{one['code']}\n{one['message']}"
        # The same words at two places of a file are two findings, and stay so when lines move.
        seen[text] = seen.get(text, 0) + 1
        fingerprint = hashlib.sha256(f"{text}\n{seen[text]}".encode()).hexdigest()
        issues.append(
            {
                "description": one["message"],
                "check_name": one["code"],
                "fingerprint": fingerprint,
                "severity": _SEVERITY[one["severity"]],
                "location": {"path": path, "lines": {"begin": max(1, one["line"])}},
            }
        )
    return json_text(issues) + "\n"
