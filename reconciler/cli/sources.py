"""Where evidence comes from, as flags name it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from reconciler.model.evidence import Source


class SourceName(StrEnum):
    """Sources of evidence."""

    cloudtrail = "cloudtrail"
    imds = "imds"
    last_used = "last-used"


_SOURCES: dict[SourceName, Source] = {
    SourceName.cloudtrail: "cloudtrail",
    SourceName.imds: "imds",
    SourceName.last_used: "last-used",
}


def sources_of(given: Iterable[SourceName] | None) -> tuple[Source, ...]:
    """Each once; without any, what needs no more than to read."""
    return tuple(dict.fromkeys(_SOURCES[name] for name in given or (SourceName.cloudtrail,)))
