"""The comments of a pull request on GitHub, and of a merge request on GitLab.

Source: docs.github.com/rest/issues/comments, docs.gitlab.com/api/notes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NotRequired
from urllib.parse import quote

from typing_extensions import TypedDict

from reconciler.notify.pr_comments import Comment
from reconciler.notify.webhook import Web

PAGE = 100
MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class GitHub:
    """``repository`` is ``OWNER/NAME``, ``api`` such as ``https://api.github.com``."""

    api: str
    repository: str
    number: int
    token: str = field(repr=False)
    web: Web = field(default_factory=Web)

    def comments(self) -> Iterator[Comment]:
        url = f"{self._issues}/{self.number}/comments?per_page={PAGE}"
        return map(_comment, _paged(self.web, url, self._headers))

    def create(self, body: str) -> None:
        self.web.ask(
            "POST", f"{self._issues}/{self.number}/comments", {"body": body}, self._headers
        )

    def edit(self, comment: Comment, body: str) -> None:
        self.web.ask(
            "PATCH", f"{self._issues}/comments/{comment.id}", {"body": body}, self._headers
        )

    def delete(self, comment: Comment) -> None:
        self.web.ask("DELETE", f"{self._issues}/comments/{comment.id}", headers=self._headers)

    @property
    def _issues(self) -> str:
        return f"{self.api.rstrip('/')}/repos/{quote(self.repository)}/issues"

    @property
    def _headers(self) -> Mapping[str, str]:
        return {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }


@dataclass(frozen=True, slots=True)
class GitLab:
    """``project`` is an id or a path, ``api`` such as ``https://gitlab.com/api/v4``."""

    api: str
    project: str
    number: int
    token: str = field(repr=False)
    web: Web = field(default_factory=Web)

    def comments(self) -> Iterator[Comment]:
        url = f"{self._notes}?sort=asc&order_by=created_at&per_page={PAGE}"
        found = _paged(self.web, url, self._headers)
        return map(_comment, (one for one in found if not one.get("system")))

    def create(self, body: str) -> None:
        self.web.ask("POST", self._notes, {"body": body}, self._headers)

    def edit(self, comment: Comment, body: str) -> None:
        self.web.ask("PUT", f"{self._notes}/{comment.id}", {"body": body}, self._headers)

    def delete(self, comment: Comment) -> None:
        self.web.ask("DELETE", f"{self._notes}/{comment.id}", headers=self._headers)

    @property
    def _notes(self) -> str:
        project = quote(self.project, safe="")
        return f"{self.api.rstrip('/')}/projects/{project}/merge_requests/{self.number}/notes"

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"PRIVATE-TOKEN": self.token}


class _Answer(TypedDict):
    """The fields that are read of a comment."""

    id: int
    body: NotRequired[str | None]
    system: NotRequired[bool]


def _paged(web: Web, url: str, headers: Mapping[str, str]) -> Iterator[_Answer]:
    """Every comment of a list, page by page. Raises ``DeliveryError``."""
    for page in range(1, MOST_PAGES + 1):
        found = web.ask("GET", f"{url}&page={page}", headers=headers).json(list[_Answer])
        yield from found
        if len(found) < PAGE:
            return


def _comment(answer: _Answer) -> Comment:
    return Comment(answer["id"], answer.get("body") or "")
