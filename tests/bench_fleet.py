"""Many accounts on one machine: ``make bench``, or alone by
``python -m tests.bench_fleet [--sandbox] [--shard I/N] [N ...]``.

N targets, each an account whose role is assumed, with ten roles, profiles and associations and ten
instances in each of four regions; a plan that changes nothing. AWS is prepared answers
(``tests/bench_server.py``) that take 40 ms each. With ``--sandbox`` it is the sandbox, whose accounts
are empty at first: roles and profiles are to be made, and the sandbox's own work is beside it. With
``--shard`` one job of so many plans its part of the N targets.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench_growth import Measured, run, served
from tests.bench_server import Size, write_specs

COUNTS = (60, 250, 1_000)
LATENCY = 0.04
"""Seconds."""
SIZE = Size(10, 10, ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1"))


def settings(count: int) -> str:
    roles = (f"arn:aws:iam::{n:012d}:role/ci/reconciler" for n in range(1, count + 1))
    return "targets:\n" + "".join(f"  t{n:05d}: {{role_arn: '{r}'}}\n" for n, r in enumerate(roles))


def measured(count: int, cache: str, more: tuple[str, ...] = ()) -> tuple[Measured, float]:
    """What was measured, and the seconds that it took. ``more`` are flags."""
    with tempfile.TemporaryDirectory() as folder, served(SIZE, "--latency", str(LATENCY)) as url:
        write_specs(Path(folder), SIZE, settings=settings(count))
        began = time.perf_counter()
        found = run(["plan", "--detailed-exitcode", folder, *more], 0, cache, url)
        return found, time.perf_counter() - began


def on_sandbox(count: int, cache: str, more: tuple[str, ...] = ()) -> tuple[Measured, float]:
    """The same, without associations: there are no instances."""
    size = Size(SIZE.roles, 0, SIZE.regions)
    with tempfile.TemporaryDirectory() as folder, sandbox() as url:
        write_specs(Path(folder), size, settings=settings(count))
        began = time.perf_counter()
        asked = ["plan", "--detailed-exitcode", folder, "--endpoint-url", url, *more]
        found = run(asked, 2, cache)
        return found, time.perf_counter() - began


@contextmanager
def sandbox() -> Iterator[str]:
    """Its URL."""
    given = ("sandbox", "--port", "0", "--latency", str(LATENCY))
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "reconciler", *given],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.communicate()


def main(counts: list[int], shard: str | None, *, has_sandbox: bool) -> None:
    out = sys.stdout
    measure = on_sandbox if has_sandbox else measured
    out.write(f"{'targets':>8} {'calls':>7} {'wall s':>7} {'cpu s':>7} {'MB':>6}\n")
    with tempfile.TemporaryDirectory() as cache:
        measure(1, cache)
        for count in counts:
            found, wall = measure(count, cache, ("--shard", shard) if shard else ())
            amounts = f"{found.calls:>7} {wall:>7.1f} {found.cpu:>7.1f} {found.megabytes:>6.0f}"
            out.write(f"{count:>8} {amounts}\n")
            out.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", nargs="*", type=int, default=[*COUNTS])
    parser.add_argument("--shard")
    parser.add_argument("--sandbox", action="store_true")
    given = parser.parse_args()
    main(given.counts, given.shard, has_sandbox=given.sandbox)
