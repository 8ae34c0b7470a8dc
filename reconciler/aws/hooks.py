"""botocore's own handlers of events, without those of services that nobody calls here.

botocore registers 130 for a session, most of them for S3 and for its documentation, and copies all
of them for each client. A run of a thousand targets makes seven thousand clients.
"""

from __future__ import annotations

import botocore.session
from botocore import handlers
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.utils import EVENT_ALIASES

CALLED = frozenset(
    {
        "accessanalyzer",
        "auto-scaling",
        "cloudtrail",
        "cloudwatch",
        "ec2",
        "ecs",
        "elastic-load-balancing-v2",
        "iam",
        "organizations",
        "resource-groups-tagging-api",
        "ssm",
        "sts",
    }
)
"""Services that are called with a target's role, as botocore names them in events."""
_ALIASES = {old: new for old, new in EVENT_ALIASES.items() if new in CALLED}
"""Other names of these services. A client looks for each in every event that it has not seen."""


def lean_session() -> botocore.session.Session:
    """A session for clients of these services, and of none besides."""
    emitter = HierarchicalEmitter()
    session = botocore.session.Session(event_hooks=emitter, include_builtin_handlers=False)
    events = EventAliaser(emitter, _ALIASES)
    session.register_component("event_emitter", events)
    registered = {
        handlers.REGISTER_FIRST: events.register_first,
        handlers.REGISTER_LAST: events.register_last,
    }
    for name, handler, *when in handlers.BUILTIN_HANDLERS:
        # An event is ``kind``, ``kind.service`` or ``kind.service.call``.
        kind, _, rest = name.partition(".")
        service = rest.partition(".")[0]
        if kind != "docs" and (service in CALLED or service in {"", "*"}):
            (registered[when[0]] if when else events.register)(name, handler)
    return session
