"""A verification for a person: the consumers of each profile, what is wrong first; then what could
not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from reconciler.commands.verify import LetGo, Verification, Verified, VerifiedTarget
from reconciler.model.address import profile_address, role_address
from reconciler.model.evidence import STATUSES, Status
from reconciler.model.hours import hour_of
from reconciler.model.ownership import CREDENTIALS_SECONDS
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.header import header_lines_of
from reconciler.render.text.look import Look

MANY = 12
"""More instances of one profile for which the same holds are counted."""
_STYLES: dict[Status, str] = {
    "proved": "green",
    "unknown": "bold yellow",
    "contradicted": "bold red",
}
_ORDER: tuple[Status, ...] = ("contradicted", "unknown", "proved")


def verify_lines(made: Verification, look: Look) -> list[Line]:
    lines: list[Line] = []
    several = len(made.targets) > 1
    for target in made.targets:
        lines.extend(header_lines_of(target.plan, several=several))
        lines.append(())
        lines.extend(_target(target, look))
    lines.append(_summary(made))
    return lines


def _target(target: VerifiedTarget, look: Look) -> Iterator[Line]:
    ordered = sorted(target.verified, key=lambda one: one.profile or "")
    for name, group in groupby(ordered, key=lambda one: one.profile):
        listed = list(group)
        yield _profile(name, listed)
        yield from _instances(listed, look)
        yield ()
    if target.at_rest:
        noun = "consumer" if target.at_rest == 1 else "consumers"
        gets = "gets" if target.at_rest == 1 else "get"
        rest = f"{target.at_rest} {noun} not running: {gets} the profile's role at the next start"
        yield line(Piece(rest, "dim"))
        yield ()
    yield from _let_go(target.let_go)
    yield from _not_read(target)


def _profile(name: str | None, listed: list[Verified]) -> Line:
    noun = "instance" if len(listed) == 1 else "instances"
    if name is None:
        return line(Piece(f"no profile, for {len(listed)} running {noun}", "bold"))
    role = listed[0].role
    held = data(role_address(role), "bold") if role is not None else Piece("no known role", "bold")
    return line(
        data(profile_address(name), "bold"), " holds ", held, f", for {len(listed)} running {noun}"
    )


def _instances(listed: list[Verified], look: Look) -> Iterator[Line]:
    for status in _ORDER:
        found = [one for one in listed if one.judgement.status == status]
        for reason, group in _by_reason(found):
            shown = group if look.is_full else group[:MANY]
            for one in shown:
                yield from _instance(one, look)
            if len(group) > len(shown):
                more = f"  {status:<12} {len(group) - len(shown)} more: {reason} (-v)"
                yield line(data(more, _STYLES[status]))


def _by_reason(found: list[Verified]) -> Iterable[tuple[str, list[Verified]]]:
    """Those for which the same is said of the same role belong together."""
    groups: dict[tuple[str, str | None], list[Verified]] = {}
    for one in found:
        groups.setdefault((one.judgement.how, one.judgement.role), []).append(one)
    for (how, role), group in groups.items():
        named = f", {role_address(role)}" if role is not None else ""
        yield f"{how}{named}", group


def _instance(one: Verified, look: Look) -> Iterator[Line]:
    judged, key = one.judgement, one.instance.key
    name = one.instance.tags.get("Name")
    called = f" ({name})" if name else ""
    yield line(
        "  ",
        Piece(f"{judged.status:<12} ", _STYLES[judged.status]),
        data(key.instance, "bold"),
        data(f"{called} in {key.region}"),
    )
    source = f" [{judged.source}]" if judged.source is not None else ""
    yield line("      ", data(f"{judged.because}{source}"))
    yield from (line("      ", data(f"also: {said}")) for said in _also(one))
    is_usual = one.mark.status == "known" and one.mark.role == one.role
    if look.is_full or not is_usual:
        yield line("      ", data(f"mark: {_mark(one)}", "dim"))


def _also(one: Verified) -> Iterator[str]:
    """What other sources did not say."""
    if one.judgement.source is not None or one.judgement.how == "not-served":
        yield from dict.fromkeys(s.because for s in one.judgement.silences)


def _mark(one: Verified) -> str:
    mark = one.mark
    if mark.status == "known" and mark.role is not None:
        return f"{role_address(mark.role)}; {mark.because}"
    if mark.status == "none":
        return f"no role; {mark.because}"
    return f"unknown; {mark.because}"


def _let_go(roles: tuple[LetGo, ...]) -> Iterator[Line]:
    if not roles:
        return
    yield line(Piece("Roles that instances have let go of", "bold"))
    for one in roles:
        until = hour_of(one.at + CREDENTIALS_SECONDS)
        yield line("  ", data(role_address(one.role), "bold"), data(f": {_use(one)}"))
        at = hour_of(one.at)
        yield line("      ", data(f"let go at {at}; processes may use it until {until}", "dim"))
    yield ()


def _use(one: LetGo) -> str:
    if one.unread is not None:
        return f"its use is not known: {one.unread}"
    if one.used is None:
        return "IAM notes no use of it"
    where = f" in {one.used.region}" if one.used.region else ""
    return f"last used at {hour_of(one.used.at)}{where}, by anybody; IAM may be four hours late"


def _not_read(target: VerifiedTarget) -> Iterator[Line]:
    if not target.not_read:
        return
    yield line(Piece("What could not be read", "bold"))
    for one in target.not_read:
        yield line("  ", data(f"{one.what}: {one.reason}", "bold red"))
    yield ()


def _summary(made: Verification) -> Line:
    counted = made.summary
    if not any(counted.values()):
        is_read = not any(target.not_read for target in made.targets)
        rest = " There is nothing to prove." if is_read else ""
        return line(Piece("No running consumers.", "bold"), rest)
    worst = next(status for status in _ORDER if counted[status])
    words = ", ".join(f"{counted[status]} {status}" for status in STATUSES)
    return line(Piece("Verified: ", _STYLES[worst]), f"{words}.")
