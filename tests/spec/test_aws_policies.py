"""The documents of all AWS-managed policies, as moto has them: none has a finding."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from reconciler.diagnostics import Diagnostic
from reconciler.model.policy_document import PolicyDocument
from reconciler.spec.check import policy_checks
from reconciler.spec.check.aws_managed_policies import denying, paths
from reconciler.spec.check.spots import Spot
from reconciler.spec.desired import Place
from reconciler.spec.loader import load
from reconciler.spec.yaml.parser import parse
from reconciler.spec.yaml.tree import plain

EVERY = 40


@cache
def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(aws_managed_policies_data)
    return found


def findings(document: object) -> list[Diagnostic]:
    tree = parse(json.dumps(document), "policy.json", [])
    assert tree is not None
    held = PolicyDocument.of(plain(tree))
    checked = policy_checks.managed_policy(held, Spot(Place(tree, ()), ()))
    return list(checked)


@pytest.mark.parametrize("name", [*table()][::EVERY])
def test_one_through_the_loader(name: str, tmp_path: Path) -> None:
    """Beyond the quota of size, which is not for AWS's own."""
    document = {**table()[name]["Document"]}
    (tmp_path / "p.json").write_text(json.dumps(document).replace("${", "$${"), "utf-8")
    (tmp_path / "s.yaml").write_text("policies: {p: {document: {file: p.json}}}", "utf-8")
    found = [d for d in load(str(tmp_path)).diagnostics if d.code != "policy-too-large"]
    assert found == []


def test_some() -> None:
    names = [*table()][1::EVERY]
    assert {n: found for n in names if (found := findings(table()[n]["Document"]))} == {}


@pytest.mark.slow
def test_all() -> None:
    assert len(table()) > 1000
    flagged = {n: f for n, held in table().items() if (f := findings(held["Document"]))}
    assert flagged == {}


def test_names_and_paths() -> None:
    """Names that moto has as well lie where it says."""
    known = {name: held["Path"] for name, held in table().items()}
    assert {name: path for name, path in paths().items() if known.get(name, path) != path} == {}
    assert len(known.keys() & paths().keys()) > 1000


def test_those_that_deny_something() -> None:
    held = {name: policy_statements(found["Document"]) for name, found in table().items()}
    known = {name for name, listed in held.items() if any(s["Effect"] == "Deny" for s in listed)}
    assert known <= denying()


def policy_statements(document: Any) -> list[Any]:
    listed = document["Statement"]
    return listed if isinstance(listed, list) else [listed]
