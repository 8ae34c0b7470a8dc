"""The names that AWS's managed policies have beyond its reference, for
``reconciler/lint/beyond_reference.txt``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

from reconciler.diagnostics import Diagnostic
from reconciler.lint.catalog import Catalog, catalog
from reconciler.lint.statements import findings_of
from reconciler.model.policy_document import as_list
from reconciler.spec.check.spots import Spot
from reconciler.spec.desired import Place
from reconciler.spec.yaml.parser import parse
from reconciler.spec.yaml.tree import plain

NAMES = ("unknown-action", "action-matches-nothing", "unknown-condition-key")
"""Findings about a name alone."""


def documents() -> dict[str, Any]:
    return {name: held["Document"] for name, held in json.loads(aws_managed_policies_data).items()}


def findings(document: object, known: Catalog) -> list[Diagnostic]:
    tree = parse(json.dumps(document), "policy.json", [])
    assert tree is not None
    return list(findings_of(plain(tree), Spot(Place(tree, ()), ()), known))


def beyond_reference() -> str:
    known = replace(catalog(), beyond=frozenset())
    return "".join(f"{name}\n" for name in sorted(set(_names(known)), key=str.casefold))


def _names(known: Catalog) -> Iterator[str]:
    """All names once, in one document: each alone would take as long as all policies."""
    actions: dict[str, None] = {}
    keys: dict[str, None] = {}
    for held in documents().values():
        for statement in as_list(held["Statement"]):
            for element in ("Action", "NotAction"):
                actions |= dict.fromkeys(as_list(statement.get(element, [])))
            for tested in statement.get("Condition", {}).values():
                keys |= dict.fromkeys(tested)
    condition = {"Null": dict.fromkeys(keys, "true")}
    for found in findings({"Statement": {"Action": [*actions], "Condition": condition}}, known):
        if found.code in NAMES:
            name = found.message.split("'")[1]
            service = name.partition(":")[0].casefold()
            is_service = service == "aws" or service in known.services
            yield name if is_service else f"{service}:*"
