"""Makes moto answer faster, with the same answers. What it works out anew for each value of each
response is worked out once for each kind of value, and XML is written without a SAX handler; the
clients in the same process are made sooner, do not work out signatures, which moto ignores, and
hand their requests over without the detour of a test client."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO, StringIO
from string import ascii_letters, digits
from typing import Any, cast
from xml.sax.saxutils import escape, quoteattr

import xmltodict
from botocore import auth, client, model, useragent
from botocore import utils as botocore_utils
from botocore.compat import get_current_datetime
from botocore.context import get_context
from moto import backends
from moto.core import request as moto_request
from moto.core import responses, serialize
from moto.core.utils import MISSING
from moto.core.utils import get_value as by_path
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.moto_api._internal.moto_random import MotoRandom

_validated: Callable[[str, str], None] = functools.cache(vars(xmltodict)["_validate_name"])
_listed = functools.cache(responses.method_names_from_class)
_sanitized = functools.cache(useragent.sanitize_user_agent_string_component)
_action = functools.cache(responses.camelcase_to_underscores)
_moments = functools.lru_cache(10_000)(vars(botocore_utils)["_parse_timestamp_with_tzinfo"])
_structure = serialize.ResponseSerializer._serialize_type_structure
_unparse = xmltodict.unparse
_methods = vars(client.ClientCreator)["_create_methods"]
_signed = auth.SigV4Auth.add_auth
_user_agent = useragent.UserAgentString.to_string
_normalized = moto_request.Request.from_primitives
_modules = tuple(backends.list_of_moto_modules())
_discovery = vars(model.ServiceModel)["endpoint_discovery_operation"]
_discoveries: dict[tuple[str, str], Any] = {}
_made: dict[tuple[str, str, int], dict[str, Any]] = {}


def replacements() -> Iterator[tuple[Any, str, Any]]:
    """Owner, name and the function in its place, for as long as the sandbox runs."""
    # moto lists the methods of a service anew for every request.
    yield responses, "method_names_from_class", _listed
    yield responses, "camelcase_to_underscores", _action
    yield xmltodict, "unparse", _written
    yield client.ClientCreator, "_create_methods", methods_of_a_client
    yield model.ServiceModel, "endpoint_discovery_operation", property(_discovered)
    yield auth.SigV4Auth, "add_auth", _unsigned
    yield useragent, "sanitize_user_agent_string_component", _sanitized
    yield useragent.UserAgentString, "to_string", _named
    yield moto_request.Request, "from_primitives", classmethod(_handed_over)
    yield MotoRandom, "get_random_string", _random_string
    yield botocore_utils, "_parse_timestamp_with_tzinfo", _moments
    yield serialize.ResponseSerializer, "_serialize_type_structure", _serialized
    # moto looks through its own files for every request.
    yield backends, "list_of_moto_modules", lambda: _modules
    yield InstanceBackend, "get_instance", _instance
    yield TaggedEC2Resource, "get_tags", _tags


def _unsigned(signer: Any, request: Any) -> None:
    """In place of ``SigV4Auth.add_auth``: of a signature moto looks at the key's name, the region
    and the service alone. The services that sign in other ways, such as S3, do so."""
    if type(signer) is not auth.SigV4Auth or signer.credentials is None:
        _signed(signer, request)
        return
    request.context["timestamp"] = get_current_datetime().strftime(auth.SIGV4_TIMESTAMP)
    scope = f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}"
    given = {
        "Authorization": f"{scope}, SignedHeaders=host, Signature=0",
        "X-Amz-Date": request.context["timestamp"],
        "X-Amz-Security-Token": signer.credentials.token,
    }
    for name, value in given.items():
        del request.headers[name]  # of an earlier try
        if value:
            request.headers[name] = value


def _named(agent: Any) -> str:
    """In place of ``UserAgentString.to_string``, which a client asks for at each request. The same
    but for the features of botocore that a call makes use of."""
    context = get_context()
    features = frozenset(context.features) if context is not None else frozenset()
    return _user_agent_with(agent, features, frozenset(agent._client_features or ()))


@functools.lru_cache(1_000)
def _user_agent_with(agent: Any, *_features: frozenset[str]) -> str:
    text: str = _user_agent(agent)
    return text


def _handed_over(kind: Any, method: str, url: str, headers: Any, body: Any = None) -> Any:
    """In place of ``Request.from_primitives``, for what clients of IAM, EC2 and such send: a form
    to the root of a host. Others go by werkzeug's test client."""
    scheme, _, place = url.partition("://")
    host, _, path = place.partition("/")
    given: dict[str, str] = {}
    for name, value in headers.items():
        text = value.decode() if isinstance(value, bytes) else value
        given[moto_request.environ_key_for_header(name)] = text
    is_form = given.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if method != "POST" or path or ":" in host or not is_form or not isinstance(body, str | bytes):
        return _normalized(method, url, headers, body)
    sent = body.encode() if isinstance(body, str) else body
    given.pop("HTTP_TRANSFER_ENCODING", None)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "REQUEST_URI": "/",
        "RAW_URI": "/",
        "SERVER_NAME": host,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": "443" if scheme == "https" else "80",
        "HTTP_HOST": host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(sent),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        moto_request.PRESERVED_HEADER_NAMES_ENVIRON_KEY: {},
        **given,
        "CONTENT_LENGTH": str(len(sent)),
    }
    return kind(environ)


def _instance(backend: Any, instance_id: str) -> Instance:
    """In place of ``InstanceBackend.get_instance``, which makes a list of all."""
    for reservation in backend.all_reservations():
        for instance in reservation.instances:
            if instance.id == instance_id:
                return cast("Instance", instance)
    raise InvalidInstanceIdError(instance_id)


def _tags(resource: Any) -> list[dict[str, str]]:
    """In place of ``TaggedEC2Resource.get_tags``, which looks at the tags of all resources."""
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "") if resource.id else ""
    of_it = resource.ec2_backend.tags.get(resource.id, {}) if resource.id else {}
    return [
        {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind}
        for key, value in of_it.items()
    ]


def _random_string(
    dice: Any, length: int = 20, include_digits: bool = True, lower_case: bool = False
) -> str:
    """In place of ``MotoRandom.get_random_string``, which throws for each letter."""
    pool = ascii_letters + digits if include_digits else ascii_letters
    made = "".join(dice.choices(pool, k=length))
    return made.lower() if lower_case else made


def methods_of_a_client(creator: Any, service: Any) -> dict[str, Any]:
    """In place of ``ClientCreator._create_methods``, which makes the eight hundred of EC2 anew for
    each client: they are closures on names alone."""
    # Sessions of the program know fewer calls of a service than others do.
    about = (service.service_name, service.api_version, len(service.operation_names))
    if about not in _made:
        _made[about] = _methods(creator, service)
    return dict(_made[about])


def _discovered(service: Any) -> Any:
    """In place of ``ServiceModel.endpoint_discovery_operation``, which each client looks for among
    all operations."""
    about = (service.service_name, service.api_version)
    if about not in _discoveries:
        _discoveries[about] = _discovery.__get__(service, type(service))
    return _discoveries[about]


@dataclass(frozen=True, slots=True)
class _Member:
    """How one member of a structure is taken from objects of one type. ``names`` are the attributes
    that may hold it, the first that is there counts (``is_path``: one of them is a path);
    ``transforms`` are by the end of the path of the member; ``put`` writes it under the name
    ``out``, ``None`` for text, which needs no more than that."""

    key: str
    shape: Any
    names: tuple[str, ...]
    is_path: bool
    transforms: tuple[tuple[str, Callable[[Any], Any]], ...]
    out: str
    put: Any


def _serialized(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """In place of ``ResponseSerializer._serialize_type_structure``."""
    if type(serializer) not in _OF_QUERIES:
        _structure(serializer, serialized, value, shape, key)
        return
    if value is None:
        return
    wrapper = {} if key else serialized
    usual = _taking(value)
    for member in _members(serializer, value, shape):
        take, found = by_path if member.is_path else usual, MISSING
        for name in member.names:
            found = take(value, name, MISSING)
            if found is not MISSING:
                break
        else:
            found = None
        for end, transform in member.transforms:
            if f"{'.'.join(serializer.path)}.{member.key}".endswith(end):
                found = transform(found)
                break
        if found is None:
            continue
        if member.put is None:
            wrapper[member.out] = str(found)
            continue
        serializer.path.append(member.key)
        member.put(serializer, wrapper, found, member.shape, member.key)
        serializer.path.pop()
    if key:
        serializer._default_serialize(serialized, wrapper, shape, key)


_OF_QUERIES = (serialize.EC2Serializer, serialize.QuerySerializer)
"""Of services whose answers are XML. Others have members in headers and such."""


def _taking(value: Any) -> Callable[[Any, str, Any], Any]:
    """How moto takes a value by its name, without asking each time what it is taken from."""
    if type(value) is dict:
        return dict.get
    return by_path if hasattr(value, "__getitem__") else getattr


def _members(serializer: Any, value: Any, shape: Any) -> tuple[_Member, ...]:
    """Kept at the shape, which lives as long as moto's model of the service."""
    known = vars(shape).setdefault("_reconciler_members", {})
    transformers = serializer._value_picker.response_transformers
    about = (type(serializer), type(value), *transformers)
    if about not in known:
        known[about] = tuple(_members_of(serializer, value, shape, transformers))
    members: tuple[_Member, ...] = known[about]
    return members


def _members_of(
    serializer: Any, value: Any, shape: Any, transformers: dict[str, Any]
) -> Iterator[_Member]:
    for key, member in shape.members.items():
        member.parent = shape
        model = serializer.operation_model
        context = serialize.AttributePickerContext(value, key, member, model, model.service_model)
        names = tuple(dict.fromkeys(serializer._value_picker.get_possible_keys(context)))
        # A path that ends with the tail may end with these.
        tail = f".{key}"
        ends = [end for end in transformers if tail.endswith(end) or end.endswith(tail)]
        meant = tuple((end, transformers[end]) for end in ends)
        kind = type(serializer)
        put = getattr(kind, f"_serialize_type_{member.type_name}", kind._default_serialize)
        about = member.serialization
        is_text = put is kind._serialize_type_string and not (
            about.get("xmlNamespace") or about.get("xmlAttribute")
        )
        yield _Member(
            key,
            member,
            names,
            any("." in name for name in names),
            meant,
            about.get("name", key),
            None if is_text else put,
        )


def _written(body: Any, **options: Any) -> Any:
    """In place of ``xmltodict.unparse``, for what moto's serializers ask of it."""
    asked = {name for name, value in options.items() if value}
    if not asked <= {"full_document", "short_empty_elements"} or len(body) != 1:
        return _unparse(body, **options)
    is_short = options.get("short_empty_elements", False)
    parts = (
        ['<?xml version="1.0" encoding="utf-8"?>\n'] if options.get("full_document", True) else []
    )
    for key, value in body.items():
        _write(parts.append, key, value, is_short)
    return "".join(parts)


def _write(add: Callable[[str], object], key: str, value: Any, is_short: bool) -> None:
    """An element of that name for the value, or for each of its items."""
    _validated(key, "element")
    for item in value if isinstance(value, list) else (value,):
        if not isinstance(item, dict):
            text = "" if item is None else escape(_text(item))
            add(f"<{key}>{text}</{key}>" if text or not is_short else f"<{key}/>")
            continue
        add(f"<{key}")
        inside: list[str] = []
        text = ""
        for name, part in item.items():
            if name == "#text":
                text = "" if part is None else escape(_text(part))
            elif name.startswith("@"):
                _validated(name[1:], "attribute")
                add(f" {name[1:]}={quoteattr('' if part is None else _text(part))}")
            elif part != []:
                _write(inside.append, name, part, is_short)
        inside.append(text)
        if text or len(inside) > 1 or not is_short:
            add(f">{''.join(inside)}</{key}>")
        else:
            add("/>")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode() if isinstance(value, bytes) else str(value)
