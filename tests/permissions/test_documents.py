"""Sizes, merging, the table against the code, and trusts."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path

import pytest

import reconciler
from reconciler.model.partitions import partition_of
from reconciler.permissions.scope import ANY, PermissionScope
from reconciler.permissions.statements import (
    MOST_CHARACTERS,
    Statement,
    documents,
    merged,
    size,
    statement,
)
from reconciler.permissions.trusts import Pipeline
from reconciler.plan.authorization import NEW_PROFILE, PAGES, PASS_ROLE, READS, WRITES, reads_for
from tests.golden.cases import FILES

SCOPE = PermissionScope("aws", "123456789012", ("us-east-1",), "tests", "reconciler:")


def allowed(found: list[Statement] | tuple[Statement, ...]) -> set[tuple[str, str, str]]:
    """Every action on every resource under every value of the condition."""
    return {
        (action, resource, value)
        for one in found
        for action, resource, value in product(
            one.actions,
            one.resources,
            [v for keys in one.conditions.values() for values in keys.values() for v in values]
            or [""],
        )
    }


def test_what_is_too_large_is_split_and_allows_the_same() -> None:
    names = [f"role-with-a-rather-long-name-{n:04}" for n in range(300)]
    limits = {"ArnLike": {NEW_PROFILE: SCOPE.named("instance-profile", names)}}
    whole = [
        *statement("Roles", ["iam:TagRole", "iam:GetRole"], SCOPE.named("role", names)),
        *statement("Give", ["ec2:AssociateIamInstanceProfile"], SCOPE.instances(), limits),
    ]
    found = documents(whole)
    assert len(found) > 10
    assert all(size(one) <= MOST_CHARACTERS for one in found)
    parts = [
        Statement(s["Sid"], tuple(s["Action"]), tuple(s["Resource"]), s.get("Condition", {}))
        for one in found
        for s in one["Statement"]
    ]
    assert allowed(parts) == allowed(whole)
    assert len({part.sid for part in parts}) == len(parts)
    assert all(re.fullmatch("[A-Za-z0-9]+", part.sid) for part in parts)


def test_a_document_that_fits_is_one() -> None:
    (found,) = documents(statement("A", ["iam:GetRole"], ["*"]))
    assert size(found) == len(json.dumps(found, separators=(",", ":")))


def test_a_value_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="A does not fit"):
        documents(statement("A", ["iam:GetRole"], ["x" * 7000]))


def test_all_of_the_values_are_never_split() -> None:
    keys = {"ForAllValues:StringLike": {"aws:TagKeys": ["a" * 4000, "b" * 4000]}}
    with pytest.raises(ValueError, match="does not fit"):
        documents(statement("A", ["ec2:CreateTags"], ["*"], keys))


def test_merging_allows_nothing_more() -> None:
    pieces = [
        *statement("A", ["iam:TagRole"], ["one"]),
        *statement("A", ["iam:GetRole"], ["one"]),
        *statement("A", ["iam:GetRole"], ["two"]),
        *statement("A", ["iam:TagRole"], ["three"]),
        *statement("A", ["iam:GetRole"], ["three"]),
        *statement("A", ["iam:GetRole"], ["four"], {"StringEquals": {"k": ["v"]}}),
    ]
    found = list(merged(pieces))
    assert allowed(found) == allowed(pieces)
    assert [one.resources for one in found] == [("one", "three"), ("two",), ("four",)]
    assert [one.sid for one in found] == ["A1", "A2", "A3"]


def test_the_table_has_every_call_of_the_code() -> None:
    # What a probe may call is in its own guard.
    apart = {"sandbox", "probe", "probe.py"}
    modules = Path(reconciler.__file__).parent.rglob("*.py")
    files = (path for path in modules if not apart & set(path.parts))
    source = "\n".join(path.read_text("utf-8") for path in files)
    named = {f"iam:{name}" for name in re.findall(r'\b_?iam\(\s*"([A-Z]\w+)"', source)}
    named |= {f"{s}:{o}" for s, o in re.findall(r'ApiCall\(\s*"(\w+)",\s*"(\w+)"', source)}
    kinds = ("Role", "Policy", "InstanceProfile")
    named |= {f"iam:{verb}{kind}" for verb in ("Tag", "Untag") for kind in kinds}
    assert named == WRITES.keys()


def test_every_action_has_its_page() -> None:
    needs = [n for r in READS.values() for n in r.needs] + [n for w in WRITES.values() for n in w]
    assert {need.action.partition(":")[0] for need in needs} == PAGES.keys()


@pytest.mark.parametrize("call", sorted(WRITES))
def test_a_call_that_puts_a_role_somewhere_needs_to_pass_it(call: str) -> None:
    passes = call in (
        "iam:AddRoleToInstanceProfile",
        "ec2:AssociateIamInstanceProfile",
        "ec2:ReplaceIamInstanceProfileAssociation",
    )
    assert (PASS_ROLE in WRITES[call]) is passes


def test_passing_names_ec2_and_any_instance_of_the_account() -> None:
    assert SCOPE.passing() == {
        "StringEquals": {"iam:PassedToService": ("ec2.amazonaws.com",)},
        "ArnLike": {"iam:AssociatedResourceArn": ("arn:aws:ec2:*:123456789012:instance/*",)},
    }
    assert "ArnLike" not in PermissionScope("aws", ANY, None, "o", "p:").passing()
    china = PermissionScope("aws-cn", ANY, None, "o", "p:").passing()["StringEquals"]
    assert china == {"iam:PassedToService": ("ec2.amazonaws.com", "ec2.amazonaws.com.cn")}


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        (None, "aws"),
        ("eu-west-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_the_partition_follows_from_a_region(region: str | None, partition: str) -> None:
    assert partition_of(region) == partition


def test_trusts() -> None:
    github = Pipeline.github("acme/iam", "main", "production")
    (reads,) = github.trust("aws", "123456789012", writes=False)["Statement"]
    assert reads["Principal"]["Federated"] == (
        "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    )
    key = "token.actions.githubusercontent.com"
    assert reads["Condition"]["StringEquals"] == {
        f"{key}:aud": "sts.amazonaws.com",
        f"{key}:sub": ["repo:acme/iam:pull_request", "repo:acme/iam:ref:refs/heads/main"],
    }
    (writes,) = github.trust("aws", "123456789012", writes=True)["Statement"]
    subject = writes["Condition"]["StringEquals"][f"{key}:sub"]
    assert subject == "repo:acme/iam:environment:production"
    gitlab = Pipeline.gitlab("acme/infra/iam", "main", "gitlab.com")
    (writes,) = gitlab.trust("aws", "123456789012", writes=True)["Statement"]
    subject = "project_path:acme/infra/iam:ref_type:branch:ref:main"
    assert writes["Condition"]["StringEquals"]["gitlab.com:sub"] == subject
    (reads,) = gitlab.trust("aws", "123456789012", writes=False)["Statement"]
    assert reads["Condition"]["StringLike"] == {
        "gitlab.com:sub": "project_path:acme/infra/iam:ref_type:branch:ref:*"
    }


@pytest.mark.parametrize("bad", ["*/*", "acme", "acme/iam:pull_request", "acme/*", "", "a/b/c"])
def test_no_pattern_gets_into_a_trust(bad: str) -> None:
    with pytest.raises(ValueError, match="is not a repository"):
        Pipeline.github(bad, "main", "production")
    with pytest.raises(ValueError, match="is not a branch"):
        Pipeline.gitlab("a/b", bad + "*", "gitlab.com")


def test_the_example_of_a_drift_has_the_actions_of_the_table() -> None:
    template = Path(reconciler.__file__).parent.parent / "examples/cron/lambda/template.yaml"
    part = template.read_text("utf-8").partition("--for drift`\n")[2].partition("Resource:")[0]
    listed = [line.strip().removeprefix("- ") for line in part.splitlines() if line.strip()]
    assert listed == sorted({need.action for need in reads_for("drift")})


def test_every_call_that_a_plan_shows_is_declared() -> None:
    """Over all golden plans."""
    shown = {
        step["call"]
        for path in FILES.glob("*.plan.json.txt")
        for target in json.loads(path.read_text("utf-8"))["targets"]
        for step in target["steps"]
        if "call" in step
    }
    assert len(shown) > 20
    assert shown <= WRITES.keys()
