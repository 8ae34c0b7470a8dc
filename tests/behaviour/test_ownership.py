"""What is ours, what is not, and what it takes to change that."""

from __future__ import annotations

from unittest import mock

import pytest
from moto.iam.models import iam_backends

from reconciler.aws.reader import AwsReader
from reconciler.errors import RefusedError
from reconciler.render.json.plan import plan_json
from reconciler.render.markdown import Page, plan_markdown
from reconciler.render.styled_text import plain
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.sandbox import iam_rules
from tests.prepared import prepared
from tests.rig import Rig

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
SPEC = """
roles: {web: {trust: ec2, tags: {team: web}, instance_profile: true}}
policies:
  read:
    document:
      Version: 2012-10-17
      Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]
"""
DOCUMENT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
)


@pytest.fixture
@prepared
def by_hand(aws: Rig) -> Rig:
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="web")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    aws.iam.create_policy(PolicyName="read", PolicyDocument=DOCUMENT)
    aws.write(SPEC)
    aws.clock.sleep(60)
    return aws


def test_unowned_resources_are_not_changed(by_hand: Rig) -> None:
    plan = by_hand.plan().plan
    assert plan.is_empty
    assert [(str(c.address), c.reason) for c in plan.conflicts] == [
        ("instance-profile/web", "exists and is not managed"),
        ("policy/read", "exists and is not managed"),
        ("role/web", "exists and is not managed"),
    ]
    assert {f.status for f in by_hand.drift().findings} == {"unadopted"}


def test_adoption_of_manual_resources(by_hand: Rig) -> None:
    instance = by_hand.launch(1, profile="web")[0]
    plan = by_hand.settle(adopt=True)
    assert [c.actions for c in plan.changes] == [("adopt",)] * 3
    profile = next(c for c in plan.changes if c.kind == "instance-profile")
    assert profile.consumers == (instance,)
    assert by_hand.profile_tags("web") == {
        "reconciler:owner": "tests/web",
        "reconciler:role-id": by_hand.role_id("web"),
        "team": "web",
    }
    tagging = [c for c in by_hand.writes() if c.operation == "TagInstanceProfile"]
    first = {t["Key"] for t in tagging[0].params["Tags"]}
    assert first == {"reconciler:owner", "reconciler:role-id"}
    assert by_hand.served(instance) == "web"
    assert by_hand.plan().plan.is_empty


def test_create_calls_include_owner_and_role_id(aws: Rig) -> None:
    aws.write(SPEC)
    aws.settle()
    for operation, keys in (
        ("CreateRole", {"reconciler:owner", "team"}),
        ("CreatePolicy", {"reconciler:owner"}),
        ("CreateInstanceProfile", {"reconciler:owner", "reconciler:role-id", "team"}),
    ):
        call = next(c for c in aws.writes() if c.operation == operation)
        assert {tag["Key"] for tag in call.params["Tags"]} == keys


def test_take_over_from_another_owner(by_hand: Rig) -> None:
    by_hand.settle(adopt=True)
    assert by_hand.plan(owner="others").plan.conflicts[0].owner == "tests"
    assert by_hand.plan(owner="others", adopt=True).plan.conflicts
    by_hand.settle(owner="others", adopt=True, take_over=True)
    assert by_hand.role_tags("web")["reconciler:owner"] == "others/web"


def test_an_adoption_that_removes_a_policy_is_guarded(by_hand: Rig) -> None:
    by_hand.iam.put_role_policy(RoleName="web", PolicyName="secret", PolicyDocument=DOCUMENT)
    guards = by_hand.plan(adopt=True).plan.guards
    assert [(g.key, g.lift) for g in guards] == [("strip", "--allow strip=role/web")]
    by_hand.settle(adopt=True, allow=frozenset({("strip", "role/web")}))
    assert by_hand.iam.list_role_policies(RoleName="web")["PolicyNames"] == []


@pytest.mark.parametrize(
    "path", ["/aws-service-role/x.amazonaws.com/", "/aws-reserved/sso.amazonaws.com/"]
)
def test_protected_by_path(aws: Rig, path: str) -> None:
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    iam_backends["123456789012"]["aws"].get_role("web").path = path
    aws.write("roles: {web: {trust: ec2}}")
    planned = aws.plan(adopt=True)
    (found,) = planned.diagnostics
    assert (found.code, found.location.line) == ("protected-resource", 1)
    assert planned.plan.is_empty


def test_protected_by_cloudformation(by_hand: Rig) -> None:
    role = iam_backends["123456789012"]["aws"].get_role("web")
    role.tags.append({"Key": "aws:cloudformation:stack-name", "Value": "x"})
    (found,) = by_hand.plan(adopt=True).diagnostics
    assert found.code == "protected-resource"


def test_a_path_that_is_not_in_the_spec_is_kept(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2, path: /a/}}")
    aws.settle()
    aws.write("roles: {web: {trust: ec2}}")
    assert aws.plan().plan.is_empty


def test_unowned_resources_are_never_pruned(by_hand: Rig) -> None:
    by_hand.write("roles: {other: {trust: ec2}}")
    by_hand.settle(prune=True)
    assert by_hand.names()["roles"] == ["other", "web"]
    assert by_hand.names()["profiles"] == ["web"]


def test_prune_of_an_empty_set_is_an_error(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}")
    aws.settle()
    aws.write("x-nothing: 1")
    with pytest.raises(RefusedError) as refused:
        aws.plan(prune=True)
    assert refused.value.exit_code == 1


def test_prune_needs_an_explicit_owner(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}", "version: 1\n")
    with pytest.raises(RefusedError) as refused:
        aws.plan(prune=True)
    assert refused.value.exit_code == 4
    assert aws.plan(prune=True, owner="me").plan


def test_prune_is_off_when_only_a_part_is_planned(aws: Rig) -> None:
    aws.write("roles: {a: {trust: ec2}, b: {trust: ec2}}")
    aws.settle()
    aws.write("roles: {a: {trust: ec2}}")
    assert aws.plan(prune=True, only=("role/*",)).plan.is_empty


def test_the_wrong_account(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}", "version: 1\naccount_id: '999999999999'\n")
    with pytest.raises(RefusedError) as refused:
        aws.plan()
    assert refused.value.exit_code == 4
    assert [c.operation for c in aws.aws.log] == ["GetCallerIdentity"]


def test_deletions_are_guarded(aws: Rig) -> None:
    many = ", ".join(f"r{n}: {{trust: ec2}}" for n in range(12))
    aws.write(f"roles: {{{many}, keep: {{trust: ec2}}}}")
    aws.settle()
    aws.write("roles: {keep: {trust: ec2}}")
    guards = aws.plan(prune=True).plan.guards
    assert [g.lift for g in guards] == ["--allow change=12", "--allow delete=12"]
    assert aws.plan(prune=True, allow=frozenset({("delete", "11"), ("change", "12")})).plan.guards
    aws.settle(prune=True, allow=frozenset({("delete", "12"), ("change", "12")}))
    assert aws.names()["roles"] == ["keep"]


def test_the_user_agent_names_the_program_and_the_run(by_hand: Rig) -> None:
    by_hand.aws.log.clear()
    by_hand.plan()
    agents = {logged.user_agent for logged in by_hand.aws.log}
    assert agents and all("reconciler/0.1.0 run/" in agent for agent in agents)


def test_a_plan_never_writes(by_hand: Rig) -> None:
    by_hand.aws.log.clear()
    by_hand.plan(adopt=True, prune=True)
    by_hand.drift()
    assert by_hand.writes() == []


def test_ignored_attributes(aws: Rig) -> None:
    settings = (
        "version: 1\nowner: tests\nignore:\n"
        "  - {match: 'role/*', attributes: [description], reason: scanner}\n"
        "  - {match: role/web, attributes: [tags.scanned], reason: stamped, expires: 2999-12-31}\n"
    )
    aws.write("roles: {web: {trust: ec2, description: ours}}", settings)
    aws.settle()
    aws.iam.tag_role(RoleName="web", Tags=[{"Key": "scanned", "Value": "yes"}])
    aws.iam.update_role(RoleName="web", Description="theirs", MaxSessionDuration=3600)
    plan = aws.plan().plan
    assert plan.is_empty
    assert [k.reason for k in plan.targets[0].ignored] == [
        "description differs, which is ignored (scanner)",
        "tags.scanned differs, which is ignored until 2999-12-31 (stamped)",
    ]


def test_adopted_consumers_may_be_refreshed(by_hand: Rig) -> None:
    """What they hold is not known: somebody may have swapped the role before."""
    instance = by_hand.launch(1, profile="web")[0]
    other = by_hand.iam.create_role(RoleName="other", AssumeRolePolicyDocument=TRUST)["Role"]
    by_hand.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
    by_hand.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="other")
    by_hand.write("instance_profiles: {web: {role: other}}")
    by_hand.clock.sleep(60)
    assert other and by_hand.served(instance) == "web"
    plan = by_hand.settle(adopt=True, refresh_adopted=True)
    assert ("cutover",) in [c.actions for c in plan.changes]
    assert by_hand.served(instance) == "other"


def test_the_quota_of_the_account_counts(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over AWS's default, the account's own number counts."""
    names = ", ".join(f"p{n}" for n in range(11))
    document = "{document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}"
    policies = "".join(f"  p{n}: {document}\n" for n in range(11))
    aws.write(f"policies:\n{policies}roles:\n  r: {{trust: ec2, managed_policies: [{names}]}}")
    with pytest.raises(RefusedError) as refused:
        aws.plan()
    assert [d.code for d in refused.value.diagnostics] == ["too-many-policies"]
    raised = {"AttachedPoliciesPerRoleQuota": 20, "AssumeRolePolicySizeQuota": 2048}
    monkeypatch.setattr(iam_rules, "ATTACHED_POLICIES", 20)
    with mock.patch.object(AwsReader, "quotas", return_value=raised):
        aws.settle()
    attached = aws.iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"]
    assert len(attached) == 11


def test_an_adoption_says_what_it_takes_for_granted(by_hand: Rig) -> None:
    """Once in the plan, and not where a cut-over makes sure."""
    by_hand.launch(2, profile="web")
    text = plain(plan_lines(by_hand.plan(adopt=True).plan, Look()))
    assert text.count("--refresh-adopted") == 1
    assert "2 running instances are taken to have the role" in text
    document = plan_json(by_hand.plan(adopt=True), "2026-11-23T20:00:00Z")
    assert "--refresh-adopted" in plan_markdown(document, Page())
    refreshed = by_hand.plan(adopt=True, refresh_adopted=True).plan
    assert "--refresh-adopted" not in plain(plan_lines(refreshed, Look()))
    by_hand.settle(adopt=True)


def test_a_profile_that_is_adopted_with_another_role_is_known(by_hand: Rig) -> None:
    """The cut-over makes sure at once, and there is nothing to say in the plan."""
    by_hand.launch(1, profile="web")
    by_hand.write("roles: {new: {trust: ec2}}\ninstance_profiles: {web: {role: new}}")
    text = plain(plan_lines(by_hand.plan(adopt=True).plan, Look()))
    assert "--refresh-adopted" not in text
    by_hand.settle(adopt=True)
