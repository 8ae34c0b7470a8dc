"""``rotate`` as its users run it, against a local AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_roll_outs import SEED, Rollout

WEB = "instance-profile/web"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Rollout]:
    program = Rollout(tmp_path)
    program.wants("v1")
    with program.sandbox(SEED):
        assert program.run("apply", "--auto-approve").returncode == 0
        yield program


def test_a_rotation_from_its_plan_to_its_end(web: Rollout) -> None:
    refused = web.run("rotate", WEB, "--revoke", "--no-input")
    assert refused.returncode == 1
    assert "pass --auto-approve to rotate without a prompt" in refused.stderr
    saved = web.run("rotate", WEB, "--revoke", "--out", "plan.json")
    assert saved.returncode == 0
    assert "3 instances to cut over" in saved.stdout
    assert web.is_settled()
    applied = web.run("apply", "plan.json", "--json")
    assert applied.returncode == 0, applied.stdout
    summary = json.loads(applied.stdout.splitlines()[-1])
    assert (summary["failed"], summary["remaining"]) == (0, 0)
    assert "old_sessions" not in summary
    assert web.is_settled()
    drift = web.run("drift")
    assert drift.returncode == 0
    assert "are revoked; apply removes the inline policy" in drift.stdout


def test_wrong_usage(web: Rollout) -> None:
    for arguments, told in (
        (["policy/x"], "rotate takes instance-profile/NAME or role/NAME"),
        ([WEB, "--revoke", "--revoke-first"], "--revoke and --revoke-first exclude each other"),
        (["instance-profile/wep"], "did you mean instance-profile/web?"),
        ([], "ADDRESS"),
    ):
        ended = web.run("rotate", *arguments)
        assert ended.returncode == 64, ended.stderr
        assert told in ended.stderr


def test_what_cannot_be_rotated_is_a_guard(web: Rollout) -> None:
    web.wants("v1", "strategy: wait")
    ended = web.run("rotate", WEB, "--auto-approve")
    assert ended.returncode == 4
    assert "strategy wait, which touches no instance" in ended.stdout + ended.stderr
