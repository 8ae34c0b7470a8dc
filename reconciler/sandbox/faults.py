"""What a request meets before it is answered, and what may become of its answer: the knobs of
``Chaos`` at work, and token buckets that throttle as AWS does. The knobs themselves are in
``fault_config.py``.

EC2's sizes and refills are published, for the account and region; IAM's are guessed, low.
Source: docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NoReturn

from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError
from moto.iam.exceptions import IAMException
from moto.sts.exceptions import STSClientError

from reconciler.sandbox.fault_config import Broken, Chaos
from reconciler.sandbox.state import READS, Logged

_MUTATING = (50.0, 5.0)
_DESCRIBING = (100.0, 20.0)
_EC2 = {
    "AssociateIamInstanceProfile": (100.0, 5.0),
    "DisassociateIamInstanceProfile": (100.0, 5.0),
    "CreateTags": (100.0, 10.0),
    "DeleteTags": (100.0, 10.0),
    "RunInstances": (5.0, 2.0),
    "StartInstances": (5.0, 2.0),
    "StopInstances": (1000.0, 20.0),
    "TerminateInstances": (100.0, 5.0),
}
_IAM_READS = (50.0, 10.0)
_IAM_WRITES = (20.0, 5.0)
_STS = (600.0, 600.0)
_OF_OTHERS = {"cloudtrail": (2.0, 2.0), "ssm": (20.0, 5.0)}
"""CloudTrail's is documented, that of Systems Manager a guess. Source:
docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html"""
_REGIONAL = ("ec2", *_OF_OTHERS)
Key = tuple[str, str, str, str]
"""Service, account, region, operation."""


def rate(service: str, operation: str) -> tuple[float, float]:
    """How many tokens a bucket holds, and how many a second come back."""
    is_read = operation.startswith(READS)
    if service == "ec2":
        return _EC2.get(operation, _DESCRIBING if is_read else _MUTATING)
    if service == "sts":
        return _STS
    if service in _OF_OTHERS:
        return _OF_OTHERS[service]
    return _IAM_READS if is_read else _IAM_WRITES


@dataclass
class Buckets:
    _left: dict[Key, tuple[float, float]] = field(default_factory=dict)

    def takes(self, key: Key, now: float, part: float) -> bool:
        """Whether the call passes, ``part`` of AWS's rates being ours. One that is refused costs
        nothing."""
        size, refill = (value * part for value in rate(key[0], key[3]))
        size = max(size, 1.0)
        left, since = self._left.get(key, (size, now))
        left = min(size, left + (now - since) * refill)
        passes = left >= 1.0
        self._left[key] = (left - 1.0 if passes else left, now)
        return passes


_NAMES = {"RoleName": "role", "InstanceProfileName": "instance-profile", "PolicyArn": "policy"}
_TRUSTS = ("AssumeRolePolicyDocument", "PolicyDocument")
_PASSING = {
    "iam": ("AddRoleToInstanceProfile",),
    "ec2": ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"),
}
_MODELLED_CONCURRENT = (
    "CreateRole",
    "DeleteRole",
    "TagRole",
    "UntagRole",
    "CreateInstanceProfile",
    "TagInstanceProfile",
    "UntagInstanceProfile",
    "CreatePolicy",
    "TagPolicy",
    "UntagPolicy",
    "UpdateAssumeRolePolicy",
)
"""Operations that say ``ConcurrentModification``; Terraform has met it on the last."""
_LETTING_GO = ("Detach", "Remove", "DeleteRolePolicy", "DeletePolicyVersion")


class CutOffError(Exception):
    """The connection ends without an answer."""

    def __init__(self, how: Broken) -> None:
        super().__init__(how)
        self.how: Broken = how


def refused(service: str, code: str, message: str, status: int = 400) -> ServiceException:
    """An error as the service would answer it."""
    made = {"iam": IAMException, "ec2": EC2ClientError}.get(service, STSClientError)
    error = made(code, message)
    # moto reads the status of the class where an error does not have its own.
    error.code, error.http_status = code, status
    return error


@dataclass
class Faults:
    """One sandbox's. Each request has dice of its own, thrown by what it is about and the how
    manyth it is: so a seed gives the same faults whichever of two requests comes first."""

    seed: int
    buckets: Buckets = field(default_factory=Buckets)
    _met: Counter[str] = field(default_factory=Counter)
    _calls: Counter[str] = field(default_factory=Counter)
    _unknown: dict[str, float] = field(default_factory=dict)
    _clinging: dict[str, float] = field(default_factory=dict)
    _first_at: float | None = None
    _asked: int = 0
    _out: tuple[float, float] | None = None
    """Start and end of the time in which the server is unreachable."""

    def dice_for(self, logged: Logged) -> random.Random:
        instance = logged.params.get("InstanceId") or logged.params.get("Resources") or ""
        about = f"{logged.operation} {logged.region} {_addresses(logged)} {instance}"
        self._met[about] += 1
        return random.Random(f"{self.seed} {about} {self._met[about]}")

    def before(
        self,
        chaos: Chaos,
        logged: Logged,
        now: float,
        dice: random.Random,
        instances: Collection[str] = (),
    ) -> None:
        """Raises what the request meets in place of being carried out. ``instances`` are those that
        it is about."""
        self._expired(chaos, logged)
        self._denied(chaos, logged, instances)
        self._throttled(chaos, logged, now)
        if dice.random() < chaos.errors:
            _break(logged, dice)
        if logged.is_read or logged.service != "iam":
            return
        if logged.operation in _MODELLED_CONCURRENT and dice.random() < chaos.concurrent:
            message = "The request was rejected because multiple requests to change this object"
            raise refused("iam", "ConcurrentModification", message, 409)
        self._not_known(logged, now)
        self._still_used(logged, now)

    def is_out(self, now: float) -> bool:
        """Whether no connection is made now."""
        return self._out is not None and self._out[0] <= now < self._out[1]

    def begins_outage(self, chaos: Chaos, logged: Logged, now: float) -> tuple[float, float] | None:
        """In how many seconds, and for how many, the server is unreachable. Announced once, when
        the triggering request has been answered."""
        outage = chaos.outage
        if outage is None or self._out is not None:
            return None
        self._first_at = now if self._first_at is None else self._first_at
        self._asked += 1
        start = now
        if outage.starts_after is not None:
            start = self._first_at + outage.starts_after
        elif self._asked <= (outage.calls or 0) or outage.operation not in (None, logged.operation):
            return None
        self._out = (start, start + outage.seconds)
        return max(start - now, 0.0), outage.seconds

    def after(self, chaos: Chaos, logged: Logged, now: float, dice: random.Random) -> None:
        """The request took effect. Raises what comes in place of its answer."""
        if logged.is_read:
            return
        if logged.operation.startswith("Create") and logged.service == "iam":
            for address in _addresses(logged):
                self._unknown[address] = now + dice.uniform(0.0, chaos.unknown)
        if logged.operation.startswith(_LETTING_GO):
            for address in _addresses(logged):
                self._clinging[address] = now + dice.uniform(0.0, chaos.conflict)
        if dice.random() < chaos.lost:
            _break(logged, dice)

    def _expired(self, chaos: Chaos, logged: Logged) -> None:
        self._calls[logged.user_agent] += 1
        most = chaos.expires_after
        is_late = most is not None and self._calls[logged.user_agent] > most
        if is_late or logged.user_agent in chaos.expired:
            code = "RequestExpired" if logged.service == "ec2" else "ExpiredToken"
            status = 400 if logged.service == "ec2" else 403
            raise refused(
                logged.service,
                code,
                "The security token included in the request is expired",
                status,
            )

    def _denied(self, chaos: Chaos, logged: Logged, instances: Collection[str]) -> None:
        action = logged.name
        if "iam:PassRole" in chaos.denied and logged.operation in _PASSING.get(logged.service, ()):
            action = "iam:PassRole"
        if chaos.denied & {action, *(f"{action}@{name}" for name in instances)}:
            code = "UnauthorizedOperation" if logged.service == "ec2" else "AccessDenied"
            code = "AccessDeniedException" if logged.service in _OF_OTHERS else code
            message = f"User: sandbox is not authorized to perform: {action}"
            raise refused(logged.service, code, message, 403)

    def _throttled(self, chaos: Chaos, logged: Logged, now: float) -> None:
        if not chaos.throttle:
            return
        region = logged.region if logged.service in _REGIONAL else ""
        key = (logged.service, logged.account, region, logged.operation)
        if self.buckets.takes(key, now, chaos.throttle):
            return
        if logged.service == "ec2":
            raise refused("ec2", "RequestLimitExceeded", "Request limit exceeded.", 503)
        code = "ThrottlingException" if logged.service in _OF_OTHERS else "Throttling"
        raise refused(logged.service, code, "Rate exceeded", 400)

    def _not_known(self, logged: Logged, now: float) -> None:
        if logged.operation.startswith("Create") and logged.operation != "CreatePolicyVersion":
            named: list[str] = []
        else:
            named = _addresses(logged)
        for address in named:
            if now < self._unknown.get(address, 0.0):
                kind, _, name = address.partition("/")
                raise refused(
                    "iam", "NoSuchEntity", f"The {kind} with name {name} cannot be found.", 404
                )
        if logged.operation in ("CreateRole", "UpdateAssumeRolePolicy"):
            for arn in _principals(logged):
                name = arn.rpartition("/")[2].casefold()
                if now < self._unknown.get(f"role/{name}", 0.0):
                    message = f'Invalid principal in policy: "AWS":"{arn}"'
                    raise refused("iam", "MalformedPolicyDocument", message)

    def _still_used(self, logged: Logged, now: float) -> None:
        if logged.operation not in ("DeleteRole", "DeleteInstanceProfile", "DeletePolicy"):
            return
        for address in _addresses(logged):
            if now < self._clinging.get(address, 0.0):
                message = "Cannot delete entity, must detach all policies first."
                raise refused("iam", "DeleteConflict", message, 409)


def _break(logged: Logged, dice: random.Random) -> NoReturn:
    """One of the ways in which nothing is learnt of a call."""
    how = dice.choice(("500", "503", "reset", "timeout"))
    if how == "reset":
        raise CutOffError("reset")
    if how == "timeout":
        raise CutOffError("timeout")
    failed, busy = {
        "iam": ("ServiceFailure", "ServiceUnavailable"),
        "ec2": ("InternalError", "Unavailable"),
    }.get(logged.service, ("InternalFailure", "ServiceUnavailable"))
    raise refused(logged.service, failed if how == "500" else busy, "try again", int(how))


def _addresses(logged: Logged) -> list[str]:
    """What the request names, in lower case; a policy that is made has no ARN yet."""
    found = [
        f"{kind}/{str(logged.params[key]).rpartition('/')[2].casefold()}"
        for key, kind in _NAMES.items()
        if key in logged.params
    ]
    if logged.operation == "CreatePolicy":
        found.append(f"policy/{str(logged.params['PolicyName']).casefold()}")
    return found


def _principals(logged: Logged) -> list[str]:
    """ARNs of roles that the trust policy of the request names."""
    text = next((str(logged.params[key]) for key in _TRUSTS if key in logged.params), "{}")
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        return []
    found = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal.get("AWS", []) if isinstance(principal, dict) else []
        arns = [named] if isinstance(named, str) else named
        found += [arn for arn in arns if ":role/" in arn]
    return found
