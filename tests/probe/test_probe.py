"""A probe on a sandbox: what it finds, what it leaves, and whom it does not touch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from reconciler.errors import RefusedError, StoppedError
from reconciler.executor.interrupt import Interrupt
from reconciler.exit_codes import ExitCode
from reconciler.plan.authorization import ON_INSTANCES, READS, WRITES
from reconciler.plan.calls import ApiCall
from reconciler.ports import Writer
from reconciler.probe import subject
from reconciler.probe.calibration import calibrated, read
from reconciler.probe.findings import Mask, ProbeObservation, ProbeResult, verdict
from reconciler.probe.guard import (
    CALLS,
    INSTANCE_TAG,
    MALFORMED,
    NO_INSTANCE,
    ORIGINAL_TAG,
    PATH,
    PROBE_TAG,
    NotOursError,
    WriteGuard,
)
from reconciler.probe.lab import Lab, ProbeClock, ProbeLimits
from reconciler.probe.on_instance import EXPERIMENTS, restart
from reconciler.probe.running import chosen, lab_of, results
from reconciler.probe.subject import SSM_POLICY, Subject, subject_of
from reconciler.probe.telling import Probed, intention_lines, probe_json, probe_lines
from reconciler.render.json.probe_types import ProbeShape
from reconciler.render.styled_text import plain, wrapped
from reconciler.sandbox.fault_config import Chaos, Lags
from reconciler.spec.settings import Settings
from tests.behaviour.faults import listening
from tests.permissions.enforcing import Enforcer
from tests.rig import ACCOUNT, HOME, Rig, rig

TAGS = [{"Key": PROBE_TAG, "Value": "yes"}]
A, B = "first-role", "second-role"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
QUICK = ("replace", "recreate", "disassociate")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Dying:
    """A writer whose process dies after so many writes, before or after AWS has done the last."""

    writer: Writer
    after: int = 1_000_000
    sent: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def calls(self) -> Mapping[str, int]:
        return {}

    def send(self, call: ApiCall) -> Mapping[str, Any]:
        self.seen.append(call.name)
        if call.operation.startswith(("Get", "List", "Describe")):
            return self.writer.send(call)
        if self.sent >= self.after:
            raise Killed
        self.sent += 1
        return self.writer.send(call)


@dataclass
class Ground:
    rig: Rig
    instance: str
    runs: int = 0

    def subject(self, roles: tuple[str, str] = (A, B)) -> Subject:
        connection = self.rig.commands().connect(None, Settings())
        send = connection.writer().send
        return subject_of(send, HOME, "aws", HOME, self.instance, roles)

    def lab(self, stop: Interrupt | None = None, after: int = 1_000_000) -> tuple[Lab, Dying]:
        self.runs += 1
        connection = self.rig.commands().connect(None, Settings())
        clock = ProbeClock(self.rig.clock, stop or Interrupt())
        subject, limits = self.subject(), ProbeLimits()
        run = f"run{self.runs}"
        lab = lab_of(connection, clock, subject, run, limits, may_restart=True)
        dying = Dying(lab.guard.writer, after)
        lab.guard.writer = dying
        return lab, dying

    def is_as_before(self, profile: str | None = "mine") -> None:
        assert self.rig.profile_of(self.instance) == profile
        rows = self.rig.associations().get(self.instance, [])
        assert rows == ([(profile, "associated")] if profile else [])
        assert self.rig.names()["profiles"] == ["mine"]
        assert self.rig.instance_tags(self.instance) == {PROBE_TAG: "yes"}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    lags = Lags(ec2_sees_iam=10.0, associating=4.0, disassociating=6.0, restarting=20.0)
    with rig(tmp_path, lags) as here:
        iam = here.iam
        for name in (A, B):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=TAGS)
            arn = f"arn:aws:iam::aws:policy/{SSM_POLICY}"
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        iam.create_instance_profile(InstanceProfileName="mine")
        iam.add_role_to_instance_profile(InstanceProfileName="mine", RoleName=A)
        here.clock.sleep(60.0)
        (instance,) = here.launch(profile="mine", tags={PROBE_TAG: "yes"})
        yield Ground(here, instance)


def probed(ground: Ground, *only: str) -> dict[str, ProbeResult]:
    lab, _ = ground.lab()
    lab.begin()
    found = {one.experiment: one for one in results(lab, chosen((), only), lambda _: None)}
    lab.restore()
    return found


def documented() -> dict[str, Any]:
    """The policy of the page, filled in."""
    page = Path("docs/probe.md").read_text("utf-8")
    text = page.partition("```json\n")[2].partition("```")[0]
    names = {"ACCOUNT": ACCOUNT, "ROLE-A": A, "ROLE-B": B, "HELD": A}
    for name, value in names.items():
        text = text.replace(name, value)
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_policy_of_the_page_is_enough(ground: Ground) -> None:
    free = probed(ground, *(one.name for one in EXPERIMENTS))
    enforcer = Enforcer.of(ground.rig.aws, documented()["Statement"])
    with listening(ground.rig.aws.before, enforcer):
        held = probed(ground, *(one.name for one in EXPERIMENTS))
    assert enforcer.denied == []
    assert enforcer.seen >= {"iam:CreateInstanceProfile", "ec2:AssociateIamInstanceProfile"}
    assert held.keys() == free.keys()
    ground.is_as_before()


def test_the_policy_of_the_page_has_every_call() -> None:
    needs = {need.action for call in CALLS & WRITES.keys() for need in WRITES[call]}
    needs |= {need.action for call in CALLS & READS.keys() for need in READS[call].needs}
    needs |= CALLS - WRITES.keys() - READS.keys()
    needs |= {*ON_INSTANCES, "cloudtrail:LookupEvents"} - {"sts:GetCallerIdentity"}
    listed = (one["Action"] for one in documented()["Statement"])
    assert {a for one in listed for a in ([one] if isinstance(one, str) else one)} == needs


def test_all_experiments_are_made_and_leave_everything_as_it_was(ground: Ground) -> None:
    found = probed(ground, *(one.name for one in EXPERIMENTS))
    assert {one.status for one in found.values()} == {"done"}, found
    ground.is_as_before()

    def value(experiment: str, name: str) -> object:
        seen = found[experiment].of(name)
        assert seen is not None
        return seen.value

    assert value("associate", "accepted") == 10.0
    assert value("associate", "associated") == 4.0
    assert value("disassociate", "gone") == 6.0
    assert value("restart", "stopped") == 20.0
    assert value("swap", "before") == "role A"
    assert value("swap", "after") == ("role A",)
    assert value("swap", "anew") == "role B"
    assert value("replace", "id") == "no"
    assert value("recreate", "replaced-id") == "of the deleted one"
    assert value("lists", "details-profile") == "no"
    assert value("restart", "pending-associate") == "IncorrectInstanceState"


def test_an_instance_without_a_profile_has_none_again(ground: Ground) -> None:
    (row,) = ground.rig.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    ground.rig.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    ground.rig.clock.sleep(60.0)
    found = probed(ground, "replace")
    assert found["replace"].status == "done"
    ground.is_as_before(None)


@pytest.mark.parametrize("share", range(4))
def test_whenever_it_is_killed_the_next_run_puts_it_right(ground: Ground, share: int) -> None:
    lab, dying = ground.lab()
    lab.begin()
    assert all(one.status == "done" for one in results(lab, chosen((), QUICK), lambda _: None))
    lab.restore()
    writes = dying.sent
    for after in range(share, writes, 4):
        lab, dying = ground.lab(after=after)
        with pytest.raises(Killed):
            lab.begin()
            list(results(lab, chosen((), QUICK), lambda _: None))
            lab.restore()
        ground.rig.clock.sleep(30.0)
        lab, _ = ground.lab()
        assert lab.subject.original == "mine"
        lab.begin()
        lab.restore()
        ground.is_as_before()


def test_an_instance_that_was_left_stopped_is_started_again(ground: Ground) -> None:
    lab, dying = ground.lab()
    lab.begin()
    with pytest.raises(Killed):
        for one in restart(lab):
            if one.name == "stop":
                dying.after = 0
    ground.rig.clock.sleep(30.0)
    state = ground.rig.ec2().describe_instances(InstanceIds=[ground.instance])
    assert state["Reservations"][0]["Instances"][0]["State"]["Name"] == "stopped"
    lab, _ = ground.lab()
    lab.begin()
    lab.restore()
    ground.is_as_before()


def test_a_run_that_is_asked_to_stop_puts_it_right(ground: Ground) -> None:
    stop = Interrupt()
    lab, dying = ground.lab(stop)
    lab.begin()
    found: list[ProbeResult] = []

    def told(what: str) -> None:
        if what.startswith("disassociate"):
            stop.set()

    with pytest.raises(StoppedError):
        found.extend(results(lab, chosen((), QUICK), told))
    assert [one.status for one in found] == ["done", "done", "failed"]
    lab.clock.is_closing = True
    lab.restore()
    ground.is_as_before()
    assert dying.sent


def test_an_experiment_that_fails_does_not_stop_the_next(ground: Ground) -> None:
    denied = frozenset({"ec2:ReplaceIamInstanceProfileAssociation", "iam:ListRoles"})
    ground.rig.aws.chaos = Chaos(denied=denied)
    found = probed(ground, "lists", "replace", "disassociate")
    ground.rig.aws.chaos = Chaos()
    assert [found[name].status for name in ("lists", "replace", "disassociate")] == [
        "failed",
        "done",
        "done",
    ]
    assert "AccessDenied" in found["lists"].why
    seen = found["replace"].of("call")
    assert seen is not None
    assert seen.value == "UnauthorizedOperation"
    ground.is_as_before()


def test_what_others_have_left_for_other_instances_is_theirs(ground: Ground) -> None:
    iam = ground.rig.iam
    tags = [
        {"Key": PROBE_TAG, "Value": "temporary"},
        {"Key": INSTANCE_TAG, "Value": f"{HOME}/i-0123456789abcdef0"},
    ]
    name = "reconciler-probe-other-one"
    iam.create_instance_profile(InstanceProfileName=name, Path=PATH, Tags=tags)
    iam.create_instance_profile(InstanceProfileName="reconciler-probe-mine", Path=PATH)
    lab, _ = ground.lab()
    lab.begin()
    lab.restore()
    assert ground.rig.names()["profiles"] == ["mine", "reconciler-probe-mine", name]


def refused(ground: Ground, roles: tuple[str, str] = (A, B)) -> str:
    with pytest.raises(RefusedError) as caught:
        ground.subject(roles)
    assert caught.value.exit_code is ExitCode.UNDECIDED
    return "; ".join(caught.value.details)


def test_who_must_not_be_probed(ground: Ground) -> None:
    iam, ec2 = ground.rig.iam, ground.rig.ec2()
    assert "the two roles are the same one" in refused(ground, (A, A.upper()))
    iam.create_role(RoleName="batch", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert refused(ground, (A, "batch")).startswith("the role batch does not have the tag")

    iam.tag_role(RoleName=B, Tags=[{"Key": "reconciler:owner", "Value": "team/second-role"}])
    assert "second-role is managed by reconciler: reconciler:owner=team/" in refused(ground)
    iam.untag_role(RoleName=B, TagKeys=["reconciler:owner"])

    tags = [{"Key": "reconciler:owner", "Value": "team/mine"}]
    iam.tag_instance_profile(InstanceProfileName="mine", Tags=tags)
    assert "the instance profile mine is managed by reconciler" in refused(ground)
    iam.untag_instance_profile(InstanceProfileName="mine", TagKeys=["reconciler:owner"])
    ground.subject()

    ec2.create_tags(
        Resources=[ground.instance], Tags=[{"Key": "aws-autoscaling", "Value": "no matter"}]
    )
    ground.subject()
    ec2.delete_tags(Resources=[ground.instance], Tags=TAGS)
    assert "does not have the tag reconciler:probe=yes" in refused(ground)
    ec2.create_tags(Resources=[ground.instance], Tags=TAGS)
    ec2.stop_instances(InstanceIds=[ground.instance])
    assert "it must be running" in refused(ground)


@pytest.mark.parametrize("noted", ["admin", "-"])
def test_a_note_that_no_probe_can_have_left_gives_the_instance_nothing(
    ground: Ground, noted: str
) -> None:
    """Who may tag instances may not thereby choose their profiles: a probe that was killed leaves
    an instance with what it had, with a profile of its own, or with none."""
    ground.rig.iam.create_instance_profile(InstanceProfileName="admin")
    tags = [{"Key": ORIGINAL_TAG, "Value": noted}]
    ground.rig.ec2().create_tags(Resources=[ground.instance], Tags=tags)
    said = refused(ground)
    assert f"{ground.instance} has the instance profile mine" in said
    assert f"{ORIGINAL_TAG}={noted}" in said
    assert ground.rig.profile_of(ground.instance) == "mine"


@pytest.mark.parametrize(
    "operator", [{"Managed": True}, {"Principal": "eks"}, {"Managed": True, "Principal": "eks"}]
)
def test_an_instance_of_another_service_is_refused_however_that_is_told(
    operator: dict[str, Any],
) -> None:
    found = {"InstanceId": MINE, "State": {"Name": "running"}, "Tags": TAGS, "Operator": operator}
    by = operator.get("Principal", "an AWS service")
    assert list(subject._of_instance(found)) == [f"{MINE} is managed by {by}"]


@dataclass
class Nothing:
    """A writer that AWS is behind."""

    calls: Mapping[str, int] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def send(self, call: ApiCall) -> Mapping[str, Any]:
        self.sent.append(call.name)
        return {}


OURS = "reconciler-probe-1-one"
MINE = "i-0abc1234abc1234ab"


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("iam", "DeleteRole", {"RoleName": A}),
        ("iam", "DeleteInstanceProfile", {"InstanceProfileName": "mine"}),
        ("iam", "CreateInstanceProfile", {"InstanceProfileName": OURS, "Path": "/"}),
        ("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": OURS, "RoleName": "admin"}),
        ("iam", "RemoveRoleFromInstanceProfile", {"InstanceProfileName": "web", "RoleName": A}),
        ("ec2", "AssociateIamInstanceProfile", {"InstanceId": "i-0123456789abcdef0"}),
        ("ec2", "DisassociateIamInstanceProfile", {"AssociationId": "iip-assoc-0123456789abcdef0"}),
        ("ec2", "ReplaceIamInstanceProfileAssociation", {"AssociationId": "iip-assoc-1"}),
        ("ec2", "CreateTags", {"Resources": [MINE], "Tags": [{"Key": "Name", "Value": "x"}]}),
        ("ec2", "DeleteTags", {"Resources": ["i-1"], "Tags": [{"Key": ORIGINAL_TAG}]}),
        ("ec2", "StopInstances", {"InstanceIds": [MINE]}),
        ("ec2", "TerminateInstances", {"InstanceIds": [MINE]}),
        ("ec2", "RunInstances", {}),
    ],
)
def test_nothing_else_is_ever_changed(service: str, operation: str, params: Any) -> None:
    writer = Nothing()
    guard = WriteGuard(writer, MINE, frozenset({A, B}))
    with pytest.raises(NotOursError):
        guard.send(ApiCall(service, operation, params))
    assert not writer.sent


def test_what_is_sent_is_what_is_known(ground: Ground) -> None:
    lab, dying = ground.lab()
    lab.begin()
    list(results(lab, EXPERIMENTS, lambda _: None))
    lab.restore()
    sent = {name.replace("resourcegroupstaggingapi", "tag") for name in dying.seen}
    before = {"sts:GetCallerIdentity", "iam:GetRole", "iam:ListAttachedRolePolicies"}
    assert sent == CALLS - before
    assert {NO_INSTANCE, MALFORMED}.isdisjoint({ground.instance})


def seen(kind: Any, value: Any) -> ProbeObservation:
    return ProbeObservation("name", kind, "asks", value)


@pytest.mark.parametrize(
    ("aws", "sandbox", "expected"),
    [
        (seen("outcome", "accepted"), seen("outcome", "accepted"), "agrees"),
        (seen("outcome", "accepted"), seen("outcome", "IncorrectState"), "differs"),
        (seen("fact", None), seen("fact", "yes"), "unknown"),
        (seen("fact", "yes"), None, "unknown"),
        (seen("seconds", 1.0), seen("seconds", 90.0), "time"),
        (seen("seconds", None), seen("seconds", 90.0), "unknown"),
        (seen("states", ("a", "b", "c")), seen("states", ("a", "c")), "agrees"),
        (seen("states", ("c", "a")), seen("states", ("a", "b", "c")), "differs"),
        (seen("states", ()), seen("states", ("a",)), "differs"),
        (seen("states", ()), seen("states", ()), "agrees"),
    ],
)
def test_verdicts(aws: ProbeObservation, sandbox: ProbeObservation | None, expected: str) -> None:
    assert verdict(aws, sandbox) == expected


def test_nothing_of_the_account_is_in_aws_words() -> None:
    words = (
        "User: arn:aws:sts::123456789012:assumed-role/admin/me is not allowed on first-role, "
        "i-0abc1234abc1234ab, iip-assoc-0abc1234, AROA0123456789ABCDEF of 123456789012. "
        "Encoded authorization failure message: c2VjcmV0"
    )
    masked = Mask({A: "ROLE-A"})(words)
    assert masked == (
        "User: ARN is not allowed on ROLE-A, INSTANCE, ASSOCIATION, ID of ACCOUNT. "
        "(encoded message)"
    )


def test_the_document_has_no_name_of_the_account(ground: Ground) -> None:
    found = probed(ground, *(one.name for one in EXPERIMENTS))
    subject = ground.subject()
    made = Probed(subject, EXPERIMENTS, found, found, True, 1.0, True, True)
    document = probe_json(made, "2026-11-27T13:00:00Z")
    TypeAdapter(ProbeShape).validate_python(json.loads(json.dumps(document)), strict=True)
    text = json.dumps(document)
    for name in (ACCOUNT, ground.instance, A, B, "mine", "arn:", "iip-assoc", "AROA", "AIPA"):
        assert f'"{name}' not in text, name
        assert f" {name}" not in text, name
    assert document["summary"]["differs"] == 0
    assert document["times"]["ec2_lag"] == 10.0
    assert document["times"]["restarting"] == 20.0
    for width in (60, 100):
        for one in (*probe_lines(made), *intention_lines(subject, ACCOUNT, EXPERIMENTS)):
            assert all(len(plain([part])) <= width for part in wrapped(one, width))


def test_a_sandbox_takes_the_times_that_are_known(ground: Ground) -> None:
    found = probed(ground, "associate", "disassociate", "young")
    made = Probed(ground.subject(), EXPERIMENTS, found, {}, False, 1.0)
    document = read(json.dumps(probe_json(made, "2026-11-27T13:00:00Z")), "probe.json")
    lags, chaos = calibrated(Lags(restarting=7.0), Chaos(stale_gets=5.0, page=3), document)
    assert (lags.ec2_sees_iam, lags.associating, lags.disassociating) == (10.0, 4.0, 6.0)
    assert lags.restarting == 7.0
    assert (chaos.stale_gets, chaos.page) == (0.0, 3)
