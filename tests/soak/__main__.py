"""``make soak``: many seeded runs; writes their table into ``docs/reliability.md``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.soak.run import Ended, soak_safely

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- soak -->", "<!-- end of soak -->"
RUNS = 500


def table(ended: list[Ended]) -> str:
    """By what the mixture had in it."""
    rows = {
        "faults that pass": [one for one in ended if not one.is_stuck],
        "an action denied, or credentials that expire": [one for one in ended if one.is_stuck],
        "all": ended,
    }
    head = ["mixtures with", "runs", "one apply", "two", "ended with an error", "lost", "traces"]
    lines = [_line([*head, "longest apply"]), _line(["---"] * (len(head) + 1))]
    lines += [_line([name, *_cells(found)]) for name, found in rows.items()]
    return "\n".join(lines)


def _cells(ended: list[Ended]) -> Iterator[str]:
    yield str(len(ended))
    for applies in (1, 2, 0):
        yield str(sum(one.applies == applies for one in ended))
    yield str(sum(bool(one.problems) for one in ended))
    yield str(sum(bool(one.trace) for one in ended))
    yield f"{max((one.seconds for one in ended), default=0.0) / 60:.0f} min"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(runs: int = RUNS) -> int:
    ended: list[Ended] = []
    with ProcessPoolExecutor(os.cpu_count() or 2, mp_context=get_context("spawn")) as pool:
        for one in pool.map(soak_safely, range(runs)):
            ended.append(one)
            if one.problems or one.trace:
                print(f"seed {one.seed}: {one.problems} {one.trace}", flush=True)  # noqa: T201 - a command's output
            if len(ended) % 50 == 0:
                print(f"{len(ended)} runs", flush=True)  # noqa: T201 - a command's output
    text = PAGE.read_text("utf-8")
    made = f"{BEGIN}\n{table(ended)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", made, text, flags=re.S), "utf-8")
    return 1 if any(one.problems or one.trace for one in ended) else 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
