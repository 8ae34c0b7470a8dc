"""Exit codes, the same for every command: they are a contract with pipelines and cron jobs."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """``docs/reference.md`` says what each means, in the words below."""

    OK = 0
    ERROR = 1
    DIFFERENCES = 2
    PARTLY_APPLIED = 3
    UNDECIDED = 4
    STALE = 5
    USAGE = 64
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]

    @property
    def brief(self) -> str:
        """As ``--help`` says it."""
        return _BRIEF[self]


_MEANINGS = {
    ExitCode.OK: "success; `plan` also with changes, unless `--detailed-exitcode`",
    ExitCode.ERROR: "error: specs, credentials, AWS; a `no` at the prompt, or no terminal for "
    "it; something could not be read",
    ExitCode.DIFFERENCES: "success, and there are differences: `plan --detailed-exitcode`, `drift`",
    ExitCode.PARTLY_APPLIED: "applied in part: some steps failed or were skipped, `--max-time` has "
    "passed, the plan made again is not empty, or a destroy or a prune had to keep something",
    ExitCode.UNDECIDED: "a decision is missing: a conflict of ownership (`plan` too), a "
    "guard (`apply`, `destroy`), the wrong account (every command)",
    ExitCode.STALE: "the saved or expected plan no longer matches AWS, or the specs",
    ExitCode.USAGE: "wrong usage (the framework's 2 would mean drift to a cron job)",
    ExitCode.INTERRUPTED: "interrupted (SIGINT, SIGTERM, SIGHUP): instances in flight got their "
    "profile back, and what was done and what remains is printed",
}

_BRIEF = {
    ExitCode.OK: "success",
    ExitCode.ERROR: "error in specs, credentials or AWS, or something could not be read",
    ExitCode.DIFFERENCES: "success, and there are differences",
    ExitCode.PARTLY_APPLIED: "applied in part",
    ExitCode.UNDECIDED: "a decision is missing: ownership, a guard, the account",
    ExitCode.STALE: "the saved or expected plan no longer matches",
    ExitCode.USAGE: "wrong usage",
    ExitCode.INTERRUPTED: "interrupted",
}
