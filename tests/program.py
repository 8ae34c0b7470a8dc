"""The program as its users run it: in processes of its own, in a shell, against a local AWS."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import reconciler
from tests import zygote

ROOT = Path(reconciler.__file__).parent.parent
LAGS = ("--ec2-lag", "0", "--associating", "0.2", "--disassociating", "0.2")


@dataclass
class Program:
    """``folder`` is where it runs, ``endpoint`` the AWS that it talks to."""

    folder: Path
    endpoint: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        made = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.folder)}
        made |= {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}
        return {**made, "AWS_ENDPOINT_URL": self.endpoint} if self.endpoint else made

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "reconciler", *arguments]

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **more}
        if not any(name.startswith(("PYTHON", "LC_", "LANG", "COV")) for name in more):
            return zygote.run_there(arguments, self.folder, environment)
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return self._started(self.command(*arguments))

    def _started(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def shell(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """What a person types, who answers every question with yes: ``reconciler`` is on the
        path, and stdin is a terminal."""
        folder = self.folder / ".bin"
        self.put(folder / "reconciler", f'exec {shlex.join(zygote.command())} "$@"')
        ours, theirs = pty.openpty()
        try:
            os.write(ours, b"yes\n")
            return subprocess.run(
                ["bash", "-e", "-c", script],
                cwd=self.folder,
                env={**self.environment, "PATH": f"{folder}:{os.environ['PATH']}", **more},
                stdin=theirs,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            os.close(ours)
            os.close(theirs)

    def put(self, path: Path, script: str) -> None:
        """A command of that name."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n", "utf-8")
        path.chmod(0o755)

    @contextmanager
    def sandbox(self, seed: str, *knobs: str) -> Iterator[str]:
        """A local AWS with these instances, as long as the block lasts; what it says of itself."""
        path = self.folder / "seed.yaml"
        path.write_text(seed, "utf-8")
        asked = ("sandbox", "--port", "0", "--seed", str(path), *LAGS, *knobs)
        process = self._started([*zygote.command(), *asked])
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert "http://127.0.0.1:" in first, process.stderr and process.stderr.read()
            self.endpoint = first.split()[-1]
            told, last = first, "Faults" if "--chaos" in knobs else "Ctrl-C"
            while last not in told and (line := process.stdout.readline()):
                told += line
            yield told
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
