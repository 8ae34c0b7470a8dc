"""A part of the targets, for one of several runs that share them out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_FORM = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Shard:
    """The ``number``-th of so many parts, counted from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From ``2/8``. Raises ``ValueError``."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"a shard is a number of so many, such as 1/8, not {text[:40]!r}")
        number, of = int(found[1]), int(found[2])
        if not 1 <= number <= of:
            known = f"from 1/{of} to {of}/{of}" if of else "from 1"
            raise ValueError(f"shards are numbered {known}, not {text}")
        return cls(number, of)

    def has(self, target: str) -> bool:
        """Decided by the name alone, so that a new target moves no other: neither the digests of
        the other shards nor their jobs change with it. Shards differ a little in size for that."""
        digest = hashlib.sha256(target.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
