"""What an experiment finds, as values without a name, an id or an ARN of the account."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from reconciler.errors import AwsError

Kind = Literal["outcome", "fact", "states", "seconds"]
"""``outcome`` is ``accepted`` or an error code; ``states`` are those seen, in order; ``seconds``
is how long something took."""
Value = str | float | tuple[str, ...]
ACCEPTED = "accepted"
YES, NO, UNKNOWN = "yes", "no", "unknown"


@dataclass(frozen=True, slots=True)
class ObservedChange:
    """From ``seconds`` on something looked so."""

    seconds: float
    value: str


@dataclass(frozen=True, slots=True)
class ProbeObservation:
    """``value`` is ``None`` for what was not seen; ``why`` says why, or in which words AWS refused.
    ``looks`` is how often it was asked, ``timeline`` what was seen when."""

    name: str
    kind: Kind
    asks: str
    value: Value | None
    why: str = ""
    looks: int = 1
    timeline: tuple[ObservedChange, ...] = ()


Status = Literal["done", "failed", "skipped"]
Verdict = Literal["agrees", "differs", "unknown", "time"]
"""``time``: nothing is judged. How long something takes is what a sandbox is calibrated with."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Of one experiment, on one side. ``why`` is empty if it is done."""

    experiment: str
    status: Status
    observations: tuple[ProbeObservation, ...] = ()
    why: str = ""

    def of(self, name: str) -> ProbeObservation | None:
        return next((one for one in self.observations if one.name == name), None)


def verdict(aws: ProbeObservation | None, sandbox: ProbeObservation | None) -> Verdict:
    """A state that is short may be missed between two looks, so states agree if those of one side
    are among those of the other, in the same order."""
    if aws is None or sandbox is None:
        return "unknown"
    one, other = aws.value, sandbox.value
    if one is None or other is None or UNKNOWN in (one, other):
        return "unknown"
    if aws.kind == "seconds":
        return "time"
    if isinstance(one, tuple) and isinstance(other, tuple):
        short, long = sorted((one, other), key=len)
        rest = iter(long)
        is_within = bool(short) == bool(long) and all(one in rest for one in short)
        return "agrees" if is_within else "differs"
    return "agrees" if one == other else "differs"


_HIDDEN = (
    (re.compile(r"Encoded authorization failure message: .*", re.DOTALL), "(encoded message)"),
    (re.compile(r"arn:[^\s'\",]+"), "ARN"),
    (re.compile(r"\biip-assoc-[0-9a-f]{8,}"), "ASSOCIATION"),
    (re.compile(r"\bi-[0-9a-f]{8,}"), "INSTANCE"),
    (re.compile(r"\b(?:AROA|AIPA|AIDA|AKIA|ASIA)[A-Z0-9]{12,}"), "ID"),
    (re.compile(r"\b[0-9]{12}\b"), "ACCOUNT"),
)
MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Mask:
    """Takes everything out of AWS's words that belongs to the account. ``names`` are what they are
    replaced by."""

    names: dict[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        for pattern, word in _HIDDEN:
            text = pattern.sub(word, text)
        for name in sorted(self.names, key=len, reverse=True):
            whole = rf"(?<!\w){re.escape(name)}(?!\w)"
            text = re.sub(whole, self.names[name], text, flags=re.IGNORECASE)
        return text[:MOST_WORDS]


@dataclass(frozen=True, slots=True)
class Reply:
    """What AWS answered to a call: ``accepted`` or the code of its refusal."""

    outcome: str
    words: str = ""
    answer: dict[str, object] = field(default_factory=dict)

    @property
    def is_accepted(self) -> bool:
        return self.outcome == ACCEPTED

    @staticmethod
    def of(error: AwsError, mask: Mask) -> Reply:
        return Reply(error.code, mask(error.message))
