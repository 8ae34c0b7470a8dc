"""Drift documents, without an AWS."""

from __future__ import annotations

from typing import Any

from reconciler.drift.findings import STATUSES
from reconciler.notify.notice import Notice

NOW = "2026-11-23T20:00:00Z"


def finding(address: str = "role/a", **more: Any) -> Any:
    made = {
        "target": "default",
        "address": address,
        "region": None,
        "status": "modified",
        "severity": "warning",
        "differences": [{"path": "description", "before": "a", "after": "b"}],
        "reason": None,
        "source": {"file": "specs/a.yaml", "line": 3, "column": 1},
        "fingerprint": "0" * 16,
        "transition": "new",
        "first_seen": NOW,
        "actor": None,
    }
    return {**made, **more}


def document(*findings: Any, **more: Any) -> Any:
    statuses = [one["status"] for one in findings]
    target = {"target": "default", "account_id": "123456789012", "partition": "aws"}
    made = {
        "format_version": "1.0",
        "reconciler": "0",
        "created_at": NOW,
        "owner": "tests",
        "targets": [{**target, "regions": ["us-east-1"]}],
        "findings": list(findings),
        "resolved": [],
        "notes": [],
        "summary": {status: statuses.count(status) for status in STATUSES},
        "api_calls": {},
        "diagnostics": [],
    }
    return {**made, **more}


def notice(*findings: Any) -> Notice:
    return Notice(document(*findings), findings)
