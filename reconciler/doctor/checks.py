"""One check, and how it ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from reconciler.errors import AwsError

Status = Literal["ok", "warning", "failure", "unknown"]
CheckName = Literal[
    "versions",
    "specs",
    "proxies",
    "sts-endpoint",
    "iam-endpoint",
    "ec2-endpoint",
    "clock",
    "credentials",
    "organization",
    "identity",
    "account",
    "regions",
    "reads",
    "changes",
    "quotas",
    "cloudtrail",
    "ssm",
]
NETWORK: Final = "check the network, HTTPS_PROXY and NO_PROXY"


@dataclass(frozen=True, slots=True)
class Check:
    """``unknown`` is what could not be asked. ``fix`` is what to do, in a line, and there for all
    that is not ok; ``data`` are the
    facts for programs; ``target`` is ``None`` for this machine, and where there are no targets."""

    name: CheckName
    status: Status
    message: str
    fix: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None


ABOVE: Final = "correct what failed above"


def not_asked(name: CheckName, why: str, fix: str = ABOVE) -> Check:
    return Check(name, "unknown", f"not asked: {why}", fix)


def in_short(error: AwsError) -> str:
    """Without the call, where none was made."""
    is_call = error.call and not error.call.startswith("session:")
    return f"{error.call}: {error.code}: {error.message}" if is_call else error.message


def few(names: Collection[str], most: int = 3) -> str:
    """``a, b, c and 9 more``."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
