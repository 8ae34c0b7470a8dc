"""Plans, results of applies, or drifts of several runs as one document of the same format.

What a run of all targets would say is said here: targets in the order of their names, the digest
over all of them. ``created_at`` is that of the oldest document, and the estimate that of the
longest, since each shard is applied by a run of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from typing_extensions import TypeIs

from reconciler.commands.one_target import UNKNOWN_ACCOUNT
from reconciler.commands.planfile import intended_of
from reconciler.commands.shard import Shard
from reconciler.drift.findings import STATUSES, by_severity
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.plan.plan import digest_of_intended
from reconciler.render.json.drift import finding_of
from reconciler.render.json.planfile import sealed
from reconciler.render.json.types import (
    DiagnosticShape,
    DriftShape,
    FindingShape,
    OutcomeShape,
    PlanShape,
    RequestShape,
    SummaryShape,
    TargetHeader,
)

Document = PlanShape | DriftShape
_D = TypeVar("_D", PlanShape, DriftShape)
_T = TypeVar("_T")
_OWN = frozenset({"path", "parallelism", "shard", "targets"})
"""Flags in which plans of one division may differ."""
_WORST = (130, 3, 5, 4, 1, 2, 0)
"""Exit codes of applies, the one that says most first."""


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A document, and the name of its file for messages."""

    name: str
    document: Document


def is_drift(document: Document) -> TypeIs[DriftShape]:
    return "findings" in document


def merged(parts: Sequence[NamedDocument]) -> Document:
    """The documents as one, whatever their order. ``parts`` is not empty. Raises ``RefusedError``
    unless they are of one kind, version, owner, set of specs and flags, have no target or account
    twice, and are all shards where they are shards."""
    first = parts[0]
    for other in parts[1:]:
        _refuse_mixed(first, other)
    _refuse_incomplete(parts)
    _refuse_twice(parts)
    ordered = [part.document for part in sorted(parts, key=_place)]
    drifts = [one for one in ordered if is_drift(one)]
    if drifts:
        return _drift(drifts)
    return _plan([one for one in ordered if not is_drift(one)])


def _refuse(message: str) -> None:
    raise RefusedError(message, ExitCode.ERROR)


def _kind(document: Document) -> str:
    if is_drift(document):
        return "a drift"
    return "the result of an apply" if "outcome" in document else "a plan"


def _refuse_mixed(first: NamedDocument, other: NamedDocument) -> None:
    """Raises ``RefusedError`` for what cannot stand in one document."""
    compared: list[tuple[str, Callable[[Document], Any]]] = [
        ("kinds", _kind),
        ("versions of reconciler", lambda d: d["reconciler"]),
        ("owners", lambda d: d["owner"]),
        ("divisions", lambda d: f"shards of {s.of}" if (s := shard_of(d)) else "no shard"),
    ]
    for what, of in compared:
        if (one := of(first.document)) != (two := of(other.document)):
            _refuse(f"different {what}: {first.name} has {one}, {other.name} has {two}")
    if is_drift(first.document) or is_drift(other.document):
        return
    if first.document["specs_digest"] != other.document["specs_digest"]:
        _refuse(f"{first.name} and {other.name} are of different specs: plan both again")
    left, right = dict(first.document["request"]), dict(other.document["request"])
    # Those of shards have the same targets to choose from.
    own = _OWN - {"targets"} if "shard" in left else _OWN
    names = sorted((left.keys() | right.keys()) - own)
    if flags := ", ".join(name for name in names if left.get(name) != right.get(name)):
        _refuse(f"{first.name} and {other.name} were made with different flags: {flags}")


def shard_of(document: Document) -> Shard | None:
    """Raises ``RefusedError`` for one that cannot be."""
    text = document.get("shard") if is_drift(document) else document["request"].get("shard")
    try:
        return None if text is None else Shard.parse(text)
    except ValueError as error:
        raise RefusedError(str(error), ExitCode.ERROR) from error


def _refuse_incomplete(parts: Sequence[NamedDocument]) -> None:
    """Raises ``RefusedError`` if a shard is missing, or there twice: the document would say that
    nothing differs where nobody looked."""
    seen: dict[int, str] = {}
    of = 0
    for part in parts:
        shard = shard_of(part.document)
        if shard is None:
            return
        of = shard.of
        if shard.number in seen:
            _refuse(f"{seen[shard.number]} and {part.name} are both shard {shard}")
        seen[shard.number] = part.name
    missing = [f"{number}/{of}" for number in range(1, of + 1) if number not in seen]
    if missing:
        are = "shard is" if len(missing) == 1 else "shards are"
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        _refuse(f"{len(missing)} {are} missing: {', '.join(missing[:5])}{more}")


def _refuse_twice(parts: Sequence[NamedDocument]) -> None:
    """Raises ``RefusedError`` if two documents have one target or one account."""
    names: dict[str, NamedDocument] = {}
    accounts: dict[str, TargetHeader] = {}
    for part in parts:
        for target in part.document["targets"]:
            name, account = target["target"], target["account_id"]
            if name in names:
                _refuse(f"{names[name].name} and {part.name} both have the target {name}")
            names[name] = part
            if account in accounts and account != UNKNOWN_ACCOUNT:
                both = f"{accounts[account]['target']} and {name}"
                _refuse(f"the targets {both} are both account {account}: merge them into one")
            accounts[account] = target


def _place(part: NamedDocument) -> tuple[str, str]:
    targets = [target["target"] for target in part.document["targets"]]
    return min(targets, default=""), part.name


def _plan(plans: Sequence[PlanShape]) -> PlanShape:
    first = plans[0]
    seconds = [plan["seconds"] for plan in plans]
    made: PlanShape = {
        **first,
        "created_at": min(plan["created_at"] for plan in plans),
        "targets": _by_name(target for plan in plans for target in plan["targets"]),
        "summary": cast("SummaryShape", _sums(plan["summary"] for plan in plans)),
        "seconds": {
            "about": max(one.get("about", one["least"]) for one in seconds),
            "least": max(one["least"] for one in seconds),
            "most": max(one["most"] for one in seconds),
        },
        "api_calls": _sums(plan["api_calls"] for plan in plans),
        "diagnostics": _diagnostics(plans),
        "request": _request(plans),
    }
    made["digest"] = digest_of_intended(intended_of(cast("dict[str, Any]", made)))
    outcomes = [
        _named(plan["outcome"], plan["targets"][0]["target"] if plan["targets"] else None)
        for plan in plans
        if "outcome" in plan
    ]
    if outcomes:
        made["outcome"] = _outcome(outcomes)
    return sealed(made)


def _request(plans: Sequence[PlanShape]) -> RequestShape:
    """The flags of a plan of all the targets."""
    asked = plans[0]["request"]
    if "shard" in asked:
        whole: RequestShape = {**asked}
        del whole["shard"]
        return whole
    if len(plans) == 1:
        return asked
    return {**asked, "targets": sorted(t["target"] for plan in plans for t in plan["targets"])}


def _drift(drifts: Sequence[DriftShape]) -> DriftShape:
    made: DriftShape = {
        **drifts[0],
        "created_at": min(drift["created_at"] for drift in drifts),
        "targets": _by_name(target for drift in drifts for target in drift["targets"]),
        "findings": _ordered(finding for drift in drifts for finding in drift["findings"]),
        "resolved": _ordered(finding for drift in drifts for finding in drift["resolved"]),
        "notes": [note for drift in drifts for note in drift["notes"]],
        "api_calls": _sums(drift["api_calls"] for drift in drifts),
        "diagnostics": _diagnostics(drifts),
    }
    counted = Counter(finding["status"] for finding in made["findings"])
    made["summary"] = {status: counted[status] for status in STATUSES}
    made.pop("shard", None)
    return made


def _ordered(findings: Iterable[FindingShape]) -> list[FindingShape]:
    return sorted(findings, key=lambda finding: by_severity(finding_of(finding)))


_Target = TypeVar("_Target", bound=TargetHeader)


def _by_name(targets: Iterable[_Target]) -> list[_Target]:
    return sorted(targets, key=lambda target: target["target"])


def _sums(counts: Iterable[Any]) -> dict[str, int]:
    found: Counter[str] = Counter()
    names: dict[str, None] = {}
    for one in counts:
        names |= dict.fromkeys(one)
        found.update(one)
    return {name: found[name] for name in names}


def _diagnostics(documents: Iterable[Document]) -> list[DiagnosticShape]:
    """Each once: what is about the specs is in every document."""
    found = {json.dumps(d, sort_keys=True): d for one in documents for d in one["diagnostics"]}
    return sorted(
        found.values(),
        key=lambda d: (d["file"], d["line"], d["column"], d["code"], d["message"]),
    )


def _named(outcome: OutcomeShape, target: str | None) -> OutcomeShape:
    """With the target of what does not name its own, since it was the only one of its run."""
    made: OutcomeShape = {
        **outcome,
        "failures": [{**one, "target": one["target"] or target} for one in outcome["failures"]],
        "stranded": [{**one, "target": one["target"] or target} for one in outcome["stranded"]],
    }
    if old := outcome.get("old_sessions"):
        made["old_sessions"] = [{**one, "target": one["target"] or target} for one in old]
    if unproved := outcome.get("unproved"):
        made["unproved"] = [{**one, "target": one["target"] or target} for one in unproved]
    return made


def _outcome(outcomes: Sequence[OutcomeShape]) -> OutcomeShape:
    """What became of all; addresses that are left are unknown if those of one run are."""
    # Where there was nothing to do, nothing was planned again.
    ended = [one for one in outcomes if one["left"] is not None or one["exit_code"] == 0]
    known = [one["left"] or [] for one in ended]
    codes = {one["exit_code"] for one in outcomes}
    made: OutcomeShape = {
        "exit_code": next((code for code in _WORST if code in codes), max(codes)),
        "applied": sum(one["applied"] for one in outcomes),
        "failed": sum(one["failed"] for one in outcomes),
        "skipped": sum(one["skipped"] for one in outcomes),
        "interrupted": any(one["interrupted"] for one in outcomes),
        "failures": _all(one["failures"] for one in outcomes),
        "left": _all(known) if len(known) == len(outcomes) else None,
        "stranded": _all(one["stranded"] for one in outcomes),
        "advice": list(dict.fromkeys(_all(one["advice"] for one in outcomes))),
    }
    if untouched := sorted(_all(one.get("not_begun", []) for one in outcomes)):
        made["not_begun"] = untouched
    if old := _all(one.get("old_sessions", []) for one in outcomes):
        made["old_sessions"] = old
    if unproved := _all(one.get("unproved", []) for one in outcomes):
        made["unproved"] = unproved
    return made


def _all(lists: Iterable[list[_T]]) -> list[_T]:
    return [item for one in lists for item in one]
