"""``make crash-sweep``: runs the sweep and writes its table into ``docs/reliability.md``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.crash_sweep.sweep import WAYS, Row, sweep

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- crash-sweep -->", "<!-- end -->"


def table(rows: list[Row]) -> str:
    heads = ["scenario", *WAYS, "gone on with", "no credentials, calm", "at the worst"]
    lines = [_line(heads), _line(["---"] * len(heads)), *(_line(_cells(row)) for row in rows)]
    sums = {way: sum(row.points[way] for row in rows) for way in WAYS}
    well = sum(row.recovered for row in rows)
    worst = max(row.longest for row in rows)
    calm = max(row.undisturbed for row in rows)
    lines.append(_line(_cells(Row("all", sums, well, calm, worst))))
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    total = sum(row.points.values())
    times = [f"{row.undisturbed:.1f} s", f"{row.longest:.1f} s"]
    numbers = [str(row.points[way]) for way in WAYS]
    return [row.name, *numbers, f"{row.recovered} of {total}", *times]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    rows: list[Row] = []
    failed = 0
    for row, broken in sweep(os.cpu_count() or 2):
        rows.append(row)
        failed += len(broken)
        total = sum(row.points.values())
        print(f"{row.name}: {row.recovered} of {total}", flush=True)  # noqa: T201 - a command's output
        for one in broken:
            print(f"  {one.point}: {one.problem}", flush=True)  # noqa: T201 - a command's output
    text = PAGE.read_text("utf-8")
    made = f"{BEGIN}\n{table(rows)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", made, text, flags=re.S), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
