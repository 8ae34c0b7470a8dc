"""Makes moto answer faster, with the same answers: what it works out anew for each value of each
response is remembered."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import xmltodict
from botocore import useragent
from moto.core import responses, serialize
from moto.core.utils import MISSING


def replacements() -> Iterator[tuple[Any, str, Any]]:
    """Owner, name and the function in its place, for as long as the sandbox runs."""
    # moto lists the methods of a service anew for every request.
    listed = functools.cache(responses.method_names_from_class)
    yield responses, "method_names_from_class", listed
    yield xmltodict, "_validate_name", functools.cache(vars(xmltodict)["_validate_name"])
    sanitized = functools.cache(useragent.sanitize_user_agent_string_component)
    yield useragent, "sanitize_user_agent_string_component", sanitized
    yield serialize.AttributePicker, "__call__", _picking()


def _picking() -> Any:
    """In place of ``AttributePicker.__call__``. Which names an attribute may have follows from the
    kinds of object and shape, not from their values."""
    known: dict[tuple[object, ...], tuple[str, ...]] = {}

    def pick(picker: Any, context: Any) -> Any:
        shape, parent = context.shape, getattr(context.shape, "parent", None)
        about = (
            type(picker),
            type(context.obj),
            context.key,
            shape and (shape.name, shape.serialization.get("name")),
            parent and parent.name,
            context.service_model.service_name,
        )
        names = known.get(about)
        if names is None:
            names = known[about] = tuple(dict.fromkeys(picker.get_possible_keys(context)))
        found = (serialize.get_value(context.obj, name, MISSING) for name in names)
        value = next((one for one in found if one is not MISSING), None)
        path = f"{context.key_path}.{context.key}"
        for end, transform in picker.response_transformers.items():
            if path.endswith(end):
                return transform(value)
        return value

    return pick
