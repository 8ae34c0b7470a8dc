"""Explain: whose credentials an instance holds, how that is known, what changes it, and what a new
instance of its group gets. One sandbox for all: nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from reconciler.cli.app import run
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.explain.explanation import Explanation, NewInstances
from reconciler.render.json.explain import explain_json
from reconciler.render.json.schemas import schema_of
from reconciler.render.styled_text import plain, wrapped
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from tests.behaviour.explaining import World, in_the_middle
from tests.behaviour.faults import refusing
from tests.rig import AWAY, HOME, rig

NEW, COMES = "What new instances get", "What the next apply does"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with rig(tmp_path_factory.mktemp("explain")) as aws:
        yield in_the_middle(aws)


@pytest.mark.parametrize(
    ("who", "status", "role", "how"),
    [
        ("solo", "known", "web-v1", "profile-mark"),
        ("away", "known", "web-v1", "profile-mark"),
        ("managed", "known", "web-v1", "profile-mark"),
        ("stopped", "none", None, "not-running"),
        ("ended", "none", None, "not-running"),
        ("member", "unknown", None, "no-mark"),
        ("spot", "unknown", None, "no-mark"),
    ],
)
def test_whose_credentials_an_instance_holds(
    world: World, who: str, status: str, role: str | None, how: str
) -> None:
    found = world.one(getattr(world, who)).served
    assert found is not None
    assert (found.status, found.role, found.how) == (status, role, how)
    if status == "known":
        there = AWAY if who == "away" else HOME
        assert world.aws.served(getattr(world, who), there) == role
    if status == "unknown":
        assert found.candidates == ("legacy",)


def test_a_stranger_answers_all_four_questions(world: World) -> None:
    """Which role's credentials it holds, how that is known, what will change it, what a new
    instance of its group gets."""
    text = plain(explain_lines(world.explain(world.solo), Look()))
    assert "holds the credentials of role/web-v1" in text
    assert "carries our mark that every running instance has taken up role/" in text
    assert 'role: "web-v1" -> "web-v2"' in text
    assert f'association/{world.solo} (us-east-1)  "web-v1" -> "web-v2"' in text
    assert "association 'web-fleet' of the specs selects it by its tags" in text
    text = plain(explain_lines(world.explain(world.member), Look()))
    assert "started by Auto Scaling group web-asg" in text
    assert "which role's credentials it holds is unknown: perhaps those of role/legacy" in text
    assert "gives them instance-profile/legacy, so role/legacy" in text
    assert "not what this instance should have by the specs: instance-profile/web" in text
    assert "is on instance-profile/legacy, which is not managed" in text
    assert f"--adopt moves {world.member} from instance-profile/legacy to" in text
    assert "\n    reconciler apply --adopt\n" in text


def news(answer: Explanation) -> list[tuple[str, str | None, bool]]:
    return [(_named(new), new.launch.profile, new.differs) for new in answer.new_instances]


def _named(new: NewInstances) -> str:
    by = f": {new.launch.by}" if new.launch.by else ""
    return f"{new.launch.title}{by}"


def test_where_new_instances_of_a_group_come_from(world: World) -> None:
    found = news(world.one(world.member))
    pinned = "launch template web-lt, version 2"
    assert found == [
        (f"Auto Scaling group web-asg: {pinned}", "legacy", True),
        (
            f"ECS capacity provider by-group: Auto Scaling group web-asg, {pinned}",
            "legacy",
            False,
        ),
        ("ECS capacity provider by-ecs", "web", False),
        (
            f"spot fleet {world.aws.instance_tags(world.spot)['aws:ec2spot:fleet-request-id']}",
            "legacy",
            False,
        ),
        ("launch template web-lt: version $Latest (3)", "web", False),
    ]


def test_where_consumers_of_a_profile_come_from(world: World) -> None:
    answer = world.one("instance-profile/LEGACY")
    assert str(answer.address) == "instance-profile/legacy"
    groups = [(g.region, g.origin and g.origin.kind, g.count) for g in answer.consumers]
    assert groups == [(HOME, "auto-scaling-group", 1), (HOME, "spot-fleet", 1)]
    assert answer.searched == (AWAY, HOME)
    own = [new for new in answer.new_instances if new.relation == "started-consumers"]
    assert [(new.launch.name.partition("-")[0], new.instances, new.wanted) for new in own] == [
        ("web", 1, "web"),
        ("sfr", 1, "legacy"),
    ]
    # One of its instances is to leave it.
    assert [str(c.address) for c in answer.next.then] == [f"association/{world.member}"]


def section(text: str, title: str) -> str:
    lines = text.splitlines()
    start = lines.index(title) + 1
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    return "\n".join(lines[start:end])


def test_new_instances_of_its_own_group_come_first(world: World) -> None:
    told = section(plain(explain_lines(world.explain(world.member), Look())), NEW)
    first, _, others = told.partition("  others that start instances with its profiles (")
    assert first.splitlines()[:2] == [
        "  its Auto Scaling group web-asg: launch template web-lt, version 2",
        "    gives them instance-profile/legacy, so role/legacy",
    ]
    # A capacity provider of its group starts instances of that group.
    assert "ECS capacity provider by-group: by its Auto Scaling group web-asg" in first
    assert others.startswith("instance-profile/legacy, instance-profile/web):")
    assert "spot fleet" in others
    assert "by-group" not in others


def test_an_instance_of_no_group_is_told_that_nothing_replaces_it(world: World) -> None:
    told = section(plain(explain_lines(world.explain(world.solo), Look())), NEW)
    assert told.splitlines()[0] == (
        "  it has no group: no tag of AWS's says what started it, so it was probably launched by "
        "hand, and nothing replaces it"
    )
    assert "  others that start instances with its profile (instance-profile/web):" in told
    told = section(plain(explain_lines(world.explain(world.managed), Look())), NEW)
    assert told.splitlines()[0] == (
        "  no tag of AWS's says what started it; ecs.amazonaws.com, which manages it, starts what "
        "replaces it"
    )
    assert "  with its profile (instance-profile/web), so perhaps its own:" in told


def test_other_sources_of_a_profile_are_apart(world: World) -> None:
    told = section(plain(explain_lines(world.explain("instance-profile/legacy"), Look())), NEW)
    heading = (
        "  others that name instance-profile/legacy, and started none of its running instances:"
    )
    first, _, others = told.partition(heading)
    assert "Auto Scaling group web-asg in us-east-1, which started 1 running instance" in first
    assert "ECS capacity provider by-group" in others


def test_a_stopped_instance_is_told_what_it_gets_when_it_starts(world: World) -> None:
    answer = world.one(world.stopped)
    assert answer.served is not None
    assert answer.served.because == (
        "it is stopped; when it starts it gets role/web-v1, which instance-profile/web holds now"
    )
    told = section(plain(explain_lines(world.explain(world.stopped), Look())), COMES)
    assert (
        "    this instance is not touched: it is stopped, and started after that it gets role/web-v2"
    ) in told


def test_a_managed_instance_is_told_who_changes_it(world: World) -> None:
    told = section(plain(explain_lines(world.explain(world.managed), Look())), COMES)
    assert (
        "    this instance is not touched: ecs.amazonaws.com manages it, and it goes on with what "
        "it holds, for hours or until it is replaced"
    ) in told


def test_what_is_done_to_the_instance_itself_comes_first(world: World) -> None:
    told = section(plain(explain_lines(world.explain(world.solo), Look())), COMES).splitlines()
    start = told.index("  which then does this:")
    assert told[start + 1].startswith(f"   ↻ association/{world.solo} (us-east-1)")


def test_a_role_and_what_is_around_it(world: World) -> None:
    answer = world.one("role/WEB-v1")
    assert [str(part.address) for part in answer.roles] == ["role/web-v1"]
    assert [str(part.address) for part in answer.profiles] == ["instance-profile/web"]
    kinds = [(p.kind, p.name, p.held, p.document is not None) for p in answer.roles[0].policies]
    assert kinds == [
        ("aws-managed", "AmazonSSMManagedInstanceCore", "both", True),
        ("managed", "read", "both", True),
    ]
    source = answer.roles[0].policies[1].source
    assert source is not None
    assert (Path(source.file).name, source.line) == ("spec.yaml", 3)
    assert sum(group.count for group in answer.consumers) == 3
    assert [str(change.address) for change in answer.next.changes] == ["instance-profile/web"]


def test_a_role_that_is_to_come(world: World) -> None:
    told = plain(explain_lines(world.explain("role/web-v2"), Look()))
    assert "  the role is not inside that profile yet" in told


def test_a_role_that_no_profile_holds_asks_nothing_of_ec2(world: World) -> None:
    before = len(world.aws.aws.log)
    answer = world.one("role/batch")
    assert answer.profiles == ()
    asked = {logged.operation for logged in world.aws.aws.log[before:]}
    assert "DescribeAutoScalingGroups" not in asked
    assert answer.roles[0].trusts_ec2 is False


def test_policies_of_the_account_and_of_aws(world: World) -> None:
    answer = world.one("policy/Read")
    assert [str(a) for a in answer.policies[0].roles] == ["role/web-v1", "role/web-v2"]
    answer = world.one("policy/AmazonSSMManagedInstanceCore")
    assert answer.policies[0].document["Statement"]
    assert [str(a) for a in answer.policies[0].roles] == ["role/web-v1"]


def test_nothing_is_written(world: World) -> None:
    before = len(world.aws.writes())
    world.explain(world.solo)
    assert len(world.aws.writes()) == before


DENIED = {
    "autoscaling:DescribeAutoScalingGroups": "Auto Scaling group web-asg",
    "ec2:DescribeLaunchTemplateVersions": "Auto Scaling group web-asg",
}


@pytest.mark.parametrize("action", DENIED)
def test_a_denied_read_is_unknown_with_its_permission(world: World, action: str) -> None:
    with world.denying(action):
        answer = world.one(world.member)
    own = [new for new in answer.new_instances if new.relation == "started-it"]
    assert [new.launch.title for new in own] == [DENIED[action]]
    assert own[0].launch.unknown is not None
    assert action in own[0].launch.unknown
    assert any(action in told.reason for told in answer.not_read)


def test_whatever_else_is_denied_is_told_and_the_rest_is_there(world: World) -> None:
    denied = (
        "ecs:DescribeCapacityProviders",
        "ecs:ListClusters",
        "ec2:DescribeFleets",
        "ec2:DescribeSpotFleetRequests",
        "iam:GetPolicy",
    )
    with world.denying(*denied):
        answer = world.one(world.solo)
    assert answer.served is not None
    assert answer.served.role == "web-v1"
    told = "\n".join(f"{one.what}: {one.reason}" for one in answer.not_read)
    assert all(action in told for action in denied[:4])
    assert answer.roles[0].policies[0].unread == "iam:GetPolicy: AccessDenied"


def test_a_region_that_cannot_be_read_may_hide_changes(world: World) -> None:
    """So of a profile it is not said that the next apply does nothing."""
    with refusing(world.aws, "DescribeInstances", "UnauthorizedOperation"):
        answer = world.one("instance-profile/web")
    assert not answer.next.is_nothing
    assert {one.region for one in answer.next.unread} == {HOME}


def test_marks_that_may_not_be_read_prove_nothing(world: World) -> None:
    with world.denying("iam:ListInstanceProfileTags", "iam:GetInstanceProfile", "tag:GetResources"):
        answer = world.one(world.solo)
    assert answer.served is not None
    assert (answer.served.status, answer.served.how) == ("unknown", "profile-not-read")
    assert answer.served.candidates == ("web-v1",)


def test_an_account_that_may_not_be_listed_is_read_one_by_one(world: World) -> None:
    with world.denying("iam:GetAccountAuthorizationDetails"):
        answer = world.one(world.solo)
        legacy = world.one("role/legacy")
    assert answer.served is not None
    assert answer.served.role == "web-v1"
    assert legacy.roles[0].in_aws == "there"


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ("role/web-v11", ExitCode.ERROR, "did you mean role/web-v1?"),
        ("instance-profile/wbe", ExitCode.ERROR, "did you mean instance-profile/web?"),
        ("role/nothing-like-it-at-all", ExitCode.ERROR, "exists neither in the specs nor in"),
        ("i-00000000000000000", ExitCode.ERROR, "does not exist in account 123456789012"),
        ("web", ExitCode.USAGE, "'web' is no address"),
        ("roles/web", ExitCode.USAGE, "'roles/web' is no address; did you mean role/web?"),
        ("Role/Web", ExitCode.USAGE, "did you mean role/Web?"),
        ("profile/web", ExitCode.USAGE, "did you mean instance-profile/web?"),
        ("I-0ABC1234", ExitCode.USAGE, "did you mean i-0abc1234?"),
        ("instance/i-0abc1234", ExitCode.USAGE, "did you mean i-0abc1234?"),
        ("arn:aws:iam::123456789012:role/a/b/web", ExitCode.USAGE, "did you mean role/web?"),
        (f"arn:aws:ec2:{HOME}:123456789012:instance/i-0abc1234", ExitCode.USAGE, "i-0abc1234?"),
        ("association/web-fleet", ExitCode.USAGE, "is no address"),
    ],
)
def test_what_does_not_exist(world: World, asked: str, code: ExitCode, told: str) -> None:
    with pytest.raises(RefusedError) as refused:
        world.explain(asked)
    assert refused.value.exit_code is code
    assert told in refused.value.message


def test_what_is_not_read_is_not_said_to_be_missing(world: World) -> None:
    with world.denying("ec2:DescribeInstances"), pytest.raises(RefusedError) as refused:
        world.explain("i-00000000000000000")
    told = refused.value.message
    assert "was not found in what could be read of account 123456789012" in told
    assert any("ec2:DescribeInstances" in one for one in refused.value.details)


def test_where_a_missing_instance_was_looked_for(world: World) -> None:
    with pytest.raises(RefusedError) as refused:
        world.explain("i-00000000000000000")
    assert refused.value.details == (f"searched: {AWAY}, {HOME}",)


def test_the_json_has_its_schema(world: World) -> None:
    check = jsonschema.Draft202012Validator(schema_of("explain"))
    for asked in (world.member, "instance-profile/web"):
        document = explain_json(world.explain(asked), "2026-11-23T20:00:00Z")
        check.validate(json.loads(json.dumps(document)))
        assert document["answers"][0]["address"].endswith(asked.partition("/")[2] or asked)


@pytest.mark.parametrize("width", [60, 100])
def test_lines_fit(world: World, width: int) -> None:
    """But for words that cannot be broken, such as the place of a spec."""
    for one in explain_lines(world.explain(world.member), Look()):
        for part in wrapped(one, width):
            text = "".join(piece.text for piece in part)
            assert len(text) <= width or len(text.split()) == 1, text


def test_the_command(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(world.aws.folder)
    assert run(["explain", world.solo, folder, "--region", HOME, "-q"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "holds the credentials of role/web-v1" in out
    assert "\x1b" not in out
    assert run(["explain", world.solo, folder, "--region", HOME, "-q", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["answers"][0]["served"]["role"] == "web-v1"
    assert run(["explain", "role/wbe-v1", folder, "--region", HOME, "-q"]) == ExitCode.ERROR
    assert "did you mean role/web-v1?" in capsys.readouterr().err
