"""A guard or a conflict stops the whole apply: what is said of any address must tell of it."""

from __future__ import annotations

import json

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from reconciler.explain.explanation import Explanation
from reconciler.explain.graph import make_graph
from reconciler.explain.reading import explain
from reconciler.render.graph.formats import FORMATS
from reconciler.render.json.explain import explain_json
from reconciler.render.styled_text import plain
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from tests.behaviour.explaining import template
from tests.behaviour.faults import refusing
from tests.behaviour.test_ownership import TRUST
from tests.rig import HOME, Rig

SPEC = """
roles: {one: {trust: ec2}, two: {trust: ec2}}
instance_profiles:
  web: {role: one}
  db: {role: one}
  other: {role: one}
"""
GUARDED = """
version: 1
owner: tests
guards: {protected: [instance-profile/db, instance-profile/other]}
"""
NOW = "2026-11-23T20:00:00Z"


def swapped(aws: Rig, settings: str | None = None) -> None:
    """All profiles are to hold another role; a launch template names the one called web."""
    aws.write(SPEC)
    aws.settle(regions=(HOME,))
    aws.ec2().create_launch_template(
        LaunchTemplateName="web-lt", LaunchTemplateData=template("web")
    )
    aws.write(SPEC.replace("role: one", "role: two"), settings)


def explained(aws: Rig, asked: str) -> tuple[Explanation, str]:
    aws.opened.clear()
    made = explain(asked, aws.request(regions=(HOME,)), aws.commands())
    return made.answers[0], plain(explain_lines(made, Look()))


def section(text: str) -> list[str]:
    """What the next apply does."""
    lines = text.splitlines()
    start = lines.index("What the next apply does") + 1
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    return lines[start:end]


@pytest.mark.parametrize("asked", ["instance-profile/web", "role/one", "role/two", "member"])
def test_a_guard_on_another_profile_stands_first(aws: Rig, asked: str) -> None:
    swapped(aws, GUARDED)
    if asked == "member":
        aws.clock.sleep(60)
        (asked,) = aws.launch(1, profile="web")
    one, text = explained(aws, asked)
    assert one.next.is_blocked
    told = section(text)
    assert told[:5] == [
        "  ! nothing yet: 2 guards stop the whole apply",
        "    instance-profile/db is protected by the settings",
        "      --allow protected=instance-profile/db",
        "    instance-profile/other is protected by the settings",
        "      --allow protected=instance-profile/other",
    ]
    flags = "--allow protected=instance-profile/db --allow protected=instance-profile/other"
    assert told[5:7] == ["  to allow it:", f"    reconciler apply {flags}"]
    assert told[7] == "  which then does this:"
    assert "after the next apply" not in text
    assert "so role/one, and role/two after the apply above" in text


def test_the_command_that_is_told_does_it(aws: Rig) -> None:
    swapped(aws, GUARDED)
    one, _ = explained(aws, "instance-profile/web")
    pairs = frozenset(("protected", f"instance-profile/{name}") for name in ("db", "other"))
    assert [tuple(flag.split("=")) for flag in one.next.flags[1::2]] == sorted(pairs)
    aws.settle(regions=(HOME,), allow=pairs)


def test_its_own_guard_comes_before_the_others(aws: Rig) -> None:
    swapped(aws, GUARDED)
    one, text = explained(aws, "instance-profile/other")
    assert [guard.key for guard in one.next.guards] == ["protected"]
    assert [stop.key for stop in one.next.elsewhere] == ["protected"]
    assert "instance-profile/other is protected" in section(text)[1]


ALIEN = """
roles: {one: {trust: ec2}, alien: {trust: ec2, tags: {team: web}}}
instance_profiles: {alien: {role: one}}
associations: {web: {instance_profile: alien, select: {tags: {app: web}}}}
"""


def unadopted(aws: Rig) -> str:
    """The specs name a role and a profile that somebody made, with instances on it. The profile is
    to hold another role."""
    aws.iam.create_role(RoleName="one", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_role(RoleName="alien", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="alien")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="alien", RoleName="alien")
    aws.clock.sleep(60)
    (one,) = aws.launch(1, profile="alien")
    aws.write(ALIEN)
    return one


@pytest.mark.parametrize("asked", ["instance-profile/alien", "role/alien", "role/one", "member"])
def test_an_adoption_is_told_with_all_that_it_brings(aws: Rig, asked: str) -> None:
    member = unadopted(aws)
    one, text = explained(aws, member if asked == "member" else asked)
    assert one.next.flags == ("--adopt",)
    told = section(text)
    assert told[0].startswith("  ! nothing yet: 3 conflicts stop the whole apply")
    assert "    reconciler apply --adopt" in told
    takes = {
        stop.addresses[0].name + stop.addresses[0].kind[:4]: stop.brings for stop in one.next.stops
    }
    assert takes["alienrole"] == (
        "takes over role/alien: by a tag it belongs to the owner tests from then on, and is kept "
        "as the specs have it, so this changes: tags.team"
    )
    profile = takes["alieninst"]
    assert profile.endswith("so this changes: role; its 1 running instance is cut over")
    assert "> instance-profile/alien" in text or asked == "role/one"
    # Not only what AWS has now: the adoption swaps the role.
    assert not one.new_instances or one.new_instances[0].role_after == "one"


def test_what_an_adoption_calls_for_is_told_before(aws: Rig) -> None:
    """A policy would be lost: the guard for that comes only with ``--adopt``."""
    aws.iam.create_role(RoleName="one", AssumeRolePolicyDocument=TRUST)
    aws.iam.put_role_policy(
        RoleName="one",
        PolicyName="own",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
            }
        ),
    )
    aws.write("roles: {one: {trust: ec2}}")
    one, text = explained(aws, "role/one")
    assert [stop.is_later for stop in one.next.stops] == [False, True]
    assert "reconciler apply --adopt --allow strip=role/one" in text
    assert not aws.plan(
        regions=(HOME,), adopt=True, allow=frozenset({("strip", "role/one")})
    ).plan.guards


def test_an_instance_that_is_taken_stops_the_views_of_its_profiles(aws: Rig) -> None:
    aws.write(SPEC)
    aws.settle(regions=(HOME,))
    aws.iam.create_instance_profile(InstanceProfileName="legacy")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="legacy", RoleName="two")
    aws.clock.sleep(60)
    (member,) = aws.launch(1, profile="legacy", tags={"app": "web"})
    aws.write(SPEC + "associations: {web: {instance_profile: web, select: {tags: {app: web}}}}\n")
    for asked in (member, "instance-profile/legacy", "instance-profile/web", "role/one"):
        one, text = explained(aws, asked)
        told = " ".join(section(text))
        assert f"--adopt moves {member} from instance-profile/legacy to" in told, asked
        assert "instance-profile/legacy stays as it is" in told
        assert "1 conflict stops the whole apply" in told
        assert [str(c.address) for c in one.next.then] == [f"association/{member}"]


def test_an_adopted_profile_is_taken_to_have_been_taken_up(aws: Rig) -> None:
    unadopted(aws)
    aws.write(ALIEN.replace("alien: {role: one}", "alien: {role: alien}"))
    one, _ = explained(aws, "instance-profile/alien")
    brings = next(s.brings for s in one.next.stops if s.addresses[0].kind == "instance-profile")
    assert brings.endswith(
        "; its 1 running instance is taken to have role/alien, which nobody has recorded "
        "(--refresh-adopted cuts it over)"
    )


def test_what_another_owner_has(aws: Rig) -> None:
    aws.iam.create_role(
        RoleName="one",
        AssumeRolePolicyDocument=TRUST,
        Tags=[{"Key": "reconciler:owner", "Value": "others/one"}],
    )
    aws.write("roles: {one: {trust: ec2}}")
    one, text = explained(aws, "role/one")
    assert one.next.flags == ("--adopt", "--take-over")
    assert "belongs to the owner tests from then on, and no longer to 'others'" in text
    assert "reconciler apply --adopt --take-over" in text


def test_what_no_flag_lifts_gives_no_command_for_it(aws: Rig) -> None:
    swapped(aws, GUARDED)
    with refusing(aws, "DescribeRegions", "UnauthorizedOperation"):
        one, text = explained(aws, "instance-profile/web")
    assert "Allow ec2:DescribeRegions, or set consumer_regions" in text
    assert "  and after that:" in text
    assert "once nothing stops the apply" in text
    assert one.next.flags


def test_the_command_has_what_was_given(aws: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    swapped(aws, GUARDED)
    asked = ["explain", "role/two", str(aws.folder), "--region", HOME, "--owner", "tests", "-q"]
    assert run(asked) == ExitCode.OK
    flags = "--allow protected=instance-profile/db --allow protected=instance-profile/other"
    called = f"reconciler apply {aws.folder} --region {HOME} --owner tests {flags}"
    assert called in capsys.readouterr().out
    assert run([*asked, "--json"]) == ExitCode.OK
    following = json.loads(capsys.readouterr().out)["answers"][0]["next"]
    assert following["command"] == called
    assert [stop["lift"] for stop in following["stops"]] == [
        "--allow protected=instance-profile/db",
        "--allow protected=instance-profile/other",
    ]


def test_without_any_the_next_apply_does_it(aws: Rig) -> None:
    swapped(aws)
    one, text = explained(aws, "instance-profile/web")
    assert not one.next.is_blocked
    assert "and role/two after the next apply" in text


def test_what_the_apply_has_nothing_to_do_with_is_not_told_of_it(aws: Rig) -> None:
    """In the JSON it is, for programs that decide by it whether to apply."""
    aws.iam.create_role(RoleName="alien", AssumeRolePolicyDocument=TRUST)
    aws.write(SPEC)
    aws.settle(regions=(HOME,))
    aws.write(SPEC.replace("roles: {", "roles: {alien: {trust: ec2}, "))
    one, text = explained(aws, "instance-profile/web")
    assert section(text) == ["  nothing: AWS is as the specs want it"]
    assert [(stop.key, stop.lift) for stop in one.next.elsewhere] == [(None, "--adopt")]
    made = explain("instance-profile/web", aws.request(regions=(HOME,)), aws.commands())
    (shape,) = explain_json(made, NOW)["answers"]
    assert shape["next"]["blocked"] is True
    assert shape["next"]["elsewhere"][0]["addresses"] == ["role/alien"]


def test_every_picture_says_it(aws: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    swapped(aws, GUARDED)
    aws.opened.clear()
    made = make_graph(aws.request(regions=(HOME,)), aws.commands(), every=False)
    for name, form in FORMATS.items():
        drawn = form(made, NOW)
        if name == "json":
            told = json.loads(drawn)["stops"]
            assert [stop["lift"] for stop in told] == [
                "--allow protected=instance-profile/db",
                "--allow protected=instance-profile/other",
            ]
        else:
            assert "2 guards stop the next apply" in drawn, name
    assert run(["graph", str(aws.folder), "--region", HOME]) == ExitCode.OK
    told = capsys.readouterr().err
    assert "override with --allow protected=instance-profile/db" in told


def test_a_picture_tells_what_an_adoption_brings(
    aws: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    unadopted(aws)
    made = make_graph(aws.request(regions=(HOME,)), aws.commands(), every=False)
    assert all(stop.brings for stop in made.stops)
    assert run(["graph", str(aws.folder), "--region", HOME]) == ExitCode.UNDECIDED
    assert "; --adopt takes over role/alien: by a tag it belongs to the owner tests" in (
        capsys.readouterr().err
    )


def test_a_picture_of_what_nothing_stops_does_not(aws: Rig) -> None:
    swapped(aws)
    made = make_graph(aws.request(regions=(HOME,)), aws.commands(), every=False)
    for form in FORMATS.values():
        assert "stop the next apply" not in form(made, NOW)
    assert made.stops == ()


TWO = """
version: 1
owner: tests
guards: {protected: [role/prod]}
targets:
  dev: {account_id: '222222222222', role_arn: 'arn:aws:iam::222222222222:role/x', specs: [dev.yaml]}
  prod: {account_id: '111111111111', role_arn: 'arn:aws:iam::111111111111:role/x', specs: [prod.yaml]}
"""


def test_what_stops_another_target_stops_this_one(aws: Rig) -> None:
    """One apply is of all targets, unless one is chosen."""
    for name in ("dev", "prod"):
        (aws.folder / f"{name}.yaml").write_text(f"roles: {{{name}: {{trust: ec2}}}}")
    (aws.folder / "reconciler.yaml").write_text(TWO)
    one, text = explained(aws, "role/dev")
    told = section(text)
    assert told[1] == "    prod: role/prod is protected by the settings"
    assert "    reconciler apply --allow protected=role/prod" in told
    assert [stop.target for stop in one.next.stops] == ["prod"]
    aws.opened.clear()
    alone = explain("role/dev", aws.request(regions=(HOME,), targets=("dev",)), aws.commands())
    assert alone.answers[0].next.stops == ()
