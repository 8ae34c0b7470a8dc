"""Findings about specs as SARIF 2.1.0, as GitHub's code scanning takes them.

Source: docs.github.com/code-security/reference/code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from reconciler import __version__
from reconciler.render.ci.repository import Repository
from reconciler.render.json.encode import json_text
from reconciler.render.json.types import DiagnosticShape

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST = 25_000
"""Results in one run; the limit of GitHub."""


def sarif(found: Iterable[DiagnosticShape], repository: Repository) -> str:
    shown = list(found)[:MOST]
    codes = sorted({one["code"] for one in shown})
    driver = {
        "name": "reconciler",
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "reconciler/validate/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes, repository) for one in shown],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json_text(log) + "\n"


def _rule(code: str) -> dict[str, Any]:
    meaning = code.replace("-", " ")
    return {
        "id": code,
        "shortDescription": {"text": meaning},
        "fullDescription": {"text": f"A finding in the specs: {meaning}."},
        "help": {"text": f"See {code} in docs/rules.md of reconciler."},
    }


def _result(one: DiagnosticShape, codes: list[str], repository: Repository) -> dict[str, Any]:
    path = repository.path(one["file"])
    more = f" ({one['suggestion']})" if one["suggestion"] else ""
    line, column = max(1, one["line"]), max(1, one["column"])
    region = {"startLine": line, "startColumn": column, "endLine": line, "endColumn": column + 1}
    text = f"{path}\n{one['code']}\n{one['message']}"
    return {
        "ruleId": one["code"],
        "ruleIndex": codes.index(one["code"]),
        "level": one["severity"],
        "message": {"text": one["message"] + more},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": region}}
        ],
        "partialFingerprints": {
            "primaryLocationLineHash": hashlib.sha256(text.encode()).hexdigest()
        },
    }
