"""Beside a bare script of boto3: calls, seconds and processor time of the same work on the same
server, one after the other, in one run: ``python -W ignore -m tests.bench_against [N ...]``.

The server is the sandbox, in this process; each client is a process of its own. The sandbox takes
milliseconds of the processor for each call, so on two cores both are slower than on AWS.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.server import serving
from reconciler.sandbox.state import World

KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}
SCENARIOS = ("create", "noop", "drift", "swap")
SWAPPED = 0.2
_NUMBERS = itertools.count(1)
PARALLELISM = "16"


@dataclass(frozen=True, slots=True)
class Measured:
    calls: int
    wall: float
    cpu: float
    """Seconds of the client's processor."""


@dataclass
class Account:
    """One server, and what is wanted of it."""

    world: World
    url: str
    folder: Path
    wanted: dict[str, Any]

    def run(self, command: list[str]) -> Measured:
        since, began = len(self.world.log), time.perf_counter()
        env = {**os.environ, **KEYS}
        child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = child.stdout.read() if child.stdout else b""
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        if (code := os.waitstatus_to_exitcode(status)) not in (0, 2):
            raise SystemExit(f"{command} ended with {code}: {out.decode()[-2000:]}")
        cpu = usage.ru_utime + usage.ru_stime
        return Measured(len(self.world.log) - since, wall, cpu)

    def write(self, swapped: int) -> None:
        """The specs; of so many profiles with the other role."""
        wanted, lines = self.wanted, ["roles:"]
        lines += [f"  {name}: {{trust: ec2}}" for name in (*wanted["roles"], *wanted["others"])]
        lines.append("instance_profiles:")
        for number, one in enumerate(wanted["profiles"]):
            role = one["other"] if number < swapped else one["role"]
            lines.append(f"  {one['name']}: {{role: {role}}}")
        lines.append("associations:")
        lines += [
            f"  {one['name']}: {{instance_profile: {one['name']}, instances: [{one['instance']}]}}"
            for one in wanted["profiles"]
        ]
        settings = (
            "version: 1\nowner: bench\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\n"
            "propagation: 0s\nguards: {max_change: 100%}\n"
        )
        (self.folder / "reconciler.yaml").write_text(settings, "utf-8")
        (self.folder / "specs.yaml").write_text("\n".join(lines) + "\n", "utf-8")


def accounts(count: int, latency: float) -> Iterator[Account]:
    """An account for each of the two, with so many instances without a profile."""
    for _ in range(2):
        # What one has made is not there for the other.
        world = World(account=f"{next(_NUMBERS):012d}")
        with serving(world, 0) as url, tempfile.TemporaryDirectory() as folder:
            ec2: Any = boto3.client("ec2", region_name="us-east-1", endpoint_url=url)
            answer = ec2.run_instances(ImageId="ami-12c6146b", MinCount=count, MaxCount=count)
            ids = sorted(instance["InstanceId"] for instance in answer["Instances"])
            wanted = {
                "roles": [f"r{n}" for n in range(count)],
                "others": [f"s{n}" for n in range(int(count * SWAPPED))],
                "swapped": int(count * SWAPPED),
                "profiles": [
                    {"name": f"p{n}", "role": f"r{n}", "other": f"s{n}", "instance": ids[n]}
                    for n in range(count)
                ],
            }
            world.lags = Lags(associating=0.1, disassociating=0.1, latency=latency)
            yield Account(world, url, Path(folder), wanted)


def drift(account: Account) -> None:
    """Somebody changes five descriptions."""
    iam: Any = boto3.client("iam", region_name="us-east-1", endpoint_url=account.url)
    for name in account.wanted["roles"][:5]:
        iam.update_role(RoleName=name, Description="by hand", MaxSessionDuration=3600)


def ours(account: Account) -> dict[str, Measured]:
    end = ["--endpoint-url", account.url, "--parallelism", PARALLELISM]
    program = [sys.executable, "-W", "ignore", "-m", "reconciler"]
    apply = [*program, "apply", str(account.folder), "--auto-approve", *end]
    account.write(0)
    found = {"create": account.run(apply)}
    found["noop"] = account.run([*program, "plan", str(account.folder), *end])
    drift(account)
    found["drift"] = account.run(apply)
    account.write(account.wanted["swapped"])
    found["swap"] = account.run(apply)
    return found


def bare(account: Account) -> dict[str, Measured]:
    path = account.folder / "wanted.json"
    path.write_text(json.dumps(account.wanted), "utf-8")
    found = {}
    for scenario in SCENARIOS:
        if scenario == "drift":
            drift(account)
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench_bare"]
        found[scenario] = account.run([*command, account.url, str(path), scenario])
    return found


def main(counts: list[int]) -> None:
    os.environ.update(KEYS)
    head = f"{'N':>5} {'ms':>3} {'':7} | {'reconciler':^21} | {'bare boto3':^21} | ratio"
    columns = f"{'calls':>6} {'wall s':>7} {'cpu s':>6}"
    sys.stdout.write(f"{head}\n{'':17} | {columns} | {columns} | wall\n")
    for count in counts:
        for latency in (0.0, 0.04):
            mine, theirs = (
                of(account)
                for of, account in zip((ours, bare), accounts(count, latency), strict=True)
            )
            for scenario in SCENARIOS:
                a, b = mine[scenario], theirs[scenario]
                cells = (f"{m.calls:>6} {m.wall:>7.1f} {m.cpu:>6.1f}" for m in (a, b))
                what = f"{count:>5} {latency * 1000:>3.0f} {scenario:7}"
                sys.stdout.write(f"{what} | {' | '.join(cells)} | {a.wall / b.wall:.1f}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [25, 100])
