"""Targets that are the accounts of an organization."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.organizations import utils

from reconciler.cli.app import run
from reconciler.errors import AwsError, RefusedError
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening
from tests.rig import HOME, Rig

ROLE = "roles: {web: {trust: ec2, description: '${tier} ${account_id}'}}"
SETTINGS = """
version: 1
owner: tests
variables: {tier: none}
targets_from:
  organizations:
    role: ci/reconciler-${account_id}
    variables: {tier: fleet}
    exclude: ['123456789012']
"""


class Organization:
    """One with a unit in a unit, and accounts in them."""

    def __init__(self, aws: Rig) -> None:
        self.client = aws.client("organizations", HOME)
        self.client.create_organization(FeatureSet="ALL")
        self.root = self.client.list_roots()["Roots"][0]["Id"]
        self.prod = self.unit(self.root, "prod")
        self.web = self.unit(self.prod, "web")
        self.plain = self.account("plain", self.root)
        self.in_prod = self.account("in-prod", self.prod, env="prod")
        self.in_web = self.account("in-web", self.web, env="prod", team="web")

    def unit(self, parent: str, name: str) -> str:
        made = self.client.create_organizational_unit(ParentId=parent, Name=name)
        found: str = made["OrganizationalUnit"]["Id"]
        return found

    def account(self, name: str, unit: str, **tags: str) -> str:
        made = self.client.create_account(AccountName=name, Email=f"{name}@example.com")
        found: str = made["CreateAccountStatus"]["AccountId"]
        if unit != self.root:
            self.client.move_account(
                AccountId=found, SourceParentId=self.root, DestinationParentId=unit
            )
        given = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.client.tag_resource(ResourceId=found, Tags=given)
        return found


@pytest.fixture
def org(aws: Rig) -> Organization:
    aws.write(ROLE, SETTINGS)
    return Organization(aws)


def names(aws: Rig, more: str = "", **flags: Any) -> list[str]:
    """Of the targets, with more keys under ``organizations``."""
    aws.write(ROLE, SETTINGS + more)
    return [t.target for t in aws.plan(**flags).plan.targets]


def test_every_active_account_is_a_target(aws: Rig, org: Organization) -> None:
    """Under its id, in its order, through the role of the pattern."""
    gone = org.account("gone", org.root)
    org.client.close_account(AccountId=gone)
    planned = aws.plan()
    accounts = sorted([org.plain, org.in_prod, org.in_web])
    assert [t.target for t in planned.plan.targets] == accounts
    assert [t.identity.account_id for t in planned.plan.targets] == accounts
    assumed = {str(c.params["RoleArn"]) for c in aws.aws.log if c.operation == "AssumeRole"}
    assert assumed == {f"arn:aws:iam::{a}:role/ci/reconciler-{a}" for a in accounts}
    after = [c.after for t in planned.plan.targets for c in t.changes]
    assert [(a or {})["description"] for a in after] == [f"fleet {a}" for a in accounts]


def test_units_with_all_below_them(aws: Rig, org: Organization) -> None:
    assert names(aws, f"    units: [{org.prod}]\n") == sorted([org.in_prod, org.in_web])
    assert names(aws, f"    units: [{org.web}]\n") == [org.in_web]
    both = sorted([org.in_prod, org.in_web])
    assert names(aws, f"    units: [{org.web}, {org.prod}]\n") == both
    every = sorted([org.plain, *both])
    assert names(aws, f"    units: [{org.root}]\n") == every


def test_tags(aws: Rig, org: Organization) -> None:
    assert names(aws, "    tags: {env: prod}\n") == sorted([org.in_prod, org.in_web])
    assert names(aws, "    tags: {env: [dev, prod], team: web}\n") == [org.in_web]
    with pytest.raises(RefusedError) as failed:
        names(aws, "    tags: {Env: prod}\n")
    assert [d.code for d in failed.value.diagnostics] == ["bad-targets"]


def test_pages(aws: Rig, org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in utils.PAGINATION_MODEL.values():
        monkeypatch.setitem(model, "limit_default", 1)
    assert names(aws) == sorted([org.plain, org.in_prod, org.in_web])
    assert names(aws, f"    units: [{org.root}]\n    tags: {{env: prod}}\n") == sorted(
        [org.in_prod, org.in_web]
    )


def test_a_target_of_the_settings_is_that_account(aws: Rig, org: Organization) -> None:
    explicit = f"targets: {{special: {{account_id: '{org.plain}', role_arn: 'arn:aws:iam::{org.plain}:role/x'}}}}\n"
    found = names(aws, explicit)
    assert found == sorted([org.in_prod, org.in_web, "special"])
    aws.aws.log.clear()
    assert names(aws, explicit, targets=("special",)) == ["special"]
    assert not [c for c in aws.aws.log if c.service == "organizations"]
    with pytest.raises(RefusedError, match="there is no target"):
        names(aws, explicit, targets=("other",))


def test_a_name_that_is_the_id_of_another_account(aws: Rig, org: Organization) -> None:
    explicit = f"targets: {{'{org.plain}': {{account_id: '999999999999'}}}}\n"
    with pytest.raises(RefusedError) as failed:
        names(aws, explicit)
    assert "for another" in failed.value.diagnostics[0].message


def test_nobody_is_not_the_account_of_the_caller(aws: Rig, org: Organization) -> None:
    every = ", ".join(f"'{a}'" for a in ("123456789012", org.plain, org.in_prod, org.in_web))
    aws.write(ROLE, SETTINGS.replace("['123456789012']", f"[{every}]"))
    with pytest.raises(RefusedError) as failed:
        aws.plan()
    assert "matches no active account" in failed.value.diagnostics[0].message
    assert not [c for c in aws.aws.log if c.service == "iam"]


@pytest.mark.parametrize(
    ("operation", "code", "told"),
    [
        ("ListAccounts", "AccessDeniedException", "of the management account"),
        ("ListTagsForResource", "AccessDeniedException", "of the management account"),
        ("ListAccounts", "AWSOrganizationsNotInUseException", "an account that is in"),
    ],
)
def test_what_cannot_be_listed_is_an_error(
    aws: Rig, org: Organization, operation: str, code: str, told: str
) -> None:
    """Nothing is planned for some of the accounts."""

    def listen(logged: Logged) -> None:
        if logged.operation == operation:
            raise refused("organizations", code, "no", 400)

    with listening(aws.aws.before, listen), pytest.raises(AwsError) as failed:
        names(aws, "    tags: {env: prod}\n")
    assert failed.value.call == f"organizations:{operation}"
    assert told in str(failed.value.hint)


def test_a_unit_that_is_not_there(aws: Rig, org: Organization) -> None:
    with pytest.raises(AwsError) as failed:
        names(aws, "    units: [ou-abcd-12345678]\n")
    assert "units" in str(failed.value.hint)


def test_it_is_asked_once_in_a_run(aws: Rig, org: Organization) -> None:
    aws.aws.log.clear()
    aws.settle()
    asked = [c.operation for c in aws.aws.log if c.service == "organizations"]
    assert asked == ["ListAccounts"]


def test_a_saved_plan_is_stale_once_there_is_another_account(aws: Rig, org: Organization) -> None:
    file = aws.folder.parent / "plan.json"
    flags = ["--region", HOME]
    assert run(["plan", str(aws.folder), "--out", str(file), *flags]) == 0
    assert len(json.loads(file.read_text())["targets"]) == 3
    org.account("new", org.root)
    assert run(["apply", str(file)]) == 5


def test_shards_are_of_the_accounts(aws: Rig, org: Organization) -> None:
    found = [n for shard in ("1/2", "2/2") for n in names(aws, shard=shard)]
    assert sorted(found) == sorted([org.plain, org.in_prod, org.in_web])


def test_validate_asks_nobody(aws: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """And knows the variables of these targets."""
    settings = SETTINGS.replace("variables: {tier: none}\n", "", 1)
    aws.write(ROLE, settings)
    assert run(["validate", str(aws.folder)]) == 0
    assert not aws.aws.log
    aws.write(ROLE, settings.replace("{tier: fleet}", "{other: fleet}"))
    assert run(["validate", str(aws.folder)]) == 1
    assert "tier" in capsys.readouterr().out


@pytest.mark.parametrize(
    "key",
    [
        "units: []",
        "units: [prod]",
        "role: /x",
        "role: 'a b'",
        "role: ''",
        "role: '${other}'",
        "exclude: [123]",
        "status: ACTIVE",
    ],
)
def test_mistakes_have_their_place(aws: Rig, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    role = "" if key.startswith("role") else "role: reconciler, "
    aws.write(ROLE, f"owner: tests\ntargets_from:\n  organizations: {{{role}{key}}}\n")
    assert run(["validate", str(aws.folder)]) == 1
    assert "reconciler.yaml:3:" in capsys.readouterr().out


def test_mistakes_in_specs_come_before_any_call(aws: Rig) -> None:
    aws.write("roles: {web: {trst: ec2}}", SETTINGS)
    (aws.folder / "broken.yaml").write_text("roles: {a: b: c}")
    with pytest.raises(RefusedError, match="the specs have errors"):
        aws.plan()
    assert not aws.aws.log
