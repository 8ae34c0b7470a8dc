"""What begins when: each piece after all that it needs, one at a time per address."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from reconciler.executor.outcomes import Status
from reconciler.executor.schedule import Schedule
from reconciler.model.address import Address
from reconciler.model.resources import RollOut
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import CutOver
from reconciler.plan.graph import OrderedStep, PendingStep
from reconciler.plan.plan import Work

CALL = ApiCall("iam", "TagRole")


def step(
    name: str,
    after: Iterable[int] = (),
    *,
    action: Work = CALL,
    is_cleanup: bool = False,
    group: str | None = None,
) -> OrderedStep[Work]:
    pending: PendingStep[Work] = PendingStep(
        Address("role", name), action, is_cleanup=is_cleanup, group=group
    )
    return OrderedStep(pending, tuple(after))


def cutover(name: str) -> CutOver:
    return CutOver(name, None, None, RollOut(), (), "reconciler:")


def begun(schedule: Schedule) -> list[int]:
    found: list[int] = []
    while (place := schedule.begin()) is not None:
        found.append(place)
    return found


def test_what_needs_nothing_begins_in_order() -> None:
    schedule = Schedule([step("a"), step("b"), step("c", [0, 1])])
    assert begun(schedule) == [0, 1]
    assert list(schedule.ended(0, "applied")) == []
    assert begun(schedule) == []
    assert list(schedule.ended(1, "applied")) == []
    assert begun(schedule) == [2]


def test_an_address_is_worked_on_by_one_step_at_a_time() -> None:
    schedule = Schedule([step("a"), step("a"), step("b"), step("A")])
    assert begun(schedule) == [0, 2]
    assert not list(schedule.ended(0, "applied"))
    assert begun(schedule) == [1]
    assert not list(schedule.ended(1, "failed"))
    assert begun(schedule) == [3]


def test_what_comes_after_a_failure_never_begins_and_names_its_cause() -> None:
    schedule = Schedule([step("a"), step("b", [0]), step("c", [1]), step("d")])
    assert begun(schedule) == [0, 3]
    assert list(schedule.ended(0, "failed")) == [(1, 0), (2, 1)]
    assert not schedule.is_over
    assert not list(schedule.ended(3, "applied"))
    assert schedule.is_over


def test_a_stop_leaves_cleanup_of_what_has_begun() -> None:
    work = [step("a"), step("b", [0], is_cleanup=True), step("c"), step("d", [2], is_cleanup=True)]
    schedule = Schedule(work)
    assert schedule.begin() == 0
    assert list(schedule.close()) == [(2, None), (3, None)]
    assert not list(schedule.ended(0, "applied"))
    assert begun(schedule) == [1]
    assert not list(schedule.ended(1, "applied"))
    assert schedule.is_over


def test_a_stop_leaves_no_cleanup_of_what_will_not_begin() -> None:
    """Otherwise the run would wait for it for ever."""
    work = [step("a"), step("b", [0], is_cleanup=True), step("c", [1], is_cleanup=True)]
    schedule = Schedule(work)
    assert list(schedule.close()) == [(0, None), (1, None), (2, 1)]
    assert schedule.is_over


def test_a_group_that_has_begun_is_completed() -> None:
    work = [step("a", group="g"), step("b", [0], group="g"), step("c", group="h")]
    schedule = Schedule(work)
    assert schedule.begin() == 0
    assert list(schedule.close()) == [(2, None)]
    assert not list(schedule.ended(0, "applied"))
    assert begun(schedule) == [1]


def test_a_group_that_a_person_stopped_before_its_first_call_is_not() -> None:
    schedule = Schedule([step("a", group="g"), step("b", group="g")])
    assert schedule.begin() == 0
    assert not list(schedule.ended(0, "skipped"))
    assert list(schedule.close()) == [(1, None)]


def test_so_many_cut_overs_at_a_time() -> None:
    work = [step(f"p{n}", action=cutover(f"p{n}")) for n in range(5)] + [step("r")]
    schedule = Schedule(work, most_cutovers=2)
    assert begun(schedule) == [0, 1, 5]
    assert not list(schedule.ended(1, "applied"))
    assert begun(schedule) == [2]
    assert not list(schedule.ended(2, "failed"))
    assert not list(schedule.ended(0, "applied"))
    assert begun(schedule) == [3, 4]


def test_the_second_half_of_a_pair_waits_for_no_other_cut_over() -> None:
    """Until it has run, its instances lack a role."""
    work = [
        step("p", action=cutover("p"), group="replace p"),
        step("q", action=cutover("q")),
        step("p", [0], action=cutover("p"), group="replace p"),
    ]
    schedule = Schedule(work, most_cutovers=1)
    assert begun(schedule) == [0]
    assert not list(schedule.ended(0, "applied"))
    assert begun(schedule) == [1, 2]


@given(st.data())
def test_whatever_happens_all_ends_and_begins_after_what_it_needs(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    work = [
        step(
            data.draw(st.sampled_from("abcd")),
            data.draw(st.sets(st.integers(0, n - 1))) if n else (),
            action=cutover("p") if data.draw(st.booleans()) else CALL,
            is_cleanup=data.draw(st.booleans()),
            group=data.draw(st.sampled_from([None, None, "g", "h"])),
        )
        for n in range(size)
    ]
    schedule, done, never = Schedule(work, most_cutovers=2), set[int](), set[int]()
    running: list[int] = []
    is_closed = False
    while not schedule.is_over:
        if not is_closed and data.draw(st.integers(0, 5)) == 0:
            is_closed = True
            never |= {place for place, _ in schedule.close()}
            continue
        running += begun(schedule)
        assert running, "nothing runs, and nothing can begin"
        addresses = [work[place].pending.address for place in running]
        assert len(set(addresses)) == len(addresses)
        assert all(set(work[place].after) <= done for place in running)
        counted = [p for p in running if isinstance(work[p].pending.action, CutOver)]
        assert len([p for p in counted if work[p].pending.group is None]) <= 2 or any(
            work[p].pending.is_cleanup for p in counted
        )
        place = running.pop(data.draw(st.integers(0, len(running) - 1)))
        status: Status = data.draw(st.sampled_from(["applied", "applied", "failed", "skipped"]))
        dropped = dict(schedule.ended(place, status))
        assert not dropped.keys() & (done | never | set(running))
        (done if status == "applied" else never).add(place)
        never |= dropped.keys()
    assert done | never == set(range(size))
    for place in done:
        assert not set(work[place].after) & never
