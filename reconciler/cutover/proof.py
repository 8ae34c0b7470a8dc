"""Evidence of the role that the instances of a batch are served, for as long as it is looked for.

It is asked at once and then again and again: what a batch is served is known once somebody on its
instances has called AWS, or their metadata service has answered. Who is served another role has
failed; who is not known to be served any says nothing about the role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.cutover.decisions import AskEvidence, Decision, GiveUp, Pause, Verified
from reconciler.cutover.fleet import CLOCKS_APART, Fleet
from reconciler.model.address import same_name
from reconciler.model.evidence import Expectation, Judgement
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.model.ownership import InstanceKey, Pending, Waiting
from reconciler.plan.cut_over import CutOver

AGAIN_SECONDS = 30.0
"""How often what is not known yet is asked again."""
MOST_NAMED = 3
CONTRADICTED = (
    "find the cause, then apply again; if EC2 was late with the role, a longer propagation waits "
    "for it"
)
UNKNOWN = "find out which role it is served (reconciler verify), then apply again"


def proof(fleet: Fleet, ended: float) -> Decision | None:
    """What is next to know about the batch that ended at that time; ``None`` if that is all."""
    verify, run_state, now = fleet.cutover.limits.verify, fleet.run_state, fleet.observed.now
    if not verify or run_state.is_verified:
        return None
    batch, found = _batch(fleet), run_state.evidence
    contradicted = [k for k, _ in batch if k in found and found[k].status == "contradicted"]
    if contradicted:
        not_served = "is not served the role of its profile"
        why = [f"{_where(key)} {not_served}: {found[key].because}" for key in contradicted]
        return GiveUp(named(why), roll_back=fleet.can_roll_back, advice=CONTRADICTED)
    pending = [one for key, one in batch if key not in found or found[key].may_change]
    until, at = ended + verify.timeout_seconds, run_state.evidence_at
    if pending and (at is None or at < until):
        if at is None or now - at >= AGAIN_SECONDS or now >= until:
            return AskEvidence(tuple(expected(fleet, one) for one in pending))
        left = until - now
        # The batch may have ended after what is observed: then all of it is left, not more.
        left = min(left, float(verify.timeout_seconds))
        whole, again = float(verify.timeout_seconds), at + AGAIN_SECONDS - now
        return Pause(left, waits_for(fleet.cutover), whole=whole, at_most=again)
    unknown = [
        (key, found[key].because if key in found else "it was not asked")
        for key, _ in batch
        if key not in found or found[key].status != "proved"
    ]
    if unknown and verify.on_unknown == "stop":
        told = [
            f"it is not known which role {_where(key)} is served: {why}" for key, why in unknown
        ]
        lacking = sorted({p for key, _ in unknown if key in found for p in found[key].permissions})
        advice = f"grant the calling identity {', '.join(lacking)}, then apply again"
        return GiveUp(
            f"{named(told)}; no further batch begins", advice=advice if lacking else UNKNOWN
        )
    return Verified(tuple(unknown))


def waits_for(cutover: CutOver) -> str:
    role = cutover.after.name if cutover.after is not None else "none"
    return f"evidence that the batch is served role/{role}"


def _batch(fleet: Fleet) -> list[tuple[InstanceKey, LiveInstance]]:
    """Those that run. Of a run that died, the profile records which its last batch was. A hop
    leaves no record, and that of the first batch may be gone: then it is what has the role."""
    run_state, refreshed = fleet.run_state, fleet.refreshed()
    of_earlier = fleet.observed.profile.in_flight.intersection(refreshed)
    keys = {*run_state.batch, *of_earlier}
    if not keys and (run_state.on_trial or fleet.cutover.hops):
        keys.update(refreshed)
    known = [(key, fleet.observed.instances.get(key)) for key in sorted(keys)]
    return [(key, one) for key, one in known if one is not None and one.is_running]


def _where(key: InstanceKey) -> str:
    return f"{key.instance} ({key.region})"


def named(found: Sequence[str], between: str = "; ", last: str = "; and") -> str:
    """The first of them, and how many there are beside."""
    more = len(found) - MOST_NAMED
    return between.join(found[:MOST_NAMED]) + (f"{last} {more} more" if more > 0 else "")


def expected(fleet: Fleet, instance: LiveInstance) -> Expectation:
    """Of an instance that has been given the role, by this run or by one that died."""
    cutover, observed = fleet.cutover, fleet.observed
    assert cutover.after is not None
    row, mark = instance.row, observed.profile.mark
    given_at, began_at = fleet.run_state.given_at, fleet.run_state.began_at
    since = put_in(observed.profile)
    if cutover.hops:
        # The role is in the temporary profile, and each run writes the mark of the other anew.
        is_own = instance.key in given_at
        since = float(mark.epoch) if isinstance(mark, Pending) and is_own else None
    # The metadata service knows roles by name alone. Its clock is AWS's.
    is_same_name = cutover.before is not None and same_name(cutover.before.name, cutover.after.name)
    return Expectation(
        instance.key,
        observed.after_id,
        cutover.after.name,
        row.id if row is not None else None,
        instance.launched_at,
        (since or 0.0) - CLOCKS_APART if is_same_name else 0.0,
        since,
        # One that an earlier run has given the role had it when this one began.
        renewed_after=given_at.get(instance.key, began_at),
        spread=cutover.limits.propagation_seconds + CLOCKS_APART,
        obstacle=None if row is not None else "it has no association that stays",
    )


def put_in(profile: LiveProfile) -> float | None:
    """When the role was put into the profile, where a mark says so; not before."""
    return min(_times(profile), default=None)


def _times(profile: LiveProfile) -> Iterator[float]:
    match profile.mark:
        case Pending(after=role_id, epoch=epoch) | Waiting(role_id, epoch):
            if role_id == profile.role_id:
                yield epoch
        case _:
            pass
    swapped = profile.swapped
    if swapped is not None and swapped.role_id == profile.role_id:
        yield swapped.epoch


def all_proved(expected: Iterable[Expectation]) -> dict[InstanceKey, Judgement]:
    """Answers by which everything goes on, for the preview of a plan."""
    return {one.key: Judgement("proved", "session", "") for one in expected}
