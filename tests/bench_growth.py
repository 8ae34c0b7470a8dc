"""How processor time, calls and memory grow with the size of a set: ``make bench``, or alone by
``python -m tests.bench_growth [N ...]``.

N roles with a profile each, 4 N instances and N associations, in one account of prepared answers
(``tests/bench_server.py``), so that all that is measured is the program. Each command is a process
of its own, and this one is small: a child's peak begins with that of the process that made it.

Growth is what a role costs at N, over what it costs at the smallest N, each without what a set of
one role costs. 1 is linear.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench_server import Size, write_specs
from tests.bench_start import environment

SIZES = (250, 1_000, 5_000)
ROUNDS = {1: 5, 250: 5, 1_000: 3}
"""How often a set of so many roles is measured, twice if it is larger; the best counts, for growth
is a share of what a small set takes beyond the least."""
PER_ROLE = 4
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Command:
    """``given`` is what is run; ``{specs}`` is their folder."""

    name: str
    given: tuple[str, ...]
    code: int = 0
    """How it ends: 2 if there are differences."""
    is_empty: bool = False
    """Whether the account has nothing but the instances."""
    is_swapped: bool = False
    asks_aws: bool = True


_PLAN = ("plan", "--detailed-exitcode")
COMMANDS = (
    Command("validate", ("validate", "{specs}"), asks_aws=False),
    Command("plan, no change", (*_PLAN, "{specs}")),
    Command("plan, all is made", (*_PLAN, "{specs}"), 2, is_empty=True),
    Command("plan, all cut over", (*_PLAN, "{specs}"), 2, is_swapped=True),
    Command("drift", ("drift", "{specs}")),
)


@dataclass(frozen=True, slots=True, order=True)
class Measured:
    cpu: float
    """Seconds of the processor."""
    megabytes: float
    """At the peak."""
    calls: int


@contextmanager
def served(size: Size, *more: str) -> Iterator[str]:
    """The URL of a server of prepared answers, in a process of its own."""
    asked = (str(size.roles), str(size.instances), "--regions", ",".join(size.regions), *more)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench_server", *asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.communicate()


def calls_of(url: str) -> dict[str, int]:
    """Calls since it was asked before, by operation."""
    with urllib.request.urlopen(f"{url}/calls") as answer:
        found: dict[str, int] = json.loads(answer.read())
    return found


def run(arguments: list[str], code: int, cache: str, url: str | None = None) -> Measured:
    """A run of the program, which must end with ``code``. ``cache`` is for compiled modules."""
    if url is not None:
        calls_of(url)
    end = [] if url is None else ["--endpoint-url", url]
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "reconciler", *arguments, *end],
            env={**environment(cache), **KEYS},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != code:
            output.seek(0)
            told = output.read()[-2000:].decode()
            raise SystemExit(f"{arguments} ended with {child.returncode}: {told}")
    calls = sum(calls_of(url).values()) if url is not None else 0
    return Measured(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, calls)


def measured(command: Command, roles: int, cache: str) -> Measured:
    size = Size(roles, roles * PER_ROLE)
    with tempfile.TemporaryDirectory() as folder:
        write_specs(Path(folder), size, swapped=command.is_swapped)
        arguments = [one.format(specs=folder) for one in command.given]
        times = ROUNDS.get(roles, 2)
        if not command.asks_aws:
            return min(run(arguments, command.code, cache) for _ in range(times))
        with served(size, *(("--empty",) if command.is_empty else ())) as url:
            return min(run(arguments, command.code, cache, url) for _ in range(times))


def rows(sizes: list[int], cache: str) -> Iterator[tuple[str, int, Measured, float]]:
    """Command, roles, what was measured, and the growth."""
    for command in COMMANDS:
        least = measured(command, 1, cache)
        first: float | None = None
        for roles in sizes:
            found = measured(command, roles, cache)
            each = (found.cpu - least.cpu) / roles
            first = each if first is None else first
            yield command.name, roles, found, each / first


def main(sizes: list[int]) -> None:
    out = sys.stdout
    out.write(f"{'command':<20} {'roles':>6} {'calls':>6} {'cpu s':>7} {'MB':>5} growth\n")
    with tempfile.TemporaryDirectory() as cache:
        for name, roles, found, growth in rows(sizes, cache):
            amounts = f"{found.calls:>6} {found.cpu:>7.2f} {found.megabytes:>5.0f} {growth:>6.2f}"
            out.write(f"{name:<20} {roles:>6} {amounts}\n")
            out.flush()


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [*SIZES])
