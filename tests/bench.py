"""How many calls and seconds a plan takes, and how near its estimate comes: ``make bench``.

Ratios in one run on the sandbox; seconds of two machines are not comparable.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from reconciler.render import formats
from reconciler.render.formats import PlanReport
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.render.text.diagnostics import full
from reconciler.sandbox.fault_config import Lags
from reconciler.spec.loader import load
from tests import bench_estimate, bench_start
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


def reports(count: int) -> tuple[int, float, dict[str, float]]:
    """Changes and seconds of a plan that makes ``count`` policies, roles and profiles, and what
    each report takes beside it."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), Lags()) as aws:
        document = (
            "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
        )
        policies = "".join(f"  p{n}: {{document: {document}}}\n" for n in range(count))
        inside = f"trust: ec2, managed_policies: [p0], inline_policies: {{i: {document}}}"
        roles = "".join(
            f"  r{n}: {{{inside}, tags: {{a: b}}, instance_profile: true}}\n" for n in range(count)
        )
        aws.write(f"policies:\n{policies}roles:\n{roles}")
        began = time.perf_counter()
        planned = aws.plan(regions=(HOME,))
        plan_seconds = time.perf_counter() - began
        took: dict[str, float] = {}
        began = time.perf_counter()
        subject = PlanReport(planned.plan, plan_json(planned, now_as_text()))
        took["the document"] = time.perf_counter() - began
        for name, made in formats.PLAN.items():
            began = time.perf_counter()
            made(subject)
            took[name] = time.perf_counter() - began
        return len(planned.plan.changes), plan_seconds, took


MISTAKEN = "{trst: ec2, tags: 5, pth: x}"
DOCUMENTED = (
    "{trust: ec2, managed_policies: [AmazonSSMManagedInstanceCore], inline_policies: {logs: "
    "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: ['logs:PutLogEvents'], "
    "Resource: 'arn:aws:logs:*:*:*', Condition: {StringEquals: {'aws:SourceAccount': a}}}]}}}"
)


def findings(count: int, role: str) -> tuple[int, float]:
    """Findings, and seconds of the processor, of `validate` for ``count`` such roles: to be below
    five for 5,000 (also by `time reconciler validate FOLDER`, under `user`)."""
    with tempfile.TemporaryDirectory() as folder:
        roles = "".join(f"  r{n}: {role}\n" for n in range(count))
        (Path(folder) / "a.yaml").write_text(f"roles:\n{roles}", "utf-8")
        began = time.process_time()
        spec = load(folder)
        full(spec.diagnostics, spec.sources)
        return len(spec.diagnostics), time.process_time() - began


def main() -> None:
    out = sys.stdout
    bench_start.main()
    out.write("\n")
    for what, role in (("mistakes", MISTAKEN), ("documents", DOCUMENTED)):
        found, seconds = findings(5_000, role)
        told = f"5,000 roles with {what}, {found} findings: {seconds:.2f} s of the processor"
        out.write(f"validate, {told}\n")
    out.write("\n")
    changes, planned, took = reports(100)
    out.write(f"a plan of {changes} changes: {planned:.2f} s; reports, in seconds:\n")
    for name, seconds in took.items():
        out.write(f"{name:>14} {seconds:>6.2f}\n")
    out.write(f"{'all reports':>14} {sum(took.values()):>6.2f}\n\n")
    out.write(f"{'resources':>10} {'calls':>6} {'arithmetic':>11} {'seconds':>8}\n")
    for count in (25, 50, 100):
        calls, seconds = measure(count)
        # Not measured: what GetRole, two lists, GetInstanceProfile and a describe each would be.
        alone = count * 5
        out.write(f"{count * 3:>10} {calls:>6} {alone:>11} {seconds:>8.2f}\n")
    out.write("\n")
    bench_estimate.main()


if __name__ == "__main__":
    main()
