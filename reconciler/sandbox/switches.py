"""Faults, what roll-outs watch, what instances call and what roles have used, switched while the
sandbox runs: POST requests to ``/_sandbox/…``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from moto.iam.models import iam_backends

from reconciler.model.checks import group_of
from reconciler.sandbox.cloudtrail import settle
from reconciler.sandbox.revoked import is_revoked
from reconciler.sandbox.seed import USED
from reconciler.sandbox.state import Alarm, App, RoleUse, Target, World

Answering = Callable[[Any, Any], Iterable[bytes]]
_ROOT = "/_sandbox/"
LONGEST = 3600
DAY_SECONDS = 86_400


def with_switches(world: World, application: Answering) -> Answering:
    """Answers requests for switches, and hands on all others."""

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        switch = _SWITCHES.get(path.removeprefix(_ROOT)) if path.startswith(_ROOT) else None
        if switch is None:
            return application(environ, start_response)
        # A browser sends the header: no page that somebody looks at may switch anything.
        if environ["REQUEST_METHOD"] != "POST" or "HTTP_ORIGIN" in environ:
            return _reply(start_response, "405 Method Not Allowed", {"error": "POST is needed"})
        try:
            with world.lock:
                switch(world, parse_qs(environ.get("QUERY_STRING", "")))
                state = _state(world)
        except ValueError as error:
            return _reply(start_response, "400 Bad Request", {"error": str(error)})
        return _reply(start_response, "200 OK", state)

    return answer


def _reply(start_response: Any, status: str, body: Any) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode() + b"\n"]


def _state(world: World) -> dict[str, Any]:
    faults = {"denied": sorted(world.chaos.denied), "expired": sorted(world.chaos.expired)}
    watched = {
        "alarms": {name: one.state for (_, _, name), one in sorted(world.alarms.items())},
        "targets": {key[3]: one.state for key, one in sorted(world.targets.items())},
        "apps": [one.action for one in world.apps],
    }
    return faults | {what: state for what, state in watched.items() if state}


def _actions(query: dict[str, list[str]]) -> frozenset[str]:
    given = frozenset(query.get("action", ()))
    if not given or not all(":" in action for action in given):
        raise ValueError("action is needed, such as ?action=iam:PassRole")
    return given


def _deny(world: World, query: dict[str, list[str]]) -> None:
    world.chaos = replace(world.chaos, denied=world.chaos.denied | _actions(query))


def _allow(world: World, query: dict[str, list[str]]) -> None:
    world.chaos = replace(world.chaos, denied=world.chaos.denied - _actions(query))


def _expire(world: World, _query: dict[str, list[str]]) -> None:
    """The credentials of every run so far; a run that starts later has new ones."""
    runs = frozenset(logged.user_agent for logged in world.log)
    world.chaos = replace(world.chaos, expired=world.chaos.expired | runs)


def _used(world: World, query: dict[str, list[str]]) -> None:
    """A role of the sandbox's own account used something, so many days ago."""
    (name,), actions = query.get("role", [""])[:1], query.get("action", ())
    roles = iam_backends[world.account]["aws"].roles.values()
    role = next((r for r in roles if r.name == name), None)
    if role is None:
        raise ValueError(f"there is no role {name!r}: name one, such as ?role=web")
    if not actions or not all(re.fullmatch(USED, action) for action in actions):
        raise ValueError(
            "action is needed, such as &action=s3:PutObject, or a service: &action=sqs"
        )
    days = query.get("days", ["0"])[0]
    if not re.fullmatch("[0-9]{1,5}", days):
        raise ValueError("days is a number, such as &days=2")
    at = world.clock.now() - int(days) * DAY_SECONDS
    region = query.get("region", ["us-east-1"])[0]
    held = world.used.setdefault((world.account, role.id), {})
    held.update(dict.fromkeys(actions, RoleUse(at, region)))


def _outage(world: World, query: dict[str, list[str]]) -> None:
    try:
        seconds = float(query["seconds"][0])
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"seconds is needed, such as ?seconds=30, at most {LONGEST}")
    # After the answer to this request.
    world.goes_out(0.2, seconds)


ALARM_STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
TARGET_STATES = ("initial", "healthy", "unhealthy", "unused", "draining", "unavailable")


def _one(query: dict[str, list[str]], name: str, example: str) -> str:
    given = query.get(name, [])
    if len(given) != 1 or not given[0]:
        raise ValueError(f"{name} is needed once, such as ?{name}={example}")
    return given[0]


def _maybe(query: dict[str, list[str]], name: str) -> str | None:
    return query[name][0] if name in query else None


def _among(values: tuple[str, ...], query: dict[str, list[str]]) -> str:
    state = _one(query, "state", values[1])
    if state not in values:
        raise ValueError(f"state is one of {', '.join(values)}")
    return state


def _number(query: dict[str, list[str]], name: str, default: float) -> float:
    text = _maybe(query, name)
    try:
        seconds = default if text is None else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"{name} is a number of seconds, at most {LONGEST}")
    return seconds


def _alarm(world: World, query: dict[str, list[str]]) -> None:
    """Makes the alarm, if there is none of that name."""
    region = _maybe(query, "region") or world.regions[0]
    kind = _maybe(query, "composite") == "true"
    made = Alarm(_among(ALARM_STATES, query), kind, _maybe(query, "role"))
    world.alarms[world.account, region, _one(query, "name", "web-errors")] = made


def _target(world: World, query: dict[str, list[str]]) -> None:
    """Registers the target, if it is not."""
    group = _one(query, "group", "arn:aws:elasticloadbalancing:...")
    found = group_of(group)
    if found is None or found.region is None:
        raise ValueError("group is the ARN of a target group")
    reason = _maybe(query, "reason") or Target("").reason
    made = Target(_among(TARGET_STATES, query), reason, _maybe(query, "role"))
    world.targets[world.account, found.region, group, _one(query, "instance", "i-0abc")] = made


def _calls(world: World, query: dict[str, list[str]]) -> None:
    """From now on the applications on the instances call this action."""
    action = _one(query, "action", "secretsmanager:GetSecretValue")
    if ":" not in action:
        raise ValueError("action is an action such as secretsmanager:GetSecretValue")
    every = _number(query, "every", 10.0)
    if every < 1:
        raise ValueError("every is at least one second")
    world.apps.append(
        App(
            action,
            _maybe(query, "resource") or "*",
            world.clock.now(),
            every,
            _number(query, "late", 0.0),
            _maybe(query, "instance"),
        )
    )


def _use(world: World, query: dict[str, list[str]]) -> None:
    """Calls of instances with their credentials: of those that are named, or of all that have
    any."""
    call = query.get("call", ["sts:GetCallerIdentity"])[0]
    error = query.get("error", [""])[0] or None
    try:
        earlier = int(query.get("earlier", ["0"])[0])
    except ValueError:
        earlier = -1
    if not 0 <= earlier <= 100:
        raise ValueError("earlier is how many sessions ago the credentials were issued, such as 1")
    for row in list(world.rows):
        settle(world, row.account, row.region, row.instance)
    named = query.get("instance")
    keys = [key for key in world.sessions.issued if named is None or key[2] in named]
    if missing := sorted({*(named or ())} - {key[2] for key in keys}):
        raise ValueError(f"no credentials were ever issued for {', '.join(missing)}")
    now = world.clock.now()
    for key in keys:
        if named is not None or world.sessions.now(key) is not None:
            held = world.sessions.held(key, earlier)
            is_over = is_revoked(key[0], held, call, "*", now)
            denied = "AccessDenied" if is_over else error
            world.sessions.use(key, call, now, error=denied, earlier=earlier)


_SWITCHES: dict[str, Callable[[World, dict[str, list[str]]], None]] = {
    "deny": _deny,
    "allow": _allow,
    "expire": _expire,
    "outage": _outage,
    "alarm": _alarm,
    "target": _target,
    "calls": _calls,
    "used": _used,
    "use": _use,
}
