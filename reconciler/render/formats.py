"""Every report by its name: the same plan, the same drift, for another reader. The large ones are
imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.diagnostics import Diagnostic
from reconciler.drift.findings import Drift
from reconciler.plan.changes import Link
from reconciler.plan.plan import Plan
from reconciler.render.aws_cli import aws_cli, commands_for, part_of
from reconciler.render.ci import github, gitlab
from reconciler.render.ci.repository import HERE, Repository
from reconciler.render.json.encode import json_text
from reconciler.render.json.plan import diagnostics_json, now_as_text
from reconciler.render.json.types import DriftShape, PlanShape
from reconciler.render.markdown import COMMENT_BYTES, Page, drift_markdown, plan_markdown
from reconciler.render.styled_text import Line, plain
from reconciler.render.text.diagnostics import concise, full
from reconciler.render.text.drift import drift_lines
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan, and the same as a document; ``repository`` is where its specs stand."""

    plan: Plan
    document: PlanShape
    repository: Repository = HERE
    result: tuple[Line, ...] = ()
    """What an apply said in the end."""


@dataclass(frozen=True, slots=True)
class DriftReport:
    drift: Drift
    document: DriftShape
    repository: Repository = HERE


@dataclass(frozen=True, slots=True)
class MergedPlanReport:
    """A plan of which there is the document alone."""

    document: PlanShape
    repository: Repository = HERE


@dataclass(frozen=True, slots=True)
class MergedDriftReport:
    document: DriftShape
    repository: Repository = HERE


@dataclass(frozen=True, slots=True)
class ValidateReport:
    """Findings about specs; ``sources`` holds the text of each file."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    repository: Repository = HERE


def as_text(document: Any) -> str:
    return json_text(document) + "\n"


def _links(plan: Plan) -> list[Link]:
    return [link for target in plan.targets for link in target.links]


def _plan_page(report: PlanReport) -> str:
    from reconciler.render.html.page import plan_page

    commands = {
        str(change.address): commands_for(target, change.address)
        for target in report.plan.targets
        for change in target.changes
    }
    parts = {
        str(change.address): str(whole)
        for target in report.plan.targets
        for change in target.changes
        if (whole := part_of(target, change.address)) is not None
    }
    return plan_page(report.document, _links(report.plan), commands, report.repository, parts)


def _merged_page(report: MergedPlanReport) -> str:
    from reconciler.render.html.page import plan_page

    return plan_page(report.document, [], {}, report.repository, {})


def _drift_page(report: DriftReport | MergedDriftReport, links: list[Link]) -> str:
    from reconciler.render.html.page import drift_page

    return drift_page(report.document, links, report.repository)


def _drift_junit(document: DriftShape) -> str:
    from reconciler.render.ci.junit import drift_junit

    return drift_junit(document)


def _validate_junit(report: ValidateReport) -> str:
    from reconciler.render.ci.junit import validate_junit

    return validate_junit(diagnostics_json(report.diagnostics), report.repository, now_as_text())


def _sarif(report: ValidateReport) -> str:
    from reconciler.render.ci.sarif import sarif

    return sarif(diagnostics_json(report.diagnostics), report.sources, report.repository)


_OF_A_PLAN: Mapping[str, Callable[[PlanReport | MergedPlanReport], str]] = {
    "json": lambda r: as_text(r.document),
    "markdown": lambda r: plan_markdown(r.document, Page(repository=r.repository)),
    "comment": lambda r: plan_markdown(r.document, Page(COMMENT_BYTES, repository=r.repository)),
    "github": lambda r: github.plan_annotations(r.document, r.repository),
    "gitlab": lambda r: gitlab.plan_widget(r.document),
}
_OF_A_DRIFT: Mapping[str, Callable[[DriftReport | MergedDriftReport], str]] = {
    "json": lambda r: as_text(r.document),
    "markdown": lambda r: drift_markdown(r.document, Page(repository=r.repository)),
    "comment": lambda r: drift_markdown(r.document, Page(COMMENT_BYTES, repository=r.repository)),
    "github": lambda r: github.drift_annotations(r.document, r.repository),
    "gitlab": lambda r: gitlab.drift_widget(r.document),
}
PLAN: Mapping[str, Callable[[PlanReport], str]] = {
    "text": lambda r: (
        plain([*plan_lines(r.plan, Look(is_full=True, is_alone=True)), *r.result]) + "\n"
    ),
    **_OF_A_PLAN,
    "html": _plan_page,
    "aws-cli": lambda r: aws_cli(r.plan),
}
TERRAFORM_IMPORT = "terraform-import"
FORGET: Mapping[str, object] = {**PLAN, TERRAFORM_IMPORT: None}
"""Names alone: what Terraform takes over is told by what a plan was made from (``leaving.py``)."""
DRIFT: Mapping[str, Callable[[DriftReport], str]] = {
    "text": lambda r: plain(drift_lines(r.drift, Look(is_full=True))) + "\n",
    **_OF_A_DRIFT,
    "html": lambda r: _drift_page(r, _links(r.drift.plan)),
    "junit": lambda r: _drift_junit(r.document),
}
MERGED_PLAN: Mapping[str, Callable[[MergedPlanReport], str]] = {
    **_OF_A_PLAN,
    "html": _merged_page,
}
"""What needs the document alone: the page has no picture and no commands."""
MERGED_DRIFT: Mapping[str, Callable[[MergedDriftReport], str]] = {
    **_OF_A_DRIFT,
    "html": lambda r: _drift_page(r, []),
    "junit": lambda r: _drift_junit(r.document),
}
VALIDATE: Mapping[str, Callable[[ValidateReport], str]] = {
    "full": lambda r: plain(full(r.diagnostics, r.sources)) + "\n",
    "concise": lambda r: plain(concise(r.diagnostics)) + "\n",
    "json": lambda r: as_text(diagnostics_json(r.diagnostics)),
    "github": lambda r: github.validate_annotations(diagnostics_json(r.diagnostics), r.repository),
    "gitlab": lambda r: gitlab.code_quality(diagnostics_json(r.diagnostics), r.repository),
    "sarif": _sarif,
    "junit": _validate_junit,
}
