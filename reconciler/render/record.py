"""A record of cut-overs in Markdown, for the ticket of a change."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.render.escape import markdown_code as code
from reconciler.render.escape import markdown_text as words
from reconciler.render.json.record_types import (
    BatchRecordShape,
    CutOverRecordShape,
    InstanceRecordShape,
    RecordShape,
    TargetRecordShape,
)

_STATUS = {"applied": "done", "failed": "failed", "skipped": "ended early"}


def record_markdown(record: RecordShape) -> str:
    """Every instance has a row: a record is kept, and not shortened."""
    lines = [
        f"# Cut-overs of run {words(record['run'])}",
        "",
        f"- plan: {code(record['digest'])}",
        f"- written: {words(record['written_at'])} by reconciler {words(record['reconciler'])}",
        f"- exit code: {record['exit_code']}",
    ]
    for target in record["targets"]:
        lines += _target(target)
    return "\n".join(lines) + "\n"


def _target(target: TargetRecordShape) -> Iterator[str]:
    yield ""
    yield f"## Account {words(target['account_id'])} ({words(target['target'])})"
    yield ""
    yield f"Applied by {code(target['caller'])}."
    if not target["cutovers"]:
        yield ""
        yield "No cut-over."
    for cutover in target["cutovers"]:
        yield from _cutover(cutover)


def _cutover(one: CutOverRecordShape) -> Iterator[str]:
    before, after = (code(name) if name else "no role" for name in (one["before"], one["after"]))
    yield ""
    yield f"### {words(one['address'])}: {before} to {after}"
    yield ""
    yield f"- outcome: **{_STATUS[one['status']]}**{', rolled back' if one['rolled_back'] else ''}"
    if one["reason"]:
        yield f"- reason: {words(one['reason'])}"
    if one["advice"]:
        yield f"- what to do: {words(one['advice'])}"
    yield f"- strategy: {words(one['strategy'])}"
    yield f"- from {words(one['began_at'])} to {words(one['ended_at'])}"
    if one["instances"]:
        yield ""
        yield "| instance | region | role | batch | without profile or stopped | in effect |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for instance in one["instances"]:
            yield from _rows(instance)
    if one["batches"]:
        yield ""
        yield "| batch | ended | passed | what was watched |"
        yield "| --- | --- | --- | --- |"
        for batch in one["batches"]:
            passed = words(batch["passed_at"] or "no")
            told = "; ".join(_watched(batch)) or "nothing"
            yield f"| {batch['number']} | {words(batch['ended_at'])} | {passed} | {told} |"


def _rows(one: InstanceRecordShape) -> Iterator[str]:
    for turn in one["turns"]:
        without, role = turn["without"], turn["role"]
        lasted = "never"
        if without is not None:
            seconds = without["seconds"]
            lasted = "until now" if seconds is None else f"{seconds:g} s"
            lasted = f"{words(without['since'])}, {lasted}"
        cells = (
            code(one["instance"]),
            words(one["region"]),
            code(role) if role else "none",
            str(turn["batch"]),
            lasted,
            words(turn["in_effect_at"] or "-"),
        )
        yield f"| {' | '.join(cells)} |"
    if one["failure"]:
        where = f"{code(one['instance'])} | {words(one['region'])}"
        yield f"| {where} | {words(one['failure'])} | | | |"


def _watched(batch: BatchRecordShape) -> Iterator[str]:
    for alarm in batch["alarms"]:
        yield f"alarm {code(alarm['name'])} ({words(alarm['region'])}) {words(alarm['state'])}"
    for target in batch["unhealthy"]:
        yield f"{code(target['target'])} unhealthy in {code(target['target_group'])}"
    for call in batch["denied"]:
        told = f"{code(call['action'])} on {code(call['resource'])}"
        yield f"{code(call['instance'])} denied {told} at {words(call['at'])}"
    for one in batch["evidence"]:
        told = f"{words(one['status'])}: {words(one['evidence']['because'])}"
        yield f"{code(one['instance'])} {told}"
    if batch["command"] is not None:
        yield f"command: {words(batch['command'] or 'passed')}"
