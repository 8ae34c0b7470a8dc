"""The file of a saved plan: its digest, and what it says when it is read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.json.encode import parsed
from reconciler.render.json.types import PlanShape

_PLACES = ("file", "line", "column")


def file_digest(document: Mapping[str, Any]) -> str:
    """``sha256:…`` over all of a plan's file but the time when it was made, and places: where the
    specs lie, and where in them something stands."""
    covered = {k: v for k, v in document.items() if k not in ("created_at", "file_digest")}
    covered["request"] = _without(document["request"], "path")
    covered["targets"] = [
        {
            **target,
            "changes": [_without(one, "source") for one in target["changes"]],
            "conflicts": [_without(one, "source") for one in target["conflicts"]],
        }
        for target in document["targets"]
    ]
    covered["diagnostics"] = [
        {
            **_without(found, *_PLACES),
            "related": [_without(one, *_PLACES) for one in found["related"]],
        }
        for found in document["diagnostics"]
    ]
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def sealed(document: PlanShape) -> PlanShape:
    """The plan with the digest of its file."""
    return {**document, "file_digest": file_digest(document)}


def plan_of(text: str, name: str) -> PlanShape:
    """The plan in the content of a file; ``name`` is for messages. Raises ``RefusedError``: exit
    code 1 if it is not a plan, 5 if it was changed after it was saved."""
    try:
        document = parsed(text, PlanShape)
    except ValueError as error:
        message = f"{name} is not a plan saved with `reconciler plan --out`: {error}"
        raise RefusedError(message, ExitCode.ERROR) from error
    # Of the text itself: the shape makes 5.0 of a 5.
    if document["file_digest"] != file_digest(json.loads(text)):
        message = (
            f"{name}: its digest does not match its content; it was changed after it was saved"
        )
        raise RefusedError(message, ExitCode.STALE)
    return document


def _without(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k not in names}
