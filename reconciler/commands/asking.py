"""What the caller may do, and what the account has room for: asked before it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.errors import DENIED, AwsError
from reconciler.model.address import Address
from reconciler.model.resources import Identity
from reconciler.plan.authorization import Question, Verdict
from reconciler.plan.calls import ApiCall
from reconciler.ports import NOT_SIMULATED, Examiner, Writer
from reconciler.threads import each

AT_A_TIME = 4
"""Calls to the simulator, which AWS throttles early."""
DRY_RUN = "DryRunOperation"
"""EC2's code for a call that it would have carried out."""
_SIMULATOR = "iam:SimulatePrincipalPolicy"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """``not_asked`` are reasons why something could not be asked; with any, the verdicts are not
    all."""

    verdicts: tuple[Verdict, ...] = ()
    not_asked: tuple[str, ...] = ()
    is_no_principal: bool = False
    """Whether the caller is none whose policies the simulator knows."""

    def __add__(self, other: Verdicts) -> Verdicts:
        reasons = dict.fromkeys((*self.not_asked, *other.not_asked))
        is_none = self.is_no_principal or other.is_no_principal
        return Verdicts((*self.verdicts, *other.verdicts), tuple(reasons), is_none)

    def of(self, decision: str) -> tuple[Verdict, ...]:
        return tuple(one for one in self.verdicts if one.decision == decision)


def simulate(questions: Sequence[Question], examiner: Examiner, identity: Identity) -> Verdicts:
    """By AWS's simulator. What is denied to ask once is not asked again."""
    if not questions:
        return Verdicts()
    try:
        principal = examiner.principal(identity)
        asked = Verdicts(examiner.simulate(principal, questions[0]))
    except AwsError as error:
        if error.code == NOT_SIMULATED:
            return Verdicts((), (error.message,), is_no_principal=True)
        return _failed(error)

    def ask(question: Question) -> Verdicts:
        try:
            return Verdicts(examiner.simulate(principal, question))
        except AwsError as error:
            return _failed(error)

    for one in each(ask, questions[1:], AT_A_TIME):
        asked += one
    return asked


def _failed(error: AwsError) -> Verdicts:
    return Verdicts((), (f"{error.call or _SIMULATOR}: {error.code}",))


def dry_run(call: ApiCall, writer: Writer, resource: str) -> Verdicts:
    """Asks EC2 whether it would carry out a call."""
    try:
        writer.send(call.as_dry_run())
    except AwsError as error:
        if error.code == DRY_RUN:
            return Verdicts((Verdict(call.name, resource, "allowed"),))
        if error.code in DENIED:
            return Verdicts((Verdict(call.name, resource, "denied", error.message),))
        return Verdicts((), (f"{call.name} as a dry run: {error.code}",))
    return Verdicts((), (f"{call.name} as a dry run: it is not supported here",))


@dataclass(frozen=True, slots=True)
class Room:
    """How many the account has of something, and may have. ``code`` is that of the quota in
    Service Quotas, where it has one."""

    what: str
    used: int
    most: int
    code: str | None = None

    @property
    def left(self) -> int:
        return self.most - self.used


_QUOTAS = (
    ("roles", "Roles", "RolesQuota", "L-FE177D64"),
    ("instance profiles", "InstanceProfiles", "InstanceProfilesQuota", "L-6E65F664"),
    ("policies", "Policies", "PoliciesQuota", "L-E95E4862"),
    ("policy versions", "PolicyVersionsInUse", "PolicyVersionsInUseQuota", None),
)
"""Names of ``GetAccountSummary``.
Source: docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html"""


def rooms(summary: Mapping[str, int]) -> tuple[Room, ...]:
    """Of what the answer names."""
    return tuple(
        Room(what, summary[used], summary[most], code)
        for what, used, most, code in _QUOTAS
        if used in summary and most in summary
    )


def instance_arn(partition: str, region: str, account_id: str, address: Address) -> str:
    return f"arn:{partition}:ec2:{region}:{account_id}:instance/{address.name}"
