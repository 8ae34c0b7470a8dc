"""botocore's own handlers of events, without those of services that nobody calls here.

botocore registers 130 for a session, most of them for S3 and for its documentation, and copies all
of them for each client. A run of a thousand targets makes seven thousand clients.
"""

from __future__ import annotations

import botocore.session
from botocore import handlers

CALLED = frozenset(
    {
        "auto-scaling",
        "cloudtrail",
        "ec2",
        "ecs",
        "iam",
        "organizations",
        "resource-groups-tagging-api",
        "ssm",
        "sts",
    }
)
"""Services that are called with a target's role, as botocore names them in events."""


def lean_session() -> botocore.session.Session:
    """A session for clients of these services, and of none besides."""
    session = botocore.session.Session(include_builtin_handlers=False)
    events = session.get_component("event_emitter")
    registered = {
        handlers.REGISTER_FIRST: events.register_first,
        handlers.REGISTER_LAST: events.register_last,
    }
    for name, handler, *when in handlers.BUILTIN_HANDLERS:
        if _is_needed(name):
            (registered[when[0]] if when else events.register)(name, handler)
    return session


def _is_needed(event: str) -> bool:
    """An event is ``kind``, ``kind.service`` or ``kind.service.call``."""
    kind, _, rest = event.partition(".")
    service = rest.partition(".")[0]
    return kind != "docs" and (service in CALLED or service in {"", "*"})
