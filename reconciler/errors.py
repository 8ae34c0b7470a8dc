"""Every error of this program.

    AwsError                  a call to AWS failed
      InstanceEndedError      the instance that a call is about has terminated
    RefusedError              a request that cannot be carried out; has an exit code
    DeliveryError             a notification was not delivered
    UnreadableError           a file cannot be read as YAML
    NotWritableError          a change to a file would touch more than its place
    UnmetRequirementError     a step requires what no step provides: a bug of the planner
    CycleError                steps wait for each other
    StoppedError              the run was asked to stop

A mistake in a spec is a ``Diagnostic``, not an exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.diagnostics import Diagnostic
from reconciler.exit_codes import ExitCode


class _TravellingError(Exception):
    """One that is the same in another process: pickle would make it anew from its text alone."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(
    kind: type[_TravellingError], args: tuple[Any, ...], attributes: Mapping[str, Any]
) -> _TravellingError:
    made = kind.__new__(kind)
    made.args = args
    made.__dict__.update(attributes)
    return made


_SAID = re.compile(r"not authorized to perform: ([\w-]+:\w+)(?: on resource: ([^\s\"]+))?")
_BECAUSE = re.compile(r"because no ([\w -]+?) allows|with an explicit (deny) in an? ([\w -]+)")


@dataclass(frozen=True, slots=True)
class Denied:
    """The action and the resource that a refusal names. They are not always those of the call: it
    may be one of several things that the call needs. ``resource`` is empty where none is named.
    ``by`` is the kind of policy that does not allow it, empty if that is not told.

    Source: docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """

    action: str
    resource: str = ""
    by: str = ""
    is_explicit: bool = False

    @staticmethod
    def read(message: str) -> Denied | None:
        said = _SAID.search(message)
        if said is None:
            return None
        because = _BECAUSE.search(message)
        by = (because[1] or because[3]).strip() if because else ""
        return Denied(said[1], said[2] or "", by, bool(because and because[2]))


class AwsError(_TravellingError):
    """A call to AWS failed.

    ``code`` is AWS's error code, or botocore's class name if there was no response.
    ``is_uncertain`` means that the call may have taken effect: there was no response, or a 5xx.
    ``was_not_sent`` means that it certainly has not: there was no connection. ``call`` is empty if
    no call was made, since what it was to be made with is wrong: then the message says it all.
    ``hint`` is what to do about it, if that is known.
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
        hint: str | None = None,
    ) -> None:
        super().__init__(f"{call}: {code}: {message}" if call else message)
        self.call = call
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.is_uncertain = is_uncertain
        self.was_not_sent = was_not_sent
        self.hint = hint

    @property
    def denied(self) -> Denied | None:
        """What AWS says that the caller lacks, if this is a refusal and its message tells."""
        return Denied.read(self.message) if self.code in DENIED else None


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
"""Codes that botocore also treats as throttling, without those that none of our calls can get."""


NO_CREDENTIALS = frozenset({"CredentialRetrievalError", "MetadataRetrievalError"})
"""Codes for a call that was not sent because whatever the credentials come from gave none."""


UNREADABLE = DENIED | THROTTLED
"""Codes for which one resource is reported as unknown while the others are read."""


class RefusedError(_TravellingError):
    """A request that cannot be carried out as given.

    ``exit_code`` is the program's; ``diagnostics`` name the places, if the cause is in a file;
    ``details`` are further lines of text.
    """

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
    """A notification was not accepted. The message names the host and nothing secret; ``status`` is
    the HTTP status, 0 if there was no response."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class UnreadableError(Exception):
    """The file cannot be read as a spec; ``diagnostic`` says why. Does not leave the package
    ``spec``."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class NotWritableError(Exception):
    """The change cannot be made without changing more than its place; the message says what, and
    where."""


class UnmetRequirementError(Exception):
    """A step requires something that no other step provides and that does not exist.

    A bug of the planner: a reference to a missing resource is a diagnostic. Executed anyway, the
    step would run too early.
    """


class CycleError(Exception):
    """Steps of these resources wait for each other: more than one of them is deleted and created
    again. Without a replacement it is a bug of the planner, for cycles between trust policies are
    broken before.

    ``places`` are those of the steps in the list that was to be put in order.
    """

    def __init__(self, message: str, places: tuple[int, ...]) -> None:
        super().__init__(message)
        self.places = places


class StoppedError(Exception):
    """The run was asked to stop during a wait."""


class InstanceEndedError(AwsError):
    """The instance that a call is about was terminated: nothing is left to do for it."""
