"""botocore's models of services, read once for all sessions, with the calls that we make.

A model says what a service is asked and answers: EC2's has eight hundred calls and is 5 MB of JSON,
and botocore makes a method of each call for every client, one for each region of each account.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.loaders

from reconciler.plan.authorization import READS, WRITES

_LARGE = ("ec2", "iam")
_MODEL = "service-2"


class Models:
    """In place of a loader of botocore's. ``load_service_model`` is what it asks for models; all
    else is the loader's."""

    def __init__(self, data_path: str | None) -> None:
        self._data_path = data_path
        self._loader = botocore.loaders.create_loader(data_path)
        self._made: dict[tuple[str, str | None], dict[str, Any]] = {}
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        # Together, so that targets that begin at a time do not all read the same.
        with self._lock:
            if type_name != _MODEL or service_name not in _LARGE:
                return self._loader.load_service_model(service_name, type_name, api_version)
            about = (service_name, api_version)
            if about not in self._made:
                # A loader of its own, since a loader keeps what it has read.
                loader = botocore.loaders.create_loader(self._data_path)
                whole = loader.load_service_model(service_name, type_name, api_version)
                calls = (call.partition(":") for call in (*READS, *WRITES))
                own = frozenset(name for of, _, name in calls if of == service_name)
                self._made[about] = _with_calls(whole, own)
            return self._made[about]


@cache
def shared(data_path: str | None) -> Models:
    """Of this process. ``data_path`` is where else botocore looks for models."""
    return Models(data_path)


def _with_calls(model: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The model with these calls, and what they are asked and answer."""
    operations = {name: call for name, call in model["operations"].items() if name in names}
    shapes: dict[str, Any] = {}
    waiting = [*_shapes_in(operations)]
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            waiting.extend(_shapes_in(shapes[name]))
    return {**model, "operations": operations, "shapes": shapes}


def _shapes_in(part: Any) -> Iterator[str]:
    """Names of the shapes that it refers to."""
    if isinstance(part, list):
        for one in part:
            yield from _shapes_in(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            # A member may be called so too: then its value is no name.
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _shapes_in(value)
