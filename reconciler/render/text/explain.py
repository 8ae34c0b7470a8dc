"""An explanation for a person: first the answer, then the chain, what comes next, and what new
instances get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from reconciler.diagnostics import Location
from reconciler.explain.explanation import (
    DONE,
    AssociationPart,
    Explained,
    Explanation,
    MarkInWords,
    NewInstances,
    Next,
    Part,
    PolicyOfRole,
    PolicyPart,
    ProfilePart,
    RolePart,
)
from reconciler.model.address import (
    POLICY,
    PROFILE,
    ROLE,
    profile_address,
    role_address,
    same_name,
)
from reconciler.model.hours import hour_of
from reconciler.model.launch_sources import NAMES
from reconciler.model.live import LiveInstance
from reconciler.model.policy_document import statements_of
from reconciler.plan.blast_radius import ApartKind
from reconciler.plan.changes import Change, CutOverInstance
from reconciler.planner.served import Served
from reconciler.render.escape import shortened
from reconciler.render.json.plan import consumers_json
from reconciler.render.phrases import FEW_STOPS, few, note, stop_counts
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.consumers import consumer_lines
from reconciler.render.text.cut_over import folded_instances
from reconciler.render.text.direction import COMPARED
from reconciler.render.text.header import header_lines_of
from reconciler.render.text.look import Look
from reconciler.render.text.plan import (
    change_lines,
    symbol,
    unmet_line,
    unread_line,
)
from reconciler.render.text.values import difference_lines, statement_text

MANY = 12
"""More names, groups or templates are counted."""
_SHORT_STATEMENTS = 4
_SHORT_FLAGS = 60
_LONGEST = 176
_OURS = "managed by"
_HELD = {"aws": "  only in AWS", "specs": "  only in the specs", "both": ""}


def explain_lines(explained: Explained, look: Look) -> list[Line]:
    lines: list[Line] = []
    for number, one in enumerate(explained.answers):
        if number:
            lines.append(())
        command = explained.command(one.next)
        lines.extend(_answer(one, command, look, several=len(explained.answers) > 1))
    return lines


def _answer(one: Explanation, command: str | None, look: Look, *, several: bool) -> Iterator[Line]:
    """``command`` lifts what stops the next apply."""
    yield from header_lines_of(one.plan, several=several)
    yield ()
    if one.instance is not None and one.served is not None:
        yield from _instance(one, one.instance, one.served)
    else:
        yield line(data(one.address, "bold"))
        yield from _users(one, look)
    yield ()
    yield from _titled("How it hangs together", _chain(one, look))
    yield from _titled("What the next apply does", _next(one, command, look))
    if one.instance is not None or one.profiles:
        yield from _titled("What new instances get", _new_instances(one, look))
    if one.not_read:
        mark = Piece("  ! ", "bold red")
        lines = (line(mark, data(f"{unread.what}: {unread.reason}")) for unread in one.not_read)
        yield from _titled("What could not be read", lines)


def _titled(title: str, lines: Iterable[Line]) -> Iterator[Line]:
    yield line(Piece(title, "bold"))
    yield from lines
    yield ()


# The answer.


def _instance(one: Explanation, instance: LiveInstance, served: Served) -> Iterator[Line]:
    name = instance.tags.get("Name")
    called = f" ({name})" if name else ""
    state = "in an unknown state" if instance.is_unknown else instance.state
    at = f", launched at {hour_of(instance.launched_at)}" if instance.launched_at else ""
    where = f"{called}: {state} in {instance.key.region}{at}"
    yield line(data(instance.key.instance, "bold"), data(where))
    if instance.operator is not None:
        yield line("  ", data(f"{instance.operator} manages it: reconciler never changes it"))
    if one.origin is not None:
        yield line("  ", data(f"started by {NAMES[one.origin.kind]} {one.origin.name}"))
    yield from _served(served)


def _served(served: Served) -> Iterator[Line]:
    match served.status:
        case "known":
            role = role_address(served.role or "")
            yield line("  holds the credentials of ", data(role, "bold green"))
            yield line("  how this is known: ", data(served.because))
        case "none":
            yield line("  holds ", Piece("no credentials", "bold yellow"), " of any role")
            yield line("  why: ", data(served.because))
        case "unknown":
            names = [str(role_address(name)) for name in served.candidates]
            may = f": perhaps those of {' or '.join(names)}" if names else ""
            yield line(
                "  which role's credentials it holds is ", Piece("unknown", "bold red"), data(may)
            )
            yield line("  why: ", data(served.because))
    if served.until is not None:
        yield line("  known at the latest at ", data(hour_of(served.until)))
    if served.status != "none" or served.how in ("no-association", "no-role"):
        words = "  (a process may go on with credentials that it already has, for up to six hours)"
        yield line(Piece(words, "dim"))


_OF_THEM: dict[ApartKind, tuple[str, str]] = {
    "untouchable": ("is never changed: {}", "are never changed: {}"),
    "in-flight": (
        "has no profile now: a run took it, and must give it back",
        "have no profile now: a run took it, and must give it back",
    ),
    "temporary-profile": (
        "is on the temporary profile of a cut-over",
        "are on the temporary profile of a cut-over",
    ),
    "other-region": (
        "is in no cut-over: consumer_regions leaves its region out",
        "are in no cut-over: consumer_regions leaves their regions out",
    ),
}


def _users(one: Explanation, look: Look) -> Iterator[Line]:
    if not one.profiles:
        yield line("  no instance profile gives it to instances")
        return
    count = sum(group.count for group in one.consumers)
    noun = "instance" if count == 1 else "instances"
    where = f", looked for in {', '.join(one.searched)}" if one.searched else ""
    names = few([str(part.address) for part in one.profiles], most=MANY)
    on = "uses it" if count == 1 else "use it"
    if one.address.kind != PROFILE:
        on = f"on {names}"
    yield line("  ", data(f"{count or 'no'} running {noun} {on}{where}"))
    for role in one.roles if one.address.kind == ROLE else ():
        if not any(same_name(part.role, role.address.name) for part in one.profiles):
            which = "that profile" if len(one.profiles) == 1 else "any of them"
            is_wanted = any(same_name(p.wanted_role, role.address.name) for p in one.profiles)
            when = "yet" if is_wanted else "any more, but instances may still hold it"
            yield line(f"  the role is not inside {which} {when}")
    for apart in one.apart:
        told = _OF_THEM[apart.kind][apart.count != 1].format(apart.reason)
        yield line("  ", data(f"{apart.count} of them {told}"))
    yield from consumer_lines([consumers_json(group) for group in one.consumers], "  ", look)


# The chain.


def _chain(one: Explanation, look: Look) -> Iterator[Line]:
    """From what was asked about on: up to the profiles of a role or a policy, down from an
    instance or a profile."""
    if one.association is not None and one.instance is not None:
        yield from _association(one.association, one.instance)
    for policy in one.policies:
        yield from _policy(policy, look)
    roles = [known for role in one.roles for known in _role(role, one, look)]
    profiles = [known for profile in one.profiles for known in _profile(profile, look)]
    yield from (*roles, *profiles) if one.address.kind in (ROLE, POLICY) else (*profiles, *roles)


def _place(source: Location | None) -> Piece:
    return data(f"  {source}" if source is not None else "", "dim")


def _association(part: AssociationPart, instance: LiveInstance) -> Iterator[Line]:
    row, name = part.row, f"association/{instance.key.instance}"
    if row is None:
        has = "none in AWS"
    else:
        has = f"{row.id}, {row.state}, with {profile_address(row.profile_name)}"
    yield line("  ", data(name, "bold"), data(f"  {has}"), _place(part.source))
    if part.wanted is not None:
        how = "selects it by its tags" if part.is_selected else "names it"
        gives = f"association {part.named!r} of the specs {how}, for {profile_address(part.wanted)}"
        if row is None or not same_name(row.profile_name, part.wanted):
            yield line(Piece("    ~ ", "yellow"), data(gives, "yellow"))
        else:
            yield line("    ", data(gives))
    else:
        yield line("    no association of the specs is about it")
        for one in part.elsewhere:
            how = "would select it by its tags" if one.is_selected else "would name it"
            told = f"association {one.association!r} {how}, but not in {instance.key.region}"
            yield line("    ", data(f"{told}: it is for {', '.join(one.regions)}"))
    if part.rival is not None:
        told = f"association {part.rival!r} of the specs claims it too: neither is planned"
        yield line(Piece("    ! ", "bold red"), data(told))
    yield from _marks(part.marks)


def _marks(marks: Iterable[MarkInWords]) -> Iterator[Line]:
    """But for the mark of the owner, whom the head of the part names."""
    for mark in marks:
        if not mark.meaning.startswith(_OURS):
            yield line(Piece("    ", "dim"), data(f"{mark.key}: {mark.meaning}", "dim"))


_PRESENCE = {"there": "", "missing": "not in AWS; ", "unknown": "not known whether it is in AWS; "}


def _head(part: Part, more: str = "") -> Iterator[Line]:
    why = f", {part.why}" if part.why else ""
    said = f"  {_PRESENCE[part.in_aws]}{part.ownership}{more}{why}"
    yield line("  ", data(part.address, "bold"), data(said), _place(part.source))
    if part.unread is not None:
        yield line(Piece("    ! ", "bold red"), data(f"cannot be read: {part.unread}"))


def _differing(part: Part, look: Look) -> Iterator[Line]:
    for difference in part.differences:
        yield from difference_lines(difference, COMPARED, 4, is_full=look.is_full)


def _profile(part: ProfilePart, look: Look) -> Iterator[Line]:
    yield from _head(part)
    if part.in_aws == "there":
        holds = str(role_address(part.role)) if part.role is not None else "no role"
        yield line("    holds ", data(holds))
    elif part.wanted_role is not None:
        yield line("    is to hold ", data(role_address(part.wanted_role)))
    yield from _differing(part, look)
    yield from _marks(part.marks)


def _role(part: RolePart, one: Explanation, look: Look) -> Iterator[Line]:
    yield from _head(part, _inside(part, one))
    yield from _differing(part, look)
    yield from _marks(part.marks)
    if part.trusts_ec2 is False:
        told = "EC2 cannot serve it: its trust policy does not let ec2.amazonaws.com assume it"
        yield line(Piece("    ! ", "bold red"), data(told))
    if one.address.kind == POLICY and not look.is_full:
        return
    if not part.policies and part.in_aws != "unknown":
        yield line("    no policies")
    for policy in part.policies:
        yield from _policy_of_role(policy, look)


def _inside(part: RolePart, one: Explanation) -> str:
    """Where it is in the profiles of the chain."""
    name = part.address.name
    inside = [p for p in one.profiles if same_name(p.role, name)]
    wanted = [p for p in one.profiles if same_name(p.wanted_role, name) and p not in inside]
    told = ""
    for how, profiles in (("inside", inside), ("wanted inside", wanted)):
        if profiles:
            told += f", {how} {few([str(p.address) for p in profiles], most=MANY)}"
    return told


_KINDS = {
    "managed": "policy",
    "aws-managed": "AWS managed policy",
    "inline": "inline policy",
    "boundary": "permissions boundary",
}


def _policy_of_role(policy: PolicyOfRole, look: Look) -> Iterator[Line]:
    yield line(
        "    ",
        data(f"{_KINDS[policy.kind]} {policy.name}"),
        data(
            _HELD[policy.held] or ("  differs from the specs" if policy.differs else ""), "yellow"
        ),
        _place(policy.source),
    )
    if policy.unread is not None:
        told = f"its document cannot be read: {policy.unread}"
        yield line(Piece("      ", "dim"), data(told, "dim"))
    yield from _statements(policy.document, look)


def _statements(document: Any, look: Look) -> Iterator[Line]:
    texts = [statement_text(s) for s in statements_of(document)]
    shown = texts
    if not look.is_full:
        shown = [shortened(text, _LONGEST) for text in texts[:_SHORT_STATEMENTS]]
    for text in shown:
        yield line(Piece("      ", "dim"), data(text, "dim"))
    if len(shown) < len(texts):
        yield line(Piece(f"      and {len(texts) - len(shown)} more statements (-v)", "dim"))


def _policy(part: PolicyPart, look: Look) -> Iterator[Line]:
    yield from _head(part)
    yield from _differing(part, look)
    yield from _marks(part.marks)
    yield from _statements(part.document, look)
    attached = [str(address) for address in part.roles if address not in part.boundary_of]
    having = few(attached, most=MANY) or "no role"
    noun = "user or group" if part.others == 1 else "users or groups"
    others = f" and {part.others} {noun}" if part.others else ""
    if attached or others or not part.boundary_of:
        yield line("    is attached to ", data(f"{having}{others}"))
    if part.boundary_of:
        bounded = few([str(address) for address in part.boundary_of], most=MANY)
        yield line("    is the permissions boundary of ", data(bounded))


# What comes next.


def _next(one: Explanation, command: str | None, look: Look) -> Iterator[Line]:
    """What stops all of it stands first: before that is lifted, nothing of the rest happens."""
    following = one.next
    if following.is_nothing:
        yield line("  nothing: ", data(_why_nothing(one)))
    else:
        yield from _stops(one, command)
    yield from (_indented(unread_line(unread)) for unread in following.unread)
    yield from (
        _indented(unmet_line(unmet, replace(look, is_alone=True))) for unmet in following.unmet
    )
    if following.stops and following.then:
        yield line("  which then does this:" if command is not None else "  it then does this:")
    asked = [c for c in following.then if one.instance is not None and c.address == one.address]
    if following.untouched is not None:
        told = _untouched(one, following.untouched)
        yield line(Piece("    this instance is not touched: ", "bold"), data(told))
    yield from _changes(asked, one, look)
    yield from _changes([c for c in following.then if c not in asked], one, look)
    for kept in following.then_kept:
        yield line(Piece("  ", "dim"), data(note(str(kept.address), kept.reason), "dim"))


def _changes(changes: Iterable[Change], one: Explanation, look: Look) -> Iterator[Line]:
    found = [*changes]
    instances = [c for c in found if isinstance(c, CutOverInstance)]
    others = [c for c in found if not isinstance(c, CutOverInstance)]
    for change in others if look.is_full else others[:MANY]:
        yield from change_lines(change, look, one.next.reached.get(change.address))
    if (more := len(others) - MANY) > 0 and not look.is_full:
        yield line(Piece(f"    and {more} more (-v)", "dim"))
    for block in folded_instances(instances, look, symbol):
        yield from block


def _untouched(one: Explanation, why: str) -> str:
    instance = one.instance
    if why == DONE:
        return why
    if instance is None or instance.is_running:
        return f"{why}, and it goes on with what it holds, for hours or until it is replaced"
    row = instance.row
    profile = profile_address(row.profile_name) if row is not None else None
    role = next((c.intent.get("after") for c in one.next.then if c.address == profile), None)
    gets = str(role_address(role)) if role is not None else "no role"
    return f"{why}, and started after that it gets {gets}"


def _stops(one: Explanation, command: str | None) -> Iterator[Line]:
    """What stops the whole apply, each with what lifts it, and the command that lifts all."""
    following = one.next
    stops = following.stops
    if not stops:
        return
    told = f"nothing yet: {stop_counts(stops)} the whole apply"
    yield line(Piece("  ! ", "bold red"), data(told, "bold red"))
    for stop in stops[:FEW_STOPS]:
        where = f"{stop.target}: " if stop.target != one.plan.target else ""
        later = ", once that is allowed" if stop.is_later else ""
        yield line("    ", data(f"{where}{stop.reason}{later}"), _place(stop.source))
        brings = f"{stop.lift} {stop.brings}" if stop.brings else stop.lift
        yield line("      ", data(brings, "dim" if stop.is_liftable else ""))
    if len(stops) > FEW_STOPS:
        more = f"    and {len(stops) - FEW_STOPS} more, which a plan lists"
        yield line(Piece(more, "dim"))
    if command is not None:
        by_hand = any(not stop.is_liftable for stop in stops)
        yield line("  and after that:" if by_hand else "  to allow it:")
        yield line("    ", data(command, "bold"))


def _indented(one: Line) -> Line:
    return (Piece("  "), *one)


def _why_nothing(one: Explanation) -> str:
    instance, association = one.instance, one.association
    if instance is not None and instance.is_gone:
        return "the instance was terminated"
    is_named = association is not None and association.wanted is not None
    named = [part for part in (*one.profiles, *one.roles, *one.policies) if part.source is not None]
    if is_named or named:
        return "AWS is as the specs want it"
    return "the specs say nothing about it"


# New instances.


def _new_instances(one: Explanation, look: Look) -> Iterator[Line]:
    """What started the instance first, or the running ones; then what else names the profile."""
    news = one.new_instances
    own = [new for new in news if new.relation != "names-the-profile"]
    if one.instance is not None and not own:
        yield line("  ", data(_of_no_group(one, one.instance)))
    shown = news if look.is_full or len(news) <= MANY else news[:MANY]
    names = few([str(part.address) for part in one.profiles])
    heading = f"others that name {names}, and started none of its running instances:"
    if one.instance is not None:
        noun = "profile" if len(one.profiles) == 1 else "profiles"
        heading = f"others that start instances with its {noun} ({names}):"
        if one.instance.row is None and len(one.profiles) == 1:
            heading = f"others that start instances with the profile that it is to have ({names}):"
        elif not own and one.instance.operator is not None:
            heading = f"with its {noun} ({names}), so perhaps its own:"
    is_apart = bool(own) or one.instance is not None
    was_own = True
    for new in shown:
        if was_own and new not in own and is_apart:
            yield line("  ", data(heading))
        was_own = new in own
        yield from _new(new, one, "  " if was_own or not is_apart else "    ")
    if len(shown) < len(news):
        yield line(Piece(f"  and {len(news) - len(shown)} more (-v)", "dim"))
    if not news and one.instance is None:
        where = f" in {', '.join(one.searched)}" if one.searched else ""
        yield line("  ", data(f"no launch template, group or fleet names its profile{where}"))


def _of_no_group(one: Explanation, instance: LiveInstance) -> str:
    if one.origin is not None:
        by = f"{NAMES[one.origin.kind]} {one.origin.name}"
        return f"{by}, which started it, starts no instance any more, or is not listed"
    if instance.operator is not None:
        return (
            f"no tag of AWS's says what started it; {instance.operator}, which manages it, starts "
            "what replaces it"
        )
    return (
        "it has no group: no tag of AWS's says what started it, so it was probably launched by "
        "hand, and nothing replaces it"
    )


def _title(new: NewInstances, one: Explanation) -> str:
    launch = new.launch
    by = f": {launch.by}" if launch.by else ""
    if one.instance is not None:
        if new.relation == "by-its-group":
            return f"{launch.title}: by its {launch.by}"
        return f"{'its ' if new.relation == 'started-it' else ''}{launch.title}{by}"
    count = ""
    if new.relation == "started-consumers":
        noun = "instance" if new.instances == 1 else "instances"
        count = f", which started {new.instances} running {noun}"
    return f"{launch.title} in {launch.region}{count}{by}"


def _new(new: NewInstances, one: Explanation, indent: str) -> Iterator[Line]:
    launch = new.launch
    yield line(indent, data(_title(new, one)))
    indent += "  "
    if launch.unknown is not None:
        yield line(
            f"{indent}gives them: ", Piece("unknown", "bold red"), data(f": {launch.unknown}")
        )
        return
    if launch.profile is None:
        gives = "no instance profile"
    else:
        gives = f"{profile_address(launch.profile)}{_role_of(new, one)}"
    yield line(f"{indent}gives them ", data(gives, "" if not new.differs else "yellow"))
    is_own_template = launch.source is None and new.relation == "started-it"
    if is_own_template or (launch.source is not None and not launch.source.replaces):
        yield line(Piece(f"{indent}it replaces no instance that is lost", "dim"))
    if new.differs:
        wanted = str(profile_address(new.wanted)) if new.wanted else "no instance profile"
        whose = "this instance" if new.relation == "started-it" else "running ones"
        told = f"that is not what {whose} should have by the specs: {wanted}"
        yield line(Piece(f"{indent}! ", "bold yellow"), data(told, "yellow"))
        if one.association is not None and one.association.is_selected:
            told = f"association {one.association.named!r} selects new ones with the same tags too"
            yield line(f"{indent}  ", data(told))


def _role_of(new: NewInstances, one: Explanation) -> str:
    if new.is_missing:
        gone = ", which does not exist: launches fail"
        if new.role_after is None:
            return gone
        return f"{gone}; {_when(one.next)} they get {role_address(new.role_after)}"
    if same_name(new.role, new.role_after):
        return f", so {role_address(new.role)}" if new.role else ", which holds no role"
    now = str(role_address(new.role)) if new.role else "no role"
    after = str(role_address(new.role_after)) if new.role_after else "no role"
    return f", so {now}, and {after} {_when(one.next)}"


def _when(following: Next) -> str:
    if not following.is_blocked:
        return "after the next apply"
    if any(not stop.is_liftable for stop in following.stops):
        return "once nothing stops the apply"
    flags = " ".join(following.flags)
    return f"after an apply with {flags}" if len(flags) <= _SHORT_FLAGS else "after the apply above"
