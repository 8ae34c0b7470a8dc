"""Whether the policies of a role allow an action, by the documents alone.

What a request will carry is not known, so a statement with conditions may count or not; nor is what
a wildcard in the question stands for, so such an action or resource is allowed where all that it
matches is. Where the documents do not tell, the answer says what it depends on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reconciler.diagnostics import Location
from reconciler.model.policy_decision import Context, PolicyQuestion, decide, keys_of
from reconciler.model.policy_document import as_list, statements_of
from reconciler.model.policy_effect import overlap

Outcome = Literal["allowed", "partly", "denied", "unknown"]
"""``partly``: some of what the wildcards of the question stand for."""
ANYWHERE = "*"
_ALL_BUT = "all but "
_Meets = Literal["all", "some", "depends", "none"]


@dataclass(frozen=True, slots=True)
class TitledPolicy:
    """``title`` names it in words; ``places`` are those of its statements, as far as known."""

    title: str
    document: Any
    places: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What a role has by the specs. ``unread`` are names of policies whose documents are not
    known, ``denying`` those of them that may deny something; ``unread_boundary`` is the boundary if
    it is one of them."""

    role: str
    policies: tuple[TitledPolicy, ...]
    boundary: TitledPolicy | None = None
    unread: tuple[str, ...] = ()
    denying: tuple[str, ...] = ()
    unread_boundary: str | None = None


@dataclass(frozen=True, slots=True)
class DecidingStatement:
    """One that decided: ``name`` is its ``Sid`` or its number, ``keys`` are the condition keys that
    it depends on, ``resources`` what it is about."""

    policy: str
    name: str
    effect: Literal["Allow", "Deny"]
    resources: tuple[str, ...]
    keys: tuple[str, ...] = ()
    place: Location | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """``why`` is a sentence without its full stop. ``on`` are the resources on which an action is
    allowed that was asked for on any."""

    action: str
    resource: str | None
    outcome: Outcome
    why: str
    by: tuple[DecidingStatement, ...] = ()
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Side:
    """What the documents of one kind say: all policies together, or the boundary."""

    outcome: Outcome
    why: str
    by: tuple[DecidingStatement, ...] = ()
    is_explicit: bool = False


def answer(held: Held, action: str, resource: str | None, context: Context) -> Answer:
    """``resource`` is ``None`` for any: whether there is one on which it is allowed."""
    if resource is not None:
        return _answer(held, action, resource, context)
    tried = [_answer(held, action, one, context) for one in candidates(held, action)]
    found = min(tried, key=lambda one: _RANK.index(one.outcome))
    allowed = [one for one in tried if one.outcome in ("allowed", "partly")]
    if not allowed:
        return replace(found, resource=None)
    outcome: Outcome = "partly" if _is_wild(action) and found.outcome == "partly" else "allowed"
    by = tuple(dict.fromkeys(statement for one in allowed for statement in one.by))
    on = tuple(str(one.resource) for one in allowed)
    return Answer(action, None, outcome, found.why, by, on)


def candidates(held: Held, action: str) -> tuple[str, ...]:
    """What statements that allow the action name, the boundary's too; of what is named by what it
    leaves out, everything."""
    asked = _Question(action, ANYWHERE, {})
    found = {
        ANYWHERE if name.startswith(_ALL_BUT) else _VARIABLE.sub("*", name)
        for policy in (*held.policies, *((held.boundary,) if held.boundary else ()))
        for one in _statements(policy, asked)
        if one.statement.effect == "Allow"
        for name in one.statement.resources
    }
    return tuple(sorted(found)) or (ANYWHERE,)


def _answer(held: Held, action: str, resource: str, context: Context) -> Answer:
    found = _judged(held, action, resource, context)
    if found.outcome != "partly":
        return found
    # What is allowed in part may be just what is denied, or what the boundary does not allow.
    judged = [_judged(held, *part, context) for part in _parts(held, (action, resource))]
    best = min(judged, key=lambda one: _RANK.index(one.outcome), default=found)
    if best.outcome in ("allowed", "partly"):
        return found
    if best.outcome == "denied" and held.unread:
        best = replace(best, outcome="unknown", why=_may_allow(held), by=())
    return replace(best, action=action, resource=resource)


_Part = tuple[str, str]
"""Action and resource, both with wildcards perhaps."""


def _parts(held: Held, asked: _Part) -> list[_Part]:
    """Together they have everything that may be allowed: what is asked, as far as statements that
    allow something are about it, of the boundary too."""
    parts = [asked]
    for limits in (held.policies, (held.boundary,) if held.boundary else ()):
        if limits:
            narrowed = (_narrowed(policy, part) for part in parts for policy in limits)
            # If there is none, to ask about what there was says why.
            parts = list(dict.fromkeys(part for some in narrowed for part in some)) or parts
    return parts


def _narrowed(policy: TitledPolicy, asked: _Part) -> Iterator[_Part]:
    for value in statements_of(policy.document):
        if value.get("Effect") == "Allow":
            for action in _within(value, "Action", asked[0], str.casefold):
                for on in _within(value, "Resource", asked[1], str):
                    yield action, on


def _within(
    value: Mapping[str, Any], element: str, asked: str, spelled: Callable[[str], str]
) -> Iterator[str]:
    """Of each pattern of the element that meets what is asked, the narrower of the two; of one that
    names what it leaves out, all that is asked."""
    if f"Not{element}" in value:
        yield asked
        return
    for pattern in (_VARIABLE.sub("*", str(one)) for one in as_list(value.get(element, []))):
        if overlap(spelled(pattern), spelled(asked)):
            parts = map(re.escape, spelled(asked))
            covers = "".join({"\\*": ".*", "\\?": "."}.get(part, part) for part in parts)
            yield pattern if re.fullmatch(covers, spelled(pattern), re.DOTALL) else asked


def _judged(held: Held, action: str, resource: str, context: Context) -> Answer:
    asked = _Question(action, resource, context)
    own = _decided(held.policies, asked, "policy")
    if own.outcome == "denied" and not own.is_explicit and held.unread:
        own = _Side("unknown", _may_allow(held))
    elif own.outcome in ("allowed", "partly") and held.denying:
        own = _Side("unknown", f"{_named(held.denying)} may deny it, and was not read", own.by)
    limit = _limit(held, asked)
    found = max((own, limit), key=lambda side: _RANK.index(side.outcome)) if limit else own
    by = (*own.by, *limit.by) if limit and found.outcome in ("allowed", "partly") else found.by
    return Answer(action, resource, found.outcome, found.why, by)


_RANK: tuple[Outcome, ...] = ("allowed", "partly", "unknown", "denied")


def _limit(held: Held, asked: _Question) -> _Side | None:
    if held.unread_boundary is not None:
        why = f"the permissions boundary {held.unread_boundary} was not read"
        return _Side("unknown", why)
    if held.boundary is None:
        return None
    return _decided((held.boundary,), asked, "permissions boundary")


def _may_allow(held: Held) -> str:
    return f"{_named(held.unread)} may allow it, and was not read"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names)


@dataclass(frozen=True, slots=True)
class _Question:
    action: str
    on: str
    context: Context


def _is_wild(text: str) -> bool:
    return "*" in text or "?" in text


@dataclass(frozen=True, slots=True)
class _Found:
    meets: _Meets
    statement: DecidingStatement


def _decided(policies: Iterable[TitledPolicy], asked: _Question, kind: str) -> _Side:
    found = [one for policy in policies for one in _statements(policy, asked)]
    allows = [one for one in found if one.statement.effect == "Allow"]
    denies = [one for one in found if one.statement.effect == "Deny"]
    sure = _of(denies, "all")
    if sure:
        return _Side("denied", f"a {kind} denies it", sure, is_explicit=True)
    if not allows:
        return _Side("denied", f"no statement of a {kind} allows it")
    allowing, doubts = _of(allows, "all"), _of(denies, "depends")
    parts = _of(allows, "some")
    if not allowing and not parts:
        by = _of(allows, "depends")
        return _Side("unknown", f"it depends on {_keys(by)}", by)
    if doubts:
        why = f"whether a {kind} denies it depends on {_keys(doubts)}"
        return _Side("unknown", why, doubts)
    but = _of(denies, "some")
    if but or not allowing:
        return _Side("partly", f"a {kind} allows a part of it", (*(allowing or parts), *but))
    return _Side("allowed", f"a {kind} allows it", allowing)


def _of(found: Iterable[_Found], meets: _Meets) -> tuple[DecidingStatement, ...]:
    return tuple(one.statement for one in found if one.meets == meets)


def _keys(statements: Iterable[DecidingStatement]) -> str:
    return ", ".join(dict.fromkeys(key for one in statements for key in one.keys))


def _statements(policy: TitledPolicy, asked: _Question) -> Iterator[_Found]:
    version = policy.document.get("Version") if isinstance(policy.document, Mapping) else None
    for number, value in enumerate(statements_of(policy.document)):
        if value.get("Effect") not in ("Allow", "Deny"):
            continue
        meets, keys = _Matching(version, value, asked).meets()
        if meets == "none":
            continue
        listed = [str(r) for r in as_list(value.get("Resource", []))]
        listed += [f"{_ALL_BUT}{r}" for r in as_list(value.get("NotResource", []))]
        place = policy.places[number] if number < len(policy.places) else None
        name = str(value.get("Sid") or f"statement {number + 1}")
        effect: Any = value["Effect"]
        made = DecidingStatement(policy.title, name, effect, tuple(listed), keys, place)
        yield _Found(meets, made)


_VARIABLE = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class _Matching:
    """One statement, and what is asked."""

    version: Any
    value: Mapping[str, Any]
    asked: _Question
    _open: list[str] = field(default_factory=list)

    def meets(self) -> tuple[_Meets, tuple[str, ...]]:
        """And the condition keys and variables that it depends on."""
        bare = {k: v for k, v in self.value.items() if k != "Condition"}
        element = "NotResource" if "NotResource" in bare else "Resource"
        listed = [str(one) for one in as_list(bare.get(element, []))]
        named = {one: [*self._unknown([one])] for one in listed}
        # A variable without a value may be anything: with nothing, and with all.
        least = self._extent({**bare, element: [one for one in listed if not named[one]]})
        widest = [_VARIABLE.sub("*", one) if named[one] else one for one in listed]
        most = self._extent({**bare, element: widest})
        if least != most:
            self._open.extend(f"${{{key}}}" for keys in named.values() for key in keys)
        if (least == most == "none") or not self._conditions_may_hold():
            return "none", ()
        if self._open:
            return "depends", tuple(dict.fromkeys(self._open))
        return least, ()

    def _unknown(self, texts: Iterable[Any]) -> Iterator[str]:
        """Variables without a value. Those of ``keys_of`` leave out what is no variable."""
        document = {"Version": self.version, "Statement": [{"Resource": [*texts]}]}
        for key in keys_of(document):
            if key.casefold() not in self.asked.context:
                yield key

    def _extent(self, bare: Mapping[str, Any]) -> _Meets:
        actions = self._part(bare, "Action", self.asked.action, str.casefold)
        resources = self._part(bare, "Resource", self.asked.on, str)
        if "none" in (actions, resources):
            return "none"
        return "some" if "some" in (actions, resources) else "all"

    def _part(
        self, bare: Mapping[str, Any], element: str, asked: str, spelled: Callable[[str], str]
    ) -> _Meets:
        """How much of what is asked the element is about."""
        whole = {"Action": "*", "Resource": "*"}
        excluded = f"Not{element}" in bare
        given = [
            str(one) for one in as_list(bare.get(f"Not{element}" if excluded else element, []))
        ]
        about = PolicyQuestion(asked, "x") if element == "Action" else PolicyQuestion("x:x", asked)
        rest = {k: v for k, v in whole.items() if k != element}
        single = {**rest, "Effect": "Allow", element: given}
        is_covered = self._decides(single, about)
        touches = any(overlap(spelled(one), spelled(asked)) for one in given)
        if not excluded:
            return "all" if is_covered else "some" if _is_wild(asked) and touches else "none"
        return "none" if is_covered else "some" if _is_wild(asked) and touches else "all"

    def _decides(self, statement: Mapping[str, Any], about: PolicyQuestion) -> bool:
        document = {"Version": self.version, "Statement": [statement]}
        asked = PolicyQuestion(about.action, about.resource, self.asked.context)
        return decide([document], asked).outcome != "implicitDeny"

    def _conditions_may_hold(self) -> bool:
        for operator, keys in (self.value.get("Condition") or {}).items():
            for key, wanted in keys.items():
                unknown = [*self._unknown(as_list(wanted))]
                if key.casefold() not in self.asked.context:
                    unknown.insert(0, key)
                if unknown:
                    self._open.extend(unknown)
                    continue
                one = {"Effect": "Allow", "Action": "*", "Resource": "*"}
                if not self._decides(
                    {**one, "Condition": {operator: {key: wanted}}}, PolicyQuestion("x:x", "x")
                ):
                    return False
        return True
