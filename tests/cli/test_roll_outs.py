"""Roll-outs that prove themselves, as their users run them: against a local AWS in which an
application is denied, or an alarm goes off, once an instance has the new role."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from reconciler.render.json.record_types import RecordShape
from tests.program import Program

SEED = "instances:\n  - {count: 3, tags: {app: web}}\n"
SPEC = """
roles:
  v1:
    trust: ec2
    inline_policies:
      secret:
        Version: 2012-10-17
        Statement: [{{Effect: Allow, Action: "secretsmanager:GetSecretValue", Resource: "*"}}]
  v2: {{trust: ec2}}
instance_profiles:
  web: {{role: {role}, cutover: {{{more}}}}}
associations:
  fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}
"""
SETTINGS = "version: 1\nowner: platform\nregions: [us-east-1]\npropagation: 0s\n"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"


class Rollout(Program):
    def wants(self, role: str, more: str = "") -> None:
        (self.folder / "specs").mkdir(exist_ok=True)
        (self.folder / "specs" / "reconciler.yaml").write_text(SETTINGS, "utf-8")
        (self.folder / "specs" / "web.yaml").write_text(SPEC.format(role=role, more=more), "utf-8")

    def switch(self, path: str, **query: str) -> None:
        url = f"{self.endpoint}/_sandbox/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
            pass

    def roles(self) -> list[str]:
        with urllib.request.urlopen(f"{self.endpoint}/_sandbox/credentials", timeout=10) as answer:
            return sorted(str(one["role"]) for one in json.load(answer))

    def is_settled(self) -> bool:
        return "No changes." in self.run("plan").stdout

    def record(self) -> Any:
        text = (self.folder / "record.json").read_text("utf-8")
        return TypeAdapter(RecordShape).validate_json(text, strict=True)


@pytest.fixture
def rollout(tmp_path: Path) -> Iterator[Rollout]:
    made = Rollout(tmp_path)
    made.wants("v1")
    with made.sandbox(SEED):
        assert made.run("apply", "--auto-approve").returncode == 0
        yield made


RECORDS = ("--record", "record.json", "--record", "record.md")


def test_an_app_that_is_denied_after_the_canary_is_rolled_back(rollout: Rollout) -> None:
    rollout.switch("calls", action="secretsmanager:GetSecretValue", resource=SECRET, every="1")
    rollout.wants("v2", "bake: 3s, checks: {denied: {max: 0, window: 3s}}")
    ended = rollout.run("apply", "--auto-approve", *RECORDS)
    assert ended.returncode == 3
    assert f"is denied secretsmanager:GetSecretValue on {SECRET}" in ended.stdout + ended.stderr
    assert rollout.roles() == ["v1"] * 3
    (target,) = rollout.record()["targets"]
    (cutover,) = target["cutovers"]
    assert cutover["rolled_back"]
    assert cutover["status"] == "failed"
    (canary,) = cutover["instances"]
    assert [turn["role"] for turn in canary["turns"]] == ["v2", "v1"]
    assert all(turn["without"]["seconds"] < 10 for turn in canary["turns"])
    (batch,) = cutover["batches"]
    assert batch["passed_at"] is None
    assert {call["action"] for call in batch["denied"]} == {"secretsmanager:GetSecretValue"}
    ticket = (rollout.folder / "record.md").read_text("utf-8")
    assert "rolled back" in ticket
    assert canary["instance"] in ticket


@pytest.mark.slow  # tests/behaviour has it without a process
def test_an_alarm_in_the_bake_time_is_rolled_back(rollout: Rollout) -> None:
    rollout.switch("alarm", name="web-errors", state="ALARM", role="v2", composite="true")
    rollout.wants("v2", "bake: 3s, checks: {alarms: [web-errors]}")
    shown = rollout.run("plan").stdout
    assert "1 first (canary; rolled back if it fails), watched for 3s" in shown
    assert "watched: alarm web-errors" in shown
    ended = rollout.run("apply", "--auto-approve")
    assert ended.returncode == 3
    assert "the alarm web-errors (us-east-1) is in ALARM" in ended.stdout + ended.stderr
    assert rollout.roles() == ["v1"] * 3
    rollout.switch("alarm", name="web-errors", state="OK")
    again = rollout.run("apply", "--auto-approve", "--allow", "retry=instance-profile/web")
    assert again.returncode == 0, again.stderr
    assert rollout.roles() == ["v2"] * 3
    assert rollout.is_settled()


@pytest.mark.slow  # tests/behaviour has it without a process
def test_each_batch_is_verified(rollout: Rollout) -> None:
    """Nothing calls AWS on these instances, so that nothing is known of them."""
    rollout.wants("v2", "verify: {source: [cloudtrail], timeout: 1s}")
    shown = rollout.run("plan").stdout
    told = "each batch verified by CloudTrail, for up to 1s; goes on where that does not tell"
    assert f"# {told}" in shown
    ended = rollout.run("apply", "--auto-approve", *RECORDS)
    assert ended.returncode == 0, ended.stderr
    assert "it is not known which role i-" in ended.stdout
    assert "is served: CloudTrail shows no call of it" in ended.stdout
    assert rollout.roles() == ["v2"] * 3
    batches = rollout.record()["targets"][0]["cutovers"][0]["batches"]
    assert [len(batch["evidence"]) for batch in batches] == [1, 1, 1]
    (one,) = batches[0]["evidence"]
    assert (one["status"], one["evidence"]["how"]) == ("unknown", "no-call")
    ticket = (rollout.folder / "record.md").read_text("utf-8")
    assert "unknown: CloudTrail shows no call of it" in ticket
    assert rollout.is_settled()


def test_a_check_of_one_s_own(rollout: Rollout) -> None:
    """Also with a saved plan; what it is told stands in its environment, and no shell reads it."""
    rollout.put(
        rollout.folder / "check",
        'env | grep ^RECONCILER_BATCH >> "$1"; printf "\\033[31mno good\\n"; test -e fine',
    )
    rollout.wants("v2")
    assert rollout.run("plan", "--out", "plan.json").returncode == 0
    check = ("--check", f"./check '{rollout.folder}/told $(x)'")
    ended = rollout.run("apply", "plan.json", *check, *RECORDS)
    assert ended.returncode == 3
    assert "the check of batch 1 ended with exit code 1" in ended.stdout + ended.stderr
    assert "\033[31m" not in ended.stdout + ended.stderr
    assert rollout.roles() == ["v1"] * 3
    (batch,) = rollout.record()["targets"][0]["cutovers"][0]["batches"]
    assert "no good" in batch["command"]
    told = (rollout.folder / "told $(x)").read_text("utf-8")
    assert "RECONCILER_BATCH_NUMBER=1\n" in told
    assert "RECONCILER_BATCH_INSTANCE_PROFILE=web\n" in told
    assert "RECONCILER_BATCH_ROLE=v2\n" in told
    assert "RECONCILER_BATCH_ROLE_BEFORE=v1\n" in told
    (rollout.folder / "fine").touch()
    again = ("--auto-approve", "--allow", "retry=instance-profile/web")
    assert rollout.run("apply", *again, *check, *RECORDS).returncode == 0
    assert rollout.roles() == ["v2"] * 3
    batches = rollout.record()["targets"][0]["cutovers"][0]["batches"]
    assert [(b["number"], b["command"]) for b in batches] == [(1, ""), (2, ""), (3, "")]
    assert rollout.is_settled()


def test_a_checkpoint_ends_an_apply(rollout: Rollout) -> None:
    rollout.wants("v2", "checkpoints: [30%, 60%]")
    ends = [rollout.run("apply", "--auto-approve") for _ in range(3)]
    assert [ended.returncode for ended in ends] == [3, 3, 0]
    for ended, share, count in ((ends[0], 30, 1), (ends[1], 60, 2)):
        assert f"the checkpoint of {share}% is reached: {count} of 3" in ended.stdout
        assert "Apply again to go on." in ended.stdout
    assert "the last run ended at the checkpoint of 30%" in ends[1].stdout
    assert rollout.roles() == ["v2"] * 3
    assert rollout.is_settled()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--check", ""), "--check takes a command"),
        (("--check", "'open"), "--check takes a command"),
        (("--check", "no-such-command-here"), "is no command on this machine"),
        (("--record", "s3://bucket"), "--record takes FILE or s3://BUCKET/KEY"),
        (("--record", "specs"), "--record takes FILE or s3://BUCKET/KEY"),
    ],
)
def test_wrong_usage(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    made = Rollout(tmp_path, "http://127.0.0.1:9")
    made.wants("v2")
    ended = made.run("apply", *flags)
    assert ended.returncode == 64
    assert said in " ".join(ended.stderr.split())
