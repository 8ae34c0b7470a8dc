"""``make crash-sweep``: runs the sweep and writes its table into ``docs/reliability.md``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.crash_sweep.sweep import Row, sweep

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- crash-sweep -->", "<!-- end -->"


def table(rows: list[Row]) -> str:
    lines = [
        "| scenario | deaths | gone on with | longest without a profile |",
        "|---|---|---|---|",
        *(f"| {r.name} | {r.points} | {r.recovered} | {r.longest:.1f} s |" for r in rows),
        f"| all | {sum(r.points for r in rows)} | {sum(r.recovered for r in rows)} | "
        f"{max(r.longest for r in rows):.1f} s |",
    ]
    return "\n".join(lines)


def main() -> int:
    rows: list[Row] = []
    failed = 0
    for row, broken in sweep(os.cpu_count() or 2):
        rows.append(row)
        failed += len(broken)
        print(f"{row.name}: {row.recovered} of {row.points}", flush=True)  # noqa: T201 - a command's output
        for one in broken:
            print(f"  {one.point}: {one.problem}", flush=True)  # noqa: T201 - a command's output
    text = PAGE.read_text("utf-8")
    made = f"{BEGIN}\n{table(rows)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", made, text, flags=re.S), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
