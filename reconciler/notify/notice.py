"""The content of a drift notification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.render.json.encode import json_text
from reconciler.render.json.types import DriftShape, FindingShape

_WORDS = ("new", "changed", "resolved")


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification. ``findings`` are those to send to the destination, ``document`` is the
    drift."""

    document: DriftShape
    findings: tuple[FindingShape, ...]

    @property
    def accounts(self) -> list[str]:
        return [target["account_id"] for target in self.document["targets"]]

    @property
    def severity(self) -> str:
        """The highest severity, or ``resolved`` if all findings are resolved."""
        present = [f["severity"] for f in self.findings if f["transition"] != "resolved"]
        ranked = [s for s in ("critical", "warning", "info") if s in present]
        return ranked[0] if ranked else "resolved"

    @property
    def status(self) -> str:
        """``drifted`` if there are findings for the account, otherwise ``resolved``."""
        return "drifted" if self.document["findings"] else "resolved"

    @property
    def title(self) -> str:
        what = "Drift resolved" if self.status == "resolved" else "Drift"
        return f"{what} in {self.document['owner']}, account {', '.join(self.accounts)}"

    @property
    def counts(self) -> str:
        """``1 new, 2 resolved; now 3 modified, 1 missing``."""
        told = [f["transition"] for f in self.findings]
        news = ", ".join(f"{told.count(w)} {w}" for w in _WORDS if w in told)
        now = [f"{n} {k.replace('_', ' ')}" for k, n in self.document["summary"].items() if n]
        return f"{news}; now {', '.join(now) or 'no drift'}"

    def payload(self) -> dict[str, Any]:
        """JSON for webhooks: the drift document, with ``findings`` in ``told``."""
        return {**self.document, "told": list(self.findings)}

    def fitting(self, most_bytes: int) -> dict[str, Any]:
        """The payload, shortened until it fits: first findings that are not new, then differences,
        then new findings. ``truncated`` is set then."""
        bare = [{**f, "differences": []} for f in self.findings]
        head = {**self.document, "findings": [], "resolved": [], "notes": [], "diagnostics": []}
        tries = [
            self.payload(),
            {**head, "told": list(self.findings), "truncated": True},
            {**head, "told": bare, "truncated": True},
            *(
                {**head, "told": bare[: len(bare) // 2**n], "truncated": True}
                for n in range(1, len(bare).bit_length() + 1)
            ),
        ]
        return next((one for one in tries if size(one) <= most_bytes), tries[-1])


def size(value: Any) -> int:
    """Bytes of the value as JSON."""
    return len(json_text(value, None).encode())
