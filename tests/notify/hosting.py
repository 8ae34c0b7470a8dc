"""GitHub's and GitLab's comments, in a small server of the tests' own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.receiver import Received, Reply

TOKEN = "t0ken"


@dataclass
class Hosted:
    """``theirs`` are the ids of comments that the token may not touch."""

    kind: str
    comments: list[dict[str, Any]] = field(default_factory=list)
    theirs: set[int] = field(default_factory=set)
    last: int = 0
    packages: dict[str, str] = field(default_factory=dict)
    """GitLab's package registry: files by their path."""

    def write(self, body: str, **more: Any) -> int:
        self.last += 1
        self.comments.append({"id": self.last, "body": body, **more})
        return self.last

    @property
    def bodies(self) -> list[str]:
        return [one["body"] for one in self.comments]

    def __call__(self, came: Received) -> Reply:
        names = ("authorization",) if self.kind == "github" else ("private-token", "job-token")
        token = next((came.headers[name] for name in names if name in came.headers), None)
        if token not in (f"Bearer {TOKEN}", TOKEN):
            return _reply(401, {"message": "Bad credentials"})
        parts = urlsplit(came.path)
        if self.kind == "gitlab" and parts.path.startswith("/projects/o%2Fr/packages/generic/"):
            return self._package(came, parts.path)
        base = {
            "github": r"/repos/o/r/issues/(?:7/comments|comments/(?P<id>\d+))",
            "gitlab": r"/projects/o%2Fr/merge_requests/7/notes(?:/(?P<id>\d+))?",
        }[self.kind]
        found = re.fullmatch(base, parts.path)
        if found is None:
            return _reply(404, {"message": "Not Found"})
        number = found["id"]
        if number is None:
            return self._list(came, parse_qs(parts.query))
        return self._one(came, int(number))

    def _package(self, came: Received, path: str) -> Reply:
        if came.method == "PUT":
            self.packages[path] = came.body.decode()
            return _reply(201, {"message": "201 Created"})
        if path not in self.packages:
            return _reply(404, {"message": "404 Not Found"})
        return 200, {}, self.packages[path].encode()

    def _list(self, came: Received, query: dict[str, list[str]]) -> Reply:
        if came.method == "POST":
            if len(came.json["body"]) > 65_536:
                return _reply(422, {"message": "body is too long (maximum is 65536 characters)"})
            self.write(came.json["body"])
            return _reply(201, self.comments[-1])
        size, page = int(query["per_page"][0]), int(query["page"][0])
        return _reply(200, self.comments[(page - 1) * size : page * size])

    def _one(self, came: Received, number: int) -> Reply:
        one = next((c for c in self.comments if c["id"] == number), None)
        if one is None:
            return _reply(404, {"message": "Not Found"})
        if number in self.theirs:
            return _reply(403, {"message": "Resource not accessible"})
        if came.method == "DELETE":
            self.comments.remove(one)
            return 204, {}, b""
        edits = "PATCH" if self.kind == "github" else "PUT"
        assert came.method == edits
        one["body"] = came.json["body"]
        return _reply(200, one)


def _reply(status: int, value: Any) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()
