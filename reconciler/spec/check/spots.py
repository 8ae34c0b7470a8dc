"""Places inside policy documents, and the findings about what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.diagnostics import Diagnostic, Near
from reconciler.spec.desired import Place


@dataclass(frozen=True, slots=True)
class Spot:
    """A part of a policy document. ``path`` leads to it from the resource that has the document."""

    place: Place
    path: tuple[str | int, ...]

    def inside(self, *segments: str | int) -> Spot:
        return Spot(self.place, (*self.path, *segments))

    def key_error(
        self, code: str, message: str, hint: str | None = None, near: Near | None = None
    ) -> Diagnostic:
        """A finding about the key, or about what is missing in its value."""
        return Diagnostic("error", code, message, self.place.at(*self.path), hint, near=near)

    def value_error(
        self, code: str, message: str, hint: str | None = None, near: Near | None = None
    ) -> Diagnostic:
        return Diagnostic("error", code, message, self.place.value(*self.path), hint, near=near)

    def value_warning(
        self, code: str, message: str, hint: str | None = None, near: Near | None = None
    ) -> Diagnostic:
        return Diagnostic("warning", code, message, self.place.value(*self.path), hint, near=near)


def members(value: Any, spot: Spot) -> Iterator[tuple[Any, Spot]]:
    """The items of a list, or a value that stands for a list of one, each with its spot."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield item, spot.inside(number)
    else:
        yield value, spot
