"""A rehearsal in words, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.executor.estimate import about_in_words, in_words
from reconciler.exit_codes import ExitCode
from reconciler.rehearsal.rehearsing import CrashResult, InstanceResult, Rehearsed
from reconciler.rehearsal.telling_access import access_json, access_lines
from reconciler.render.json.rehearsal_types import CrashesShape, RehearsalShape, RehearsedShape
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.apply import result_lines, stranded_lines
from reconciler.render.text.header import account_in_words

MOST = 12
"""Instances that are listed one by one, and deaths."""


def rehearsal_lines(made: Sequence[Rehearsed], unicode: bool) -> list[Line]:
    if not made:
        return [line(Piece("Nothing to rehearse: ", "bold"), "the plan changes nothing.")]
    return [one for rehearsed in made for one in _of(rehearsed, unicode)]


def _of(made: Rehearsed, unicode: bool) -> Iterator[Line]:
    where = data(account_in_words(made.target.plan))
    yield line()
    yield line(Piece("Rehearsal ", "bold"), "on a copy of account ", where, ".")
    yield line(f"  {made.copy.size} resources were copied. Nothing was written to AWS.")
    for region, reason in sorted(made.copy.unread.items()):
        yield line("  not copied, ", data(f"{region}: {reason}"))
    for reason, count in sorted(made.copy.left_out.items()):
        yield line("  not copied, ", f"{count}: ", data(reason))
    if not made.is_same_plan and made.applied is not None:
        text = "the plan of the copy is not the plan of the account, so this shows little"
        yield line(Piece("! ", "bold red"), text)
    yield line()
    yield from _instances(made.instances, "→" if unicode else "->")
    if made.applied is None:
        yield line(Piece("Not applied: ", "bold red"), data(made.stopped))
    else:
        yield from result_lines(made.applied, "rehearsal")
        yield from stranded_lines(made.applied)
        took = in_words(round(made.took))
        # Where nothing was changed, calls were refused, or only asked whether they are allowed.
        calls = f"made {made.writes} calls that change something, and "
        did = calls if made.applied.result.steps_applied else ""
        yield line(f"It {did}took {took}; estimated: {about_in_words(round(made.about))}.")
    if made.crashes is not None:
        yield from _crashes(made.crashes)
    if made.access is not None:
        yield line()
        yield from access_lines(made.access, made.remaining)


def _instances(found: Sequence[InstanceResult], arrow: str) -> Iterator[Line]:
    for one in found[:MOST]:
        trace = one.trace
        lost = [
            f"{what} for {in_words(round(seconds))}"
            for what, seconds in (
                ("without its profile", trace.without_profile),
                ("stopped", trace.stopped),
            )
            if seconds
        ]
        before = one.before or "no role"
        unharmed = "never without credentials" if one.before else "had none before"
        if one.unknown:
            before, unharmed = "not known", "never without its profile"
        yield line(
            f"  after {in_words(round(trace.at))}  ",
            data(f"{trace.key.instance} ({trace.key.region})"),
            data(f"  {before} {arrow} {one.after or 'no role'}"),
            f"  {', '.join(lost) or unharmed}",
        )
    if len(found) > MOST:
        longest = max(one.trace.without_profile for one in found)
        more = f"  and {len(found) - MOST} more; without a profile for {in_words(round(longest))}"
        yield line(f"{more} at the most")


def _crashes(found: CrashResult) -> Iterator[Line]:
    well = found.deaths - len(found.unrecovered)
    yield line(
        f"Killed after each of its {found.deaths} writes: {well} times the next apply finished it."
    )
    yield line(
        f"  Longest without a profile: {in_words(round(found.longest))}, "
        "and the time until apply runs again."
    )
    for one in found.unrecovered[:MOST]:
        yield line(
            Piece("  not finished ", "bold red"),
            data(f"after write {one.write}, {one.call}: {one.problem}"),
        )
    if len(found.unrecovered) > MOST:
        yield line(f"  and {len(found.unrecovered) - MOST} more")


def rehearsal_json(made: Iterable[Rehearsed], now: str) -> RehearsalShape:
    return {
        "format_version": "1.0",
        "created_at": now,
        "targets": [_target(one) for one in made],
    }


def _target(made: Rehearsed) -> RehearsedShape:
    plan, applied = made.target.plan, made.applied
    left = applied.left if applied else None
    return {
        "target": plan.target,
        "account_id": plan.identity.account_id,
        "is_same_plan": made.is_same_plan,
        "exit_code": int(applied.exit_code if applied else ExitCode.ERROR),
        "stopped": made.stopped or None,
        "is_empty_afterwards": left is not None and left.is_empty,
        "writes": made.writes,
        "seconds": round(made.took, 1),
        "estimated_seconds": made.about,
        "failures": [
            {"address": str(o.address), "what": o.what, "status": o.status, "reason": o.reason}
            for o in (applied.result.outcomes if applied else ())
            if o.status != "applied"
        ],
        "instances": [
            {
                "region": one.trace.key.region,
                "instance": one.trace.key.instance,
                "after_seconds": round(one.trace.at, 1),
                "without_profile_seconds": round(one.trace.without_profile, 1),
                "stopped_seconds": round(one.trace.stopped, 1),
                "role_before": one.before,
                "role_before_unknown": one.unknown or None,
                "role_after": one.after,
            }
            for one in made.instances
        ],
        "crashes": _crashes_shape(made.crashes) if made.crashes else None,
        "access": access_json(made.access, made.remaining) if made.access else None,
    }


def _crashes_shape(crashes: CrashResult) -> CrashesShape:
    return {
        "deaths": crashes.deaths,
        "longest_without_profile_seconds": round(crashes.longest, 1),
        "unrecovered": [
            {"write": one.write, "call": one.call, "problem": one.problem}
            for one in crashes.unrecovered
        ],
    }
