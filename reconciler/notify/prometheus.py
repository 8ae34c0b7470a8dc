"""Metrics of ``drift`` in Prometheus's text format, for node_exporter's textfile collector.

Source: prometheus.io/docs/instrumenting/exposition_formats
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.drift.findings import STATUSES, Drift

_LAST_SUCCESS = "reconciler_last_success_timestamp_seconds"


@dataclass(frozen=True, slots=True)
class Run:
    """One run. ``at`` is in seconds of the epoch, ``seconds`` is the duration, ``drift`` is
    ``None`` if the run failed."""

    at: float
    seconds: float
    is_success: bool
    drift: Drift | None = None
    undelivered: int = 0


def metrics(run: Run, before: str) -> str:
    """The content of the metrics file. ``before`` is its previous content, from which a failed run
    keeps the time of the last successful one."""
    last: float | None = run.at
    if not run.is_success:
        pattern = rf"^{_LAST_SUCCESS} ([0-9]{{1,12}}(?:\.[0-9]{{1,9}})?)$"
        found = re.search(pattern, before, re.M)
        last = float(found[1]) if found else None
    return "".join(f"{line}\n" for line in _lines(run, last))


def _lines(run: Run, last: float | None) -> Iterator[str]:
    if run.drift is not None:
        name = "reconciler_drift_resources"
        yield from _metric(name, "Drift findings.", _findings(run.drift))
        name, help_ = "reconciler_ignored_differences", "Differences that an ignore rule hides."
        ignored = sum(note.status == "ignored" for note in run.drift.notes)
        yield from _metric(name, help_, [("", ignored)])
        calls = sum(run.drift.plan.api_calls.values())
        yield from _metric("reconciler_aws_api_calls", "AWS API calls.", [("", calls)])
    own = {
        "run_timestamp_seconds": ("Time of the last run.", run.at),
        "run_success": (
            "1 if everything could be read, whether or not there was drift.",
            int(run.is_success),
        ),
    }
    for name, (help_, value) in own.items():
        yield from _metric(f"reconciler_last_{name}", help_, [("", value)])
    help_ = "Duration of the run."
    yield from _metric("reconciler_run_duration_seconds", help_, [("", round(run.seconds, 3))])
    help_ = "Notifications that could not be delivered."
    yield from _metric("reconciler_undelivered_notifications", help_, [("", run.undelivered)])
    if last is not None:
        yield from _metric(_LAST_SUCCESS, "Time of the last successful run.", [("", last)])


def _findings(drift: Drift) -> Iterator[tuple[str, float]]:
    for target in drift.plan.targets:
        account = target.identity.account_id
        labels = {"account": account, "spec": target.owner, "target": target.target}
        found = [f.status for f in drift.findings if f.target == target.target]
        for status in STATUSES:
            yield _labels({**labels, "status": status}), found.count(status)


def _metric(name: str, help_: str, values: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} gauge"
    for labels, value in values:
        yield f"{name}{labels} {value:.3f}".rstrip("0").rstrip(".")


def _labels(labels: dict[str, str]) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items()) + "}"
