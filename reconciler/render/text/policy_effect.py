"""The effect of a change of a policy document in words: gains and losses by action and resource, or
that there are none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from reconciler.model.policy_effect import Effect, Pattern, compared
from reconciler.render.escape import shortened
from reconciler.render.styled_text import Line, data, line
from reconciler.render.text.direction import Direction

MANY = 6
"""More actions, or resources, are counted."""
LONGEST = 88
EQUAL = "equal in effect: it allows and denies the same as before"
EQUAL_BACKWARDS = "equal in effect: it allows and denies the same as in the specs"
_ASSUME = "sts:assumerole"


def effect_lines(
    before: Any,
    after: Any,
    told: tuple[Sequence[Any], Sequence[Any]],
    direction: Direction,
    *,
    is_full: bool,
) -> Iterator[Line]:
    """Of two documents. ``told`` are the statements that were shown whole, as gone and as new: what
    one of them says is not said again."""
    found = compared(after, before) if direction.is_backwards else compared(before, after)
    if found.is_equal:
        words = EQUAL_BACKWARDS if direction.is_backwards else EQUAL
        yield line("# ", data(words, "dim"))
        return
    gone, new = reversed(told) if direction.is_backwards else told
    for effects, shown, is_gained in ((found.gained, new, True), (found.lost, gone, False)):
        known = [_bare(one) for one in compared({}, {"Statement": [*shown]}).gained]
        for effect in effects:
            if _bare(effect) not in known:
                # A Deny that comes takes something away.
                is_more = is_gained == (effect.effect == "Allow")
                sign, style = ("+ ", "green") if is_more else ("- ", "red")
                text = effect_text(effect, direction, is_gained=is_gained, is_full=is_full)
                yield line(sign, data(text, style))


def _bare(effect: Effect) -> Effect:
    return replace(effect, other_has_some=False)


def effect_text(
    effect: Effect, direction: Direction, *, is_gained: bool, is_full: bool = False
) -> str:
    """``gains s3:PutObject on arn:aws:s3:::assets/*``; ``gains principal 222222222222``."""
    actions, on = _listed(effect.actions, is_full), _listed(effect.on, is_full)
    condition = ""
    if effect.condition is not None:
        text = json.dumps(effect.condition, ensure_ascii=False)
        condition = f" if {text if is_full else shortened(text, LONGEST)}"
    verb = direction.gains if is_gained else direction.loses
    if effect.effect == "Deny":
        verb += " a Deny of"
    if not effect.is_trust:
        return f"{verb} {actions} on {on}{condition}{_otherwise(effect, is_gained)}"
    noun = "principal" if len(effect.on) == 1 else "principals"
    is_plain = [action.key for action in effect.actions] == [_ASSUME]
    more = "" if is_plain else f" with {actions}"
    return f"{verb} {noun} {on}{more}{condition}{_otherwise(effect, is_gained)}"


def _otherwise(effect: Effect, is_gained: bool) -> str:
    if not effect.other_has_some:
        return ""
    return ", which had conditions" if is_gained else ", but for what has conditions"


def _listed(patterns: Sequence[Pattern], is_full: bool) -> str:
    shown = patterns if is_full else patterns[:MANY]
    more = f" and {len(patterns) - len(shown)} more" if len(shown) < len(patterns) else ""
    return ", ".join(pattern.text for pattern in shown) + more
