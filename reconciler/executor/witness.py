"""What a cut-over learns of the roles that its instances are served, and what stays unknown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.cutover.proof import named
from reconciler.executor.evidence import Gatherer
from reconciler.model.evidence import Expectation, Judgement, Source
from reconciler.model.ownership import InstanceKey


@dataclass
class Witness:
    """``gatherer`` is ``None`` where nothing can be asked."""

    gatherer: Gatherer | None = None
    _unknown: dict[str, list[InstanceKey]] = field(default_factory=dict)

    def judged(
        self, expected: Collection[Expectation], sources: Collection[Source]
    ) -> dict[InstanceKey, Judgement]:
        if self.gatherer is None:
            nothing = Judgement("unknown", "not-asked", "this run has nothing to ask with")
            return dict.fromkeys((one.key for one in expected), nothing)
        return self.gatherer.judged(expected, sources)

    def noted(self, unknown: Iterable[tuple[InstanceKey, str]]) -> tuple[str, ...]:
        """Keeps what is not known of a batch, and has it in sentences."""
        of_batch: dict[str, list[InstanceKey]] = {}
        for key, why in unknown:
            of_batch.setdefault(why, []).append(key)
        for why, keys in of_batch.items():
            kept = self._unknown.setdefault(why, [])
            kept += [key for key in keys if key not in kept]
        return tuple(_sentences(of_batch))

    def notes(self) -> Iterator[str]:
        """What is not known of all batches, each reason once."""
        return _sentences(self._unknown)


def _sentences(unknown: Mapping[str, Sequence[InstanceKey]]) -> Iterator[str]:
    for why, keys in unknown.items():
        which = named([key.instance for key in keys], ", ", " and")
        yield f"it is not known which role {which} is served: {why}"
