"""Every exit code of every command, as a pipeline or a cron job meets it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import refusing
from tests.behaviour.test_ownership import TRUST
from tests.rig import Rig

SETTINGS = "owner: tests\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 0s\n"
ROLE = "roles: {web: {trust: ec2}}"
MANY = "roles: {" + ", ".join(f"r{n}: {{trust: ec2}}" for n in range(5)) + "}"
Setup = Callable[[Rig], Any]


@pytest.fixture
def folder(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.chdir(aws.folder)
    (aws.folder / "specs").mkdir()
    aws.folder = aws.folder / "specs"
    with contextlib.redirect_stdout(None):
        yield aws


def nothing(aws: Rig) -> None:
    aws.write(ROLE, SETTINGS)


def applied(aws: Rig) -> None:
    nothing(aws)
    assert run(["apply", "--auto-approve"]) == 0


def broken(aws: Rig) -> None:
    aws.write("roles: {web: {trst: ec2}}", SETTINGS)


def unmanaged(aws: Rig) -> None:
    nothing(aws)
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)


def left(aws: Rig) -> None:
    """Three of five that are ours left the specs."""
    aws.write(MANY, SETTINGS)
    assert run(["apply", "--auto-approve"]) == 0
    aws.write("roles: {r0: {trust: ec2}, r1: {trust: ec2}}", SETTINGS)


def elsewhere(aws: Rig) -> None:
    aws.write(ROLE, SETTINGS + "account_id: '999999999999'\n")


def ownerless(aws: Rig) -> None:
    aws.write(ROLE, "version: 1\nregions: [us-east-1]\n")


def empty(aws: Rig) -> None:
    aws.write("x-nothing: 1", SETTINGS)


def nobody(aws: Rig) -> None:
    spec = "associations: {a: {instance_profile: web, instances: [i-00000000]}}"
    aws.write(f"roles: {{web: {{trust: ec2, instance_profile: true}}}}\n{spec}", SETTINGS)


def saved(aws: Rig) -> None:
    nothing(aws)
    assert run(["plan", "--out", "plan.json"]) == 0


def stale(aws: Rig) -> None:
    saved(aws)
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)


def forged(aws: Rig) -> None:
    saved(aws)
    path = Path("plan.json")
    document = json.loads(path.read_text())
    document["targets"][0]["changes"].clear()
    path.write_text(json.dumps(document))


def cut_off(aws: Rig) -> None:
    saved(aws)
    path = Path("plan.json")
    path.write_text(path.read_text()[:100])


def other_specs(aws: Rig) -> None:
    saved(aws)
    aws.write("roles: {web: {trust: lambda}}", SETTINGS)


def everywhere(aws: Rig) -> None:
    """A set with targets of which one is the wrong account."""
    aws.write(ROLE, SETTINGS + "targets: {a: {}, b: {account_id: '999999999999'}}\n")


AUTO = "--auto-approve"
WANTED = "sha256:" + "0" * 64
TABLE: list[tuple[str, Setup, ExitCode]] = [
    ("validate", nothing, ExitCode.OK),
    ("validate", broken, ExitCode.ERROR),
    ("validate nowhere", nothing, ExitCode.ERROR),
    ("plan", nothing, ExitCode.OK),
    ("plan", applied, ExitCode.OK),
    ("plan", broken, ExitCode.ERROR),
    ("plan", nobody, ExitCode.ERROR),
    ("plan --prune", empty, ExitCode.ERROR),
    ("plan --detailed-exitcode", nothing, ExitCode.DIFFERENCES),
    ("plan --detailed-exitcode", applied, ExitCode.OK),
    ("plan", unmanaged, ExitCode.UNDECIDED),
    ("plan --adopt", unmanaged, ExitCode.OK),
    ("plan --prune", left, ExitCode.OK),
    ("plan --prune --detailed-exitcode", left, ExitCode.DIFFERENCES),
    ("plan --prune", ownerless, ExitCode.UNDECIDED),
    ("plan", elsewhere, ExitCode.UNDECIDED),
    ("plan", everywhere, ExitCode.UNDECIDED),
    ("plan --target c", everywhere, ExitCode.USAGE),
    ("plan --owner a/b", nothing, ExitCode.USAGE),
    ("plan --jsn", nothing, ExitCode.USAGE),
    ("apply", nothing, ExitCode.ERROR),
    ("apply", applied, ExitCode.OK),
    (f"apply {AUTO}", nothing, ExitCode.OK),
    (f"apply {AUTO}", broken, ExitCode.ERROR),
    (f"apply {AUTO} --max-time 0s", nothing, ExitCode.PARTLY_APPLIED),
    (f"apply {AUTO} --max-time soon", nothing, ExitCode.USAGE),
    (f"apply {AUTO}", unmanaged, ExitCode.UNDECIDED),
    (f"apply {AUTO} --prune", left, ExitCode.UNDECIDED),
    (f"apply {AUTO} --prune --allow delete=3", left, ExitCode.OK),
    (f"apply {AUTO} --prune --allow delete=4", left, ExitCode.UNDECIDED),
    (f"apply {AUTO}", elsewhere, ExitCode.UNDECIDED),
    (f"apply {AUTO} --expect {WANTED}", nothing, ExitCode.STALE),
    ("apply plan.json", saved, ExitCode.OK),
    ("apply plan.json --prune", saved, ExitCode.USAGE),
    ("apply plan.json --allow growth=role/web", saved, ExitCode.OK),
    ("apply plan.json", stale, ExitCode.STALE),
    ("apply plan.json", forged, ExitCode.STALE),
    ("apply plan.json", other_specs, ExitCode.STALE),
    ("apply plan.json", cut_off, ExitCode.ERROR),
    ("drift", applied, ExitCode.OK),
    ("drift", nothing, ExitCode.DIFFERENCES),
    ("drift", unmanaged, ExitCode.DIFFERENCES),
    ("drift", left, ExitCode.OK),
    ("drift", broken, ExitCode.ERROR),
    ("drift", elsewhere, ExitCode.UNDECIDED),
    ("drift --prune", applied, ExitCode.USAGE),
    ("destroy", applied, ExitCode.ERROR),
    (f"destroy {AUTO}", nothing, ExitCode.OK),
    (f"destroy {AUTO}", applied, ExitCode.OK),
    (f"destroy {AUTO}", left, ExitCode.UNDECIDED),
    (f"destroy {AUTO}", ownerless, ExitCode.UNDECIDED),
    (f"destroy {AUTO}", elsewhere, ExitCode.UNDECIDED),
    ("schema", nothing, ExitCode.OK),
    ("schema --of plan", nothing, ExitCode.OK),
    ("schema --of nonsense", nothing, ExitCode.USAGE),
    ("version", nothing, ExitCode.OK),
    ("nonsense", nothing, ExitCode.USAGE),
]


@pytest.mark.parametrize(
    ("command", "setup", "wanted"), TABLE, ids=[f"{c} ({s.__name__})" for c, s, _ in TABLE]
)
def test_exit_codes(folder: Rig, command: str, setup: Setup, wanted: ExitCode) -> None:
    setup(folder)
    assert run(command.split()) == wanted


DENIED = [
    ("plan", "DescribeInstances", ExitCode.ERROR),
    ("drift", "DescribeInstances", ExitCode.ERROR),
    ("plan", "GetCallerIdentity", ExitCode.ERROR),
    (f"apply {AUTO}", "CreateRole", ExitCode.PARTLY_APPLIED),
]


@pytest.mark.parametrize(("command", "operation", "wanted"), DENIED)
def test_exit_codes_of_denied_calls(
    folder: Rig, command: str, operation: str, wanted: ExitCode
) -> None:
    folder.write("roles: {web: {trust: ec2, instance_profile: true}}", SETTINGS)
    with refusing(folder, operation, "AccessDenied"):
        assert run(command.split()) == wanted


def test_every_exit_code_is_tested() -> None:
    """But for an interrupt, which ``test_a_signal_restores_the_instances`` has."""
    found = {code for *_, code in TABLE} | {code for *_, code in DENIED}
    assert found == {*ExitCode} - {ExitCode.INTERRUPTED}
