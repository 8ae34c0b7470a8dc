"""Single checks: each status, with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from reconciler.commands.selection import interpreted_offline
from reconciler.doctor import account, machine
from reconciler.doctor.account import Patient
from reconciler.doctor.checks import Check
from reconciler.errors import AwsError
from reconciler.model.resources import Identity
from reconciler.ports import Credentials
from reconciler.render.styled_text import plain, wrapped
from reconciler.render.text.doctor import FOLDED, doctor_lines
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from reconciler.spec.loader import read
from tests.behaviour.faults import listening, refusing
from tests.rig import ACCOUNT, AWAY, HOME, Rig

SETTINGS = f"version: 1\nowner: tests\nregions: [{HOME}]\n"
ME = Identity(ACCOUNT, "aws", f"arn:aws:iam::{ACCOUNT}:user/me")


def patient(aws: Rig, settings: str = SETTINGS) -> Patient:
    aws.write("roles: {web: {trust: ec2}}\n", settings)
    request = aws.request(regions=())
    parsed = read(request.path)
    connection = aws.commands().connect(None, parsed.settings)
    spec = interpreted_offline(parsed, request, None).spec
    regions = tuple(parsed.settings.regions or ())
    return Patient(None, parsed.settings, spec, connection, connection.examiner(), regions)


@dataclass
class Told:
    """An examiner that says what it is told to."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)

    def ask(self, call: str, region: str | None = None, **params: Any) -> Mapping[str, Any]:
        found = self.answers.get(call)
        if isinstance(found, AwsError):
            raise found
        return found or {}

    def proxies(self) -> Mapping[str, str]:
        return self.shown


def told(aws: Rig, **answers: Any) -> Patient:
    made: Any = Told({name.replace("_", ":"): value for name, value in answers.items()})
    return replace(patient(aws), examiner=made)


@pytest.mark.parametrize(
    ("settings", "refuses", "status", "says"),
    [
        (SETTINGS.replace(HOME, "af-south-1"), (), "failure", "not enabled in this account"),
        (SETTINGS, (HOME,), "failure", f"instances cannot be read in {HOME}"),
        (SETTINGS, (AWAY,), "warning", "no cut-over is settled"),
        (SETTINGS + f"consumer_regions: [{HOME}]\n", (AWAY,), "ok", HOME),
        ("version: 1\nowner: tests\n", (), "warning", "no region is set"),
    ],
)
def test_regions(settings: str, refuses: tuple[str, ...], status: str, says: str, aws: Rig) -> None:
    def refuse(logged: Logged) -> None:
        if logged.name == "ec2:DescribeInstances" and logged.region in refuses:
            raise refused("ec2", "UnauthorizedOperation", "no", 403)

    examined = patient(aws, settings)
    with listening(aws.aws.before, refuse):
        found = account.regions(examined)
    assert found.status == status
    assert says in found.message
    assert found.fix or status == "ok"


def test_regions_that_cannot_be_listed(aws: Rig) -> None:
    with refusing(aws, "DescribeRegions", "UnauthorizedOperation"):
        assert account.regions(patient(aws)).status == "failure"
        narrow = patient(aws, SETTINGS + f"consumer_regions: [{AWAY}]\n")
        assert account.regions(narrow).status == "ok"


def test_reads_that_a_plan_can_do_without(aws: Rig) -> None:
    examined = patient(aws)
    with refusing(aws, "ListRoles", "AccessDenied"):
        found = account.reads(examined, "plan", ME)
    assert found.status == "warning"
    assert found.message == (
        "denied: iam:ListRoles; resources are read one by one, and nothing is pruned"
    )
    with refusing(aws, "GetRole", "AccessDenied"):
        found = account.reads(examined, "plan", ME)
    assert found.status == "failure"
    assert found.data["denied"] == ["iam:GetRole"]
    assert found.fix == "reconciler permissions --for plan prints the policy"
    with refusing(aws, "GetRole", "InternalFailure"):
        found = account.reads(examined, "plan", ME)
    assert found.status == "unknown"
    assert account.reads(examined, "import", ME).status == "ok"


@pytest.mark.parametrize(
    ("used", "status", "fix"),
    [
        (799, "ok", None),
        (800, "warning", "raise L-FE177D64 in Service Quotas of IAM"),
        (1000, "failure", "raise L-FE177D64 in Service Quotas of IAM"),
    ],
)
def test_quotas(used: int, status: str, fix: str | None, aws: Rig) -> None:
    summary = {"Roles": used, "RolesQuota": 1000, "Policies": 1, "PoliciesQuota": 1500}
    found = account.quotas(told(aws, iam_GetAccountSummary={"SummaryMap": summary}))
    assert (found.status, found.fix) == (status, fix)
    assert found.message.startswith(f"roles {used} of 1000")
    assert found.data["roles"] == {"used": used, "quota": 1000}


def test_versions_have_no_quota_to_raise(aws: Rig) -> None:
    summary = {"PolicyVersionsInUse": 9000, "PolicyVersionsInUseQuota": 10000}
    found = account.quotas(told(aws, iam_GetAccountSummary={"SummaryMap": summary}))
    assert found.fix == "delete policy versions that nothing needs"
    assert account.quotas(told(aws)).status == "unknown"


def test_the_root_user(aws: Rig) -> None:
    answer = {"Arn": f"arn:aws:iam::{ACCOUNT}:root", "Account": ACCOUNT}
    found, _ = account.identity(told(aws, sts_GetCallerIdentity=answer))
    assert found.status == "warning"
    assert "root user" in found.message


@pytest.mark.parametrize(
    ("ahead", "status", "says"),
    [
        ((), "unknown", "not asked: no service told its time"),
        ((0.4,), "ok", "agree to a second"),
        ((-40.0, 90.0), "ok", "40 s behind this machine's"),
        ((200.0,), "warning", "3 min ahead of this machine's; it refuses five minutes"),
        ((-600.0,), "failure", "10 min behind this machine's: it refuses what is signed now"),
    ],
)
def test_the_clock(ahead: tuple[float, ...], status: str, says: str) -> None:
    found = machine.clock(ahead)
    assert found.status == status
    assert says in found.message
    assert bool(found.fix) == (status != "ok")


@pytest.mark.parametrize(
    ("spared", "is_of_host", "status"),
    [
        ("127.0.0.1", True, "warning"),
        ("127.0.0.1,169.254.169.254", True, "ok"),
        ("*", True, "ok"),
        ("127.0.0.1", False, "ok"),
    ],
)
def test_a_proxy_before_the_credentials_of_the_host(
    spared: str, is_of_host: bool, status: str
) -> None:
    made: Any = Told(shown={"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": spared})
    found = machine.proxies(made, Credentials("somewhere", "for ever", is_of_host))
    assert found.status == status
    assert found.fix == ("add 169.254.169.254 to NO_PROXY" if status == "warning" else None)


def checks(target: str | None, status: Any = "ok") -> list[Check]:
    return [
        Check("identity", "ok", "arn:aws:iam::123456789012:user/somebody", target=target),
        Check("clock", status, "what is said of it", "what to do about it", target=target),
    ]


def test_targets_without_anything_to_say_are_folded() -> None:
    many = [check for n in range(FOLDED) for check in checks(f"t{n:02}")]
    told = plain(doctor_lines([*many, *checks("bad", "failure")]))
    assert told.count("Target ") == 1
    assert "Target bad" in told
    assert f"{FOLDED} more targets: all ok" in told
    assert told.endswith(f"{2 * FOLDED + 1} ok, 0 warnings, 1 failure, 0 unknown.")
    assert plain(doctor_lines(many)).count("Target ") == FOLDED


def test_everything_is_named_if_asked_for() -> None:
    verdict = {"action": "iam:PassRole", "resource": "role/web", "why": "no policy allows it"}
    found = [
        Check("reads", "failure", "denied", "fix", {"denied": ["iam:GetRole"], "unknown": []}),
        Check("changes", "failure", "denied", "fix", {"denied": [verdict]}),
        Check("regions", "warning", "unread", "fix", {"unreadable": {"eu-west-1": "no"}}),
    ]
    told = plain(doctor_lines(found, is_whole=True))
    assert "\n  denied: iam:GetRole\n" in told
    assert "\n  denied: iam:PassRole on role/web (no policy allows it)\n" in told
    assert "\n  unreadable: eu-west-1: no\n" in told
    assert "  denied: iam:GetRole" not in plain(doctor_lines(found))


def test_it_fits_into_sixty_columns() -> None:
    lines = [part for one in doctor_lines(checks("a", "failure")) for part in wrapped(one, 60)]
    assert all(len("".join(piece.text for piece in one)) <= 60 for one in lines)
