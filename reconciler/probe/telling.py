"""A probe as JSON, and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from reconciler import __version__
from reconciler.executor.estimate import in_words
from reconciler.probe.experiments import Experiment
from reconciler.probe.findings import ProbeObservation, ProbeResult, Value, Verdict, verdict
from reconciler.probe.subject import TAGGED, Subject
from reconciler.render.json.probe_types import (
    ExperimentShape,
    ObservationShape,
    ProbeShape,
    SeenShape,
    SideShape,
    TimesShape,
)
from reconciler.render.styled_text import Line, Piece, data, line

_TIMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ec2_lag": (("associate", "accepted"),),
    "associating": (("associate", "associated"), ("replace", "associated")),
    "disassociating": (("disassociate", "gone"),),
    "restarting": (("restart", "stopped"), ("restart", "running")),
    "trail_lag": (("trail", "told"),),
    "stale_gets": (("young", "get"), ("young", "role")),
    "stale_lists": (("young", "list"),),
    "stale_index": (("index", "new"), ("index", "changed")),
    "unknown": (("young", "put"),),
}
"""By the flag of ``sandbox``, experiment and observation: of several the longest, since a sandbox
that is kinder than AWS shows nothing."""


@dataclass(frozen=True, slots=True)
class Probed:
    """``restored`` is ``None`` while the instance is being probed; ``trouble`` says why it does not
    have what it had."""

    subject: Subject
    experiments: Sequence[Experiment]
    aws: Mapping[str, ProbeResult]
    sandbox: Mapping[str, ProbeResult]
    is_local: bool
    seconds: float
    is_complete: bool = False
    restored: bool | None = None
    trouble: str = ""

    def pairs(self, name: str) -> Iterator[tuple[ProbeObservation | None, ProbeObservation | None]]:
        """Of each question, what AWS did and what the sandbox did."""
        sides = [_side(self.aws, name), _side(self.sandbox, name)]
        for asked in dict.fromkeys(o.name for side in sides for o in side.observations):
            one, other = (side.of(asked) for side in sides)
            yield one, other


def _side(results: Mapping[str, ProbeResult], name: str) -> ProbeResult:
    return results.get(name, ProbeResult(name, "skipped", (), "it was not reached"))


def times(aws: Mapping[str, ProbeResult]) -> TimesShape:
    found: dict[str, Any] = {}
    for flag, places in _TIMES.items():
        seen = [_side(aws, where).of(name) for where, name in places]
        values = [one.value for one in seen if one is not None and isinstance(one.value, float)]
        found[flag] = max(values, default=None)
    return cast(TimesShape, found)


def probe_json(probed: Probed, created_at: str) -> ProbeShape:
    verdicts = Counter(_verdicts(probed))
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "partition": probed.subject.partition,
        "region": probed.subject.region,
        "local": probed.is_local,
        "seconds": round(probed.seconds, 1),
        "complete": probed.is_complete,
        "restored": probed.restored,
        "times": times(probed.aws),
        "experiments": [_experiment(one, probed) for one in probed.experiments],
        "summary": {
            "agrees": verdicts["agrees"],
            "differs": verdicts["differs"],
            "unknown": verdicts["unknown"],
            "time": verdicts["time"],
        },
    }


def _verdicts(probed: Probed) -> Iterable[Verdict]:
    for one in probed.experiments:
        for aws, sandbox in probed.pairs(one.name):
            yield verdict(aws, sandbox)


def _experiment(one: Experiment, probed: Probed) -> ExperimentShape:
    return {
        "experiment": one.name,
        "does": one.does,
        "aws": _side_json(_side(probed.aws, one.name)),
        "sandbox": _side_json(_side(probed.sandbox, one.name)),
        "observations": [_observation(*pair) for pair in probed.pairs(one.name)],
    }


def _side_json(side: ProbeResult) -> SideShape:
    return {"status": side.status, "why": side.why or None}


def _observation(
    aws: ProbeObservation | None, sandbox: ProbeObservation | None
) -> ObservationShape:
    any_side = aws or sandbox
    assert any_side is not None
    return {
        "name": any_side.name,
        "kind": any_side.kind,
        "asks": any_side.asks,
        "aws": _seen(aws),
        "sandbox": _seen(sandbox),
        "verdict": verdict(aws, sandbox),
    }


def _seen(seen: ProbeObservation | None) -> SeenShape | None:
    if seen is None:
        return None
    return {
        "value": list(seen.value) if isinstance(seen.value, tuple) else seen.value,
        "why": seen.why or None,
        "looks": seen.looks,
        "timeline": [{"seconds": one.seconds, "value": one.value} for one in seen.timeline],
    }


def intention_lines(
    subject: Subject, account: str, experiments: Sequence[Experiment]
) -> list[Line]:
    """What will be done, before it is asked for."""
    a, b = subject.roles
    back = f"gets {subject.original} back" if subject.original else "is left without a profile"
    told = [
        line(Piece("Probe ", "bold"), "of account ", data(account), ", ", data(subject.region)),
        line("  instance ", data(subject.instance), ", which at the end ", data(back)),
        line("  roles ", data(a.name), " (A) and ", data(b.name), " (B)"),
        line("  all three have the tag ", TAGGED),
    ]
    if subject.is_resumed:
        told.append(line("  A probe of it was killed before; what it left is put right first."))
    told += [(), line("It will, with instance profiles that it makes and deletes:")]
    told += [line(f"  {one.name:<13} ", one.does) for one in experiments]
    return [
        *told,
        (),
        line("The instance is without a profile at times, and gets"),
        line("credentials of either role. Nothing secret is read, and"),
        line("nothing else is changed. All takes 10 to 40 minutes."),
    ]


def probe_lines(probed: Probed) -> list[Line]:
    return list(_lines(probed))


def _lines(probed: Probed) -> Iterator[Line]:
    where = f"{probed.subject.region}, in {in_words(round(probed.seconds))}"
    yield line(
        Piece("Probed ", "bold"), data(where), "." if probed.is_complete else ", not to its end."
    )
    if probed.is_local:
        yield line("An emulator on this machine, and not AWS: it shows little.")
    yield line()
    for one in probed.experiments:
        yield from _told(one, probed)
    yield line()
    yield from _times_told(probed)
    count = Counter(_verdicts(probed))
    yield line(
        f"{count['agrees']} agree, ",
        Piece(f"{count['differs']} differ", "bold yellow" if count["differs"] else ""),
        f", {count['unknown']} are not known, {count['time']} are times.",
    )
    yield from _restored(probed)


def _told(one: Experiment, probed: Probed) -> Iterator[Line]:
    pairs = list(probed.pairs(one.name))
    count = Counter(verdict(*pair) for pair in pairs)
    named = (
        ("agrees", "agree"),
        ("differs", "differ"),
        ("unknown", "not known"),
        ("time", "times"),
    )
    words = [f"{count[key]} {word}" for key, word in named if count[key]]  # type: ignore[index]
    yield line(f"  {one.name:<13} ", data(", ".join(words) or "nothing"))
    for name, side in (
        ("AWS", _side(probed.aws, one.name)),
        ("sandbox", _side(probed.sandbox, one.name)),
    ):
        if side.status != "done":
            yield line(f"    {name}: ", Piece(side.status, "bold red"), data(f": {side.why}"))
    for aws, sandbox in pairs:
        if aws is not None and sandbox is not None and verdict(aws, sandbox) == "differs":
            yield line(Piece("    differs ", "bold yellow"), f"{aws.name}: ", aws.asks)
            yield line("      AWS      ", data(in_text(aws.value)))
            yield line("      sandbox  ", data(in_text(sandbox.value)))


def in_text(value: Value | None) -> str:
    if value is None:
        return "not seen"
    if isinstance(value, tuple):
        return " > ".join(value) or "nothing"
    return f"{value:g} s" if isinstance(value, float) else value


def _times_told(probed: Probed) -> Iterator[Line]:
    here, there = times(probed.aws), times(probed.sandbox)
    yield line("Seconds, at the most      AWS  sandbox")
    for flag in _TIMES:
        both = [_number(side[flag]) for side in (here, there)]  # type: ignore[literal-required]
        yield line(f"  --{flag.replace('_', '-'):<18} {both[0]:>7}  {both[1]:>7}")
    yield line()


def _number(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:g}"


def _restored(probed: Probed) -> Iterator[Line]:
    if probed.restored:
        has = "its profile" if probed.subject.original else "no profile"
        yield line(f"The instance has {has} again, as before; that was checked.")
        yield line("All temporary profiles are deleted.")
    elif probed.restored is False:
        yield line(Piece("Not put right: ", "bold red"), data(probed.trouble))
        yield line("Run probe again with the same flags and --clean.")
