"""Saved plans: their flags and digests, and the check that they are up to date.

``apply`` plans again with the flags in the file, and stops if the new plan differs from the saved
one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reconciler.commands.planned import Planned
from reconciler.commands.request import Request
from reconciler.commands.shard import Shard
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.plan.changes import Guard
from reconciler.plan.plan import Plan, digest_of_intended, intended
from reconciler.plan.plan_diff import differences, in_short
from reconciler.planner.options import allowance, day_of, lifted


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved plan. ``digest`` covers ``intended``, ``file_digest`` the whole file, and ``specs``
    is the digest of the spec files."""

    request: Request
    digest: str
    file_digest: str
    specs: str
    intended: Mapping[str, Any]
    consumers: Mapping[str, int]
    """Number of running instances of each cut-over, by target and address."""


def request_json(request: Request) -> dict[str, Any]:
    """All fields as JSON values; ``render.json.types.RequestShape`` says which are saved."""
    flags = asdict(request)
    flags["allow"] = sorted(f"{key}={value}" for key, value in request.allow)
    return {name: list(v) if isinstance(v, tuple) else v for name, v in flags.items()}


def specs_digest(planned: Planned) -> str:
    """Digest of the names, relative to the root, and the contents of all spec files."""
    root = os.path.abspath(planned.root)  # noqa: PTH100 - as the names were made
    files = {os.path.relpath(name, root): text for name, text in planned.sources.items()}
    text = json.dumps(files, sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def saved_from(document: Mapping[str, Any], name: str) -> Saved:
    """From plan JSON that was validated (``render.json.planfile``). ``name`` is for messages.

    Raises ``RefusedError``: ``STALE`` if the digest does not match the content, ``ERROR`` for
    unknown flags."""
    saved = Saved(
        request=_request(document["request"], name),
        digest=document["digest"],
        file_digest=document["file_digest"],
        specs=document["specs_digest"],
        intended=intended_of(document),
        consumers=_consumers(document),
    )
    if digest_of_intended(saved.intended) != saved.digest:
        message = (
            f"{name}: its digest does not match its content; it was changed after it was saved"
        )
        raise RefusedError(message, ExitCode.STALE)
    return saved


def _request(flags: Mapping[str, Any], name: str) -> Request:
    try:
        allow = frozenset(allowance(text) for text in flags["allow"])
        if shard := flags.get("shard"):
            Shard.parse(shard)
    except ValueError as error:
        raise RefusedError(f"{name}: {error}", ExitCode.ERROR) from error
    known: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in flags.items()}
    return Request(**{**known, "allow": allow})


_COVERED = ("address", "region", "actions", "before", "after", "intent")
"""Fields of a change that the digest covers."""


def intended_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What ``plan.intended`` makes from a plan, made from plan JSON."""
    targets = [
        {
            "target": target["target"],
            "account_id": target["account_id"],
            "regions": target["regions"],
            "changes": [
                {name: change[name] for name in _COVERED}
                for change in target["changes"]
                if change["actions"] not in (["cutover"], ["restore"])
                and "select" not in change["intent"]
            ],
            "rules": target["rules"],
            "settings": target["settings"],
        }
        for target in document["targets"]
    ]
    return {"owner": document["owner"], "targets": targets}


def _consumers(document: Mapping[str, Any]) -> dict[str, int]:
    return {
        f"{target['target']} {change['address']}": len(change["consumers"])
        for target in document["targets"]
        for change in target["changes"]
        if change["kind"] == "instance-profile"
    }


def refuse_stale(saved: Saved, now: Mapping[str, Any], digest: str, specs: str) -> None:
    """Raises ``RefusedError`` (``STALE``) with the differences if specs or plan have changed."""
    if saved.specs != specs:
        raise RefusedError("the specs have changed since the plan; plan again", ExitCode.STALE)
    if saved.digest == digest:
        return
    moved = tuple(differences(saved.intended, now)) or ("the target or its regions",)
    message = "the plan no longer matches AWS; plan again. Differences:"
    raise RefusedError(message, ExitCode.STALE, details=moved)


MOST_GROWTH = 1.25
"""Factor by which a cut-over may exceed the number of instances that was approved."""


def growth(saved: Saved, planned: Planned, now: float) -> Iterator[Guard]:
    """A guard for each cut-over with more running instances than ``MOST_GROWTH`` allows. ``now`` is
    in seconds of the epoch."""
    for target in planned.targets:
        settings = target.spec.settings
        for change in target.plan.changes:
            address, number = change.address, len(change.consumers)
            then = saved.consumers.get(f"{target.plan.target} {address}")
            if then is None or number <= then * MOST_GROWTH:
                continue
            if lifted("growth", address, planned.request.allow, settings, day_of(now)):
                continue
            reason = f"{address} has {number} running instances; {then} when the plan was saved"
            yield Guard("growth", reason, f"--allow growth={address}", (address,))


def refuse_unexpected(expected: str, planned: Plan) -> None:
    """Raises ``RefusedError`` (``STALE``) if the plan does not have the expected digest. The error
    lists the present plan, since only the digest of the approved one is known."""
    if expected != planned.digest:
        message = f"the plan differs from the approved one: {planned.digest}, not {expected}"
        now = intended(planned.targets, planned.owner)
        raise RefusedError(f"{message}. It is now:", ExitCode.STALE, details=tuple(in_short(now)))
