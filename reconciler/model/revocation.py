"""The inline policy that revokes the sessions of a role: the one place that writes or reads it.

It denies everything to sessions that were issued before a time. The console puts one on a role
under the same name; ours is a statement of its own in it, known by its ``Sid`` and its form, since
an inline policy has no tags: what others wrote beside it stays as it is. The ``Sid`` names the
owner who wrote it. A role has one owner at a time, and who takes it over has what was written
before.

Before a cut-over begins, our statement is put there as *owed*: it denies nothing, because it asks
for a time that has long been, and tells any later run since when sessions are to be revoked once
every instance has a fresh one.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.model.address import same_name
from reconciler.model.policy_document import PolicyDocument, as_list
from reconciler.model.resources import Role

REVOKED = "AWSRevokeOlderSessions"
"""The name that the console gives it. What others put there was put in an emergency, so it is
deleted only if the specs say so, or with the role."""
LONGEST_SESSION_SECONDS = 12 * 3600
"""After that no session is left that it could deny. Source:
docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_manage-assume.html"""

DELIVERED_SECONDS = 6 * 3600
"""How long credentials last at most that EC2 gives an instance. Source:
docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html"""

_ISSUED, _NOW = "aws:TokenIssueTime", "aws:CurrentTime"
_NEVER = "1970-01-01T00:00:00Z"
_REVOKES, _OWES = "ReconcilerRevokesFor", "ReconcilerOwesFor"
_REVOKING = re.compile(rf"{_REVOKES}[A-Za-z0-9]+")
_OWING = re.compile(rf"{_OWES}[A-Za-z0-9]+|{_REVOKES}[A-Za-z0-9]+Owed")
"""The second form was written before, and is unclear of owners ``x`` and ``xOwed``: it is read, and
not written any more."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What the policy of a role says. ``since`` and ``owed`` are this program's, in seconds of the
    epoch: sessions issued before ``since`` are denied, those before ``owed`` are to be. ``others``
    are all other statements."""

    since: float | None = None
    owed: float | None = None
    others: tuple[Any, ...] = ()

    @property
    def is_ours(self) -> bool:
        return self.since is not None or self.owed is not None

    @property
    def latest(self) -> float:
        """Sessions from before it are denied, or will be."""
        return max(self.since or 0.0, self.owed or 0.0)

    @property
    def until(self) -> float:
        """When none of our statements denies anything any longer."""
        return self.latest + LONGEST_SESSION_SECONDS


def is_revoked(role: Role) -> bool:
    """Whether it has the policy, whoever wrote it."""
    return any(same_name(name, REVOKED) for name, _ in role.inline_policies)


def revocation_of(document: PolicyDocument) -> Revocation:
    """Of whichever owners the role had: the latest of their times holds for all of them."""
    value = document.value
    listed = as_list(value.get("Statement", [])) if isinstance(value, Mapping) else [value]
    since: list[float] = []
    owed: list[float] = []
    others = []
    for statement in listed:
        at = _ours(statement)
        if at is None:
            others.append(statement)
        else:
            (owed if _is_owed(statement) else since).append(at)
    return Revocation(max(since, default=None), max(owed, default=None), tuple(others))


def document(
    owner: str,
    since: str | None,
    owed: str | None,
    others: Iterable[Any] = (),
    around: Mapping[str, Any] | None = None,
) -> Any:
    """The policy's document. Times are as ``moment`` writes them, or stand for one that is not
    known yet. ``around`` is what others' document has besides statements: another version would
    read their statements in another way."""
    ours = []
    if since is not None:
        ours.append(_statement(_REVOKES + _as_sid(owner), {_ISSUED: since}))
    if owed is not None:
        ours.append(_statement(_OWES + _as_sid(owner), {_ISSUED: owed, _NOW: _NEVER}))
    outside = {"Version": "2012-10-17"} if around is None else around
    return {**outside, "Statement": [*others, *ours]}


def is_in_the_way(others: Iterable[Any], owner: str) -> bool:
    """Whether a statement that is not as we write it has a ``Sid`` of ours: IAM takes each once."""
    ours = {beginning + _as_sid(owner) for beginning in (_REVOKES, _OWES)}
    return any(isinstance(one, Mapping) and one.get("Sid") in ours for one in others)


def moment(at: float) -> str:
    """To the second, and not later: a session that is issued from then on is not denied."""
    return datetime.fromtimestamp(int(at), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _statement(sid: str, times: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": dict(times)},
    }


def _ours(statement: Any) -> float | None:
    """Since when sessions are revoked, if the statement is just as this program writes it."""
    times = _times(statement)
    at = _epoch(times.get(_ISSUED))
    sid = _OWING if _NOW in times else _REVOKING
    if at is None or not sid.fullmatch(str(statement.get("Sid"))):
        return None
    told = {_ISSUED: moment(at), **({_NOW: _NEVER} if _NOW in times else {})}
    return at if statement == _statement(statement["Sid"], told) else None


def _is_owed(statement: Any) -> bool:
    return _NOW in _times(statement)


def _times(statement: Any) -> Mapping[str, Any]:
    condition = statement.get("Condition") if isinstance(statement, Mapping) else None
    found = condition.get("DateLessThan") if isinstance(condition, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _epoch(text: object) -> float | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _as_sid(owner: str) -> str:
    """A ``Sid`` takes letters and digits alone. ``Z`` begins what stands for another character."""
    plain = (c if c.isalnum() and c != "Z" else f"Z{ord(c):02X}" for c in owner)
    return "".join(plain)
