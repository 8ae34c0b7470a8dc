"""What comes before what: the order given, bent only where something must come first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.address import Address, role_address
from reconciler.plan.graph import (
    Deadlock,
    Draft,
    Label,
    UnmetRequirementError,
    cyclic,
    exists,
    in_order,
    ready,
)


def labels(text: str) -> frozenset[Label]:
    return frozenset(Label("made", one) for one in text.split())


def draft(name: str, needs: str = "", gives: str = "", after: str = "") -> Draft[str]:
    return Draft(role_address(name), name, labels(needs), labels(after), labels(gives))


ORDERS = {
    "as given": ([draft("a"), draft("b")], ["a", "b"], [(), ()]),
    "bent": ([draft("a", "x"), draft("b", "", "x")], ["b", "a"], [(), (0,)]),
    "after what no step gives": ([draft("a", after="x")], ["a"], [()]),
    "after what a later step gives": (
        [draft("a", after="x"), draft("b", gives="x")],
        ["b", "a"],
        [(), (0,)],
    ),
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
    assert [o.draft.action for o in ordered] == names
    assert [o.after for o in ordered] == after


def test_drafts_that_wait_for_each_other() -> None:
    with pytest.raises(Deadlock):
        in_order([draft("a", "x", "y"), draft("b", "y", "x")])


MET = {
    "exists": (exists(role_address("Web")), [], ["role/WEB"]),
    "exists, so it is ready": (ready(role_address("web")), [], ["role/web"]),
    "is created in another case": (
        exists(role_address("Web")),
        [Draft(role_address("web"), "create", gives=frozenset({exists(role_address("web"))}))],
        [],
    ),
    "is created as it should be": (
        ready(role_address("Web")),
        [Draft(role_address("web"), "create", gives=frozenset({exists(role_address("web"))}))],
        [],
    ),
}


@pytest.mark.parametrize("case", MET)
def test_a_requirement_is_met_in_any_case_of_its_name(case: str) -> None:
    need, others, there = MET[case]
    drafts = [Draft(role_address("user"), "use", needs=frozenset({need})), *others]
    ordered = in_order(drafts, frozenset(map(Address.parse, there)))
    assert [o.draft.action for o in ordered] == ["create", "use"][-len(drafts) :]


UNMET = {
    "no step gives it": (exists(role_address("web")), []),
    "another resource exists": (exists(role_address("web")), ["role/web2", "policy/web"]),
    "a state that is not about a resource": (Label("noted", "i-0abc"), ["role/web"]),
}


@pytest.mark.parametrize("case", UNMET)
def test_a_requirement_that_nothing_meets_is_a_bug(case: str) -> None:
    need, there = UNMET[case]
    drafts = [Draft(role_address("user"), "use", needs=frozenset({need}))]
    with pytest.raises(UnmetRequirementError, match="role/user needs"):
        in_order(drafts, frozenset(map(Address.parse, there)))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_everything_comes_after_what_it_needs(edges: list[tuple[int, int]]) -> None:
    needs: dict[int, set[Label]] = {n: set() for n in range(10)}
    for one, two in edges:
        if one != two:
            needs[min(one, two)].add(Label("made", max(one, two)))
    drafts = [
        Draft(role_address(str(n)), n, frozenset(needs[n]), gives=frozenset({Label("made", n)}))
        for n in range(10)
    ]
    place = {o.draft.action: at for at, o in enumerate(in_order(drafts))}
    assert sorted(place) == list(range(10))
    for number, wanted in needs.items():
        assert all(place[int(str(label.of))] < place[number] for label in wanted)


def test_circles() -> None:
    edges = {"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",), "e": ("e",), "f": ("gone",)}
    assert cyclic(edges) == {"a", "b", "c", "e"}
