"""A line of the log of AWS calls, for a person and for ``grep``."""

from __future__ import annotations

from reconciler.ports import Attempt
from reconciler.render.json.log import milliseconds, sent_at
from reconciler.render.styled_text import Line, data, line


def log_line(attempt: Attempt) -> Line:
    """``TIME RUN CALL REGION attempt 1, 85 ms, 403 AccessDenied, request ID``."""
    answer = " ".join(str(part) for part in (attempt.status, attempt.code) if part is not None)
    request = f", request {attempt.request_id}" if attempt.request_id else ""
    is_refused = attempt.code is not None
    return line(
        data(f"{sent_at(attempt)} {attempt.run} ", "dim"),
        data(attempt.call),
        data(f" {attempt.region or '-'} attempt {attempt.number}, {milliseconds(attempt)} ms, "),
        data(answer or "-", "yellow" if is_refused else ""),
        data(request, "dim"),
    )
