"""``--report FORMAT=PATH``, and the summary and outputs of a GitHub Actions job."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from reconciler.cli.console import Console
from reconciler.cli.files import append, write_whole
from reconciler.commands.planned import Planned
from reconciler.diagnostics import meant
from reconciler.drift.findings import COUNTED, Drift
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render import formats
from reconciler.render.ci import github
from reconciler.render.ci.repository import Repository
from reconciler.render.formats import (
    DriftReport,
    MergedDriftReport,
    MergedPlanReport,
    PlanReport,
)
from reconciler.render.json.apply import outcome_json
from reconciler.render.json.merge import Document, is_drift
from reconciler.render.json.plan import diagnostics_json, now_as_text, plan_json
from reconciler.render.json.planfile import sealed
from reconciler.render.json.types import DriftShape, PlanShape
from reconciler.render.markdown import SUMMARY_BYTES, Page, drift_markdown, plan_markdown
from reconciler.render.styled_text import Line

if TYPE_CHECKING:
    from reconciler.commands.apply import Applied

_S = TypeVar("_S")
STDOUT = "-"


@dataclass(frozen=True, slots=True)
class ReportRequests:
    """``reports`` are pairs of format and path, in the order of the command line."""

    reports: tuple[tuple[str, str], ...]
    as_json: bool

    @property
    def shows_text(self) -> bool:
        """Whether the text output goes to stdout: no report but annotations for GitHub is there."""
        return all(path != STDOUT or name == "github" for name, path in self.reports)

    @property
    def has_github(self) -> bool:
        return any(name == "github" for name, _ in self.reports)

    def apart(self, name: str) -> tuple[ReportRequests, ReportRequests]:
        """Those of one format, and the others."""
        own = tuple(one for one in self.reports if one[0] == name)
        rest = tuple(one for one in self.reports if one[0] != name)
        return replace(self, reports=own), replace(self, reports=rest)

    @contextmanager
    def annotating(self, console: Console) -> Iterator[None]:
        """While a plan is made: mistakes in specs are annotations too, though there is no plan to
        report."""
        try:
            yield
        except RefusedError as refused:
            if refused.diagnostics:
                text = github.validate_annotations(
                    diagnostics_json(refused.diagnostics), repository()
                )
                for name, path in self.reports:
                    if name == "github":
                        self._write(name, path, text, console)
            raise

    def write(
        self, formats: Mapping[str, Callable[[_S], str]], subject: _S, console: Console
    ) -> None:
        """Writes every report. Then raises the first ``OSError``, if there was one."""
        broken: OSError | None = None
        for name, path in self.reports:
            try:
                self._write(name, path, formats[name](subject), console)
            except OSError as error:
                broken = broken or error
        if broken is not None:
            raise broken

    def write_plan(
        self,
        planned: Planned,
        console: Console,
        ended: tuple[Applied | None, ExitCode] | None = None,
        result: Iterable[Line] = (),
        document: PlanShape | None = None,
    ) -> None:
        """Writes the reports of a plan. ``ended`` is the result of applying it, if that was asked
        for. Raises ``OSError``."""
        if not self.reports:
            return
        made = document or plan_json(planned, now_as_text())
        if ended is not None:
            made = sealed({**made, "outcome": outcome_json(*ended)})
        place = repository()
        subject = PlanReport(planned.plan, made, place, tuple(result))
        self.write(formats.PLAN, subject, console)
        if self.has_github:
            page = Page(SUMMARY_BYTES, repository=place)
            write_job_summary(lambda: plan_markdown(made, page), github.plan_outputs(made))

    def write_drift(self, drift: Drift, document: DriftShape, console: Console) -> None:
        """Writes the reports of a drift. Raises ``OSError``."""
        place = repository()
        self.write(formats.DRIFT, DriftReport(drift, document, place), console)
        if self.has_github:
            page = Page(SUMMARY_BYTES, repository=place)
            outputs = github.drift_outputs(document, drift.exit_code is not ExitCode.OK)
            write_job_summary(lambda: drift_markdown(document, page), outputs)

    def write_merged(self, document: Document, console: Console) -> None:
        """Writes the reports of a document that is made of others. Raises ``OSError``."""
        place = repository()
        page = Page(SUMMARY_BYTES, repository=place)
        if is_drift(document):
            self.write(formats.MERGED_DRIFT, MergedDriftReport(document, place), console)
            counted = {*COUNTED, "unknown"}
            differs = any(n for status, n in document["summary"].items() if status in counted)
            outputs = github.drift_outputs(document, differs)
            summary = drift_markdown(document, page) if self.has_github else ""
        else:
            self.write(formats.MERGED_PLAN, MergedPlanReport(document, place), console)
            outputs = github.plan_outputs(document)
            summary = plan_markdown(document, page) if self.has_github else ""
        if self.has_github:
            write_job_summary(lambda: summary, outputs)

    def _write(self, name: str, path: str, text: str, console: Console) -> None:
        if path != STDOUT:
            write_whole(Path(path), text)
        elif name == "github" and self.as_json:
            # Runners read workflow commands from either stream, and stdout is JSON.
            console.err_text(text)
        else:
            console.out_text(text)


NONE = ReportRequests((), as_json=False)


def report_requests(
    given: list[str] | None, formats: Mapping[str, object], as_json: bool
) -> ReportRequests:
    """The reports that the flags ask for. Raises a usage error for an unknown format, or for more
    than one result on stdout."""
    reports = []
    for text in given or ():
        name, equals, path = text.partition("=")
        if name not in formats or not equals or not path:
            known = ", ".join(formats)
            raise typer.BadParameter(
                f"--report takes FORMAT=PATH with FORMAT one of {known}; not {text!r}"
                f"{meant(name, formats)}"
            )
        reports.append((name, path))
    on_stdout = [name for name, path in reports if path == STDOUT and name != "github"]
    if len(on_stdout) > (0 if as_json else 1):
        first = "--json" if as_json else f"--report {on_stdout[0]}=-"
        raise typer.BadParameter(f"stdout takes one result: {first} or --report {on_stdout[-1]}=-")
    return ReportRequests(tuple(reports), as_json)


def repository(near: str = ".") -> Repository:
    """The checkout of a GitHub Actions or GitLab CI job, and the URL of its files; elsewhere the
    checkout that ``near`` is in."""
    given = os.environ
    if root := given.get("GITHUB_WORKSPACE"):
        parts = [given.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "SHA")]
        server, name, commit = parts
        return Repository(root, f"{server}/{name}/blob/{commit}" if all(parts) else None)
    if root := given.get("CI_PROJECT_DIR"):
        url, commit = given.get("CI_PROJECT_URL"), given.get("CI_COMMIT_SHA")
        return Repository(root, f"{url}/-/blob/{commit}" if url and commit else None)
    return Repository(_checkout(near))


def _checkout(near: str) -> str:
    """The folder of the repository; outside of one the current folder, or if the specs are not
    below it, theirs."""
    path = Path.cwd() / near
    for folder in (path, *path.parents):
        if (folder / ".git").exists():
            return str(folder)
    if path.is_relative_to(Path.cwd()):
        return "."
    return str(path if path.is_dir() else path.parent)


def write_job_summary(summary: Callable[[], str], outputs: Mapping[str, str]) -> None:
    """Writes summary and outputs of the GitHub Actions job, if this is one. Raises ``OSError``."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(path), summary())
    if path := os.environ.get("GITHUB_OUTPUT"):
        mark = secrets.token_hex(8)
        text = "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in outputs.items())
        append(Path(path), text)
