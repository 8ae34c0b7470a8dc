"""Applies a plan, then plans again: that plan must be empty."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import partial

from reconciler.commands.plan import plan_again
from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.commands.request import RunPorts, ahead_of_us
from reconciler.commands.worker import Limits
from reconciler.errors import AwsError, RefusedError
from reconciler.executor.executor import Executor, ExecutorDeps
from reconciler.executor.interrupt import Deadline, Interrupt
from reconciler.executor.outcomes import Outcome, Result, Stranded
from reconciler.exit_codes import ExitCode
from reconciler.model.address import Address
from reconciler.plan.plan import Plan
from reconciler.ports import BatchCheck
from reconciler.threads import each

READ_LAG_SECONDS = 30.0
"""How long IAM may return state from before our writes. AWS documents no limit."""
PLAN_AGAIN_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of an apply. ``left`` is the plan made afterwards, or ``None`` if it could not be
    made; then ``unplanned`` says why."""

    planned: Planned
    result: Result
    left: Plan | None
    unplanned: str = ""

    @property
    def exit_code(self) -> ExitCode:
        if self.result.interrupted:
            return ExitCode.INTERRUPTED
        left = self.left
        is_done = left is not None and left.is_done
        return ExitCode.OK if self.result.is_complete and is_done else ExitCode.PARTLY_APPLIED


@dataclass
class _Counter:
    """Counts the targets that have ended. ``of`` is how many there are."""

    of: int
    _ended: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> tuple[int, int]:
        """The number of the one that has just ended, and how many there are."""
        with self._lock:
            self._ended += 1
            return self._ended, self.of


def _in_words(result: Result) -> str:
    failed, skipped = result.count("failed"), result.count("skipped")
    counts = {"applied": result.steps_applied, "failed": failed, "skipped": skipped}
    return ", ".join(f"{n} {how}" for how, n in counts.items() if n or how == "applied")


@dataclass
class Apply:
    """Applies a plan, several targets at a time. ``stop`` may be set from a signal handler."""

    planned: Planned
    ports: RunPorts
    stop: Interrupt = field(default_factory=Interrupt)
    max_seconds: float | None = None
    """No new step starts after this time; ``None`` for no limit."""
    max_rps: float | None = None
    """Calls a second that change something, of each service and account; ``None`` for no limit."""
    batch_check: BatchCheck | None = None
    """A person's own check after each batch of a cut-over."""

    def execute(self) -> Applied:
        """Runs the steps. Their errors are in the outcomes, and are not raised."""
        outcomes: list[Outcome] = []
        lost: list[Stranded] = []
        interrupted = False
        began = self.ports.clock.now()
        ends_at = None if self.max_seconds is None else began + self.max_seconds
        several = len(self.planned.targets) > 1
        failures, progress = self.ports.failures, self.ports.progress
        count = _Counter(sum(not one.plan.is_empty for one in self.planned.targets))
        request = self.planned.request
        crew = self.ports.crew(self.planned.parsed, request)
        limits = Limits(ends_at, self.max_rps, request.parallelism)

        def applied(target: PlannedTarget) -> Result | None:
            name, is_told = target.plan.target, several and not target.plan.is_empty
            if is_told:
                progress.entering(name)
                if why := failures.why:
                    progress.target_ended(f"not begun: {why}", *count.next())
                    return None
            if crew is not None and not target.plan.is_empty:
                if self.stop.is_set():
                    progress.target_ended("not begun: interrupted", *count.next())
                    return None
                done = crew.apply(target, limits)
                for failure in done.failures:
                    progress.failed(*failure)
                result = done.result
            else:
                result = Executor(target.plan, self._tools(target, ends_at), self.stop).execute()
            if result.count("failed"):
                failures.note(name)
            if several:
                target.connection.release()
            if is_told:
                progress.target_ended(_in_words(result), *count.next())
            return result

        found = each(applied, self.planned.targets, self.ports.target_parallelism)
        results = [one or Result(()) for one in found]
        not_begun = tuple(
            target.plan.target
            for target, result in zip(self.planned.targets, found, strict=True)
            if result is None
        )
        for target, result in zip(self.planned.targets, results, strict=True):
            name = target.plan.target if several else None
            outcomes.extend(replace(outcome, target=name) for outcome in result.outcomes)
            lost.extend(replace(one, target=name) for one in result.stranded)
            interrupted = interrupted or result.interrupted
        # A worker does not hear of it, and goes on to the end of its target.
        interrupted = interrupted or (crew is not None and self.stop.is_set())
        whole = Result(tuple(outcomes), interrupted, tuple(lost), not_begun)
        left, why = self._left(whole)
        return Applied(self.planned, whole, left, why)

    def _tools(self, target: PlannedTarget, ends_at: float | None) -> ExecutorDeps:
        connection, clock = target.connection, self.ports.clock
        return ExecutorDeps(
            reader=connection.reader,
            writer=connection.writer(),
            clock=clock,
            progress=self.ports.progress,
            run=self.ports.run,
            deadline=Deadline(clock, ends_at, connection.outlives),
            parallelism=self.planned.request.parallelism,
            max_rps=self.max_rps,
            gates=None if connection.gates is None else connection.gates(clock),
            evidence=connection.evidence(clock),
            batch_check=self.batch_check,
            ahead=partial(ahead_of_us, connection),
        )

    def _left(self, result: Result) -> tuple[Plan | None, str]:
        """The plan made afterwards, or why there is none.

        While it is not empty it is made again, for ``READ_LAG_SECONDS`` at most, since IAM returns
        changes late; but not if a step failed."""
        began = self.ports.clock.now()
        while True:
            if self.stop.hurries:
                return None, "there was no time to plan again"
            plan, why = self._again(result)
            elapsed = self.ports.clock.now() - began
            if (
                (plan is not None and plan.is_empty)
                or not result.is_complete
                or elapsed >= READ_LAG_SECONDS
            ):
                return plan, why
            if self.stop.is_set():
                return plan, why
            self.ports.progress.waiting(Address("plan"), "IAM to show the changes", elapsed)
            self.ports.clock.sleep(PLAN_AGAIN_SECONDS)

    def _again(self, result: Result) -> tuple[Plan | None, str]:
        """Reads may fail shortly after writes: a new profile is listed before its tags exist."""
        try:
            return plan_again(self.planned, self.ports, set(result.not_begun)).plan, ""
        except AwsError as error:
            return None, f"{error.call}: {error.code}"
        except RefusedError as refused:
            found = "; ".join(d.message for d in refused.diagnostics if d.severity == "error")
            return None, found or refused.message
