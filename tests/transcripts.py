"""Pages with transcripts: each command of a ``console`` block is run, and what it prints stands
below it. ``make docs`` writes the pages anew, and a test compares.

The commands of a page run one after the other in one folder, which is empty at first, as a person
types them who answers every question with yes. ``reconciler sandbox`` starts the local AWS of the
page; ``export`` is left out, since the environment is that of ``Program``. Comments, and blocks of
other languages, are not run.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.program import ROOT, Program

_BLOCK = re.compile(r"(?<=```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
_SANDBOX = re.compile(r"reconciler sandbox --seed (\S+)(.*)")
_PROGRESS = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z ")
_VARIES = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ": "2026-01-01T12:00:00Z",
    r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? UTC": "2026-01-01 12:00 UTC",
    r"run [0-9a-f]{12}\b": "run 4690b224c176",
    r"sha256:[0-9a-f]{64}": "sha256:...",  # of what is intended, with the ids of roles
    r"(?<=Z, )\d+\.\d s": "1.1 s",
    # Of a rehearsal: the steps of a run are not always in the same order.
    r"(?m)(?<=^  after )\d\d+ s(?=  i-)": "40 s",
    r"(?<=took )\d+ min \d+ s(?=; estimated)": "1 min 10 s",
    r"\biip-assoc-[0-9a-f]{8,}\b": "iip-assoc-0c1d2e3f4a5b6c7d8",
    # After a death: whether the restored instance has to be cut over again depends on the time
    # since the swap.
    r"(?<=destroyed; )[23] instances cut over": "3 instances cut over",
}
SLOW = ("--associating", "1", "--disassociating", "3")
"""A run that is killed at a disassociation has not gone on before the signal comes. What a page says
of these two would only take longer."""


def played(page: str) -> str:
    """The page as it is if its commands are run now."""
    text = (ROOT / page).read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as until_the_end:
        player = _Player(Program(Path(folder)), until_the_end)
        return _BLOCK.sub(lambda block: player.block(block[0]), text)


def commands(block: str) -> Iterator[str]:
    """Each command with its further lines, which follow it at once; what was printed is left out."""
    for command in re.findall(r"^\$ .*(?:\n> .*)*", block, re.MULTILINE):
        yield "\n".join(line[2:] for line in command.splitlines())


class _Player:
    def __init__(self, program: Program, until_the_end: ExitStack) -> None:
        self.program = program
        self.until_the_end = until_the_end

    def block(self, text: str) -> str:
        made = []
        for script in commands(text):
            made.append("$ " + script.replace("\n", "\n> "))
            made.extend(self._told(script))
        return "\n".join(made) + "\n"

    def _told(self, script: str) -> list[str]:
        if found := _SANDBOX.match(script):
            seed = (self.program.folder / found[1]).read_text("utf-8")
            given = (*found[2].split(), *SLOW)  # of two the last one counts
            told = self.until_the_end.enter_context(self.program.sandbox(seed, *given))
        elif script.startswith("export "):
            told = ""
        else:
            if "kill -9" in script:  # a process of its own, not one of those that share their start
                own = shlex.join(self.program.command())
                script = script.replace("reconciler ", f"{own} ")
            done = self.program.shell(script.replace(":5000/", f":{self._port}/"))
            said = [x for x in done.stderr.splitlines() if not _PROGRESS.match(x)]
            told = "\n".join([*done.stdout.splitlines(), *said])
        return [line.rstrip() for line in normal(told, self._port).splitlines()]

    @property
    def _port(self) -> str:
        return (self.program.endpoint or "").rpartition(":")[2]


def normal(text: str, port: str = "") -> str:
    """Without what differs between runs: times, and how long something took. With the answer, which
    a terminal shows as it is typed."""
    text = re.sub(r"(Enter a value: )(?=\S)", r"\1yes\n\n", text)
    text = text.replace(f"127.0.0.1:{port}", "127.0.0.1:5000") if port else text
    for form, always in _VARIES.items():
        text = re.sub(form, always, text)
    return text
