"""Plans, results of applies and drifts as comments on a pull or merge request: one of each kind for
each account, edited in place.

Each comment starts with a hidden marker that has its kind and key, and the digest of a plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import quote

from typing_extensions import TypeIs

from reconciler.drift.findings import STATUSES
from reconciler.errors import DeliveryError
from reconciler.render.ci.repository import HERE, Repository
from reconciler.render.json.types import DriftShape, OutcomeShape, PlanShape, TargetHeader
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


def bodies(document: PlanShape | DriftShape, repository: Repository = HERE) -> dict[str, str]:
    """The text of the comment of each account, by kind and key: ``plan 123456789012/platform``."""
    made = {}
    for target in document["targets"]:
        key = _key(document["owner"], target)
        kind, digest, text = _of_target(document, target["target"])
        head = f"<!-- reconciler:{kind} v=1 key={key}{digest} -->"
        made[f"{kind} {key}"] = text(Page(COMMENT_BYTES, head, repository))
    return made


def _key(owner: str, target: TargetHeader) -> str:
    name = "" if target["target"] == "default" else f"/{quote(target['target'], safe='')}"
    return f"{target['account_id']}/{quote(owner, safe='')}{name}"


def _is_drift(document: PlanShape | DriftShape) -> TypeIs[DriftShape]:
    return "findings" in document


def _of_target(
    document: PlanShape | DriftShape, name: str
) -> tuple[str, str, Callable[[Page], str]]:
    """The kind, what the marker says of the digest, and the text, for the target of that name."""
    if _is_drift(document):
        drift = _drift_of(document, name)
        return "drift", "", lambda page: drift_markdown(drift, page)
    plan = _plan_of(document, name)
    kind = "apply" if "outcome" in plan else "plan"
    return kind, f" digest={plan['digest']}", lambda page: plan_markdown(plan, page)


def _plan_of(document: PlanShape, name: str) -> PlanShape:
    targets = [target for target in document["targets"] if target["target"] == name]
    made: PlanShape = {**document, "targets": targets}
    if "outcome" in made:
        made["outcome"] = _outcome_of(made["outcome"], name)
    return made


def _outcome_of(outcome: OutcomeShape, name: str) -> OutcomeShape:
    """Without what happened to other targets; the counts are those of the run."""
    own = (None, name)
    made: OutcomeShape = {
        **outcome,
        "failures": [one for one in outcome["failures"] if one["target"] in own],
        "stranded": [one for one in outcome["stranded"] if one["target"] in own],
    }
    if "not_begun" in made:
        made["not_begun"] = [one for one in made["not_begun"] if one == name]
    return made


def _drift_of(document: DriftShape, name: str) -> DriftShape:
    found = [finding for finding in document["findings"] if finding["target"] == name]
    return {
        **document,
        "targets": [target for target in document["targets"] if target["target"] == name],
        "findings": found,
        "resolved": [finding for finding in document["resolved"] if finding["target"] == name],
        "summary": {s: sum(finding["status"] == s for finding in found) for s in STATUSES},
    }


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
