"""Plans as comments on a pull or merge request: one for each account, edited in place.

Each comment starts with a hidden marker that has its key and the plan's digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import quote

from reconciler.errors import DeliveryError
from reconciler.render.ci.repository import HERE, Repository
from reconciler.render.json.types import PlanShape
from reconciler.render.markdown import COMMENT_BYTES, Page, plan_markdown

Posted = Literal["created", "edited", "unchanged"]
_MARKER = re.compile(r"\s*<!-- reconciler:plan v=1 key=(\S+) digest=\S+ -->")


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


def bodies(document: PlanShape, repository: Repository = HERE) -> dict[str, str]:
    """The text of the comment of each account, by key."""
    made = {}
    for target in document["targets"]:
        name = "" if target["target"] == "default" else f"/{quote(target['target'], safe='')}"
        key = f"{target['account_id']}/{quote(document['owner'], safe='')}{name}"
        head = f"<!-- reconciler:plan v=1 key={key} digest={document['digest']} -->"
        narrowed: PlanShape = {**document, "targets": [target]}
        made[key] = plan_markdown(narrowed, Page(COMMENT_BYTES, head, repository))
    return made


def key_of(body: str) -> str | None:
    """The key in the marker of a comment; ``None`` for a comment that is not ours."""
    found = _MARKER.match(body)
    return found[1] if found else None


def post(hoster: Hoster, key: str, body: str) -> Posted:
    """Edits the comment with this key, or creates one. Raises ``DeliveryError``."""
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
