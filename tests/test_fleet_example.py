"""The example for many accounts: its jobs are run, one for each shard, and those that put their
documents together."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notify.hosting import Hosted
from tests.program import Program
from tests.receiver import receiver
from tests.test_pipelines import Job, committed, loaded, minutes

PATH = "examples/fleet/fleet.yaml"
COUNT = 6
SETTINGS = "owner: fleet\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 0s\n"
TARGETS = "".join(
    f"  t{n}: {{account_id: '{n:012}', role_arn: 'arn:aws:iam::{n:012}:role/x'}}\n"
    for n in range(1, COUNT + 1)
)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "reconciler.yaml").write_text(f"{SETTINGS}targets:\n{TARGETS}")
    (tmp_path / "specs" / "app.yaml").write_text("roles:\n  app: {trust: ec2}\n")
    with made.sandbox("instances: []\n"):
        yield made


def step(job: str, name: str) -> str:
    steps = loaded(PATH)["jobs"][job]["steps"]
    run: str = next(step["run"] for step in steps if step.get("name") == name)
    return run


def shards(job: str) -> list[int]:
    found: list[int] = loaded(PATH)["jobs"][job]["strategy"]["matrix"]["shard"]
    return found


def kept(folder: Path, name: str, artifact: str) -> None:
    """As an artifact, which the job that comes after fetches."""
    (folder / artifact).mkdir(parents=True)
    shutil.move(folder / name, folder / artifact / name)


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pull_request_and_its_merge(program: Program) -> None:
    folder, there = program.folder, Hosted("github")
    committed(program)
    assert shards("plan") == shards("apply") == [1, 2, 3, 4]
    with receiver(there) as server:
        job = Job(program, server.url)
        for shard in shards("plan"):
            good(job.run(step("plan", "Plan"), SHARD=f"{shard}/4"))
            kept(folder, "plan.json", f"plans/plan-{shard}")
        good(job.run(step("review", "Put them together")))
        good(job.run(step("review", "Comment once")))
        assert f"{COUNT} to add" in job.summary
        good(job.run(step("review", "Digests"), PLANNED="success"))
        assert job.run(step("review", "Digests"), PLANNED="failure").returncode == 1
        for shard in shards("apply"):
            good(job.run(step("apply", "Apply exactly that"), NUMBER=str(shard)))
            kept(folder, "applied.json", f"results/applied-{shard}")
        program.put(folder / ".bin" / "gh", "echo 7")
        good(job.run(step("result", "Put them together")))
        good(job.run(step("result", "Comment the result")))
        again = job.run(step("apply", "Apply exactly that"), NUMBER="1")
    assert [body.splitlines()[0].split(" digest=")[0] for body in there.bodies] == [
        "<!-- reconciler:plan v=1 key=all/fleet",
        "<!-- reconciler:apply v=1 key=all/fleet",
    ]
    assert all(f"t{n}" in there.bodies[0] for n in range(1, COUNT + 1))
    assert f"Complete: {COUNT} steps applied." in there.bodies[1]
    # What was reviewed is done: it cannot be applied a second time.
    assert again.returncode == 5


def test_a_job_ends_before_its_session() -> None:
    job = loaded(PATH)["jobs"]["apply"]
    login = next(s for s in job["steps"] if "configure-aws" in s.get("uses", ""))
    lasts = minutes(step("apply", "Apply exactly that"))
    assert lasts * 60 <= login["with"]["role-duration-seconds"] - 600
    assert lasts + 10 <= job["timeout-minutes"]
