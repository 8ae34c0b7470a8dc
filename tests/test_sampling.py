"""What the suite leaves to the sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from tests.sampling import FIRST_CASES, leave_to_the_sweep


@dataclass
class Case:
    nodeid: str
    marks: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return Path("/x") / self.nodeid.partition("::")[0]

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None

    def add_marker(self, marker: Any) -> None:
        self.marks.append(marker.name)


def left(cases: list[Case]) -> list[str]:
    leave_to_the_sweep(cast("list[pytest.Item]", cases))
    return [case.nodeid for case in cases if "slow" in case.marks]


def test_the_first_cases_of_a_test_of_behaviour_stay() -> None:
    test = "tests/behaviour/test_a.py::test_it"
    cases = [Case(f"{test}[{n}]") for n in range(4)] + [Case("tests/behaviour/test_a.py::test_b")]
    assert left(cases) == [f"{test}[{n}]" for n in range(FIRST_CASES, 4)]


def test_a_test_that_names_its_sample_is_left_as_it_is() -> None:
    test = "tests/behaviour/test_a.py::test_it"
    cases = [Case(f"{test}[{n}]", ["slow"] if n == 3 else []) for n in range(4)]
    assert left(cases) == [f"{test}[3]"]


def test_other_tests_run_all_their_cases() -> None:
    assert left([Case(f"tests/cutover/test_a.py::test_it[{n}]") for n in range(4)]) == []
