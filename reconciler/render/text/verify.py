"""A verification for a person: the consumers of each profile, what is wrong first; then what could
not be read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from reconciler.commands.verify import LetGo, Verification, VerifiedConsumer, VerifiedTarget
from reconciler.model.address import profile_address, role_address
from reconciler.model.evidence import STATUSES, Status
from reconciler.model.hours import hour_of
from reconciler.model.ownership import CREDENTIALS_SECONDS
from reconciler.render.phrases import few
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
    lacking = {p for t in made.targets for one in t.verified for p in one.judgement.permissions}
    if lacking:
        named = f"Not allowed: {', '.join(sorted(lacking))}. "
        chosen = "".join(f" --source {name}" for name in made.question.sources)
        fix = f"reconciler permissions --for verify{chosen} prints the policy."
        lines.append(line(data(named, "bold"), fix))
    return lines


def _target(target: VerifiedTarget, look: Look) -> Iterator[Line]:
    ordered = sorted(target.verified, key=lambda one: one.profile or "")
    for name, group in groupby(ordered, key=lambda one: one.profile):
        listed = list(group)
        yield _profile(name, listed)
        first, *others = dict.fromkeys(_mark(one) for one in listed)
        if not others:
            yield line("  ", data(f"mark: {first}", "dim"))
        yield from _instances(listed, look, has_marks=bool(others))
        yield ()
    if target.at_rest:
        noun = "consumer" if target.at_rest == 1 else "consumers"
        gets = "gets" if target.at_rest == 1 else "get"
        rest = f"{target.at_rest} {noun} not running: {gets} the profile's role at the next start"
        yield line(Piece(rest, "dim"))
        yield ()
    yield from _let_go(target.let_go)
    yield from _not_read(target)


def _profile(name: str | None, listed: list[VerifiedConsumer]) -> Line:
    noun = "instance" if len(listed) == 1 else "instances"
    if name is None:
        return line(Piece(f"no profile, for {len(listed)} running {noun}", "bold"))
    role = listed[0].role
    held = data(role_address(role), "bold") if role is not None else Piece("no known role", "bold")
    return line(
        data(profile_address(name), "bold"), " holds ", held, f", for {len(listed)} running {noun}"
    )


def _instances(listed: list[VerifiedConsumer], look: Look, *, has_marks: bool) -> Iterator[Line]:
    for status in _ORDER:
        found = [one for one in listed if one.judgement.status == status]
        for group in _alike(found):
            if len(group) > 1 and group[0].judgement.seen_at is None:
                yield from _all_of(group, look)
                continue
            shown = group if look.is_full else group[:MANY]
            for one in shown:
                yield from _instance(one, look, has_marks=has_marks)
            if len(group) > len(shown):
                more = f"  {status:<12} {len(group) - len(shown)} more: {_in_short(group[0])} (-v)"
                yield line(data(more, _STYLES[status]))


def _alike(found: list[VerifiedConsumer]) -> Iterator[list[VerifiedConsumer]]:
    """Those of which the same is said: in the same words where nothing was seen of them."""
    groups: dict[tuple[str, str | None], list[VerifiedConsumer]] = {}
    for one in found:
        judged = one.judgement
        said = judged.because if judged.seen_at is None else judged.role
        groups.setdefault((judged.how, said), []).append(one)
    yield from groups.values()


def _in_short(one: VerifiedConsumer) -> str:
    role = one.judgement.role
    return f"{one.judgement.how}, {role_address(role)}" if role is not None else one.judgement.how


def _all_of(group: list[VerifiedConsumer], look: Look) -> Iterator[Line]:
    """Many of which nothing was seen, for one reason."""
    judged = group[0].judgement
    yield line(
        "  ",
        Piece(f"{judged.status:<12} ", _STYLES[judged.status]),
        data(f"{len(group)} instances", "bold"),
        data(f": {judged.because}"),
    )
    names = [_called(one) for one in group]
    most = len(names) if look.is_full else MANY
    yield line("      ", data(few(names, most=most), "dim"))


def _instance(one: VerifiedConsumer, look: Look, *, has_marks: bool) -> Iterator[Line]:
    judged = one.judgement
    name, _, rest = _called(one).partition(" ")
    yield line(
        "  ",
        Piece(f"{judged.status:<12} ", _STYLES[judged.status]),
        data(name, "bold"),
        data(f" {rest}"),
    )
    source = f" [{judged.source}]" if judged.source is not None else ""
    yield line("      ", data(f"{judged.because}{source}"))
    if look.is_full or judged.status != "proved":
        yield from (line("      ", data(f"also: {said}", "dim")) for said in _also(one))
    if has_marks:
        yield line("      ", data(f"mark: {_mark(one)}", "dim"))


def _called(one: VerifiedConsumer) -> str:
    key, name = one.instance.key, one.instance.tags.get("Name")
    return f"{key.instance}{f' ({name})' if name else ''} in {key.region}"


def _also(one: VerifiedConsumer) -> Iterator[str]:
    """What other sources did not say."""
    if one.judgement.source is not None or one.judgement.how == "not-served":
        yield from dict.fromkeys(s.because for s in one.judgement.silences)


def _mark(one: VerifiedConsumer) -> str:
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
