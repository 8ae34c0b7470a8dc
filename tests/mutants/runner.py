"""Each mutant in a copy of the tree, and the tests that must kill it."""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PARTS = ("reconciler", "tests", "pyproject.toml", "README.md")
SECONDS = 180
"""For the tests of one mutant. One that does not end is killed as well."""
TESTS_PASSED, TESTS_FAILED = 0, 1
"""Exit codes of pytest; any other says that the tests did not run."""
NOT_OF_THE_TREE = 99
FORKS = multiprocessing.get_context("forkserver")
HEAVY = (
    *("pytest", "boto3", "deepdiff", "pydantic", "ruamel.yaml", "typer", "rich"),
    *("moto.server", "moto.iam.responses", "moto.ec2.responses", "moto.cloudtrail.responses"),
    *("moto.sts.responses", "moto.core.model_instances", "moto.core.custom_responses_mock"),
)
"""What is imported once, and not again for each mutant: it takes longer than most of the tests."""


def copy_of_the_tree(folder: Path) -> Path:
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "golden")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy2(ROOT / part, folder / part)
    return folder


@contextmanager
def changed(mutant: Mutant, tree: Path) -> Iterator[None]:
    """The tree with the mutant in it. What was compiled of the file goes: it may be as long as the
    file was, and of the same second."""
    path = tree / mutant.file
    text = path.read_text("utf-8")
    path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
    try:
        yield
    finally:
        path.write_text(text, "utf-8")
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def tested(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """The exit code of pytest, and the end of what it says."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        process = FORKS.Process(target=_in_the_tree, args=(tree, tests, said.name))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            return TESTS_FAILED, "it did not end"
        return process.exitcode, "\n".join(said.read().splitlines()[-4:])


def _in_the_tree(tree: Path, tests: Sequence[str], said: str) -> None:
    """In a fork: the packages of the tree, and nothing of those that this program is from."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("tests", "reconciler"):
            del sys.modules[name]
    sys.path.insert(0, str(tree))
    # What is compiled once need not be again: the tree is nobody else's.
    sys.dont_write_bytecode = False
    os.chdir(tree)
    with Path(said).open("w", encoding="utf-8") as out:
        for stream in (1, 2):
            os.dup2(out.fileno(), stream)
    options = ["-x", "-p", "no:cacheprovider", "-o", "console_output_style=classic"]
    code = pytest.main([*options, *(f"tests/{name}" for name in tests)])
    is_of_the_tree = all(
        str(getattr(module, "__file__", tree)).startswith(str(tree))
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("tests", "reconciler")
    )
    sys.stdout.flush()
    os._exit(int(code) if is_of_the_tree else NOT_OF_THE_TREE)


def verdict(mutant: Mutant, tree: Path) -> tuple[str, str]:
    """``killed``, ``SURVIVED`` or ``NOT RUN``, and what there is to say."""
    found = (tree / mutant.file).read_text("utf-8").count(mutant.old)
    if found != 1:
        return "NOT RUN", f"its old text is found {found} times"
    with changed(mutant, tree):
        code, said = tested(tree, mutant.tests)
    words = {TESTS_PASSED: "SURVIVED", TESTS_FAILED: "killed"}
    return words.get(code, "NOT RUN"), said


def main() -> int:
    """1 if a mutant survives, or if the tests fail without any."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("parts", nargs="*", help="only mutants with one of these in their name")
    asked = parser.parse_args()
    chosen = [m for m in MUTANTS if any(part in m.name for part in asked.parts or [""])]
    bad = 0
    FORKS.set_forkserver_preload(list(HEAVY))
    with tempfile.TemporaryDirectory() as folder:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(asked.processes):
            trees.put(copy_of_the_tree(Path(folder) / str(number)))

        def run(mutant: Mutant) -> tuple[Mutant, str, str, float]:
            tree, began = trees.get(), time.monotonic()
            try:
                return mutant, *verdict(mutant, tree), time.monotonic() - began
            finally:
                trees.put(tree)

        tree = trees.get()
        named = sorted({name for mutant in chosen for name in mutant.tests})
        code, said = tested(tree, named)
        trees.put(tree)
        if code != TESTS_PASSED:
            print(f"without a mutant:\n{said}")  # noqa: T201 - this is a command
            return 1
        with ThreadPoolExecutor(asked.processes) as pool:
            for mutant, word, said, seconds in pool.map(run, chosen):
                more = "" if word == "killed" else f"\n{said}"
                print(f"{word:8} {seconds:5.1f} s  {mutant.name}{more}", flush=True)  # noqa: T201
                bad += word != "killed"
    print(f"{len(chosen)} mutants, {len(chosen) - bad} killed")  # noqa: T201
    return 1 if bad else 0
