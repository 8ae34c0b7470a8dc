"""Phrases about a plan or a drift, from its document, shared by all reports but the terminal's."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Literal

from reconciler.drift.causes import Cause, words_of
from reconciler.executor.estimate import about_in_words
from reconciler.explain.stops import Stop
from reconciler.model.address import ANY_INSTANCE, EVERYTHING, PROFILE
from reconciler.model.launch_sources import NAMES
from reconciler.plan.blast_radius import Apart, more_in_words
from reconciler.plan.changes import WHICH_REGIONS, WHOLE_ACCOUNT
from reconciler.render.escape import shortened
from reconciler.render.json.types import (
    ActorShape,
    ChangeShape,
    ConsumersShape,
    DriftShape,
    FindingShape,
    OutcomeShape,
    PlanShape,
    StrandedShape,
    TargetHeader,
    UnreadShape,
)
from reconciler.render.text.values import changed_texts

Verb = Literal["create", "adopt", "update", "replace", "delete", "cutover", "restore"]

SYMBOLS: dict[Verb, str] = {
    "delete": "-",
    "replace": "-/+",
    "create": "+",
    "adopt": ">",
    "update": "~",
    "restore": "~",
    "cutover": "↻",
}
_FEW = 3
_LONGEST = 160
_PAST: dict[Verb, str] = {
    "delete": "destroy",
    "replace": "destroy and create again",
    "create": "create",
    "adopt": "adopt",
    "update": "change",
    "restore": "restore the profile",
    "cutover": "cut over",
}
COUNTED: dict[Verb, str] = {
    "adopt": "adopt",
    "create": "add",
    "update": "change",
    "restore": "change",
    "replace": "replace",
    "delete": "destroy",
    "cutover": "cutover",
}
"""The member of ``summary`` that each counts for."""

FEW_STOPS = 3
"""More of what stops an apply are counted."""


def verb_of(change: ChangeShape) -> Verb:
    match change["actions"]:
        case ["delete", "create"]:
            return "replace"
        case ["adopt", *_]:
            return "adopt"
        case [one]:
            return one
        case _:
            raise ValueError(change["actions"])


def counted(changes: Iterable[ChangeShape]) -> dict[str, int]:
    """As ``summary`` of the plan, for some of its changes."""
    counts = dict.fromkeys(("adopt", "add", "change", "replace", "destroy", "cutover"), 0)
    for change in changes:
        counts[COUNTED[verb_of(change)]] += 1
    return counts


def counts_in_words(counts: dict[str, int]) -> str:
    """``0 to adopt, 2 to add, 1 to change, 0 to destroy, 3 instances to cut over``."""
    words = [f"{counts[name]} to {name}" for name in ("adopt", "add", "change")]
    if counts["replace"]:
        words.append(f"{counts['replace']} to replace")
    words.append(f"{counts['destroy']} to destroy")
    if n := counts["cutover"]:
        words.append(f"{n} {'instance' if n == 1 else 'instances'} to cut over")
    return ", ".join(words)


def stops_in_words(conflicts: int, unmet: int, unread: int) -> str:
    """What of the specs could not be planned; empty if nothing."""
    words = []
    if conflicts:
        words.append(f"{conflicts} {'is' if conflicts == 1 else 'are'} not managed by this owner")
    if unmet:
        words.append(f"{unmet} {'does' if unmet == 1 else 'do'} not exist or cannot serve")
    if unread:
        words.append(f"{unread} could not be read")
    return ", ".join(words)


def stop_counts(stops: Collection[Stop]) -> str:
    """``2 guards and 1 conflict stop``."""
    conflicts = sum(stop.key is None for stop in stops)
    counted = ((len(stops) - conflicts, "guard"), (conflicts, "conflict"))
    told = " and ".join(f"{n} {noun}" if n == 1 else f"{n} {noun}s" for n, noun in counted if n)
    return f"{told} {'stops' if len(stops) == 1 else 'stop'}"


def stop_in_words(stop: Stop) -> str:
    """The reason, and the flag that lifts it, with what that brings."""
    lift = f"override with {stop.lift}" if stop.lift.startswith("--allow") else stop.lift
    if stop.key is None:
        lift = f"{stop.lift} {stop.brings}" if stop.brings else f"use {stop.lift} to manage it"
    later = ", once the rest is allowed" if stop.is_later else ""
    return f"{stop.reason}{later}; {lift}"


def assumed_in_words(count: int) -> str:
    """Of ``count`` running instances whose profiles are adopted."""
    noun = "instance is" if count == 1 else "instances are"
    return (
        f"{count} running {noun} taken to have the role that is in the adopted profile: nobody has "
        f"recorded it. --refresh-adopted cuts {'it' if count == 1 else 'them'} over, to make sure"
    )


def assumed(document: PlanShape) -> str | None:
    """What an adoption takes for granted; ``None`` if nothing."""
    count = sum(
        len(change["consumers"])
        for change in changes_of(document)
        if change["kind"] == PROFILE
        and "adopt" in change["actions"]
        and "strategy" not in change["intent"]
        and not (change["reason"] or "").startswith("taken over")
    )
    return assumed_in_words(count) if count else None


def account(target: TargetHeader) -> str:
    """``123456789012 (acme-prod)``."""
    alias = target.get("account_alias")
    return f"{target['account_id']} ({alias})" if alias else target["account_id"]


def lasts(document: PlanShape) -> str:
    """``about 2 min``."""
    seconds = document["seconds"]
    return about_in_words(seconds.get("about", seconds["least"]))


def stops_of(document: PlanShape) -> str:
    targets = document["targets"]
    return stops_in_words(
        sum(len(target["conflicts"]) for target in targets),
        sum(len(target.get("unmet", ())) for target in targets),
        sum(len(target["unread"]) for target in targets),
    )


def findings_by_target(document: DriftShape) -> dict[str, list[FindingShape]]:
    found: dict[str, list[FindingShape]] = {}
    for finding in document["findings"]:
        found.setdefault(finding["target"], []).append(finding)
    return found


def changes_of(document: PlanShape) -> list[ChangeShape]:
    return [change for target in document["targets"] for change in target["changes"]]


def what(change: ChangeShape) -> str:
    """``change role, tags.team``; ``cut over from role web-v1 to web-v2``."""
    verb = verb_of(change)
    words = _PAST[verb]
    if verb == "cutover":
        before = (change["before"] or {}).get("role")
        after = (change["after"] or {}).get("role")
        if before and before != after:
            return f"{words} from role {before} to {after}"
        return f"{words} to role {after}" if after else words
    paths = [d["path"] for d in change["differences"]]
    if verb == "adopt" and paths:
        words += ", and change"
    if verb in ("update", "adopt", "replace") and paths:
        words += f"{':' if verb == 'replace' else ''} {few(paths)}"
    return words


def few(names: list[str], between: str = ", ", most: int = _FEW) -> str:
    """The first of them, and the number of further ones."""
    shown = between.join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def consumers_in_words(group: ConsumersShape, most: int | None = None) -> str:
    """``us-east-1: 3 of Auto Scaling group web: web (2), i-0abc``; so many names at most."""
    by = ""
    if (origin := group["started_by"]) is not None:
        by = f" of {NAMES[origin['kind']]} {origin['name']}"
    names: list[str] = []
    for one in group["names"]:
        name, ids = one["name"], one["instances"]
        if name is None:
            names.extend(ids)
        elif most is None:
            names.append(f"{name} ({' '.join(ids)})")
        else:
            names.append(f"{name} ({len(ids)})" if len(ids) > 1 else name)
    told = ", ".join(names) if most is None else few(names, most=most)
    return f"{group['region']}: {group['count']}{by}: {told}"


def running(change: ChangeShape) -> int:
    """How many running instances it reaches."""
    radius = change.get("blast_radius")
    return len(change["consumers"]) or (radius["instances"] if radius is not None else 0)


def apart(change: ChangeShape) -> tuple[str, ...]:
    """Running consumers that its cut-over leaves out."""
    radius = change.get("blast_radius")
    found = radius.get("apart", ()) if radius is not None else ()
    return more_in_words(
        Apart(one["kind"], tuple(one["instances"]), one["reason"]) for one in found
    )


def found(finding: FindingShape) -> str:
    """The finding in a few words: what happened, with values."""
    told = [
        t for d in finding["differences"] for t in changed_texts(d["path"], d["before"], d["after"])
    ]
    words = [*causes(finding)]
    if told:
        words.append(few([shortened(text, _LONGEST) for text in told], "; "))
    if finding["reason"]:
        words.append(finding["reason"])
    return "; ".join(words) or headword(finding)


def causes(finding: FindingShape) -> tuple[str, ...]:
    """Why it is severe, in words."""
    return words_of(Cause(c["rule"], c["text"]) for c in finding.get("causes", ()))


def headword(finding: FindingShape) -> str:
    """``critical: modified``: the severity where a finding is critical, and the status."""
    said = state(finding["status"], (d["path"] for d in finding["differences"]))
    return f"critical: {said}" if finding["severity"] == "critical" else said


def state(status: str, paths: Iterable[str]) -> str:
    """The status in words; for an instance that a run did not restore, what it lacks."""
    lacks = {"instance_profile": "no profile", "state": "stopped"}
    found = [lacks[path] for path in paths if path in lacks]
    return found[0] if status == "stale" and found else status.replace("_", " ")


def steps_applied(number: int) -> str:
    return "1 step applied" if number == 1 else f"{number} steps applied"


def not_begun(number: int) -> str:
    """What is told of targets that ``--max-failures`` left as they were; empty for none."""
    noun = "target" if number == 1 else "targets"
    return f", {number} {noun} not begun" if number else ""


def ended(outcome: OutcomeShape) -> str:
    """How an apply ended, in a sentence."""
    counts = steps_applied(outcome["applied"])
    match outcome["exit_code"]:
        case 0:
            return f"Complete: {counts}." if outcome["applied"] else "Complete: no changes."
        case 4:
            return "Blocked: a decision is missing. Nothing was changed."
        case 130:
            return f"Interrupted: {counts}.{_advice(outcome)}"
        case _ if outcome["applied"] or outcome["failed"]:
            broken = f"{outcome['failed']} failed, {outcome['skipped']} skipped"
            untouched = not_begun(len(outcome.get("not_begun", ())))
            return f"Applied in part: {counts}, {broken}{untouched}.{_advice(outcome)}"
        case _:
            return "Nothing was changed."


def _advice(outcome: OutcomeShape) -> str:
    return "".join(f" {sentence(one)}" for one in outcome["advice"])


def sentence(advice: str) -> str:
    return f"{advice[0].upper()}{advice[1:]}."


_LACKS = {
    "no_profile": ("HAS NO PROFILE", "MAY HAVE NO PROFILE"),
    "not_running": ("WAS STOPPED AND IS NOT RUNNING", "MAY BE STOPPED"),
    "no_role": ("HAS NO ROLE", "MAY HAVE NO ROLE"),
}


def unread(one: UnreadShape) -> str:
    """What could not be read."""
    if one["address"] == EVERYTHING.kind:
        return WHOLE_ACCOUNT
    if one["address"] == str(ANY_INSTANCE) and one["region"] is None:
        return WHICH_REGIONS
    return one["region"] or one["address"]


def note(address: str, reason: str) -> str:
    """A line about a resource; a sentence where it is about the whole account."""
    return sentence(reason) if address == EVERYTHING.kind else f"{address}: {reason}"


def lacking(one: StrandedShape) -> str:
    """``i-0abc (eu-west-1) HAS NO PROFILE``."""
    kind, _, name = one["address"].partition("/")
    subject = name if kind == "association" else one["address"]
    where = f" ({one['region']})" if one["region"] else ""
    target = f"{one['target']}: " if one["target"] else ""
    words = _LACKS[one["what"]][one["unknown"] is not None]
    why = f": {one['unknown']}" if one["unknown"] else ""
    return f"{target}{subject}{where} {words}{why}"


def who(actor: ActorShape) -> str:
    """``UpdateAssumeRolePolicy by arn:… at …``."""
    if actor["unknown"]:
        return f"actor unknown ({actor['unknown']})"
    by = actor["arn"] or "an unnamed identity"
    if actor["run"]:
        by = f"run {actor['run']} of reconciler ({by})"
    return f"{actor['event']} by {by} at {actor['time']}"


def attributes(change: ChangeShape) -> list[tuple[str, Any, Any]]:
    """Path, before and after of everything that a change is about; for a creation or deletion, all
    attributes that are not empty."""
    if change["differences"]:
        return [(d["path"], d["before"], d["after"]) for d in change["differences"]]
    before, after = change["before"] or {}, change["after"] or {}
    names = [*before, *(name for name in after if name not in before)]
    pairs = [pair for name in names for pair in _entries(name, before.get(name), after.get(name))]
    return [(n, b, a) for n, b, a in pairs if b != a and not (_is_bare(b) and _is_bare(a))]


def _entries(name: str, before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    """Tags and policies one by one, as differences name them."""
    if name not in ("tags", "managed_policies", "inline_policies"):
        return [(name, before, after)]
    left, right = before or {}, after or {}
    if not isinstance(left, dict) or not isinstance(right, dict):
        return [(name, before, after)]
    keys = sorted(left.keys() | right.keys())
    return [(f"{name}.{key}", left.get(key), right.get(key)) for key in keys]


def _is_bare(value: Any) -> bool:
    """Whether it is a default value."""
    return value in ("", None, {}, [], "/", 3600)
