"""What comes before what: the order given, bent only where something must come first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import CycleError, UnmetRequirementError
from reconciler.model.address import Address, role_address
from reconciler.plan.graph import Label, PendingStep, cyclic, exists, ready, topological_order


def labels(text: str) -> frozenset[Label]:
    return frozenset(Label("made", one) for one in text.split())


def pending(name: str, requires: str = "", provides: str = "", after: str = "") -> PendingStep[str]:
    return PendingStep(role_address(name), name, labels(requires), labels(after), labels(provides))


ORDERS = {
    "as given": ([pending("a"), pending("b")], ["a", "b"], [(), ()]),
    "bent": ([pending("a", "x"), pending("b", "", "x")], ["b", "a"], [(), (0,)]),
    "after what no step gives": ([pending("a", after="x")], ["a"], [()]),
    "after what a later step gives": (
        [pending("a", after="x"), pending("b", provides="x")],
        ["b", "a"],
        [(), (0,)],
    ),
    "two givers": (
        [pending("a", "x"), pending("b", "", "x"), pending("c", "", "x")],
        ["b", "c", "a"],
        [(), (), (0, 1)],
    ),
    "its own gift": ([pending("a", "x", "x")], ["a"], [()]),
}


@pytest.mark.parametrize("case", ORDERS)
def test_order(case: str) -> None:
    drafts, names, after = ORDERS[case]
    ordered = topological_order(drafts)
    assert [o.pending.action for o in ordered] == names
    assert [o.after for o in ordered] == after


def test_drafts_that_wait_for_each_other() -> None:
    with pytest.raises(CycleError, match=r"^role/a, role/b$"):
        topological_order([pending("a", "x", "y"), pending("b", "y", "x")])


MET = {
    "exists": (exists(role_address("Web")), [], ["role/WEB"]),
    "exists, so it is ready": (ready(role_address("web")), [], ["role/web"]),
    "is created in another case": (
        exists(role_address("Web")),
        [
            PendingStep(
                role_address("web"), "create", provides=frozenset({exists(role_address("web"))})
            )
        ],
        [],
    ),
    "is created as it should be": (
        ready(role_address("Web")),
        [
            PendingStep(
                role_address("web"), "create", provides=frozenset({exists(role_address("web"))})
            )
        ],
        [],
    ),
}


@pytest.mark.parametrize("case", MET)
def test_a_requirement_is_met_in_any_case_of_its_name(case: str) -> None:
    need, others, there = MET[case]
    drafts = [PendingStep(role_address("user"), "use", requires=frozenset({need})), *others]
    ordered = topological_order(drafts, frozenset(map(Address.parse, there)))
    assert [o.pending.action for o in ordered] == ["create", "use"][-len(drafts) :]


UNMET = {
    "no step gives it": (exists(role_address("web")), []),
    "another resource exists": (exists(role_address("web")), ["role/web2", "policy/web"]),
    "a state that is not about a resource": (Label("noted", "i-0abc"), ["role/web"]),
}


@pytest.mark.parametrize("case", UNMET)
def test_a_requirement_that_nothing_meets_is_a_bug(case: str) -> None:
    need, there = UNMET[case]
    drafts = [PendingStep(role_address("user"), "use", requires=frozenset({need}))]
    with pytest.raises(UnmetRequirementError, match="role/user needs"):
        topological_order(drafts, frozenset(map(Address.parse, there)))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_everything_comes_after_what_it_needs(edges: list[tuple[int, int]]) -> None:
    requires: dict[int, set[Label]] = {n: set() for n in range(10)}
    for one, two in edges:
        if one != two:
            requires[min(one, two)].add(Label("made", max(one, two)))
    drafts = [
        PendingStep(
            role_address(str(n)), n, frozenset(requires[n]), provides=frozenset({Label("made", n)})
        )
        for n in range(10)
    ]
    place = {o.pending.action: at for at, o in enumerate(topological_order(drafts))}
    assert sorted(place) == list(range(10))
    for number, wanted in requires.items():
        assert all(place[int(str(label.of))] < place[number] for label in wanted)


def test_circles() -> None:
    edges = {"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",), "e": ("e",), "f": ("gone",)}
    assert cyclic(edges) == {"a", "b", "c", "e"}
