"""Beside a bare script of boto3, a shell script of ``aws`` commands, Ansible and Terraform: calls,
seconds, processor time and memory of the same work on the same server, one after the other, in one
run: ``python -W ignore -m tests.bench_against [--operations] [--only TOOL,TOOL] [--ms MS,MS]
[--propagation 60s] [--max-cutovers 10] [N ...]``.

The server is the sandbox, in this process; each client is a process of its own. The sandbox takes
milliseconds of the processor for each call, so on two cores all are slower than on AWS. What does
one thing after the other is measured with few resources only, and 40 ms a call; what is not
installed is not measured.
With ``--operations`` the calls are told by operation. ``--propagation`` is 0 unless told: a plain
clock, so that what the others do not wait for is not measured as slowness.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.server import serving
from reconciler.sandbox.state import World
from tests.bench_others import (
    ansible_program,
    aws_program,
    playbook,
    shell_script,
    terraform_files,
    terraform_init,
    terraform_program,
)

KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}
SCENARIOS = ("create", "noop", "drift", "swap")
MOST_IN_SEQUENCE = 10
"""The largest N for what does one thing after the other, each in a process of its own."""
MOST_OF_TERRAFORM = 100
"""The largest N for Terraform: it asks some twenty times for each thing."""
SWAPPED = 0.2
USAGE = Path(__file__).with_name("bench_usage.py")
IMAGE = "ami-12c6146b"
_NUMBERS = itertools.count(1)
PARALLELISM = "16"


@dataclass(frozen=True, slots=True)
class Measured:
    calls: int
    wall: float
    cpu: float
    """Seconds of the client's processor."""
    megabytes: float
    """The most that one of its processes had."""
    operations: Counter[str]


@dataclass
class Account:
    """One server, and what is wanted of it."""

    world: World
    url: str
    folder: Path
    wanted: dict[str, Any]
    settings: str
    """Lines of our ``reconciler.yaml``."""

    def run(self, command: list[str]) -> Measured:
        since, began = len(self.world.log), time.perf_counter()
        usage = self.folder / "usage.json"
        ended = subprocess.run(
            [sys.executable, "-I", str(USAGE), str(usage), *command],
            env={**os.environ, **KEYS},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        wall = time.perf_counter() - began
        if ended.returncode:
            told = ended.stdout.decode()[-2000:]
            raise SystemExit(f"{command} ended with {ended.returncode}: {told}")
        took = json.loads(usage.read_text("utf-8"))
        calls = self.world.log[since:]
        operations = Counter(one.operation for one in calls)
        return Measured(len(calls), wall, took["cpu"], took["megabytes"], operations)

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
            f"{self.settings}guards: {{max_change: 100%}}\n"
        )
        (self.folder / "reconciler.yaml").write_text(settings, "utf-8")
        (self.folder / "specs.yaml").write_text("\n".join(lines) + "\n", "utf-8")


@contextmanager
def account(count: int, latency: float, settings: str) -> Iterator[Account]:
    """Another one for each tool, with so many instances without a profile: what one has made is
    not there for the next."""
    world = World(account=f"{next(_NUMBERS):012d}")
    with serving(world, 0) as url, tempfile.TemporaryDirectory() as folder:
        ec2: Any = boto3.client("ec2", region_name="us-east-1", endpoint_url=url)
        answer = ec2.run_instances(ImageId=IMAGE, MinCount=count, MaxCount=count)
        ids = sorted(instance["InstanceId"] for instance in answer["Instances"])
        wanted = {
            "image": IMAGE,
            "roles": [f"r{n}" for n in range(count)],
            "others": [f"s{n}" for n in range(int(count * SWAPPED))],
            "swapped": int(count * SWAPPED),
            "profiles": [
                {"name": f"p{n}", "role": f"r{n}", "other": f"s{n}", "instance": ids[n]}
                for n in range(count)
            ],
        }
        world.lags = Lags(associating=0.1, disassociating=0.1, latency=latency)
        yield Account(world, url, Path(folder), wanted, settings)


def drift(account: Account) -> None:
    """Somebody changes five descriptions."""
    iam: Any = boto3.client("iam", region_name="us-east-1", endpoint_url=account.url)
    for name in account.wanted["roles"][:5]:
        iam.update_role(RoleName=name, Description="by hand", MaxSessionDuration=3600)


def ours(account: Account, scenario: str) -> list[str]:
    account.write(account.wanted["swapped"] if scenario == "swap" else 0)
    program = [sys.executable, "-W", "ignore", "-m", "reconciler"]
    end = ["--endpoint-url", account.url, "--parallelism", PARALLELISM]
    if scenario == "noop":
        return [*program, "plan", str(account.folder), *end]
    return [*program, "apply", str(account.folder), "--auto-approve", *end]


def bare(account: Account, scenario: str) -> list[str]:
    path = account.folder / "wanted.json"
    path.write_text(json.dumps(account.wanted), "utf-8")
    program = [sys.executable, "-W", "ignore", "-m", "tests.bench_bare"]
    return [*program, account.url, str(path), scenario]


def in_shell(account: Account, scenario: str) -> list[str]:
    return ["bash", "-c", shell_script(aws_program() or "", account.url, account.wanted, scenario)]


def by_ansible(account: Account, scenario: str) -> list[str]:
    path = account.folder / "playbook.yaml"
    swapped = account.wanted["swapped"] if scenario == "swap" else 0
    path.write_text(playbook(account.url, account.wanted, swapped), "utf-8")
    return [ansible_program() or "", "--inventory", "localhost,", str(path)]


def by_terraform(account: Account, scenario: str) -> list[str]:
    swapped = account.wanted["swapped"] if scenario == "swap" else 0
    text = terraform_files(account.url, account.wanted, swapped)
    (account.folder / "main.tf.json").write_text(text, "utf-8")
    program = [terraform_program() or "", f"-chdir={account.folder}"]
    if scenario == "create":
        # Once for a checkout, so it is not counted.
        account.run(terraform_init(program))
    if scenario == "noop":
        return [*program, "plan", "-input=false", f"-parallelism={PARALLELISM}"]
    return [*program, "apply", "-input=false", "-auto-approve", f"-parallelism={PARALLELISM}"]


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    command: Callable[[Account, str], list[str]]
    is_installed: Callable[[], bool] = lambda: True
    most: int = sys.maxsize
    """The largest N that it is measured with."""

    def takes(self, count: int, latency: float) -> bool:
        is_small = count <= self.most and (latency > 0 or self.most == sys.maxsize)
        return is_small and self.is_installed()

    def measured(self, count: int, latency: float, settings: str) -> Iterator[tuple[str, Measured]]:
        with account(count, latency, settings) as made:
            for scenario in SCENARIOS:
                if scenario == "drift":
                    drift(made)
                yield scenario, made.run(self.command(made, scenario))


BARE = Tool("bare boto3", bare)
TOOLS = (
    Tool("reconciler", ours),
    Tool("aws commands", in_shell, lambda: aws_program() is not None, MOST_IN_SEQUENCE),
    Tool("Ansible", by_ansible, lambda: ansible_program() is not None, MOST_IN_SEQUENCE),
    Tool("Terraform", by_terraform, lambda: terraform_program() is not None, MOST_OF_TERRAFORM),
)


def main(given: argparse.Namespace) -> None:
    os.environ.update(KEYS)
    out = sys.stdout
    only = {name for name in given.only.split(",") if name}
    tools = [tool for tool in TOOLS if not only or tool.name in only]
    for tool in tools:
        if not tool.is_installed():
            out.write(f"{tool.name} is not installed\n")
    amounts = f"{'calls':>6} {'wall s':>7} {'cpu s':>6} {'MB':>5}"
    out.write(f"{'N':>5} {'ms':>3} {'tool':12} {'':6} {amounts} ratio\n")
    settings = f"propagation: {given.propagation}\nmax_cutovers: {given.max_cutovers}\n"
    latencies = [float(one) / 1000 for one in given.ms.split(",")]
    for count, latency in itertools.product(given.counts, latencies):
        least = dict(BARE.measured(count, latency, settings))
        there = [tool for tool in tools if tool.takes(count, latency)]
        rows = itertools.chain(
            ((BARE.name, *row) for row in least.items()),
            (
                (tool.name, *row)
                for tool in there
                for row in tool.measured(count, latency, settings)
            ),
        )
        for name, scenario, found in rows:
            ratio = found.wall / least[scenario].wall
            amounts = (
                f"{found.calls:>6} {found.wall:>7.1f} {found.cpu:>6.1f} {found.megabytes:>5.0f}"
            )
            out.write(
                f"{count:>5} {latency * 1000:>3.0f} {name:12} {scenario:6} {amounts} {ratio:>5.1f}\n"
            )
            if given.operations:
                told = (f"{call} {times}" for call, times in found.operations.most_common())
                out.write(f"      {', '.join(told)}\n")
            out.flush()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_against")
    parser.add_argument("counts", nargs="*", type=int, default=[10, 25, 100])
    parser.add_argument("--operations", action="store_true")
    parser.add_argument("--only", default="", help="names of tools, with commas between them")
    parser.add_argument("--ms", default="0,40", help="milliseconds that a call takes")
    parser.add_argument("--propagation", default="0s", help="that of our specs")
    parser.add_argument("--max-cutovers", type=int, default=10, help="that of our specs")
    return parser.parse_args()


if __name__ == "__main__":
    main(parsed())
