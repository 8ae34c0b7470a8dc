"""Running consumers as people know them: by region, by the group that started them, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.launch_sources import Origin, origin_of
from reconciler.model.live import LiveInstance


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """The instances of one region that one group or fleet has started, or nobody that AWS names
    (``origin`` is ``None``). ``instances`` has the ids of each ``Name``, sorted; ``None`` is for
    instances without that tag."""

    region: str
    origin: Origin | None
    instances: tuple[tuple[str | None, tuple[str, ...]], ...]

    @property
    def count(self) -> int:
        return sum(len(ids) for _, ids in self.instances)


def grouped(instances: Iterable[LiveInstance]) -> tuple[ConsumerGroup, ...]:
    """By region; the groups by their names, and what is in none last."""
    found: dict[tuple[str, Origin | None], dict[str | None, list[str]]] = {}
    for instance in instances:
        key = instance.key.region, origin_of(instance)
        named = found.setdefault(key, {})
        named.setdefault(instance.tags.get("Name") or None, []).append(instance.key.instance)

    def rank(key: tuple[str, Origin | None]) -> tuple[str, bool, str, str]:
        region, origin = key
        return region, origin is None, origin.kind if origin else "", origin.name if origin else ""

    return tuple(
        ConsumerGroup(
            region,
            origin,
            tuple(
                (name, tuple(sorted(ids)))
                for name, ids in sorted(
                    found[region, origin].items(), key=lambda pair: (pair[0] is None, pair[0] or "")
                )
            ),
        )
        for region, origin in sorted(found, key=rank)
    )
