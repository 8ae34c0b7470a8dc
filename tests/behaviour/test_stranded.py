"""A run that ends with something taken and not given back says so last, from AWS, with the command
that gives it back; and what it advises can help."""

from __future__ import annotations

import shlex

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.iam.exceptions import IAMException

from reconciler.commands.apply import Applied
from reconciler.executor.interrupt import Interrupt
from reconciler.exit_codes import ExitCode
from reconciler.render.json.apply import outcome_json, summary_json
from reconciler.render.styled_text import plain
from reconciler.render.text.apply import result_lines, stranded_lines
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening, refusing
from tests.rig import ACCOUNT, AWAY, HOME, Rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}{more}}}}}}}
"""
DENIED = "UnauthorizedOperation"
ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"


def swap(aws: Rig, *, region: str = HOME, strategy: str = "reassociate", more: str = "") -> str:
    """The specs want v2, and one instance runs on v1."""
    aws.write(SPEC.format(role="v1", strategy=strategy, more=more))
    aws.settle()
    aws.clock.sleep(60)
    instance = aws.launch(1, region=region, profile="web")[0]
    aws.write(SPEC.format(role="v2", strategy=strategy, more=more))
    return instance


def said(applied: Applied) -> str:
    return plain([*result_lines(applied), *stranded_lines(applied)])


def last(applied: Applied) -> list[str]:
    return plain(stranded_lines(applied)).splitlines()


def run_by_hand(aws: Rig, command: str) -> None:
    """As the AWS CLI would: the words of the command are all that is used."""
    aws_word, service, operation, *words = shlex.split(command)
    assert aws_word == "aws"
    given = dict(zip(words[::2], words[1::2], strict=True))
    region = given.pop("--region", HOME)
    params: dict[str, object] = {
        "".join(part.capitalize() for part in name.removeprefix("--").split("-")): value
        for name, value in given.items()
    }
    if "IamInstanceProfile" in params:
        key, _, value = str(params["IamInstanceProfile"]).partition("=")
        params["IamInstanceProfile"] = {key: value}
    if "InstanceIds" in params:
        params["InstanceIds"] = [params["InstanceIds"]]
    getattr(aws.client(service, region), operation.replace("-", "_"))(**params)


@pytest.mark.parametrize("region", [HOME, AWAY])
@pytest.mark.parametrize("on_failure", ["rollback", "stop"])
def test_an_instance_without_its_profile(aws: Rig, region: str, on_failure: str) -> None:
    instance = swap(aws, region=region, more=f", on_failure: {on_failure}")
    with refusing(aws, "AssociateIamInstanceProfile", DENIED):
        first = aws.apply()
        second = aws.apply()
    for applied in (first, second):
        assert applied.exit_code == ExitCode.PARTLY_APPLIED
        assert last(applied) == [
            f"{instance} ({region}) HAS NO PROFILE",
            f"  To restore it: aws ec2 associate-iam-instance-profile --region {region} "
            f"--instance-id {instance} --iam-instance-profile Arn={ARN}",
        ]
        assert stranded_lines(applied)[0][0].style == "bold red"
        told = summary_json(applied.planned.plan, applied)["stranded"]
        assert [(t["address"], t["what"]) for t in told] == [
            (f"association/{instance}", "no_profile")
        ]
        assert outcome_json(applied, applied.exit_code)["stranded"] == told
        assert "ec2:AssociateIamInstanceProfile" in said(applied)
        assert "Apply again to resume" not in said(applied)
    assert first.result.steps_applied > 1
    run_by_hand(aws, told[0]["command"])
    assert aws.profile_of(instance, region) == "web"
    aws.settle()


def test_an_instance_that_is_not_started(aws: Rig) -> None:
    instance = swap(aws, strategy="restart")
    with refusing(aws, "StartInstances", DENIED):
        applied = aws.apply()
    assert last(applied) == [
        f"{instance} ({HOME}) WAS STOPPED AND IS NOT RUNNING",
        f"  To restore it: aws ec2 start-instances --region {HOME} --instance-ids {instance}",
    ]
    run_by_hand(aws, summary_json(applied.planned.plan, applied)["stranded"][0]["command"])
    aws.settle()


def test_a_profile_without_its_role(aws: Rig) -> None:
    swap(aws)
    out: list[bool] = []

    def listen(logged: Logged) -> None:
        if logged.operation == "RemoveRoleFromInstanceProfile":
            out.append(True)

    def refuse(logged: Logged) -> None:
        if logged.operation == "AddRoleToInstanceProfile" and out:
            raise IAMException("AccessDenied", "refused by the test")

    with listening(aws.aws.after, listen), listening(aws.aws.before, refuse):
        applied = aws.apply()
    assert last(applied) == [
        "instance-profile/web HAS NO ROLE",
        "  To restore it: aws iam add-role-to-instance-profile --instance-profile-name web "
        "--role-name v1",
    ]


def test_an_instance_that_cannot_be_read_may_be_without_profile(aws: Rig) -> None:
    instance = swap(aws, region=AWAY)

    def blind(logged: Logged) -> None:
        if logged.region == AWAY and logged.operation == "DescribeInstances" and taken:
            raise EC2ClientError(DENIED, "no")
        if logged.operation == "DisassociateIamInstanceProfile":
            taken.append(instance)

    taken: list[str] = []
    with listening(aws.aws.before, blind):
        applied = aws.apply()
    assert taken
    assert last(applied)[0] == (
        f"{instance} ({AWAY}) MAY HAVE NO PROFILE: ec2:DescribeInstances: {DENIED}"
    )


def test_stranded_instances_after_an_interrupt(aws: Rig) -> None:
    instance, stop = swap(aws), Interrupt()

    def listen(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile":
            stop.set()

    with listening(aws.aws.after, listen), refusing(aws, "AssociateIamInstanceProfile", DENIED):
        applied = aws.apply(stop)
    assert applied.exit_code == ExitCode.INTERRUPTED
    assert last(applied)[0] == f"{instance} ({HOME}) HAS NO PROFILE"


def test_a_stopped_instance_that_moves_to_a_profile_of_others(aws: Rig) -> None:
    """Nothing is noted on what is not ours."""
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write(
        "roles: {r: {trust: ec2}}\ninstance_profiles: {one: {role: r}, web: {role: r}}\n"
        "associations: {a: {instance_profile: one, select: {tags: {app: web}}}}"
    )
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=[instance])
    aws.iam.untag_instance_profile(InstanceProfileName="web", TagKeys=["reconciler:owner"])
    aws.write(
        "roles: {r: {trust: ec2}}\ninstance_profiles: {one: {role: r}}\n"
        "associations: {a: {instance_profile: web, select: {tags: {app: web}}}}"
    )
    with refusing(aws, "AssociateIamInstanceProfile", DENIED):
        applied = aws.apply()
    assert last(applied)[0] == f"{instance} ({HOME}) HAS NO PROFILE"
    assert ARN in last(applied)[1]


def test_after_a_roll_back_the_retry_flag_is_named(aws: Rig) -> None:
    """One refusal: the canary is rolled back, and all is as it was."""
    instance = swap(aws)
    with refusing(aws, "AssociateIamInstanceProfile", DENIED, times=1):
        applied = aws.apply()
    assert aws.served(instance) == "v1"
    assert last(applied) == []
    words = said(applied)
    assert "--allow retry=instance-profile/web" in words
    assert "apply again" not in words.casefold()
    assert words.count("refused by the test") == 1


def test_an_access_error_names_the_permission(aws: Rig) -> None:
    aws.write("roles: {v1: {trust: ec2}}")
    with refusing(aws, "CreateRole", "AccessDenied"):
        applied = aws.apply()
    assert "Grant the calling identity iam:CreateRole on role/v1, then apply again." in said(
        applied
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("LimitExceeded", "Resolve what was refused, then apply again."),
        ("Throttling", "Apply again to resume."),
    ],
)
def test_apply_again_is_advised_only_if_it_helps(aws: Rig, code: str, words: str) -> None:
    aws.write("roles: {v1: {trust: ec2}}")
    with refusing(aws, "CreateRole", code):
        assert said(aws.apply()).splitlines()[-1] == words


def test_apply_again_is_advised_after_max_time(aws: Rig) -> None:
    aws.write("roles: {v1: {trust: ec2}}")
    assert said(aws.apply(max_seconds=0)).endswith("Apply again to resume.")
