"""A set four times as large takes four times the work: counted in lines that Python runs, each turn of a loop again,
so that it is the same on any machine. `python -m tests.bench_growth` measures it for large sets."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.executor.estimate import estimate
from reconciler.model.live import LiveProfile, LiveState
from reconciler.model.ownership import RELEASED, ROLE_ID, Partial, Pending, encode_role_mark
from reconciler.plan.plan import Plan, TargetPlan, digest_of
from reconciler.render.aws_cli import aws_cli
from reconciler.render.json.plan import change_json, step_json
from reconciler.render.text.diagnostics import full
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.spec.loader import Caller, interpret, read
from tests.planner.worlds import HOME, ME, NOW, instance, live, plan, role_id, spec_set
from tests.sampling import sampled

SMALL = 8
TIMES = 4
MOST = 4.05
"""Times the lines for ``TIMES`` the set; what is done once makes it less."""


def specs(count: int, *, swapped: bool = False) -> str:
    lines = ["roles:"]
    document = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
    role = f"trust: ec2, tags: {{a: b}}, inline_policies: {{p: {document}}}"
    lines += [f"  r{n}: {{{role}, managed_policies: [m{n}]}}" for n in range(count)]
    lines += ["  other: {trust: ec2}", "policies:"]
    lines += [f"  m{n}: {{document: {document}}}" for n in range(count)]
    lines.append("instance_profiles:")
    lines += [f"  p{n}: {{role: {'other' if swapped else f'r{n}'}}}" for n in range(count)]
    lines.append("associations:")
    chosen = ("select: {{tags: {{app: a{0}}}}}", "instances: [i-{0:08x}]")
    lines += [
        f"  a{n}: {{instance_profile: p{n}, {chosen[n % 2].format(n)}}}" for n in range(count)
    ]
    return "\n".join(lines) + "\n"


def account(count: int) -> LiveState:
    made = (
        instance(n, f"p{n % count}", tags={"app": f"a{n % count}"}, is_ours=True)
        for n in range(2 * count)
    )
    return live(specs(count), made)


def lines_of(work: Callable[[], object]) -> int:
    """How many lines are run by it, in this thread."""
    count = 0

    def trace(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def of_profiles(there: LiveState, mark: Callable[[LiveProfile], str | None]) -> LiveState:
    """With another mark of the role on each profile, or without any."""

    def marked(profile: LiveProfile) -> LiveProfile:
        found = mark(profile)
        marks = {} if found is None else {**profile.marks, ROLE_ID: found}
        return replace(profile, marks=marks)

    return replace(there, profiles={name: marked(p) for name, p in there.profiles.items()})


def released(there: LiveState) -> LiveState:
    """With roles that consumers let go a while ago."""
    marks = {RELEASED: str(int(NOW) - 100)}
    roles = {n: replace(r, marks={**r.marks, **marks}) for n, r in there.roles.items()}
    return replace(there, roles=roles)


def half_way(profile: LiveProfile) -> str:
    epoch = int(NOW) - 3600
    return encode_role_mark(Pending(profile.role_id or "", role_id("other"), epoch, "dead"))


def narrow(profile: LiveProfile) -> str:
    return encode_role_mark(Partial(profile.role_id or "", (HOME,)))


SITUATIONS: dict[str, Callable[[int], tuple[str, LiveState, dict[str, Any]]]] = {
    "no change": lambda n: (specs(n), account(n), {}),
    "drift": lambda n: (specs(n, swapped=True), account(n), {"for_drift": True}),
    "all made": lambda n: (
        specs(n),
        live("", (instance(i, tags={"app": f"a{i}"}) for i in range(n))),
        {},
    ),
    "all cut over": lambda n: (specs(n, swapped=True), account(n), {}),
    "all gone": lambda n: ("roles: {kept: {trust: ec2}}\n", account(n), {"prune": True}),
    "all destroyed": lambda n: ("", account(n), {"destroy": True}),
    "all adopted": lambda n: (specs(n), of_profiles(account(n), lambda _: None), {"adopt": True}),
    "all left half way": lambda n: (
        specs(n, swapped=True),
        of_profiles(account(n), half_way),
        {},
    ),
    "all seen in part, after releases": lambda n: (
        specs(n),
        released(of_profiles(account(n), narrow)),
        {},
    ),
    "all moved to another path": lambda n: (
        re.sub(r"\{(?=document|trust: ec2, tags|role)", "{path: /app/, ", specs(n)),
        account(n),
        {},
    ),
}


def planned(count: int, how: str) -> Callable[[], TargetPlan]:
    text, there, more = SITUATIONS[how](count)
    if text:
        spec_set(text)
    settings = {"guards": {"max_delete": "100%", "max_change": "100%"}}
    return lambda: plan(text, there, settings, **more)


LIKE_A_CUT_OVER = ("drift", "all left half way")


@pytest.mark.parametrize(
    "how", sampled([how for how in SITUATIONS if how not in LIKE_A_CUT_OVER], LIKE_A_CUT_OVER)
)
def test_a_plan(how: str) -> None:
    small, large = planned(SMALL, how), planned(TIMES * SMALL, how)
    assert small().is_empty == (how == "no change")
    assert lines_of(large) / lines_of(small) < MOST


@pytest.mark.parametrize("how", ["all made", "all cut over"])
def test_what_is_made_of_a_plan(how: str) -> None:
    def shown(made: TargetPlan) -> Callable[[], object]:
        def show() -> None:
            plan = Plan((made,), "team", digest_of((made,), "team"))
            estimate(plan)
            plan_lines(plan, Look(is_full=True))
            aws_cli(plan)
            for change in made.changes:
                change_json(change)
            for step in made.steps:
                step_json(step)

        return show

    small, large = planned(SMALL, how)(), planned(TIMES * SMALL, how)()
    assert lines_of(shown(large)) / lines_of(shown(small)) < MOST


@pytest.mark.parametrize("mistaken", [False, True])
def test_specs(tmp_path: Path, mistaken: bool) -> None:
    def read_of(count: int) -> Callable[[], object]:
        folder = tmp_path / str(count)
        folder.mkdir()
        text = specs(count).replace("trust: ec2", "trst: ec2") if mistaken else specs(count)
        (folder / "a.yaml").write_text(text, "utf-8")

        def interpreted() -> None:
            made = interpret(read(str(folder)), Caller(ME.account_id, ME.partition))
            assert bool(made.diagnostics) == mistaken
            full(made.diagnostics, made.sources)

        return interpreted

    small, large = read_of(SMALL), read_of(TIMES * SMALL)
    small()
    assert lines_of(large) / lines_of(small) < MOST


def test_it_would_see_a_scan_of_all_for_each() -> None:
    def scans(count: int) -> Callable[[], object]:
        return lambda: [other for one in range(count) for other in range(count) if other == one]

    assert lines_of(scans(TIMES * SMALL)) / lines_of(scans(SMALL)) > 10
