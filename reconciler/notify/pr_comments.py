"""Plans, results of applies and drifts as comments on a pull or merge request: one of each kind for
each account, edited in place.

Each comment starts with a hidden marker that has its kind and key, and the digest of a plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar
from urllib.parse import quote

from reconciler.drift.findings import STATUSES
from reconciler.errors import DeliveryError
from reconciler.render.ci.repository import HERE, Repository
from reconciler.render.json.merge import Document, is_drift
from reconciler.render.json.types import (
    DriftShape,
    FailureShape,
    FindingShape,
    OutcomeShape,
    StrandedShape,
    TargetHeader,
)
from reconciler.render.markdown import COMMENT_BYTES, Page, drift_markdown, plan_markdown

Posted = Literal["created", "edited", "unchanged"]
_MARKER = re.compile(r"\s*<!-- reconciler:(plan|apply|drift) v=1 key=(\S+)(?: digest=\S+)? -->")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull or merge request."""

    id: int
    body: str


class Hoster(Protocol):
    """The comments of one request. Every method raises ``DeliveryError``."""

    def comments(self) -> Iterator[Comment]:
        """All comments, oldest first."""
        ...

    def create(self, body: str) -> None: ...

    def edit(self, comment: Comment, body: str) -> None: ...

    def delete(self, comment: Comment) -> None: ...


def bodies(
    document: Document, repository: Repository = HERE, *, together: bool = False
) -> dict[str, str]:
    """The text of the comment of each account, by kind and key: ``plan 123456789012/platform``; or
    of one for all of them: ``plan all/platform``."""
    owner = quote(document["owner"], safe="")
    parts = [(f"all/{owner}", document)] if together else []
    for target, one in () if together else _split(document):
        key = f"{target['account_id']}/{owner}"
        if target["target"] != "default":
            key += f"/{quote(target['target'], safe='')}"
        parts.append((key, one))
    made = {}
    for key, one in parts:
        if is_drift(one):
            head = f"<!-- reconciler:drift v=1 key={key} -->"
            made[f"drift {key}"] = drift_markdown(one, Page(COMMENT_BYTES, head, repository))
        else:
            kind = "apply" if "outcome" in one else "plan"
            head = f"<!-- reconciler:{kind} v=1 key={key} digest={one['digest']} -->"
            made[f"{kind} {key}"] = plan_markdown(one, Page(COMMENT_BYTES, head, repository))
    return made


def _split(document: Document) -> Iterator[tuple[TargetHeader, Document]]:
    """A document for each target."""
    if is_drift(document):
        yield from _drifts(document)
        return
    if "outcome" not in document:
        for target in document["targets"]:
            yield target, {**document, "targets": [target]}
        return
    outcome = document["outcome"]
    failures, stranded = _by_target(outcome["failures"]), _by_target(outcome["stranded"])
    not_begun = set(outcome.get("not_begun", ()))
    for target in document["targets"]:
        name = target["target"]
        # Without what happened to other targets; the counts are those of the run.
        own: OutcomeShape = {
            **outcome,
            "failures": [*failures.get(None, ()), *failures.get(name, ())],
            "stranded": [*stranded.get(None, ()), *stranded.get(name, ())],
        }
        if "not_begun" in own:
            own["not_begun"] = [name] if name in not_begun else []
        yield target, {**document, "targets": [target], "outcome": own}


def _drifts(document: DriftShape) -> Iterator[tuple[TargetHeader, DriftShape]]:
    findings, resolved = _by_target(document["findings"]), _by_target(document["resolved"])
    for target in document["targets"]:
        found = findings.get(target["target"], [])
        one: DriftShape = {
            **document,
            "targets": [target],
            "findings": found,
            "resolved": resolved.get(target["target"], []),
            "summary": {s: sum(finding["status"] == s for finding in found) for s in STATUSES},
        }
        yield target, one


_OfTarget = TypeVar("_OfTarget", FailureShape, StrandedShape, FindingShape)


def _by_target(items: Iterable[_OfTarget]) -> dict[str | None, list[_OfTarget]]:
    found: dict[str | None, list[_OfTarget]] = {}
    for item in items:
        found.setdefault(item["target"], []).append(item)
    return found


def key_of(body: str) -> str | None:
    """Kind and key in the marker of a comment; ``None`` for a comment that is not ours."""
    found = _MARKER.match(body)
    return f"{found[1]} {found[2]}" if found else None


def post(hoster: Hoster, key: str, body: str) -> Posted:
    """Edits the comment of this kind and key, or creates one. Raises ``DeliveryError``."""
    there = [comment for comment in hoster.comments() if key_of(comment.body) == key]
    for number, comment in enumerate(there):
        if not _is_edited(hoster, comment, body):
            continue
        _delete_others(hoster, there[number + 1 :])
        return "unchanged" if comment.body.strip() == body.strip() else "edited"
    hoster.create(body)
    return "created"


def _is_edited(hoster: Hoster, comment: Comment, body: str) -> bool:
    """Whether the comment now has the body. False for a comment of another user, who may have
    copied the marker: it cannot be edited."""
    if comment.body.strip() == body.strip():
        return True
    try:
        hoster.edit(comment, body)
    except DeliveryError as error:
        if error.status in (403, 404):
            return False
        raise
    return True


def _delete_others(hoster: Hoster, comments: list[Comment]) -> None:
    """Deletes duplicates, which concurrent jobs create and nobody would update."""
    for comment in comments:
        try:
            hoster.delete(comment)
        except DeliveryError as error:
            if error.status not in (403, 404):
                raise
