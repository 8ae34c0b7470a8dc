"""What a Terraform or OpenTofu state manages of IAM: names, and nothing else of it.

A state has secrets in it. So an error names a place in the file or the address of a resource, and
never a value.

Read are state files of version 4 (``terraform state pull`` prints one) and what ``terraform show
-json`` prints. Sources: developer.hashicorp.com/terraform/internals/json-format, and the states of
OpenTofu's encryption (opentofu.org/docs/language/state/encryption).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.address import (
    Address,
    instance_address,
    name_of,
    policy_address,
    profile_address,
    role_address,
)

VERSION = 4
_ARN_PARTS = 6
_ADDRESSES: Mapping[str, Callable[[str], Address]] = {
    "aws_iam_role": role_address,
    "aws_iam_policy": policy_address,
    "aws_iam_instance_profile": profile_address,
    "aws_instance": instance_address,
}
_PARTS: Mapping[str, str] = {
    "aws_iam_role_policy": "role",
    "aws_iam_role_policy_attachment": "role",
    "aws_iam_role_policies_exclusive": "role_name",
    "aws_iam_role_policy_attachments_exclusive": "role_name",
}
"""Types of what belongs to a role, each with the attribute that has the name of the role."""
SHARED = "aws_iam_policy_attachment"
"""Attaches a policy to roles, users and groups, and detaches it from all others."""
WHOLE = tuple(_ADDRESSES)
TYPES = (*WHOLE, *_PARTS, SHARED)
_INDEX = re.compile(r"\[(?:[0-9]+|\"(?:[^\"\\]|\\.)*\")\]")
_BLOCK = re.compile(r"(module\.[\w-]+\.)*aws_[a-z_]+\.[\w-]+")


@dataclass(frozen=True, slots=True)
class StateResource:
    """``where`` is its address in Terraform. ``address`` is ours; of a part of a role it is that of
    the role, and of what is ``SHARED`` that of the policy. ``account`` and ``region`` are empty if
    they are not known; ``profile`` is the name of an instance's profile."""

    type: str
    where: str
    address: Address
    account: str = ""
    region: str = ""
    profile: str = ""

    @property
    def is_part(self) -> bool:
        return self.type in _PARTS

    @property
    def block(self) -> str:
        """The address of the block in the configuration: the same for all its instances."""
        return _INDEX.sub("", self.where)


def read_state(text: str, name: str) -> tuple[StateResource, ...]:
    """The managed resources of ``TYPES``, instances without a profile left out. ``name`` is that of
    the file. Raises ``RefusedError`` for anything that is no state of a known version."""
    try:
        state = json.loads(text)
    except json.JSONDecodeError as error:
        raise _refused(f"{name}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise _refused(f"{name}: is nested too deeply") from error
    made = []
    for type_, where, values in _resources(state, name):
        resource = _resource(type_, where, values)
        if _BLOCK.fullmatch(_INDEX.sub("", where)) is None:
            raise _refused(f"{name}: is not a Terraform state")
        if resource is None:
            raise _refused(f"{name}: {where} lacks a name or an ARN")
        if type_ != "aws_instance" or resource.profile:
            made.append(resource)
    return tuple(made)


def _refused(message: str) -> RefusedError:
    return RefusedError(message, ExitCode.ERROR)


_Found = tuple[str, str, Mapping[str, Any]]
"""Type, address in Terraform, attributes."""


def _resources(state: Any, name: str) -> Iterator[_Found]:
    match state:
        case {"encrypted_data": _}:
            raise _refused(f"{name}: is encrypted; pass what `tofu state pull` prints")
        case {"planned_values": _} | {"resource_changes": _}:
            raise _refused(f"{name}: is a plan; pass what `terraform state pull` prints")
        case {"format_version": str(version)}:
            if version.partition(".")[0] not in ("0", "1"):
                raise _refused(f"{name}: has the format version {version[:20]}, which is not known")
            yield from _shown(state.get("values"), name)
        case {"version": int(version)} if version == VERSION and "backend" not in state:
            yield from _stored(state.get("resources"), name)
        case {"backend": _}:
            message = f"{name}: names a backend, and has no resources"
            raise _refused(f"{message}; pass what `terraform state pull` prints")
        case {"version": int(version)}:
            older = "pass what `terraform state pull` of Terraform 0.12 or later prints"
            hint = f": {older}" if version < VERSION else ""
            raise _refused(f"{name}: has the state version {version}, not {VERSION}{hint}")
        case _:
            raise _refused(f"{name}: is not a Terraform state")


def _stored(resources: Any, name: str) -> Iterator[_Found]:
    """Of a state file."""
    for resource in _list(resources, name):
        type_ = resource.get("type")
        if type_ not in TYPES or resource.get("mode") != "managed":
            continue
        module = f"{resource['module']}." if resource.get("module") else ""
        block = f"{module}{type_}.{resource.get('name')}"
        for instance in _list(resource.get("instances"), name):
            if "deposed" in instance:  # an old object, about to be destroyed
                continue
            index = instance.get("index_key")
            where = block if index is None else f"{block}[{json.dumps(index)}]"
            # Those that Terraform 0.11 wrote, and no later version refreshed.
            values = instance.get("attributes") or instance.get("attributes_flat")
            yield type_, where, values if isinstance(values, dict) else {}


def _shown(values: Any, name: str) -> Iterator[_Found]:
    """Of ``terraform show -json``; nothing for an empty state."""
    modules = (
        [values["root_module"]] if isinstance(values, dict) and "root_module" in values else []
    )
    while modules:
        module = modules.pop(0)
        if not isinstance(module, dict):
            raise _refused(f"{name}: is not a Terraform state")
        for resource in _list(module.get("resources", []), name):
            is_managed = resource.get("mode") == "managed" and "deposed_key" not in resource
            if resource.get("type") in TYPES and is_managed:
                held = resource.get("values")
                where = str(resource.get("address"))
                yield resource["type"], where, held if isinstance(held, dict) else {}
        modules = [*_list(module.get("child_modules", []), name), *modules]


def _list(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _refused(f"{name}: is not a Terraform state")
    return value


def _resource(type_: str, where: str, values: Mapping[str, Any]) -> StateResource | None:
    """``None`` if what it is called is not there."""
    arn = values.get("arn")
    parts = arn.split(":", _ARN_PARTS - 1) if isinstance(arn, str) else []
    if type_ in _PARTS:
        role = _text(values.get(_PARTS[type_]))
        return StateResource(type_, where, role_address(role)) if role else None
    if type_ == SHARED:
        policy = name_of(_text(values.get("policy_arn")))
        return StateResource(type_, where, policy_address(policy)) if policy else None
    name = _text(values.get("id" if type_ == "aws_instance" else "name"))
    if not name or len(parts) != _ARN_PARTS:
        return None
    return StateResource(
        type_,
        where,
        _ADDRESSES[type_](name),
        account=parts[4],
        region=parts[3],
        profile=_text(values.get("iam_instance_profile")) if type_ == "aws_instance" else "",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
