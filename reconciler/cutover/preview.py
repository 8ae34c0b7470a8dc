"""A cut-over played through on today's state: the steps that the plan prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from reconciler.cutover import gates, proof
from reconciler.cutover import run_state as states
from reconciler.cutover.decide import decide
from reconciler.cutover.decisions import (
    Act,
    Ask,
    AskEvidence,
    AskGates,
    BatchDone,
    BatchPassed,
    Decision,
    Done,
    GiveUp,
    GiveUpInstance,
    List,
    Pause,
    Verified,
)
from reconciler.cutover.run_state import RunState
from reconciler.cutover.simulate import simulate
from reconciler.model import ownership
from reconciler.model.address import Address
from reconciler.model.ownership import Pending
from reconciler.plan.calls import (
    ASSOCIATION_SECONDS,
    NOW,
    RUN,
    ApiCall,
    Condition,
    Joined,
    Ref,
    Wait,
)
from reconciler.plan.cut_over import CutOver, Observation, PreviewStep

_RUN = "this-run"


MAX_DECISIONS = 100_000
"""A fleet of 10,000 in batches of one takes seven decisions each."""


def preview_steps(cutover: CutOver, observed: Observation) -> Iterator[PreviewStep]:
    """Every step, in order, if every call succeeds and nothing else changes."""
    mark = observed.profile.mark
    if isinstance(mark, Pending):
        # Every mark was there before: a clock that is ahead does not make it another run's.
        observed = replace(observed, now=max(observed.now, float(mark.epoch)))
    run_state = states.initial_state(cutover, observed, _RUN)
    for _ in range(MAX_DECISIONS):
        decision = decide(cutover, observed, run_state)
        if isinstance(decision, GiveUp) and decision.is_checkpoint:
            # What comes after it is approved as well: the next run does it.
            run_state = replace(run_state, checkpoint=None)
            continue
        if isinstance(decision, Done | GiveUp):
            return
        yield from _printed(cutover, decision, observed)
        observed, run_state = _after(cutover, decision, observed, run_state)
    raise RuntimeError(f"the cut-over of {cutover.address} does not end")


def _printed(cutover: CutOver, decision: Decision, observed: Observation) -> Iterator[PreviewStep]:
    match decision:
        case Ask(calls, refusal, why):
            for call in calls:
                preview = _with_refs(call)
                yield PreviewStep(preview, why, _instance(call, observed), refusal=refusal)
        case Act():
            for call, why in decision.explained():
                instance = _instance(call, observed)
                yield PreviewStep(_with_refs(_without_run(call)), why, instance)
                if settling := _SETTLING.get(call.operation):
                    condition, until = settling
                    wait = Wait(
                        condition, ASSOCIATION_SECONDS, instance, cutover.profile, call.region
                    )
                    yield PreviewStep(wait, until, instance)
        case AskEvidence():
            most = float(cutover.limits.verify.timeout_seconds)
            proved = Wait("verified", most, profile=cutover.profile)
            yield PreviewStep(proved, proof.waits_for(cutover))
        case Pause(seconds, why, watch, is_poll):
            if not is_poll and not watch:
                kind: Condition = "baked" if why == gates.BAKE else "propagated"
                yield PreviewStep(Wait(kind, seconds, profile=cutover.profile), why)


def _without_run(call: ApiCall) -> ApiCall:
    """A plan knows neither its run nor the time at which it is applied."""
    if call.operation == "TagRole":
        tags = [{**tag, "Value": str(NOW)} for tag in call.params["Tags"]]
        return replace(call, params={**call.params, "Tags": tags})
    if call.operation != "TagInstanceProfile":
        return call
    tags = [{**tag, "Value": _timeless(tag["Value"])} for tag in call.params["Tags"]]
    return replace(call, params={**call.params, "Tags": tags})


def _timeless(value: str) -> str:
    if (swapped := ownership.decode_swapped(value)) is not None:
        return f"{swapped.role_id}/{NOW}"
    if value.startswith("pending/"):
        return "/".join([*value.split("/")[:3], str(NOW), str(RUN)])
    if value.startswith("waiting/"):
        return "/".join([*value.split("/")[:2], str(NOW)])
    return value


_REF = re.compile(r"\$\{([a-z-]+/[^{}]+|run)\.(id|arn|time)\}")


def _with_refs(call: ApiCall) -> ApiCall:
    """Replace the placeholders of the preview by references to values that AWS will assign."""
    return replace(call, params={name: _referring(v) for name, v in call.params.items()})


def _referring(value: Any) -> Any:
    match value:
        case str():
            parts = _REF.split(value)
            if len(parts) == 1:
                return value
            texts: list[str | Ref] = list(parts[::3])
            refs = [
                Ref(Address.parse(of), what)
                for of, what in zip(parts[1::3], parts[2::3], strict=True)
            ]
            joined = [part for pair in zip_longest(texts, refs) for part in pair if part]
            return joined[0] if len(joined) == 1 else Joined(tuple(joined))
        case Mapping():
            return {k: _referring(v) for k, v in value.items()}
        case list() | tuple():
            return [_referring(v) for v in value]
        case _:
            return value


_SETTLING: dict[str, tuple[Condition, str]] = {
    "DisassociateIamInstanceProfile": ("gone", "the disassociation to complete"),
    "AssociateIamInstanceProfile": ("associated", "the association to complete"),
    "ReplaceIamInstanceProfileAssociation": ("associated", "the association to complete"),
    "StopInstances": ("stopped", "the instance to stop"),
    "StartInstances": ("running", "the instance to start"),
}


def _instance(call: ApiCall, observed: Observation) -> str | None:
    """The one instance that a call is about."""
    keys = states.instances_of(call, observed)
    return keys[0].instance if len(keys) == 1 else None


def _after(
    cutover: CutOver, decision: Decision, observed: Observation, run_state: RunState
) -> tuple[Observation, RunState]:
    match decision:
        case Ask():
            return observed, states.answered(run_state, decision, observed)
        case Act(calls):
            for call in calls:
                run_state = states.after_own_call(run_state, call, observed, observed.now)
                observed = simulate(cutover, observed, call)
            # An instance that is associated twice has two associations of one placeholder name: in
            # a preview no listing is outdated, so removed associations need not be filtered.
            return observed, replace(run_state, taken={})
        case Pause(seconds):
            return _later(replace(observed, now=observed.now + seconds)), run_state
        case List():
            return replace(observed, listed_at=observed.now), run_state
        case AskGates():
            return replace(observed, gates=gates.all_well(cutover, observed.now)), run_state
        case AskEvidence(expected):
            found = proof.all_proved(expected)
            return observed, states.found_evidence(run_state, found, observed.now)
        case Verified():
            return observed, states.verified(run_state)
        case BatchPassed():
            return observed, states.passed_batch(run_state)
        case BatchDone():
            return observed, states.ended_batch(run_state, observed.now)
        case GiveUpInstance(key, reason):
            return observed, states.lost(run_state, key, reason)
        case _:
            return observed, run_state


def _later(observed: Observation) -> Observation:
    """Whatever was under way has come to its end."""
    instances = {}
    for key, instance in observed.instances.items():
        rows = tuple(r for r in instance.rows if r.state != "disassociating")
        settled = tuple(replace(r, state="associated") for r in rows)
        state = {"pending": "running", "stopping": "stopped"}.get(instance.state, instance.state)
        instances[key] = replace(instance, rows=settled, state=state)
    return replace(observed, instances=instances)
