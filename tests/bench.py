"""How many calls and seconds a plan takes: ``make bench``.

Ratios in one run on the sandbox; seconds of two machines are not comparable.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from reconciler.sandbox.chaos import Lags
from tests.rig import HOME, rig


def measure(count: int) -> tuple[int, float]:
    """Calls and seconds of a plan that changes nothing: ``count`` roles, profiles, associations."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), Lags()) as aws:
        aws.launch(count, tags={"app": "web"})
        roles = "".join(f"  r{n}: {{trust: ec2, instance_profile: true}}\n" for n in range(count))
        links = "".join(
            f"  a{n}: {{instance_profile: r{n}, instances: [{i}]}}\n"
            for n, i in enumerate(aws.instance_ids())
        )
        aws.write(f"roles:\n{roles}associations:\n{links}")
        aws.settle(regions=(HOME,))
        aws.opened.clear()
        began = time.perf_counter()
        plan = aws.plan(regions=(HOME,)).plan
        seconds = time.perf_counter() - began
        if not plan.is_empty:
            raise SystemExit("the plan should be empty")
        return sum(plan.api_calls.values()), seconds


def main() -> None:
    out = sys.stdout
    out.write(f"{'resources':>10} {'calls':>6} {'arithmetic':>11} {'seconds':>8}\n")
    for count in (25, 50, 100):
        calls, seconds = measure(count)
        # Not measured: what GetRole, two lists, GetInstanceProfile and a describe each would be.
        alone = count * 5
        out.write(f"{count * 3:>10} {calls:>6} {alone:>11} {seconds:>8.2f}\n")


if __name__ == "__main__":
    main()
