"""A cut-over played through on today's state: the steps that the plan prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.cutover import memory as remembering
from reconciler.cutover.decide import decide
from reconciler.cutover.value import (
    Act,
    Ask,
    CutOver,
    Decision,
    Done,
    EndBatch,
    GiveUp,
    List,
    Lose,
    Memory,
    Pause,
    Seen,
)
from reconciler.requests import Action, ApiCall, Condition, Wait

_RUN = "this-run"
MAX_DECISIONS = 100_000
"""A fleet of 10,000 in batches of one takes seven decisions each."""


@dataclass(frozen=True, slots=True)
class Printed:
    """One step as the plan shows it; ``note`` says what it is for."""

    action: Action
    note: str
    instance: str | None = None


def rehearse(cutover: CutOver, seen: Seen) -> Iterator[Printed]:
    """Every step, in order, as it would go if all goes well and nothing changes meanwhile."""
    memory = remembering.beginning(seen, _RUN)
    for _ in range(MAX_DECISIONS):
        decision = decide(cutover, seen, memory)
        if isinstance(decision, Done | GiveUp):
            return
        yield from _printed(cutover, decision, seen)
        seen, memory = _after(cutover, decision, seen, memory)
    raise RuntimeError(f"the cut-over of {cutover.address} does not come to an end")


def _printed(cutover: CutOver, decision: Decision, seen: Seen) -> Iterator[Printed]:
    match decision:
        case Ask(call):
            yield Printed(call, "ask: must answer LimitExceeded, since the profile has a role")
        case Act(calls, why):
            for call in calls:
                instance = _instance(call, seen)
                yield Printed(_without_run(call), why, instance)
                yield from _settling(cutover, call, instance)
        case Pause(seconds, why, watch, is_poll):
            if not is_poll and not watch:
                yield Printed(Wait("propagated", seconds, profile=cutover.profile), why)


def _without_run(call: ApiCall) -> ApiCall:
    """A plan knows neither its run nor the time at which it is applied."""
    if call.operation == "TagRole":
        tags = [{**tag, "Value": "${time}"} for tag in call.params["Tags"]]
        return replace(call, params={**call.params, "Tags": tags})
    if call.operation != "TagInstanceProfile":
        return call
    tags = [{**tag, "Value": _timeless(tag["Value"])} for tag in call.params["Tags"]]
    return replace(call, params={**call.params, "Tags": tags})


def _timeless(value: str) -> str:
    if value.startswith("pending/"):
        return "/".join([*value.split("/")[:3], "${time}", "${run}"])
    if value.startswith("waiting/"):
        return "/".join([*value.split("/")[:2], "${time}"])
    return value


def _settling(cutover: CutOver, call: ApiCall, instance: str | None) -> Iterator[Printed]:
    """What the loop waits for after the call; in the rehearsal it is there at once."""
    found = _SETTLING.get(call.operation)
    if found is not None:
        condition, why = found
        wait = Wait(condition, 300.0, instance, cutover.profile, call.region)
        yield Printed(wait, why, instance)


_SETTLING: dict[str, tuple[Condition, str]] = {
    "DisassociateIamInstanceProfile": ("gone", "the association to be gone"),
    "AssociateIamInstanceProfile": ("associated", "the profile to be taken on"),
    "ReplaceIamInstanceProfileAssociation": ("associated", "the profile to be taken on"),
    "StopInstances": ("stopped", "the instance to stop"),
    "StartInstances": ("running", "the instance to start"),
}


def _instance(call: ApiCall, seen: Seen) -> str | None:
    """The one instance that a call is about."""
    keys = remembering.instances_of(call, seen)
    return keys[0].instance if len(keys) == 1 else None


def _after(cutover: CutOver, decision: Decision, seen: Seen, memory: Memory) -> tuple[Seen, Memory]:
    match decision:
        case Ask():
            return seen, replace(memory, asked=True)
        case Act(calls):
            for call in calls:
                memory = remembering.remember(memory, call, seen, seen.now)
                seen = remembering.after_call(cutover, seen, call)
            return seen, memory
        case Pause(seconds):
            return _later(replace(seen, now=seen.now + seconds)), memory
        case List():
            return replace(seen, listed_at=seen.now), memory
        case EndBatch():
            return seen, remembering.ended_batch(memory, seen.now)
        case Lose(key, reason):
            return seen, remembering.lost(memory, key, reason)
        case _:
            return seen, memory


def _later(seen: Seen) -> Seen:
    """Whatever was under way has come to its end."""
    instances = {}
    for key, instance in seen.instances.items():
        rows = tuple(r for r in instance.rows if r.state != "disassociating")
        settled = tuple(replace(r, state="associated") for r in rows)
        state = {"pending": "running", "stopping": "stopped"}.get(instance.state, instance.state)
        instances[key] = replace(instance, rows=settled, state=state)
    return replace(seen, instances=instances)
