"""What stands in our tags: whose a thing is, and text that is no mark of ours."""

from __future__ import annotations

from typing import Any

import pytest
from moto.iam.models import iam_backends

from reconciler.model.ownership import temporary_name
from reconciler.plan.changes import Kept
from reconciler.spec.settings import Settings
from tests.behaviour.faults import refusing
from tests.prepared import prepared
from tests.rig import ACCOUNT, HOME, Rig

DOCUMENT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
)
LAMBDA = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
SPEC = """
roles: {v1: {trust: ec2}, v2: {trust: ec2}}
instance_profiles: {web: {role: ROLE}}
policies: {read: {document: {Version: 2012-10-17, Statement: [
  {Effect: Allow, Action: 's3:*', Resource: '*'}]}}}
"""


def spec(role: str = "v1") -> str:
    return SPEC.replace("ROLE", role)


def tags(**given: str) -> list[dict[str, str]]:
    named = {f"reconciler:{name.replace('_', '-')}": value for name, value in given.items()}
    return [{"Key": key, "Value": value} for key, value in named.items()]


def warnings(aws: Rig, **flags: Any) -> list[Kept]:
    kept = aws.plan(**flags).plan.targets[0].kept
    return [note for note in kept if note.status == "warning"]


@pytest.fixture
@prepared
def web(aws: Rig) -> Rig:
    aws.write(spec())
    aws.settle()
    aws.clock.sleep(60)
    return aws


def test_a_copied_owner_tag_gives_no_ownership(web: Rig) -> None:
    """A console copies tags; what was copied names the resource that it was copied from."""
    copied = web.iam.list_role_tags(RoleName="v1")["Tags"]
    web.iam.create_role(RoleName="copy-for-lambda", AssumeRolePolicyDocument=LAMBDA, Tags=copied)
    copied = web.iam.list_instance_profile_tags(InstanceProfileName="web")["Tags"]
    web.iam.create_instance_profile(InstanceProfileName="copy", Tags=copied)
    owner = tags(owner="tests/read")
    web.iam.create_policy(PolicyName="copy", PolicyDocument=DOCUMENT, Tags=owner)
    web.settle(prune=True)
    assert web.names() == {
        "roles": ["copy-for-lambda", "v1", "v2"],
        "profiles": ["copy", "web"],
        "policies": ["copy", "read"],
    }
    destroyed = web.plan(destroy=True).plan.changes
    assert not [str(c.address) for c in destroyed if "copy" in str(c.address)]
    found = web.drift(unmanaged=True).findings
    assert [str(f.address) for f in found] == ["instance-profile/copy", "role/copy-for-lambda"]
    assert {f.status for f in found} == {"unmanaged"}


def test_a_copied_tag_in_a_spec(web: Rig) -> None:
    """It is adopted like anything that nobody has."""
    copied = web.iam.list_role_tags(RoleName="v1")["Tags"]
    web.iam.create_role(RoleName="copy", AssumeRolePolicyDocument=LAMBDA, Tags=copied)
    web.write(f"{spec()}\n".replace("v2:", "copy: {trust: lambda}, v2:"))
    conflicts = web.plan().plan.conflicts
    assert [(str(c.address), c.lift, c.owner) for c in conflicts] == [
        ("role/copy", "--adopt", None)
    ]
    assert conflicts[0].reason == (
        "exists and is not managed: its tag reconciler:owner names another resource, v1"
    )
    web.settle(adopt=True)
    assert web.role_tags("copy") == {"reconciler:owner": "tests/copy"}


def test_names_with_commas(aws: Rig) -> None:
    """A tag value takes none; and names are one in any case."""
    settings = "version: 1\nowner: tests\n"
    text = """
roles: {'a,1': {trust: ec2}, 'b,1': {trust: ec2}}
instance_profiles: {'Web,x': {role: 'ROLE', cutover: {strategy: hop}}}
policies: {'p,1': {document: {Version: 2012-10-17, Statement: [
  {Effect: Allow, Action: 's3:*', Resource: '*'}]}}}
"""
    aws.write(text.replace("ROLE", "a,1"), settings)
    aws.settle()
    assert aws.role_tags("a,1") == {"reconciler:owner": "tests/a:1"}
    aws.clock.sleep(60)
    instance = aws.launch(1, profile="Web,x")[0]
    aws.write(text.replace("ROLE", "b,1").replace("Web,x", "wEB,X"), settings)
    aws.settle()
    assert aws.served(instance) == "b,1"
    aws.write("roles: {'A,1': {trust: ec2}}", settings)
    allow = frozenset({("release", "role/*"), ("consumers", "*"), ("delete", "3")})
    aws.ec2().terminate_instances(InstanceIds=[instance])
    aws.settle(prune=True, allow=allow)
    assert aws.names() == {"roles": ["a,1"], "profiles": [], "policies": []}


def test_the_longest_names(aws: Rig) -> None:
    profile, role = "p" * 128, "r" * 64
    settings = f"version: 1\nowner: {'o' * 64}\ntag_prefix: '{'x' * 63}:'\n"
    aws.write(
        f"roles: {{{role}: {{trust: ec2}}}}\ninstance_profiles: {{{profile}: {{role: {role}}}}}",
        settings,
    )
    aws.settle()


class TestOfTheFirstRelease:
    """``owner = OWNER`` named no resource. Nothing is ours by it, and it is not lost."""

    @pytest.fixture
    def old(self, web: Rig) -> Rig:
        bare = tags(owner="tests")
        for role in ("v1", "v2"):
            web.iam.tag_role(RoleName=role, Tags=bare)
        web.iam.tag_instance_profile(InstanceProfileName="web", Tags=bare)
        arn = f"arn:aws:iam::{ACCOUNT}:policy/read"
        web.iam.tag_policy(PolicyArn=arn, Tags=bare)
        return web

    def test_the_old_owner_tag_is_a_conflict_and_adopt_migrates_it(self, old: Rig) -> None:
        conflicts = old.plan().plan.conflicts
        assert len(conflicts) == 4
        assert {(c.reason, c.lift, c.owner) for c in conflicts} == {
            (
                "carries the old form of our tag (reconciler:owner = tests); "
                "--adopt writes the new one",
                "--adopt",
                None,
            )
        }
        plan = old.settle(adopt=True)
        assert [c.actions for c in plan.changes] == [("adopt",)] * 4
        assert old.role_tags("v1") == {"reconciler:owner": "tests/v1"}
        assert old.profile_tags("web")["reconciler:owner"] == "tests/web"

    def test_the_old_owner_tag_of_another_owner(self, old: Rig) -> None:
        conflicts = old.plan(owner="others", adopt=True).plan.conflicts
        assert {(c.lift, c.owner) for c in conflicts} == {("--adopt --take-over", "tests")}
        old.settle(owner="others", adopt=True, take_over=True)
        assert old.role_tags("v1") == {"reconciler:owner": "others/v1"}

    def test_a_resource_with_the_old_owner_tag_is_not_pruned(self, old: Rig) -> None:
        old.write("roles: {other: {trust: ec2}}")
        old.settle(prune=True)
        assert old.names()["roles"] == ["other", "v1", "v2"]
        told = {str(note.address) for note in warnings(old) if "old form" in note.reason}
        assert told == {"role/v1", "role/v2"}
        assert "role/v1" in {str(f.address) for f in old.drift(unmanaged=True).findings}

    def test_a_begun_cut_over_is_resumed_after_adoption(self, old: Rig) -> None:
        """To adopt is not to forget whom a run left on the role before."""
        instance = old.launch(1, profile="web")[0]
        before, after = old.role_id("v1"), old.role_id("v2")
        old.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
        old.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v2")
        pending = tags(role_id=f"pending/{before}/{after}/1/dead")
        old.iam.tag_instance_profile(InstanceProfileName="web", Tags=pending)
        old.write(spec("v2"))
        old.clock.sleep(60)
        assert old.served(instance) == "v1"
        old.settle(adopt=True)
        assert old.served(instance) == "v2"
        assert old.profile_tags("web")["reconciler:role-id"] == after

    def test_a_temporary_profile_with_the_old_tag_is_removed(self, old: Rig) -> None:
        """Its name says what it is for."""
        made = [*tags(owner="tests"), *tags(temporary_of="web")]
        name = temporary_name("web")
        old.iam.create_instance_profile(InstanceProfileName=name, Tags=made)
        old.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName="v2")
        old.clock.sleep(60)
        instance = old.launch(1, profile=name)[0]
        before, after = old.role_id("v1"), old.role_id("v2")
        pending = tags(role_id=f"pending/{before}/{after}/1/dead")
        old.iam.tag_instance_profile(InstanceProfileName="web", Tags=pending)
        old.write(spec("v2").replace("role: v2}", "role: v2, cutover: {strategy: hop}}"))
        old.settle(adopt=True)
        assert old.profile_of(instance) == "web"
        assert old.served(instance) == "v2"
        assert old.names()["profiles"] == ["web"]


class TestRoleKeysIgnoreCase:
    """For IAM ``Team`` and ``team`` are one tag of a role, and ours are no exception."""

    def test_adoption_replaces_another_spelling_of_the_owner_tag(self, aws: Rig) -> None:
        """What was written first was taken away again by the removal of its other spelling."""
        aws.iam.create_role(
            RoleName="v1",
            AssumeRolePolicyDocument=LAMBDA,
            Tags=[{"Key": "Reconciler:Owner", "Value": "ig2"}, {"Key": "Team", "Value": "x"}],
        )
        aws.write("roles: {v1: {trust: lambda, tags: {team: x}}}")
        assert aws.plan(adopt=True).plan.conflicts[0].lift == "--adopt --take-over"
        aws.settle(adopt=True, take_over=True)
        assert aws.role_tags("v1") == {"reconciler:owner": "tests/v1", "team": "x"}
        assert aws.plan().plan.is_empty

    def test_an_invalid_owner_tag_in_another_spelling(self, aws: Rig) -> None:
        given = [{"Key": "Reconciler:Owner", "Value": "some body"}]
        aws.iam.create_role(RoleName="v1", AssumeRolePolicyDocument=LAMBDA, Tags=given)
        aws.write("roles: {v1: {trust: lambda}}")
        aws.settle(adopt=True)
        assert aws.role_tags("v1") == {"reconciler:owner": "tests/v1"}

    def test_an_owner_tag_in_another_spelling_is_recognized(self, web: Rig) -> None:
        web.iam.tag_role(RoleName="v1", Tags=[{"Key": "RECONCILER:Owner", "Value": "tests/v1"}])
        assert list(web.role_tags("v1")) == ["RECONCILER:Owner"]
        assert web.plan().plan.is_empty and not web.plan().plan.conflicts
        assert not web.drift().findings
        assert "role/v1" in {str(c.address) for c in web.plan(destroy=True).plan.changes}

    def test_an_ignored_tag_in_another_spelling(self, web: Rig) -> None:
        rule = "ignore: [{match: '*', attributes: [tags.last-scanned], reason: scanner}]\n"
        web.write(spec(), f"{web.settings}{rule}")
        scanned = [{"Key": "Last-Scanned", "Value": "now"}]
        web.iam.tag_role(RoleName="v1", Tags=scanned)
        plan = web.plan().plan
        assert plan.is_empty
        assert [str(k.address) for k in plan.targets[0].ignored] == ["role/v1"]
        web.settle()
        assert web.role_tags("v1")["Last-Scanned"] == "now"
        # Keys of profiles and policies do not ignore case: the rule is about another tag.
        web.iam.tag_instance_profile(InstanceProfileName="web", Tags=scanned)
        web.iam.tag_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/read", Tags=scanned)
        changed = {str(c.address) for c in web.plan().plan.changes}
        assert changed == {"instance-profile/web", "policy/read"}

    def test_tag_keys_of_profiles_are_case_sensitive(self, web: Rig) -> None:
        """Somebody's tag that looks like ours is a tag like any other, and goes."""
        other = [{"Key": "Reconciler:Owner", "Value": "x/web"}]
        web.iam.tag_instance_profile(InstanceProfileName="web", Tags=other)
        web.settle()
        assert set(web.profile_tags("web")) == {"reconciler:owner", "reconciler:role-id"}


ROLE_IDS = (
    "pending/A/B/²/run",
    "waiting/A/²",
    "waiting/A/99999999999999999999",
    "waiting/A/999999999999",
    "pending/A/B/99999999999999999999/run",
    "no mark at all",
    "partial",
    "a/b/c/d/e/f",
)
LONG = "9" * 256


@pytest.mark.parametrize("text", [*ROLE_IDS[:-2], ROLE_IDS[-1], LONG])
def test_a_malformed_role_mark_of_a_profile(web: Rig, text: str) -> None:
    """It says nothing of its consumers, so they are cut over; and nothing else is stopped."""
    instance = web.launch(1, profile="web")[0]
    web.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags(role_id=text))
    if text != LONG:
        told = [(str(note.address), "reconciler:role-id" in note.reason) for note in warnings(web)]
        assert told == [("instance-profile/web", True)]
        assert any("reconciler:role-id" in note.reason for note in web.drift().notes)
    web.plan(destroy=True)
    web.write(spec("v2"))
    web.settle()
    assert web.served(instance) == "v2"
    assert web.profile_tags("web")["reconciler:role-id"] == web.role_id("v2")
    assert not warnings(web)


@pytest.mark.parametrize("text", ["²", "99999999999999999999", "999999999999", "soon", "1 2"])
def test_a_malformed_release_mark_of_a_role(web: Rig, text: str) -> None:
    web.iam.tag_role(RoleName="v2", Tags=tags(released=text))
    web.write(spec().replace(", v2: {trust: ec2}", ""))
    told = [str(note.address) for note in warnings(web) if "reconciler:released" in note.reason]
    assert told == ["role/v2"]
    web.settle(prune=True)
    assert web.names()["roles"] == ["v1"]


@pytest.mark.parametrize(
    "text",
    [
        "nowhere/i-0123456789abcdef0",
        "xx-nowhere-7/i-0123456789abcdef0",
        "cn-north-1/i-0123456789abcdef0/start",
        f"{HOME}/i-0123",
        "²",
    ],
)
def test_a_malformed_in_flight_mark(web: Rig, text: str) -> None:
    """Its cut-over could never end, and nothing said which tag it was."""
    instance = web.launch(1, profile="web")[0]
    web.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags(in_flight=text))
    told = [note for note in warnings(web) if str(note.address) == "instance-profile/web"]
    assert len(told) == 1
    assert "reconciler:in-flight" in told[0].reason and repr(text) in told[0].reason
    assert web.plan().plan.is_empty
    web.write(spec("v2"))
    web.settle()
    assert web.served(instance) == "v2"


@pytest.mark.parametrize("text", ["web", "WEB", "side", "nobody"])
@pytest.mark.parametrize("key", ["temporary_of", "shadow_of"])
def test_a_profile_with_another_name_is_no_temporary_one(web: Rig, key: str, text: str) -> None:
    """Its name says what a temporary profile is for. One that was said to be its own stand-in made
    every plan end with a traceback, after a minute."""
    more = spec().replace("{web:", "{side: {role: v2}, web:")
    web.write(more)
    web.settle()
    web.clock.sleep(60)
    instance = web.launch(1, profile="web")[0]
    web.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags(**{key: text}))
    told = [(str(note.address), text in note.reason) for note in warnings(web)]
    assert told == [("instance-profile/web", True)]
    assert web.plan().plan.is_empty
    web.write(more.replace("role: v1", "role: v2"))
    web.settle()
    assert web.served(instance) == "v2"
    assert web.names()["profiles"] == ["side", "web"]


def test_a_valid_entry_in_a_malformed_in_flight_mark_counts(web: Rig) -> None:
    instance = web.launch(1)[0]
    text = f"nowhere/i-0123456789abcdef0 {HOME}/{instance}"
    web.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags(in_flight=text))
    web.settle()
    assert web.profile_of(instance) == "web"
    assert "reconciler:in-flight" not in web.profile_tags("web")


def test_malformed_marks_of_an_instance(web: Rig) -> None:
    instance = web.launch(1, profile="web")[0]
    given = tags(association="tests/²", holds="what ever", of_a_later_release="²")
    web.ec2().create_tags(Resources=[instance], Tags=given)
    told = warnings(web)
    assert {str(note.address) for note in told} == {f"association/{instance}"}
    assert sorted(note.reason.split()[2] for note in told) == [
        "reconciler:association",
        "reconciler:holds",
    ]
    web.write(spec("v2"))
    web.settle()
    assert web.served(instance) == "v2"


def test_malformed_marks_of_other_owners_are_not_reported(web: Rig) -> None:
    given = tags(owner="others/theirs", released="²")
    web.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=LAMBDA, Tags=given)
    assert not warnings(web)
    web.iam.tag_role(RoleName="theirs", Tags=tags(owner="²"))
    assert {str(note.address) for note in warnings(web)} == {"role/theirs"}


def test_two_spellings_of_the_owner_tag(web: Rig) -> None:
    """Where something keeps both, the one that we write counts."""
    role = iam_backends[ACCOUNT]["aws"].roles[web.role_id("v1")]
    role.tags.append({"Key": "Reconciler:Owner", "Value": "others/v1"})
    assert web.plan().plan.is_empty and not web.plan().plan.conflicts


def test_an_unknown_region_counts_if_regions_cannot_be_listed(web: Rig) -> None:
    """An instance could be waiting in it for its profile."""
    text = "eu-central-9/i-0123456789abcdef0"
    web.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags(in_flight=text))
    reader = web.commands().connect(None, Settings()).reader
    with refusing(web, "DescribeRegions", "UnauthorizedOperation"):
        profile = reader.profile("web")
    assert profile is not None
    assert [str(flight) for flight in profile.flights] == [text]
    assert not profile.malformed_marks
