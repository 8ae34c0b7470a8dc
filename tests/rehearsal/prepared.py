"""Situations that are rehearsed, and how."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.cli.connection import run_ports
from reconciler.cli.given import AccessFlags
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned
from reconciler.commands.request import RunPorts
from reconciler.ports import Clock
from reconciler.rehearsal.access import Policies
from reconciler.rehearsal.copying import copy_of
from reconciler.rehearsal.rehearsing import Rehearsed, Stage
from tests.rig import AWAY, Rig, Silence, rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2, tags: {{a: b}}}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}}}}}}}
"""
Prepare = Callable[[Rig], None]
Allowed = Callable[[Rig, Planned], list[dict[str, Any]]]
"""The statements of the identity that applies."""


def swapping(strategy: str) -> Prepare:
    def prepare(aws: Rig) -> None:
        aws.write(SPEC.format(role="v1", strategy=strategy))
        aws.settle()
        aws.clock.sleep(60)
        aws.launch(1, profile="web")
        aws.launch(1, region=AWAY, profile="web")
        aws.clock.sleep(600)
        aws.write(SPEC.format(role="v2", strategy=strategy))

    return prepare


def on_copy(clock: Clock) -> RunPorts:
    return run_ports(AccessFlags(None, None, ()), Silence(), 10, clock)


def staged(folder: Path, prepare: Prepare, allowed: Allowed | None = None) -> Stage:
    """The plan of the prepared account, and the copy of it."""
    folder.mkdir(exist_ok=True)
    with rig(folder) as aws:
        aws.clock.seconds = time.time() - 3600  # a rehearsal begins now
        prepare(aws)
        aws.aws.log.clear()
        planned = make_plan(aws.request(), aws.commands(), keeps_context=True)
        copy = copy_of(planned.targets[0], aws.progress.told.append)
        assert aws.writes() == []
        given = allowed(aws, planned) if allowed else None
    policies = None if given is None else as_policies(given)
    return Stage(planned, planned.targets[0], copy, on_copy, lambda _what: None, policies)


def as_policies(statements: list[dict[str, Any]]) -> Policies:
    return Policies("ci.json", ({"Version": "2012-10-17", "Statement": statements},))


def rehearsed(
    folder: Path,
    prepare: Prepare,
    *,
    with_crashes: bool = False,
    allowed: Allowed | None = None,
) -> Rehearsed:
    return staged(folder, prepare, allowed).rehearse(with_crashes=with_crashes)
