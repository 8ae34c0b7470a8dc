"""How long the program takes to start, beside Python itself and typer: ``make bench``."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import reconciler

ROUNDS = 10
PROGRAM = ("-m", "reconciler")
AWS = "reconciler.aws.reader, reconciler.aws.writer"
BASH = {"_RECONCILER_COMPLETE": "complete_bash"}
COMMAND = {**BASH, "COMP_WORDS": "reconciler pl", "COMP_CWORD": "1"}
FLAG = {**BASH, "COMP_WORDS": "reconciler plan --onl", "COMP_CWORD": "2"}
STARTS: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    ("python -c pass", ("-c", "pass"), {}),
    ("import typer", ("-c", "import typer"), {}),
    ("reconciler --version", (*PROGRAM, "--version"), {}),
    ("reconciler --help", (*PROGRAM, "--help"), {}),
    ("completion of a command", PROGRAM, COMMAND),
    ("completion of a flag", PROGRAM, FLAG),
    ("reconciler validate --help", (*PROGRAM, "validate", "--help"), {}),
    ("reconciler plan --help", (*PROGRAM, "plan", "--help"), {}),
    ("imports of validate", ("-c", "import reconciler.cli.runs.validate"), {}),
    ("imports of plan", ("-c", "import reconciler.cli.runs.plan"), {}),
    ("those and of AWS", ("-c", f"import reconciler.cli.runs.plan, {AWS}"), {}),
)


def processor_seconds(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    """Of a process, in user and in system mode."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *arguments]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def environment(cache: str) -> dict[str, str]:
    """Of a program that was installed: ``cache`` is a folder for its compiled modules."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    path = str(Path(reconciler.__file__).parent.parent)
    return {**inherited, "PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": path}


def starts(cache: str) -> dict[str, float]:
    """Seconds of the processor of each start, the best of ``ROUNDS``. They take turns, so that a
    busy machine slows all down. ``cache`` is as in ``environment``."""
    inherited = environment(cache)
    best: dict[str, float] = {}
    for _ in range(1 + ROUNDS):
        for name, arguments, more in STARTS:
            took = processor_seconds(arguments, inherited | more)
            best[name] = min(took, best.get(name, took))
    return best


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        found = starts(cache)
    least = found["python -c pass"]
    sys.stdout.write(f"{'start':>27} {'ms':>6} {'more than python':>17}\n")
    for name, seconds in found.items():
        sys.stdout.write(f"{name:>27} {seconds * 1000:>6.0f} {(seconds - least) * 1000:>17.0f}\n")


if __name__ == "__main__":
    main()
