"""What became of each piece of work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reconciler.cutover.decisions import AGAIN, SIGN_IN
from reconciler.diagnostics import Location
from reconciler.errors import DENIED, THROTTLED, AwsError, Denied
from reconciler.executor.precondition import CHANGED
from reconciler.executor.record import CutOverRecord
from reconciler.model.address import Address
from reconciler.model.ownership import InstanceKey
from reconciler.plan.authorization import PASS_ROLE
from reconciler.plan.calls import ApiCall

Status = Literal["applied", "failed", "skipped"]
MEND = "resolve what was refused, then apply again"
CORRECT = "correct the specs, then apply again"
_OF_THE_SPECS = frozenset(
    {"InvalidInput", "MalformedPolicyDocument", "PolicyNotAttachable", "ValidationError"}
)
"""Codes that stay until the specs change."""
_SIGN_IN = ("Expired", "RequestExpired", "InvalidClientTokenId", "UnauthorizedSSOToken")
_LOST = (
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ProxyConnectionError",
    "SSLError",
    "HTTPClientError",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one step. ``what`` is the call or the wait; ``remaining`` is what was not
    done."""

    address: Address
    what: str
    status: Status
    reason: str = ""
    remaining: tuple[str, ...] = ()
    request_id: str = ""
    cause: Address | None = None
    """The address that it waited for, where that is why it was skipped."""
    target: str | None = None
    """Of which target, where there are several."""
    ended: tuple[Address, ...] = ()
    """Addresses of instances that have terminated, so that nothing was left to do for them."""
    brief: str = ""
    """The reason in a few words, for a line that comes after the whole."""
    is_told: bool = False
    """Of a failed cut-over: the reason was told to ``Progress`` when it happened, as that of an
    instance or of a roll-back."""
    advice: str = ""
    """What to do next, where this is why the rest is left undone."""
    calls: int = 0
    """Of a cut-over: how many of its calls took effect."""
    cut_over: int = 0
    """Of a cut-over: how many instances it brought over, and are there still."""
    in_flight: tuple[InstanceKey, ...] = ()
    """In a cut-over: instances that it disassociated or stopped and did not restore."""
    source: Location | None = None
    """Of a failed step: the place in the specs of what it was for."""
    at_checkpoint: bool = False
    """Of a cut-over: it ended at a share of the fleet, as the specs want it."""
    unproved: tuple[str, ...] = ()
    """Of a cut-over: what it went on from without knowing it, each a sentence."""
    record: CutOverRecord | None = field(default=None, repr=False)
    """Of a cut-over: what became of its instances."""


def failed(address: Address, what: str, error: AwsError, wanted: str = "") -> Outcome:
    """``wanted``: the permission that is missing."""
    return Outcome(
        address,
        what,
        "failed",
        refusal(error, wanted),
        request_id=error.request_id,
        brief=error.code,
        advice=advice(error, wanted),
    )


def refusal(error: AwsError, wanted: str = "") -> str:
    """Code and message, with the permission that is missing where the message does not name it."""
    more = f"; needs {wanted}" if wanted and error.denied is None else ""
    return f"{error.code}: {error.message}{more}"


def advice(error: AwsError, wanted: str = "") -> str:
    """What to do about a refusal: again only where that can help."""
    if error.code in DENIED:
        return f"{_permission(error.denied, wanted or error.call)}, then apply again"
    if error.code == CHANGED:
        return "plan again: it was changed outside of this run"
    if error.code.startswith(_SIGN_IN):
        return SIGN_IN
    if error.code in THROTTLED or error.is_uncertain or error.code in _LOST:
        return AGAIN
    return CORRECT if error.code in _OF_THE_SPECS else MEND


def _permission(denied: Denied | None, wanted: str) -> str:
    """Where the permission is missing: one more statement of an identity lifts neither a Deny nor
    what limits the identity."""
    if denied is not None and denied.is_explicit:
        return f"change the {denied.by} that denies the calling identity {wanted}"
    if denied is not None and denied.by not in ("", _OF_IDENTITY):
        return f"allow {wanted} in the {denied.by} that limits the calling identity"
    return f"grant the calling identity {wanted}"


StrandedAs = Literal["no_profile", "not_running", "no_role"]


@dataclass(frozen=True, slots=True)
class Stranded:
    """Something that a run removed and did not restore. ``call`` restores it; ``unknown`` says why
    it is not certain."""

    address: Address
    what: StrandedAs
    call: ApiCall
    region: str | None = None
    unknown: str = ""
    target: str | None = None

    @property
    def name(self) -> str:
        """An instance by its id, a profile by its address."""
        return self.address.name if self.address.is_instance else str(self.address)


@dataclass(frozen=True, slots=True)
class Result:
    """Of a whole apply, in the order of the plan."""

    outcomes: tuple[Outcome, ...]
    interrupted: bool = False
    stranded: tuple[Stranded, ...] = ()
    not_begun: tuple[str, ...] = ()
    """Targets that were left as they are, since too many others failed."""

    def count(self, status: Status) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def steps_applied(self) -> int:
        """Steps that took effect: of a cut-over each of its calls, also where it failed."""
        return sum(o.calls or (o.status == "applied") for o in self.outcomes)

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do next, each thing once."""
        given = (o.advice for o in self.outcomes if o.status != "applied" and o.advice)
        return tuple(dict.fromkeys(given))

    @property
    def ended(self) -> frozenset[tuple[str | None, Address]]:
        """Target and address of each instance that has terminated."""
        return frozenset((o.target, address) for o in self.outcomes for address in o.ended)

    @property
    def cut_over(self) -> int:
        """Instances that were brought over, not those that were planned to be."""
        return sum(outcome.cut_over for outcome in self.outcomes)

    @property
    def is_at_checkpoint(self) -> bool:
        """Whether nothing failed, and the next apply goes on from a checkpoint."""
        return not self.count("failed") and any(o.at_checkpoint for o in self.outcomes)

    @property
    def is_complete(self) -> bool:
        return not self.not_begun and all(o.status == "applied" for o in self.outcomes)


_NAMED = (
    ("InstanceProfileName", "instance-profile/"),
    ("RoleName", "role/"),
    ("PolicyArn", ""),
    ("PolicyName", "policy/"),
    ("InstanceId", "instance/"),
    ("AssociationId", "the instance of "),
    ("Resources", "instance/"),
    ("InstanceIds", "instance/"),
)


_BEFORE_RESOURCE = 5
"""Parts of an ARN."""
_OF_IDENTITY = "identity-based policy"
_PASSING = (
    "AddRoleToInstanceProfile",
    "AssociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
)
"""They also need ``iam:PassRole`` on the role. Source: service authorization reference, H."""


def missing_permission(call: ApiCall, error: AwsError, instance: str | None = None) -> str:
    """The missing permission, as ``iam:CreateRole on role/web``; empty for any other refusal.

    What AWS's message names is the one; where it names none, it is all that the call needs. The
    denied call may be a read that precedes ``call``. ``instance`` is the one that the call is
    about, if it names an association.
    """
    if error.code not in DENIED:
        return ""
    if (denied := error.denied) is not None:
        return f"{denied.action} on {_denied_resource(denied, call, instance)}"
    is_own = error.call == call.name
    more = " and iam:PassRole on the role" if is_own and call.operation in _PASSING else ""
    return f"{error.call} on {resource_of(call, instance)}{more}"


def _denied_resource(denied: Denied, call: ApiCall, instance: str | None) -> str:
    if denied.resource.startswith("arn:"):
        return denied.resource.split(":", _BEFORE_RESOURCE)[-1]
    if denied.action == PASS_ROLE.action:
        return f"role/{call.params['RoleName']}" if "RoleName" in call.params else "the role"
    return resource_of(call, instance)


def resource_of(call: ApiCall, instance: str | None = None) -> str:
    if "AssociationId" in call.params and instance is not None:
        return f"instance/{instance}"
    for parameter, start in _NAMED:
        value = call.params.get(parameter)
        if isinstance(value, list | tuple) and value:
            return f"{start}{value[0]}"
        if isinstance(value, str):
            return start + value
    return "*"
