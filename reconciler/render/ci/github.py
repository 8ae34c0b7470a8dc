"""For a job of GitHub Actions: annotations at places in the specs, and its outputs.

GitHub shows ten annotations of each kind per step; the tenth gives the number of further ones.
Source: docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.render import phrases
from reconciler.render.ci.repository import Repository
from reconciler.render.escape import github_data, github_property
from reconciler.render.json.types import (
    ChangeShape,
    DiagnosticShape,
    DriftShape,
    FindingShape,
    PlanShape,
    SourceShape,
)

MOST = 10
Level = Literal["error", "warning", "notice"]
_RANK = ("delete", "replace", "cutover", "update", "restore", "adopt", "create")


@dataclass(frozen=True, slots=True)
class Annotation:
    level: Level
    title: str
    message: str
    source: SourceShape | None = None


def plan_annotations(document: PlanShape, repository: Repository) -> str:
    ranked = sorted(
        phrases.changes_of(document), key=lambda change: _RANK.index(phrases.verb_of(change))
    )
    left = document["outcome"]["left"] if "outcome" in document else None
    undone = frozenset(left or ())
    changes = (_change(change, change["address"] in undone) for change in ranked)
    return _printed([*_stops(document), *changes], repository)


def _stops(document: PlanShape) -> Iterator[Annotation]:
    if "outcome" in document:
        for lost in document["outcome"]["stranded"]:
            said = f"to restore it: {lost['command']}"
            yield Annotation("error", phrases.lacking(lost), said)
        for failure in document["outcome"]["failures"]:
            if failure["status"] == "failed":
                said = f"{failure['what']}: {failure['reason']}"
                yield Annotation("error", f"{failure['address']}: failed", said, failure["source"])
    for target in document["targets"]:
        for guard in target["guards"]:
            yield Annotation("error", "apply is blocked", f"{guard['reason']}; {guard['lift']}")
        for conflict in target["conflicts"]:
            said = f"{conflict['reason']}; use {conflict['lift']} to manage it"
            yield Annotation("error", conflict["address"], said, conflict["source"])
        for unread in target["unread"]:
            name = phrases.unread(unread)
            yield Annotation("error", name, f"cannot be read: {unread['reason']}")
    yield from map(_finding_of_specs, document["diagnostics"])


def _change(change: ChangeShape, is_undone: bool) -> Annotation:
    """``is_undone``: an apply has ended, and what it was to change still differs."""
    is_loss = phrases.verb_of(change) in ("delete", "replace")
    said = phrases.what(change) + (f" ({change['reason']})" if change["reason"] else "")
    if widened := [one["text"] for one in change.get("widens", ())]:
        said += f"; widens: {'; '.join(widened)}"
    level: Level = "warning" if is_loss or is_undone or widened else "notice"
    told = f"not done: {said}" if is_undone else said
    return Annotation(level, change["address"], told, change["source"])


def drift_annotations(document: DriftShape, repository: Repository) -> str:
    findings = map(_finding, document["findings"])
    return _printed([*findings, *map(_finding_of_specs, document["diagnostics"])], repository)


def _finding(finding: FindingShape) -> Annotation:
    status = finding["status"]
    quiet = status in ("left", "unmanaged")
    is_severe = status == "unknown" or finding["severity"] == "critical"
    level: Level = "error" if is_severe else "notice" if quiet else "warning"
    title = f"{finding['address']}: {phrases.headword(finding)}"
    return Annotation(level, title, phrases.found(finding), finding["source"])


def validate_annotations(found: Iterable[DiagnosticShape], repository: Repository) -> str:
    return _printed([_finding_of_specs(one) for one in found], repository)


def _finding_of_specs(found: DiagnosticShape) -> Annotation:
    more = f"; {found['suggestion']}" if found["suggestion"] else ""
    return Annotation(found["severity"], found["code"], found["message"] + more, found)


def _printed(annotations: list[Annotation], repository: Repository) -> str:
    lines: list[str] = []
    levels: tuple[Level, ...] = ("error", "warning", "notice")
    for level in levels:
        these = [one for one in annotations if one.level == level]
        shown = these if len(these) <= MOST else these[: MOST - 1]
        lines.extend(_line(one, repository) for one in shown)
        if len(shown) < len(these):
            more = f"and {len(these) - len(shown)} more; see the summary of the job"
            lines.append(_line(Annotation(level, "reconciler", more), repository))
    return "".join(f"{line}\n" for line in lines)


def _line(one: Annotation, repository: Repository) -> str:
    properties = {"title": one.title}
    if one.source is not None:
        properties["file"] = repository.path(one.source["file"])
        if one.source["line"]:
            properties["line"] = str(one.source["line"])
            properties["col"] = str(one.source["column"])
    told = ",".join(f"{name}={github_property(value)}" for name, value in properties.items())
    return f"::{one.level} {told}::{github_data(one.message)}"


def plan_outputs(document: PlanShape) -> dict[str, str]:
    counts = phrases.counted(phrases.changes_of(document))
    has_changes = "true" if any(counts.values()) else "false"
    told = {name: str(count) for name, count in counts.items()}
    ended = {"exit_code": str(document["outcome"]["exit_code"])} if "outcome" in document else {}
    return {"has_changes": has_changes, **told, "digest": document["digest"], **ended}


def drift_outputs(document: DriftShape, has_drift: bool) -> dict[str, str]:
    """``has_changes`` is for workflows that do the same with a plan and a drift."""
    told: dict[str, str] = {name: str(n) for name, n in document["summary"].items()}
    flag = "true" if has_drift else "false"
    return {"has_changes": flag, "has_drift": flag, **told}
