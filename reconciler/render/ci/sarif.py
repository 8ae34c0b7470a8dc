"""Findings about specs as SARIF 2.1.0, as GitHub's code scanning takes them.

Source: docs.github.com/code-security/reference/code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from reconciler import __version__
from reconciler.render.ci.repository import Repository
from reconciler.render.ci.rules import Rule, home_page, rules
from reconciler.render.json.encode import json_text
from reconciler.render.json.types import DiagnosticShape
from reconciler.render.text.diagnostics import token_length

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST = 25_000
"""Results in one run; the limit of GitHub."""


def sarif(
    found: Iterable[DiagnosticShape],
    sources: Mapping[str, str],
    repository: Repository,
) -> str:
    """``sources`` holds the text of each file, by its name in the findings."""
    shown = list(found)[:MOST]
    codes = sorted({one["code"] for one in shown})
    home = home_page()
    driver = {
        "name": "reconciler",
        "semanticVersion": __version__,
        **({"informationUri": home} if home else {}),
        "rules": [_rule(code) for code in codes],
    }
    lines = {name: text.splitlines() for name, text in sources.items()}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "reconciler/validate/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes, lines, repository) for one in shown],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json_text(log) + "\n"


def _rule(code: str) -> dict[str, Any]:
    meaning = code.replace("-", " ")
    rule = rules().get(code, Rule(meaning, None))
    return {
        "id": code,
        "shortDescription": {"text": meaning},
        "fullDescription": {"text": rule.text.replace("`", "")},
        "help": {"text": rule.text.replace("`", ""), "markdown": rule.text},
        **({"helpUri": rule.page} if rule.page else {}),
    }


def _result(
    one: DiagnosticShape, codes: list[str], lines: Mapping[str, list[str]], repository: Repository
) -> dict[str, Any]:
    path = repository.path(one["file"])
    more = f" ({one['suggestion']})" if one["suggestion"] else ""
    line, column = max(1, one["line"]), max(1, one["column"])
    text = lines.get(one["file"], [])
    length = token_length(text[line - 1], column - 1) if line <= len(text) else 1
    region = {
        "startLine": line,
        "startColumn": column,
        "endLine": line,
        "endColumn": column + length,
    }
    text_of = f"{path}\n{one['code']}\n{one['message']}"
    return {
        "ruleId": one["code"],
        "ruleIndex": codes.index(one["code"]),
        "level": one["severity"],
        "message": {"text": one["message"] + more},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": region}}
        ],
        "partialFingerprints": {
            "primaryLocationLineHash": hashlib.sha256(text_of.encode()).hexdigest()
        },
    }
