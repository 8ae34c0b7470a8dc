"""``make crash-sweep``: runs the sweep and writes its table into ``docs/reliability.md``. With names of
scenarios (``python -m tests.crash_sweep 'role swap' move``) only their rows are made anew."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.crash_sweep.scenarios import SCENARIOS
from tests.crash_sweep.sweep import WAYS, Row, sweep

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- crash-sweep -->", "<!-- end of crash-sweep -->"


def table(rows: dict[str, Row]) -> str:
    heads = ["scenario", *WAYS, "resumed", "no credentials, calm", "at the worst"]
    order = [scenario.name for scenario in SCENARIOS if scenario.name in rows]
    lines = [_line(heads), _line(["---"] * len(heads)), *(_cells(rows[name]) for name in order)]
    found = list(rows.values())
    sums = {way: sum(row.points[way] for row in found) for way in WAYS}
    well = sum(row.recovered for row in found)
    calm, worst = (max(row.undisturbed for row in found), max(row.longest for row in found))
    return "\n".join([*lines, _cells(Row("all", sums, well, calm, worst))])


def _cells(row: Row) -> str:
    total = sum(row.points.values())
    times = [f"{row.undisturbed:.1f} s", f"{row.longest:.1f} s"]
    numbers = [str(row.points[way]) for way in WAYS]
    return _line([row.name, *numbers, f"{row.recovered} of {total}", *times])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def told(text: str) -> dict[str, Row]:
    """The rows of the table as it stands."""
    found = {}
    for line in text.splitlines()[2:]:
        name, *cells = [cell.strip() for cell in line.strip("| ").split("|")]
        numbers = dict(zip(WAYS, map(int, cells), strict=False))
        well, calm, worst = cells[len(WAYS) :]
        seconds = float(calm.split()[0]), float(worst.split()[0])
        found[name] = Row(name, numbers, int(well.split()[0]), *seconds)
    return {name: row for name, row in found.items() if name != "all"}


def main(names: list[str]) -> int:
    text = PAGE.read_text("utf-8")
    rows = told(re.findall(f"{BEGIN}\n(.*?)\n{END}", text, flags=re.S)[0]) if names else {}
    failed = 0
    # More than there are processors: a third of the time each waits for an association.
    for row, broken in sweep(2 * (os.cpu_count() or 2), names):
        rows[row.name] = row
        failed += len(broken)
        print(_cells(row), flush=True)  # noqa: T201 - a command's output
        for one in broken:
            print(f"  {one.point}: {one.problem}", flush=True)  # noqa: T201 - a command's output
    made = f"{BEGIN}\n{table(rows)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", made, text, flags=re.S), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
