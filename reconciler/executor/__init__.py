"""Executes a plan: preconditions, calls, retries, waits, cut-overs, outcomes. What to do is decided
by ``planner`` and ``cutover``, not here."""
