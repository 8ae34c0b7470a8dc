"""Carries a plan out: preconditions, calls, retries, waits, cut-overs, outcomes. Nothing here
decides what is to be done (``planner``, ``cutover``)."""

from reconciler.executor.executor import Executor, ExecutorDeps

__all__ = ["Executor", "ExecutorDeps"]
