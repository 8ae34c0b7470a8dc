"""How the two sides of a difference read: what apply will do, or what happened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Direction:
    """How the two sides of a difference read. ``before`` is what AWS has, ``after`` what the specs
    want; each as a sign, a word and a colour."""

    only_before: tuple[str, str, str]
    only_after: tuple[str, str, str]
    changed: str
    """Takes both values."""
    gains: str
    loses: str
    """How the effect of a policy document is told, which is looked at from before to after."""
    is_backwards: bool = False
    """Whether what happened leads from ``after`` to ``before``."""


PLANNED = Direction(("-", "", "red"), ("+", "", "green"), "{0} -> {1}", "gains", "loses")
"""What apply will do to AWS."""


HAPPENED = Direction(
    ("+", "gained", "green"),
    ("-", "lost", "red"),
    "AWS has {0}, specs want {1}",
    "gained",
    "lost",
    is_backwards=True,
)
"""What happened to AWS, as a drift reads."""


COMPARED = Direction(
    ("+", "AWS alone has", "green"),
    ("-", "the specs alone have", "red"),
    "AWS has {0}, specs want {1}",
    "more in AWS:",
    "less in AWS:",
    is_backwards=True,
)
"""The two sides as they are, whoever made the difference: what is to change was changed by
nobody."""
