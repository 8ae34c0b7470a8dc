"""Every error of this program.

    AwsError                  AWS, or the way to it, refused a call
      InstanceEndedError      the instance that a call is about has ended
    RefusedError              what was asked for cannot be done as asked; has an exit code
    DeliveryError             a notification was not delivered
    UnreadableError           a file is not YAML that can be read
    NotWritableError          a change to a file would touch more than its place
    UnmetRequirementError     a step requires what nobody provides: a fault of the planner
    CycleError                steps wait for each other: a fault of the planner
    StoppedError              a person asked to stop

A mistake in a spec is a ``Diagnostic``, not an exception.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.diagnostics import Diagnostic
from reconciler.exit_codes import ExitCode


class AwsError(Exception):
    """AWS, or the way to it, refused a call.

    ``code`` is AWS's, or botocore's class name where no answer came. ``is_uncertain`` means that
    the call may have taken effect: nothing was heard, or a 5xx. ``was_not_sent`` means that it
    surely has not: there was no connection to send it over.
    """

    def __init__(
        self,
        call: str,
        code: str,
        message: str,
        *,
        status: int = 0,
        request_id: str = "",
        is_uncertain: bool = False,
        was_not_sent: bool = False,
    ) -> None:
        super().__init__(f"{call}: {code}: {message}")
        self.call = call
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.is_uncertain = is_uncertain
        self.was_not_sent = was_not_sent


DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes that botocore takes for throttling as well, but for those that no call of ours can meet."""


UNREADABLE = DENIED | THROTTLED
"""One thing cannot be read, and the others can: it is told as unknown."""


class RefusedError(Exception):
    """``exit_code`` is that of ``cli.md``; ``diagnostics`` say where, if it is in a file;
    ``details`` are lines that say more."""

    def __init__(
        self,
        message: str,
        exit_code: ExitCode,
        diagnostics: tuple[Diagnostic, ...] = (),
        sources: Mapping[str, str] | None = None,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.diagnostics = diagnostics
        self.sources = sources or {}
        self.details = details


class DeliveryError(Exception):
    """The other system did not take it. The message names its host, and nothing that is secret;
    ``status`` is of HTTP, 0 where there is none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class UnreadableError(Exception):
    """The file is no spec; ``diagnostic`` says why. Never leaves this package."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class NotWritableError(Exception):
    """The text has something that is left to its author; the message says what and where."""


class UnmetRequirementError(Exception):
    """A step needs what no other step gives and what is not there. A bug of ours: what the specs
    refer to in vain is a diagnostic. Run all the same, the step would come too early."""


class CycleError(Exception):
    """Drafts wait for each other. A bug of ours: cycles of trusts are broken before."""


class StoppedError(Exception):
    """A person asked to stop while something was waited for."""


class InstanceEndedError(AwsError):
    """The instance that a call is about was terminated: nothing is left to do for it."""
