"""Settings that are wrong, each with its place; and what right ones mean."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reconciler.spec.loader import load

WRONG = {
    "a misspelt key": ("ownr: x", "unknown-key", 1),
    "an owner with a slash": ("owner: a/b", "invalid-value", 1),
    "an owner that is too long": (f"owner: {'a' * 65}", "invalid-value", 1),
    "an account of eleven digits": ("account_id: '12345678901'", "invalid-value", 1),
    # \u0663 is a digit, and no digit of AWS's: int() takes it.
    "an account of other digits": ("account_id: '12345678901\u0663'", "invalid-value", 1),
    "a region of other digits": ("regions: [eu-west-\u0663]", "invalid-value", 1),
    "a time of other digits": ("propagation: \u0663s", "invalid-duration", 1),
    "a share of other digits": ("guards:\n  max_delete: \u0663%", "invalid-share", 2),
    "nowhere to look for consumers": ("prune: false\nconsumer_regions: []", "invalid-value", 2),
    "no region": ("regions: []", "invalid-value", 1),
    "no region of a target": ("targets:\n  prod: {regions: []}", "invalid-value", 2),
    "a region that is none": ("regions: [europe]", "invalid-value", 1),
    "no share": ("guards:\n  max_delete: many", "invalid-share", 2),
    "more than all": ("guards:\n  max_change: 101%", "invalid-share", 2),
    "fewer than none": ("guards:\n  min_existing: -1", "invalid-value", 2),
    "an unknown guard": ("guards:\n  max_delet: 3%", "unknown-key", 2),
    "an ignore rule without reason": (
        "ignore:\n  - {match: x, attributes: [tags]}",
        "missing-key",
        2,
    ),
    "an entry without expiry": ("allow:\n  - {delete: 3, reason: x}", "missing-key", 2),
    "an entry with another date": (
        "allow:\n  - {delete: 3, reason: x, expires: tomorrow}",
        "invalid-value",
        2,
    ),
    "an entry of an unknown guard": (
        "allow:\n  - {everything: 3, reason: x, expires: 2027-01-01}",
        "unknown-key",
        2,
    ),
    "a target with an unknown key": ("targets:\n  prod: {acount_id: '1'}", "unknown-key", 2),
    "a target with a wrong account": ("targets:\n  prod: {account_id: '1'}", "invalid-value", 2),
    "an empty prefix": ("tag_prefix: ''", "invalid-value", 1),
    "a prefix without an end": ("version: 1\ntag_prefix: acme", "invalid-value", 2),
    "a prefix that is too short": ("tag_prefix: 'ab:'", "invalid-value", 1),
    "a prefix that is too long": (f"tag_prefix: '{'a' * 64}:'", "invalid-value", 1),
    "a prefix of AWS's": ("tag_prefix: 'aws:'", "invalid-value", 1),
    "a prefix of AWS's in another case": ("tag_prefix: 'AWS:mine/'", "invalid-value", 1),
    "a prefix that no tag can have": ("tag_prefix: 'a#b:'", "invalid-value", 1),
    "a prefix with nothing in it": ("tag_prefix: ' ://'", "invalid-value", 1),
    "a prefix that is no text": ("tag_prefix: [a]", "wrong-type", 1),
    "a propagation of more than an hour": ("propagation: 61m", "invalid-value", 1),
    "a propagation that is no time": ("propagation: soon", "invalid-duration", 1),
    "version 2": ("version: 2", "invalid-value", 1),
    "a list": ("- a", "wrong-type", 1),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_and_where(tmp_path: Path, case: str) -> None:
    text, code, line = WRONG[case]
    (tmp_path / "reconciler.yaml").write_text(text)
    (tmp_path / "spec.yaml").write_text("roles: {a: {trust: ec2}}")
    found = [d for d in load(str(tmp_path)).diagnostics if d.severity == "error"]
    assert [(d.code, d.location.line) for d in found] == [(code, line)], found
    assert found[0].location.file.endswith("reconciler.yaml")


@pytest.mark.parametrize("prefix", ["acme/", "abc:", "Acme:IAM/", "größe:", "a" * 63 + ":"])
def test_prefixes(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "reconciler.yaml").write_text(f"tag_prefix: '{prefix}'", "utf-8")
    (tmp_path / "spec.yaml").write_text("roles: {a: {trust: ec2}}")
    spec = load(str(tmp_path))
    assert not spec.diagnostics
    assert spec.settings.tag_prefix == prefix


def test_defaults(tmp_path: Path) -> None:
    """Those of the format's page."""
    (tmp_path / "spec.yaml").write_text("roles: {a: {trust: ec2}}")
    settings = load(str(tmp_path)).settings
    assert (settings.owner, settings.prune, settings.adopt) == ("default", False, False)
    assert (settings.tag_prefix, settings.propagation) == ("reconciler:", 60)
    guards, quotas = settings.guards, settings.quotas
    assert (guards.max_delete, guards.max_change, guards.min_existing) == (30, 50, 10)
    assert guards.protected == []
    assert (quotas.managed_policies_per_role, quotas.trust_policy_size) == (10, 2048)
    assert settings.consumer_regions is None


def test_what_is_given(tmp_path: Path) -> None:
    (tmp_path / "reconciler.yaml").write_text(
        "account_id: 012345678901\nconsumer_regions: all\npropagation: 0s\n"
        "guards: {max_delete: 5%, protected: ['role/ci-*']}\n"
        "allow: [{delete: 12, reason: retire, expires: 2026-12-01}]\n"
    )
    (tmp_path / "spec.yaml").write_text("roles: {a: {trust: ec2}}")
    spec = load(str(tmp_path))
    assert not spec.diagnostics
    settings = spec.settings
    assert settings.account_id == "012345678901"
    assert settings.consumer_regions is None
    assert settings.propagation == 0
    assert settings.guards.max_delete == 5
    assert settings.allow[0].expires == date(2026, 12, 1)
