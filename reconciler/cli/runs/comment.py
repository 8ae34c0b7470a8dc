"""What ``reconciler comment`` does."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, NotRequired

import typer
from pydantic import Field
from typing_extensions import TypedDict

from reconciler.cli.commands.comment import Where
from reconciler.cli.console import Console
from reconciler.cli.files import plan_or_drift, read_foreign
from reconciler.cli.reports import repository
from reconciler.errors import DeliveryError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.notify.code_hosts import GitHub, GitLab
from reconciler.notify.pr_comments import Hoster, bodies, post
from reconciler.render.json.encode import parsed
from reconciler.render.styled_text import data

_TOKENS = {Where.github: ("GITHUB_TOKEN", "GH_TOKEN"), Where.gitlab: ("GITLAB_TOKEN",)}


_NEEDS = {
    Where.github: "the job needs `permissions: {pull-requests: write}`",
    Where.gitlab: "the token needs the scope `api`",
}


def run(
    where: Where,
    document: Path,
    project: str | None,
    number: int | None,
    api_url: str | None,
    together: bool,
) -> None:
    console = Console()
    read = plan_or_drift(document)
    hoster = _hoster(where, project, number, api_url)
    try:
        for key, body in bodies(read, repository(), together=together).items():
            console.note(data(f"{key}: {post(hoster, key, body)}"))
    except DeliveryError as error:
        hint = _NEEDS[where] if error.status in (401, 403, 404) else None
        if not error.status:  # it was not reached, so its address may be wrong
            name = "GITHUB_API_URL" if where is Where.github else "CI_API_V4_URL"
            origin = f"{where.value}.com; --api-url or {name} sets another"
            if api_url:
                origin = "--api-url"
            elif os.environ.get(name):
                origin = name
            hint = f"its address is from {origin}"
        console.error(str(error), hint)
        raise typer.Exit(ExitCode.ERROR) from error


def _hoster(where: Where, project: str | None, number: int | None, api_url: str | None) -> Hoster:
    given = os.environ
    token = next((given[name] for name in _TOKENS[where] if given.get(name)), None)
    if token is None:
        raise RefusedError(f"there is no token; set {_TOKENS[where][0]}", ExitCode.ERROR)
    if where is Where.github:
        api = api_url or given.get("GITHUB_API_URL") or "https://api.github.com"
        name = project or given.get("GITHUB_REPOSITORY")
        return GitHub(api, _given(name, "--repository"), _number(number, _pull_request()), token)
    api = api_url or given.get("CI_API_V4_URL") or "https://gitlab.com/api/v4"
    name = project or given.get("CI_PROJECT_ID")
    iid = given.get("CI_MERGE_REQUEST_IID", "")
    return GitLab(api, _given(name, "--repository"), _number(number, iid), token)


def _given(value: str | None, flag: str) -> str:
    if not value:
        raise typer.BadParameter(f"{flag} is needed outside of a CI job")
    return value


def _number(given: int | None, own: str) -> int:
    if given is None and not re.fullmatch("[0-9]{1,12}", own):
        raise typer.BadParameter("--number is needed: this is not a job of a pull or merge request")
    return int(own) if given is None else given


def _pull_request() -> str:
    """Number of the pull request of the GitHub Actions job, empty if there is none."""
    found = re.fullmatch(
        r"refs/pull/([0-9]{1,12})/(?:merge|head)", os.environ.get("GITHUB_REF", "")
    )
    if found:
        return found[1]
    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path:
        return ""
    try:
        event = parsed(read_foreign(Path(path)), _Event)
    except ValueError as error:
        message = f"GITHUB_EVENT_PATH: {path} is not a GitHub event: {error}"
        raise RefusedError(message, ExitCode.ERROR) from error
    subject = event.get("pull_request") or event.get("issue")
    return str(subject["number"]) if subject else ""


class _Numbered(TypedDict):
    number: Annotated[int, Field(gt=0)]


class _Event(TypedDict):
    """The fields that are read of the event that started a workflow.
    Source: docs.github.com/webhooks/webhook-events-and-payloads"""

    pull_request: NotRequired[_Numbered | None]
    issue: NotRequired[_Numbered | None]
