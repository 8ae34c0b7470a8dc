"""What comes before what: the order given, bent only where something must come first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.graph import Deadlock, Draft, cyclic, in_order


def draft(name: str, needs: str = "", gives: str = "") -> Draft[str]:
    return Draft(name, name, frozenset(needs.split()), frozenset(gives.split()))


ORDERS = {
    "as given": ([draft("a"), draft("b")], ["a", "b"], [(), ()]),
    "bent": ([draft("a", "x"), draft("b", "", "x")], ["b", "a"], [(), (0,)]),
    "a need that nobody gives": ([draft("a", "x")], ["a"], [()]),
    "two givers": (
        [draft("a", "x"), draft("b", "", "x"), draft("c", "", "x")],
        ["b", "c", "a"],
        [(), (), (0, 1)],
    ),
    "its own gift": ([draft("a", "x", "x")], ["a"], [()]),
}


@pytest.mark.parametrize("case", ORDERS)
def test_order(case: str) -> None:
    drafts, names, after = ORDERS[case]
    ordered = in_order(drafts)
    assert [o.draft.address for o in ordered] == names
    assert [o.after for o in ordered] == after


def test_drafts_that_wait_for_each_other() -> None:
    with pytest.raises(Deadlock):
        in_order([draft("a", "x", "y"), draft("b", "y", "x")])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_everything_comes_after_what_it_needs(edges: list[tuple[int, int]]) -> None:
    needs: dict[int, set[str]] = {n: set() for n in range(10)}
    for one, two in edges:
        if one != two:
            needs[min(one, two)].add(f"made {max(one, two)}")
    drafts = [Draft(str(n), n, frozenset(needs[n]), frozenset({f"made {n}"})) for n in range(10)]
    place = {o.draft.action: at for at, o in enumerate(in_order(drafts))}
    assert sorted(place) == list(range(10))
    for number, wanted in needs.items():
        assert all(place[int(label.split()[1])] < place[number] for label in wanted)


def test_circles() -> None:
    edges = {"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",), "e": ("e",), "f": ("gone",)}
    assert cyclic(edges) == {"a", "b", "c", "e"}
