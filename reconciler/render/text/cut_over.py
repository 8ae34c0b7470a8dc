"""What a cut-over will do to running instances: how many at a time, what each goes through, and
which they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any

from reconciler.model.checks import alarm_of, group_name
from reconciler.model.resources import RollOut
from reconciler.plan.changes import Change, CutOverInstance
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.look import Look
from reconciler.render.text.values import duration_text

MANY_INSTANCES = 12
"""More are counted by region."""
_EACH = {
    "reassociate": "each is without a profile for some seconds; processes keep the credentials "
    "that they have",
    "hop": "each moves to a temporary profile and back, and is never without credentials",
    "restart": "each is stopped and started again: what runs on it is interrupted",
    "wait": "none is touched: they keep the old role until AWS renews their credentials, for up to "
    "hours",
}
_EMPTIED = (
    "none is touched: they keep the credentials that they have until those expire, and get none"
)
"""Of a profile that is left without a role, whatever the strategy."""


def cut_over_lines(change: Change) -> Iterator[Line]:
    """Of a profile with running consumers."""
    intent, running = change.intent, len(change.consumers)
    strategy = str(intent["strategy"])
    noun = "instance" if running == 1 else "instances"
    if intent["after"] is None:
        yield line(Piece(f"      # {running} running {noun}", "dim"))
        yield line(Piece(f"      # {_EMPTIED}", "dim"))
        return
    steps = "" if strategy == "wait" else f": {batches_in_words(intent, running)}"
    yield line(Piece(f"      # {running} running {noun}, strategy {strategy}{steps}", "dim"))
    yield line(Piece(f"      # {_EACH[strategy]}", "dim"))
    if watched := _watched(intent):
        yield line("      # ", data(f"watched: {watched}", "dim"))
    if verify := intent.get("verify"):
        yield line(Piece(f"      # {_verified(verify)}", "dim"))
    if shares := intent.get("checkpoints"):
        ends = " and ".join(shares)
        told = f"apply ends at {ends} of the instances, and goes on when it is run again"
        yield line(Piece(f"      # {told}", "dim"))


def _watched(intent: Mapping[str, Any]) -> str:
    """``alarm web-errors, target group web, calls that are denied``."""
    alarms, groups = intent.get("alarms", ()), intent.get("target_groups", ())
    told = [f"alarm {alarm_of(name).name}" for name in alarms]
    told += [f"target group {group_name(arn)}" for arn in groups]
    if denied := intent.get("denied"):
        window = duration_text(denied["window"])
        told.append(f"calls that are newly denied (at most {denied['max']} in {window})")
    return ", ".join(told)


_SOURCES = {"imds": "the metadata service of each instance", "cloudtrail": "CloudTrail"}


def _verified(verify: Mapping[str, Any]) -> str:
    """``each batch verified by CloudTrail, for up to 10m; goes on where it is not known``."""
    sources = " and ".join(_SOURCES[name] for name in verify["source"])
    ends = "stops" if verify["on_unknown"] == "stop" else "goes on"
    return (
        f"each batch verified by {sources}, for up to {duration_text(verify['timeout'])}; {ends} "
        "where that does not tell"
    )


def batches_in_words(intent: Mapping[str, Any], running: int) -> str:
    """``1 first (canary), then up to 16 at a time in 4 batches, 30s between them``."""
    limits = RollOut(
        max_unavailable=str(intent["max_unavailable"]), canary=str(intent.get("canary", "1"))
    )
    first = min(running, limits.at_once(running, is_first=True))
    most = limits.at_once(running)
    back = "; rolled back if it fails" if intent.get("on_failure") == "rollback" else ""
    words = f"{first} first (canary{back})"
    if bake := intent.get("bake"):
        words += f", watched for {duration_text(bake)}"
    rest = running - first
    if rest:
        batches = ceil(rest / most)
        words += f", then up to {most} at a time"
        words += f" in {batches} batches" if batches > 1 else ""
    pause = intent.get("pause")
    if rest and isinstance(pause, int) and pause:
        words += f", {duration_text(pause)} apart"
    return words


def folded_instances(
    instances: list[CutOverInstance], look: Look, symbol: Callable[[Change, Look], Piece]
) -> Iterator[list[Line]]:
    """One line for each instance, or for each role of many."""
    if len(instances) <= MANY_INSTANCES or look.is_full:
        for one in instances:
            where = f" ({one.region})" if one.region else ""
            why = data(f"  # {one.reason}" if one.reason else "", "dim")
            words = data(one.address, "bold"), data(where), data(_roles(one)), why
            yield [line("   ", symbol(one, look), " ", *words)]
        return
    groups: dict[tuple[str, str | None], list[CutOverInstance]] = {}
    for one in instances:
        groups.setdefault((_roles(one), one.reason), []).append(one)
    for (roles, reason), group in groups.items():
        regions = Counter(one.region or "" for one in group)
        counts = ", ".join(f"{name} {count}" for name, count in sorted(regions.items()))
        head = line(
            "   ", symbol(group[0], look), " ", data(f"{len(group)} instances", "bold"), data(roles)
        )
        told = [line(Piece(f"      # {counts} (-v lists them)", "dim"))]
        if reason:
            told.insert(0, line("      # ", data(reason, "dim")))
        yield [head, *told]


def _roles(one: CutOverInstance) -> str:
    before, after = (one.before or {}).get("role"), (one.after or {}).get("role")
    return f'  "{before}" -> "{after}"' if before and before != after else f'  "{after}"'
