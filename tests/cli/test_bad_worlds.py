"""Full disks, readers that go away, folders that vanish, no home: an error that says so, no traceback,
and AWS in a state from which the next run goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests import zygote
from tests.program import Program
from tests.sampling import sampled

SPEC = """
roles:
  web: {trust: ec2, description: 'DESCRIPTION', tags: {note: 'NOTE'}}
instance_profiles: {web: {role: web}}
associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}
"""
SEED = "instances: [{count: 2, tags: {app: web}}]"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = Program(tmp_path_factory.mktemp("worlds"))
    (made.folder / "specs").mkdir()
    settings = "owner: worlds\nregions: [us-east-1]\npropagation: 0s\n"
    (made.folder / "specs" / "reconciler.yaml").write_text(settings)
    with made.sandbox(SEED):
        # So that a plan is short, whichever of the tests come first here.
        write(made, "first")
        assert made.run("apply", "--auto-approve").returncode == 0
        yield made


def write(program: Program, note: str, description: str = "web") -> None:
    text = SPEC.replace("NOTE", note).replace("DESCRIPTION", description)
    (program.folder / "specs" / "web.yaml").write_text(text)


def sh(program: Program, script: str) -> subprocess.CompletedProcess[str]:
    """A run whose streams are closed from the start is a process of its own: it must not open what
    takes their place."""
    words = program.command() if ">&-" in script else zygote.command()
    command = " ".join(words)
    return subprocess.run(
        ["/bin/sh", "-c", script.replace("reconciler", command)],
        cwd=program.folder,
        env=program.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


IN_THE_WAY = {
    "reconciler apply --auto-approve > /dev/full": False,
    "reconciler apply --auto-approve --json > /dev/full": False,
    "reconciler apply --auto-approve 2> /dev/full": True,
    "reconciler apply --auto-approve --json | head -n 5": True,
    "reconciler apply --auto-approve --json 2>&1 | head -n 5": True,
    "reconciler apply --auto-approve >&- 2>&-": True,
}
"""Whether it is carried out: a plan that cannot be shown is not, what has begun goes to its end."""


@pytest.mark.parametrize("number", sampled([2], [0, 1, 3, 4, 5]))
def test_apply_with_a_broken_output_stream(program: Program, number: int) -> None:
    command, is_carried_out = list(IN_THE_WAY.items())[number]
    write(program, str(number))
    told = sh(program, command)
    assert "Traceback" not in told.stderr + told.stdout
    assert "Exception ignored" not in told.stderr + told.stdout
    drift = program.run("drift")
    assert drift.returncode == (0 if is_carried_out else 2), drift.stdout + told.stderr
    if is_carried_out:
        return
    again = program.run("apply", "--auto-approve")
    assert again.returncode == 0, again.stdout + again.stderr
    assert program.run("drift").returncode == 0


UNHEARD = (
    "reconciler plan > /dev/full",
    "reconciler plan --json > /dev/full",
    "reconciler drift > /dev/full",
    "reconciler validate --format json > /dev/full",
    "reconciler schema > /dev/full",
)


@pytest.mark.parametrize("command", sampled(UNHEARD[:1], UNHEARD[1:]))
def test_stdout_on_a_full_disk_is_an_error(program: Program, command: str) -> None:
    """A file that was cut off must not look like a result."""
    write(program, "x")
    told = sh(program, command)
    assert told.returncode == 1, (told.returncode, told.stderr)
    assert "No space left on device" in told.stderr
    assert "Traceback" not in told.stderr


def test_saving_a_plan_on_a_full_disk(program: Program) -> None:
    write(program, "y")
    told = program.run("plan", "--out", "/dev/full")
    assert told.returncode == 1
    assert "No space left on device" in told.stderr
    assert "Traceback" not in told.stderr


def test_saving_a_plan_in_an_unwritable_folder(program: Program) -> None:
    write(program, "z")
    told = program.run("plan", "--out", "/proc/plan.json")
    assert told.returncode == 1
    assert "/proc/plan.json" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_deleted_working_directory(program: Program) -> None:
    told = sh(program, "mkdir gone && cd gone && rmdir ../gone && reconciler plan")
    assert told.returncode == 1
    assert "Traceback" not in told.stderr


def test_apply_without_home_variable(program: Program) -> None:
    write(program, "home")
    environment = {k: v for k, v in program.environment.items() if k != "HOME"}
    told = zygote.run_there(["apply", "--auto-approve"], program.folder, environment)
    assert told.returncode == 0, told.stderr


HOSTILE = (
    "[bold red]markup[/bold red] [link=http://x]y[/link] :warning:",
    "<script>alert(1)</script> <img src=x onerror=y>",
    "| a | b | [x](javascript:y) `code` **bold**",
    "::error file=a::injected %0A::set-output name=x::y",
    "$(touch pwned) `touch pwned` ; touch pwned",
    "{{ x }} %s %(x)s {0}",
)


def test_control_characters_from_aws_are_escaped(program: Program) -> None:
    """Somebody with access to AWS alone wrote it: nobody's terminal acts on it."""

    def roles(texts: tuple[str, ...]) -> str:
        made = {f"r{n}": {"trust": "ec2", "description": t} for n, t in enumerate(texts)}
        return json.dumps({"roles": made})

    specs = program.folder / "specs" / "hostile.yaml"
    specs.write_text(roles(HOSTILE))
    applied = program.run("apply", "--auto-approve", "--color", "always")
    assert applied.returncode == 0, applied.stderr
    specs.write_text(roles(("web",) * len(HOSTILE)))
    for flags in (("--color", "always"), ("--json",)):
        told = program.run("plan", *flags).stdout
        for text in HOSTILE:
            assert text in told, told
    assert not (program.folder / "pwned").exists()
    specs.unlink()
