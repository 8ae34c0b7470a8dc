"""Drift for a person: what differs, by what kind of difference."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.drift.causes import words_of
from reconciler.drift.findings import COUNTED, Drift, Finding, Status
from reconciler.render.json.drift import actor_json
from reconciler.render.phrases import note, state, who
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.direction import HAPPENED
from reconciler.render.text.look import Look
from reconciler.render.text.values import difference_lines

LEGEND = "+ gained: only AWS has it   - lost: only the specs have it   ~ changed"
_STYLES = {
    "modified": "yellow",
    "missing": "red",
    "unadopted": "red",
    "stale": "magenta",
    "in_progress": "cyan",
    "unknown": "bold red",
}


def drift_lines(drift: Drift, look: Look | None = None) -> list[Line]:
    look = look or Look()
    lines: list[Line] = []
    if any(finding.differences for finding in drift.findings):
        lines.append(line(Piece(LEGEND, "dim")))
        lines.append(())
    by_target: dict[str, list[Finding]] = {}
    for finding in drift.findings:
        by_target.setdefault(finding.target, []).append(finding)
    for target in drift.plan.targets:
        found = by_target.get(target.target, [])
        if found and len(drift.plan.targets) > 1:
            lines.append(line("Target ", data(target.target, "bold")))
        for finding in found:
            lines.extend(_finding(finding, look))
    lines.extend(
        line(Piece("resolved    ", "green"), data(finding.address, "bold"))
        for finding in drift.resolved
    )
    lines.extend(line("  ", data(note(str(n.address), n.reason), "dim")) for n in drift.notes)
    counted = {k: n for k, n in drift.summary.items() if n}
    if not drift.plan.targets:
        lines.append(line(Piece("No targets.", "bold"), " Nothing was compared."))
    elif not any(k in COUNTED or k == "unknown" for k in counted):
        lines.append(line(Piece("No drift.", "bold green"), _told(counted)))
    else:
        lines.append(line(Piece("Drift:", "bold yellow"), _told(counted)))
    return lines


def _told(counted: Mapping[Status, int]) -> str:
    words = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counted.items())
    return f" {words}." if words else ""


def _finding(finding: Finding, look: Look) -> list[Line]:
    is_critical = finding.severity == "critical"
    style = "bold red" if is_critical else _STYLES.get(finding.status, "dim")
    where = f"  {finding.source}" if finding.source else ""
    since = f"  {finding.transition}" if finding.transition else ""
    if finding.transition == "ongoing":
        since += f" since {finding.first_seen}"
    lines = [
        line(
            Piece(f"{state(finding.status, (d.path for d in finding.differences)):<11} ", style),
            data(finding.address, "bold"),
            data(where, "dim"),
            data(since, "dim"),
        )
    ]
    lines.extend(
        line("      ", Piece("critical: ", "bold red"), data(said))
        for said in words_of(finding.causes)
    )
    if finding.actor:
        lines.append(line("      # ", data(who(actor_json(finding.actor)), "dim")))
    if finding.reason:
        lines.append(line("      # ", data(finding.reason, "dim")))
    for difference in finding.differences:
        lines.extend(difference_lines(difference, HAPPENED, is_full=look.is_full))
    return lines
