"""Explain: what holds of the instance that was asked about, where it does not hold of the others,
and words that say neither more nor less than what is so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reconciler.explain.explanation import Explanation
from reconciler.explain.graph import make_graph
from reconciler.explain.reading import explain
from reconciler.render.phrases import assumed_in_words
from reconciler.render.styled_text import plain
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, listening
from tests.behaviour.test_ownership import TRUST
from tests.rig import AWAY, HOME, SETTINGS, Rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}}}}}}}
associations: {{web: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""


def spec(role: str, strategy: str = "reassociate") -> str:
    return SPEC.format(role=role, strategy=strategy)


def asked(aws: Rig, address: str, regions: tuple[str, ...] = (HOME,)) -> tuple[Explanation, str]:
    aws.opened.clear()
    made = explain(address, aws.request(regions=regions), aws.commands())
    return made.answers[0], " ".join(plain(explain_lines(made, Look())).split())


def text(aws: Rig, address: str) -> str:
    return asked(aws, address)[1]


@contextmanager
def dying_at_the_second(aws: Rig, operation: str) -> Iterator[None]:
    seen = 0

    def after(logged: Logged) -> None:
        nonlocal seen
        seen += logged.operation == operation
        if seen > 1:
            raise Crash

    with listening(aws.aws.after, after):
        yield


def test_what_strategy_wait_leaves_behind(aws: Rig) -> None:
    """EC2 goes on with the role before: no mark on the profile names it, its own mark does."""
    (web,) = aws.launch(1, tags={"app": "web"})
    aws.write(spec("v1", "wait"))
    aws.settle(regions=(HOME,))
    aws.clock.sleep(8 * 3600)
    aws.write(spec("v2", "wait"))
    aws.settle(regions=(HOME,))
    assert aws.served(web) == "v1"
    answer, told = asked(aws, web)
    assert answer.served is not None
    assert answer.served.candidates == ("v2", "v1")
    assert "perhaps those of role/v2 or role/v1" in told
    old = text(aws, "role/v1")
    assert "1 running instance on instance-profile/web" in old
    assert "is not inside that profile any more, but instances may still hold it" in old
    # What is known by the hour is known again.
    aws.clock.sleep(8 * 3600)
    answer, _ = asked(aws, web)
    assert answer.served is not None
    assert answer.served.role == "v2"
    assert "no instance profile gives it to instances" in text(aws, "role/v1")
    # The next role leaves both marked, and is in effect as well.
    aws.write(spec("v1"))
    aws.settle(regions=(HOME,))
    assert aws.served(web) == "v1"


def test_a_role_before_the_one_before_is_not_meant(aws: Rig) -> None:
    """It was let go by a cut-over that reached everything."""
    (web,) = aws.launch(1, tags={"app": "web"})
    three = spec("{role}", "{strategy}").replace("{v1:", "{v3: {trust: ec2}, v1:")
    aws.write(three.replace("{role}", "v3").replace("{strategy}", "reassociate"))
    aws.settle(regions=(HOME,))
    aws.write(three.replace("{role}", "v1").replace("{strategy}", "reassociate"))
    aws.settle(regions=(HOME,))
    aws.clock.sleep(3600)
    aws.write(three.replace("{role}", "v2").replace("{strategy}", "wait"))
    aws.settle(regions=(HOME,))
    answer, _ = asked(aws, web)
    assert answer.served is not None
    assert answer.served.candidates == ("v2", "v1")


def test_a_region_that_a_cut_over_leaves_out(aws: Rig) -> None:
    (away,) = aws.launch(1, region=AWAY, tags={"app": "web"})
    aws.write(spec("v1"))
    aws.settle(regions=(HOME, AWAY))
    aws.write(spec("v2"), SETTINGS + f"consumer_regions: [{HOME}]\n")
    _, told = asked(aws, away)
    assert (
        "this instance is not touched: consumer_regions leaves its region out, and it goes on with "
        "what it holds, for hours or until it is replaced"
    ) in told


def test_what_an_earlier_run_has_done(aws: Rig) -> None:
    """The next apply goes on with the others."""
    aws.launch(2, tags={"app": "web"})
    aws.write(spec("v1"))
    aws.settle(regions=(HOME,))
    aws.write(spec("v2"))
    with pytest.raises(Crash), dying_at_the_second(aws, "DisassociateIamInstanceProfile"):
        aws.apply(regions=(HOME,))
    aws.clock.sleep(3600)
    done = [i for i in aws.instance_ids() if aws.served(i) == "v2"]
    assert len(done) == 1
    assert "this instance is not touched: an earlier run has cut it over already" in text(
        aws, done[0]
    )
    flying = next(i for i in aws.instance_ids() if aws.profile_of(i) is None)
    told = text(aws, flying)
    assert (
        f"reconciler:in-flight: a run has taken it from {HOME}/{flying}, and must give it" in told
    )
    assert "not touched" not in told
    aws.settle(regions=(HOME,))


def test_what_is_kept_once_everything_is_allowed(aws: Rig) -> None:
    """What the plan of today leaves alone for want of a flag is not left alone with it."""
    aws.iam.create_role(RoleName="v1", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="web")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.clock.sleep(60)
    (web,) = aws.launch(1, profile="web", tags={"app": "web"})
    aws.write(spec("v2"))
    told = text(aws, web)
    assert "reconciler apply --adopt" in told
    assert "its profile instance-profile/web is not managed" not in told
    aws.settle(regions=(HOME,), adopt=True)
    assert aws.served(web) == "v2"


def test_an_association_that_is_for_other_regions(aws: Rig) -> None:
    (away,) = aws.launch(1, region=AWAY, tags={"app": "web"})
    (other,) = aws.launch(1, region=AWAY, tags={"app": "batch"})
    aws.write(spec("v1"))
    aws.settle(regions=(HOME,))
    told = text(aws, away)
    assert "no association of the specs is about it" in told
    assert (
        f"association 'web' would select it by its tags, but not in {AWAY}: it is for {HOME}"
    ) in told
    assert "would select it" not in text(aws, other)


def test_a_managed_instance_without_a_profile_has_none_to_look_by(aws: Rig) -> None:
    (ecs,) = aws.launch(1, tags={"app": "web"}, operator="ecs.amazonaws.com")
    aws.write(spec("v1"))
    aws.settle(regions=(HOME,))
    aws.ec2().create_launch_template(
        LaunchTemplateName="web-lt",
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "IamInstanceProfile": {"Name": "web"},
        },
    )
    told = text(aws, ecs)
    assert "launch template web-lt" in told
    assert "so perhaps its own" not in told
    assert "others that start instances with the profile that it is to have" in told


def test_a_profile_that_the_apply_makes(aws: Rig) -> None:
    aws.launch(1, tags={"app": "web"})
    aws.write(spec("v1"))
    data = {"ImageId": "ami-12c6146b", "IamInstanceProfile": {"Name": "web"}}
    aws.ec2().create_launch_template(LaunchTemplateName="web-lt", LaunchTemplateData=data)
    told = text(aws, "instance-profile/web")
    assert (
        "gives them instance-profile/web, which does not exist: launches fail; after the next "
        "apply they get role/v1"
    ) in told


def test_a_role_that_a_spec_names_is_not_in_no_spec(aws: Rig) -> None:
    aws.iam.create_role(RoleName="shared", AssumeRolePolicyDocument=TRUST)
    aws.write("instance_profiles: {web: {role: shared}}")
    told = text(aws, "role/shared")
    assert "in no spec" not in told
    assert "role/shared exists and is not managed, only named in the specs" in told


def test_one_is_not_them() -> None:
    assert "--refresh-adopted cuts it over" in assumed_in_words(1)
    assert "--refresh-adopted cuts them over" in assumed_in_words(2)


def test_the_target_that_answers_is_named(aws: Rig) -> None:
    """Of several, one may have the instance."""
    (web,) = aws.launch(1, tags={"app": "web"})
    targets = "targets: {prod: {regions: [us-east-1]}}\n"
    aws.write(spec("v1"), SETTINGS + targets)
    _, told = asked(aws, web, regions=())
    assert told.startswith("Target prod: account 123456789012")


def test_a_role_that_was_still_served_is_let_go_once_more(aws: Rig) -> None:
    """Instances had it up to the second swap: sessions of it last for hours from then on."""
    (web,) = aws.launch(1, tags={"app": "web"})
    three = spec("{role}", "wait").replace("{v1:", "{v3: {trust: ec2}, v1:")
    aws.write(three.replace("{role}", "v1"))
    aws.settle(regions=(HOME,))
    aws.write(three.replace("{role}", "v2"))
    aws.settle(regions=(HOME,))
    first = int(aws.role_tags("v1")["reconciler:released"])
    aws.clock.sleep(5 * 3600)
    assert aws.served(web) == "v1"
    aws.write(three.replace("{role}", "v3").replace("strategy: wait", "strategy: reassociate"))
    aws.settle(regions=(HOME,))
    assert aws.served(web) == "v3"
    assert int(aws.role_tags("v1")["reconciler:released"]) >= first + 5 * 3600


@pytest.mark.parametrize("address", ["instance", "instance-profile/web"])
def test_what_an_adoption_reaches_in_other_regions(aws: Rig, address: str) -> None:
    """Its plan looks for consumers everywhere, as that of today need not."""
    aws.iam.create_role(RoleName="v1", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="web")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.clock.sleep(60)
    (web,) = aws.launch(1, profile="web", tags={"app": "web"})
    aws.launch(1, profile="web", region=AWAY)
    aws.write(spec("v2"))
    told = text(aws, web if address == "instance" else address)
    assert "its 2 running instances are cut over" in told
    assert "2 running instances, strategy reassociate" in told
    aws.opened.clear()
    drawn = make_graph(aws.request(regions=(HOME,)), aws.commands(), every=False)
    assert "its 2 running instances are cut over" in " ".join(one.brings for one in drawn.stops)
    aws.opened.clear()
    (target,) = aws.plan(regions=(HOME,), adopt=True).plan.targets
    (change,) = (c for c in target.changes if c.address.kind == "instance-profile")
    assert len(change.consumers) == 2
    # Without those of a region that the settings leave out.
    aws.write(spec("v2"), SETTINGS + f"consumer_regions: [{HOME}]\n")
    told = text(aws, web if address == "instance" else address)
    assert "1 running instance, strategy reassociate" in told
