"""Requests to AWS as values: the same list is printed, reviewed and sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reconciler.model.address import Address

ASSOCIATION_SECONDS = 300.0
"""How long EC2 may take to associate or to disassociate a profile: up to about 65 s have been seen,
and Terraform's ``ec2PropagationTimeout`` is the same."""
POLL_SECONDS = 2.0
"""The longest pause between two polls, in seconds."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A value that AWS invents, filled in by the executor once ``address`` exists.

    ``attribute`` is one of ``id`` and ``arn``; of the address ``run`` it is ``time``, ``began`` or
    ``id``.
    """

    address: Address
    attribute: str

    def __str__(self) -> str:
        return f"${{{self.address}.{self.attribute}}}"


NOW = Ref(Address("run"), "time")
"""The time of the call, in seconds of the epoch: a plan does not know when it is applied."""

BEGAN = Ref(Address("run"), "began")
"""When the apply of the plan began, as policies write times."""

RUN = Ref(Address("run"), "id")
"""The id of the run that applies the plan."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Text with values in it that AWS invents."""

    parts: tuple[str | Ref, ...]

    def __str__(self) -> str:
        return "".join(str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call: ``ApiCall("iam", "TagRole", {...})``. ``region`` is ``None`` for IAM."""

    service: str
    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    region: str | None = None

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"

    @property
    def is_dry_run(self) -> bool:
        """Whether EC2 is only asked: it answers with a refusal and changes nothing. Source:
        docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html"""
        return bool(self.params.get("DryRun"))

    def as_dry_run(self) -> ApiCall:
        return replace(self, params={**self.params, "DryRun": True})


Condition = Literal[
    "propagated", "baked", "verified", "gone", "associated", "stable", "stopped", "running"
]


@dataclass(frozen=True, slots=True)
class Wait:
    """A condition that must hold before the following steps.

    ``condition`` is one of ``gone`` (no association is listed for the instance; ``profile`` is the
    one it leaves), ``associated`` (the instance's only association names the profile and is in
    effect), ``propagated`` (``seconds`` have passed) and ``stable`` (the instance is neither
    starting nor stopping). The preview of a cut-over also has ``stopped`` and ``running``, and
    ``baked`` (the first batch has stood for ``seconds``) and ``verified`` (it is known which role a
    batch is served; the run may go on without it). ``seconds`` is the timeout, or the time
    that ``propagated`` and ``baked`` wait.
    """

    condition: Condition
    seconds: float
    instance: str | None = None
    profile: str | None = None
    region: str | None = None


Action = ApiCall | Wait


def refs_in(value: Any) -> tuple[Ref, ...]:
    """Every ``Ref`` inside a value, in order."""
    match value:
        case Ref():
            return (value,)
        case Joined(parts):
            return tuple(part for part in parts if isinstance(part, Ref))
        case Mapping():
            return tuple(r for v in value.values() for r in refs_in(v))
        case list() | tuple():
            return tuple(r for v in value for r in refs_in(v))
        case _:
            return ()


def printable(value: Any) -> Any:
    """``value`` as JSON can hold it: a ``Ref`` becomes ``${address.attribute}``."""
    match value:
        case Ref() | Joined():
            return str(value)
        case Mapping():
            return {k: printable(v) for k, v in value.items()}
        case list() | tuple():
            return [printable(v) for v in value]
        case _:
            return value


def filled(value: Any, known: Mapping[Ref, str]) -> Any:
    """``value`` with every ``Ref`` in it replaced. Raises ``KeyError`` for one not known."""
    match value:
        case Ref():
            return known[value]
        case Joined(parts):
            return "".join(known[p] if isinstance(p, Ref) else p for p in parts)
        case Mapping():
            return {k: filled(v, known) for k, v in value.items()}
        case list() | tuple():
            return [filled(v, known) for v in value]
        case _:
            return value
