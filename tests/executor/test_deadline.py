"""Until when something new may begin."""

from __future__ import annotations

from reconciler.cutover.decisions import AGAIN, GiveUp
from reconciler.executor.interrupt import BATCH_SECONDS, Deadline
from reconciler.sandbox.embedded import JumpingClock


def test_the_time_of_the_run_forbids_a_batch_but_no_roll_back() -> None:
    clock = JumpingClock()
    deadline = Deadline(clock, clock.now() + 10)
    assert deadline.is_over() is None
    assert deadline.forbids_batch(is_roll_back=False) is None
    clock.sleep(10)
    assert deadline.is_over() == "the time limit of --max-time has passed"
    closed = deadline.forbids_batch(is_roll_back=False)
    assert closed == GiveUp("the time limit of --max-time has passed", is_stop=True, advice=AGAIN)
    assert deadline.forbids_batch(is_roll_back=True) is None


def test_credentials_must_outlive_a_batch_and_a_roll_back() -> None:
    asked: list[float] = []

    def outlives(seconds: float) -> bool:
        asked.append(seconds)
        return seconds < BATCH_SECONDS

    deadline = Deadline(JumpingClock(), outlives=outlives)
    for is_roll_back in (False, True):
        reason = "the credentials expire within 10 minutes"
        assert deadline.forbids_batch(is_roll_back=is_roll_back) == GiveUp(
            reason, is_stop=True, advice="sign in again, then apply again"
        )
    assert asked == [600.0, 600.0]
