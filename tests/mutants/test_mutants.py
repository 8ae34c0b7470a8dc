"""The list of mutants is of this code; ``make mutants`` runs them."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS, Mutant
from tests.mutants.runner import ROOT, changed, verdict


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_and_names_its_tests(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text("utf-8")
    assert text.count(mutant.old) == 1
    ast.parse(text.replace(mutant.old, mutant.new))
    assert mutant.tests
    for name in mutant.tests:
        file, _, function = name.partition("::")
        tests = (ROOT / "tests" / file).read_text("utf-8")
        assert f"def {function.partition('[')[0]}(" in tests if function else "def test_" in tests


def test_no_two_are_the_same() -> None:
    assert len(MUTANTS) >= 40
    assert max(Counter((m.file, m.old, m.new) for m in MUTANTS).values()) == 1
    assert max(Counter(m.name for m in MUTANTS).values()) == 1


def test_a_mutant_is_in_the_tree_while_it_is_tried(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("a = 1\nb = 1\n")
    with changed(Mutant("m.py", "a = 1", "a = 2", (), ""), tmp_path):
        assert (tmp_path / "m.py").read_text() == "a = 2\nb = 1\n"
    assert (tmp_path / "m.py").read_text() == "a = 1\nb = 1\n"
    assert verdict(Mutant("m.py", "= 1", "= 2", (), ""), tmp_path)[0] == "NOT RUN"
