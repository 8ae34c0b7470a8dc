"""Running consumers by region, by what started them and by name, folded where they are many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.plan.blast_radius import BlastRadius, more_in_words
from reconciler.plan.changes import Change
from reconciler.plan.impact import Impact
from reconciler.render.json.plan import consumers_json
from reconciler.render.json.types import ConsumersShape
from reconciler.render.phrases import consumers_in_words
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.look import Look

MANY = 12
"""More lines, or names in one, are counted."""


def consumer_lines(groups: Sequence[ConsumersShape], indent: str, look: Look) -> Iterator[Line]:
    """A line for each region and group."""
    shown = groups if look.is_full else groups[:MANY]
    for group in shown:
        told = consumers_in_words(group, None if look.is_full else MANY)
        yield line(Piece(indent, "dim"), data(told, "dim"))
    if len(shown) < len(groups):
        more = sum(group["count"] for group in groups[len(shown) :])
        yield line(Piece(f"{indent}and {more} more in other groups and regions (-v)", "dim"))


def impact_lines(impacts: Iterable[Impact], look: Look) -> Iterator[Line]:
    """What a change takes from roles in use, below what changes."""
    told = [sentence for impact in impacts for sentence in impact.sentences]
    shown = told if look.is_full else told[:MANY]
    for sentence in shown:
        yield line(Piece("      ! ", "bold yellow"), data(sentence, "yellow"))
    if len(shown) < len(told):
        yield line(Piece(f"      ! and {len(told) - len(shown)} more (-v)", "yellow"))


def radius_lines(change: Change, radius: BlastRadius, look: Look) -> Iterator[Line]:
    """Whom a change reaches, below what changes; those first that it leaves out."""
    for told in more_in_words(radius.apart):
        yield line("      # ", data(told, "dim"))
    if radius.consumers and radius.is_told_with(change.address):
        if not change.consumers:
            noun = "instance" if radius.count == 1 else "instances"
            yield line(Piece(f"      # for {radius.count} running {noun}:", "dim"))
        groups = [consumers_json(group) for group in radius.consumers]
        yield from consumer_lines(groups, "      #   ", look)
    for other in radius.launches:
        yield line(Piece("      ! ", "bold yellow"), data(other.told, "yellow"))
