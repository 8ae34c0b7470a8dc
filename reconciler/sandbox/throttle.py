"""Token buckets, as AWS throttles.

EC2's sizes and refills are published, for the account and region; IAM's are guessed, low.
Source: docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.sandbox.request_log import READS

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

Key = tuple[str, str, str, str]
"""Service, account, region, operation."""


def rate(service: str, operation: str) -> tuple[float, float]:
    """How many tokens a bucket holds, and how many a second come back."""
    is_read = operation.startswith(READS)
    if service == "ec2":
        return _EC2.get(operation, _DESCRIBING if is_read else _MUTATING)
    if service == "sts":
        return _STS
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
