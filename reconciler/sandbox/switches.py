"""Faults that are switched on and off while the sandbox runs, and what roles use: POST requests to
``/_sandbox/…``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from moto.iam.models import iam_backends

from reconciler.sandbox.seed import USED
from reconciler.sandbox.state import Used, World

Answering = Callable[[Any, Any], Iterable[bytes]]
_ROOT = "/_sandbox/"
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
    return {"denied": sorted(world.chaos.denied), "expired": sorted(world.chaos.expired)}


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


def _use(world: World, query: dict[str, list[str]]) -> None:
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
    held.update(dict.fromkeys(actions, Used(at, region)))


def _outage(world: World, query: dict[str, list[str]]) -> None:
    try:
        seconds = float(query["seconds"][0])
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ValueError("seconds is needed, such as ?seconds=30, at most 3600")
    # After the answer to this request.
    world.goes_out(0.2, seconds)


_SWITCHES: dict[str, Callable[[World, dict[str, list[str]]], None]] = {
    "deny": _deny,
    "allow": _allow,
    "expire": _expire,
    "outage": _outage,
    "use": _use,
}
