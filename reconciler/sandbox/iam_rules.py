"""What AWS refuses and moto does not: names and sizes, quotas, reserved paths; and names in any
case. Asked before every request to IAM, in the order in which AWS looks.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NoReturn

import botocore.session

from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import READS

RESERVED = ("/aws-service-role/", "/aws-reserved/")
MOST_TAGS = 50
ATTACHED_POLICIES = 10
SIZES = {"trust": 2048, "inline": 10240, "managed": 6144}
"""Characters, blanks not counted; of a role's inline policies all together."""
_TAGGABLE = {
    "TagRole": True,
    "CreateRole": True,
    "TagInstanceProfile": False,
    "CreateInstanceProfile": False,
    "TagPolicy": False,
    "CreatePolicy": False,
}
"""Whether keys that differ in case are one."""
_LETTERS = re.compile(r"[^\W_]|[\s_.:/=+\-@]")


def check(request: Any) -> None:
    """Raises what AWS answers to a request that it refuses. Names are put into the case in which
    they are kept."""
    operation, params = request._get_action(), request.params
    _validate(operation, params)
    _fold(request)
    _check_tags(operation, params)
    if operation.startswith(READS):
        return
    _refuse_reserved(operation, request)
    _check_sizes(operation, request)


@cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("iam")


def _validate(operation: str, params: dict[str, Any]) -> None:
    """The service checks greatest lengths and patterns; botocore only the least."""
    model = _model()
    if operation not in model.operation_names:
        return
    shape = model.operation_model(operation).input_shape
    problems = list(_problems(shape, params, "")) if shape is not None else []
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise refused("iam", "ValidationError", count + "; ".join(problems))


def _problems(shape: Any, value: Any, where: str) -> Any:
    if value is None:
        return
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                yield from _problems(member, value.get(name), f"{where}.{name}".lstrip("."))
        case "list":
            yield from _outside(shape, len(value), where)
            for number, item in enumerate(value, start=1):
                yield from _problems(shape.member, item, f"{where}.{number}.member")
        case "string":
            yield from _outside(shape, len(value), where)
            pattern = shape.metadata.get("pattern")
            if pattern and not _fits(pattern, str(value)):
                yield f"Value at '{where}' failed to satisfy regular expression pattern: {pattern}"
        case "integer":
            yield from _outside(shape, int(value), where)


def _outside(shape: Any, size: int, where: str) -> Any:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"Value at '{where}' failed to satisfy constraint: between {least} and {most}"


def _fits(pattern: str, value: str) -> bool:
    if r"\p{" in pattern:  # only tags have such
        return all(_LETTERS.match(character) for character in value)
    return re.fullmatch(pattern, value, re.ASCII) is not None


def _fold(request: Any) -> None:
    """IAM finds its own whatever the case, and keeps that in which they were made."""
    backend, params, operation = request.backend, request.params, request._get_action()
    if "RoleName" in params and operation != "CreateRole":
        _stored(params, "RoleName", [role.name for role in backend.get_roles()])
    if "InstanceProfileName" in params and operation != "CreateInstanceProfile":
        _stored(params, "InstanceProfileName", [p.name for p in backend.get_instance_profiles()])
    if "PolicyName" in params and "RoleName" in params:
        role = _role(request)
        _stored(params, "PolicyName", list(role.policies) if role else [])


def _stored(params: dict[str, Any], key: str, names: list[str]) -> None:
    wanted = params[key].casefold()
    params[key] = next((name for name in names if name.casefold() == wanted), params[key])


def _role(request: Any) -> Any:
    name = request.params.get("RoleName")
    return next((role for role in request.backend.get_roles() if role.name == name), None)


def _check_tags(operation: str, params: dict[str, Any]) -> None:
    folds = _TAGGABLE.get(operation)
    if folds is None:
        return
    keys = [tag["Key"] for tag in params.get("Tags", ())]
    if any(key.casefold().startswith("aws:") for key in keys):
        raise refused("iam", "InvalidInput", "System tags cannot be added/updated by requester")
    seen = [key.casefold() if folds else key for key in keys]
    if len(seen) != len(set(seen)):
        raise refused("iam", "InvalidInput", "Duplicate tag keys found")


def most_tags(keys: set[str]) -> None:
    """Refuses more tags than one thing may have."""
    if len(keys) > MOST_TAGS:
        _exceeded("TagsPerEntity", MOST_TAGS)


def _refuse_reserved(operation: str, request: Any) -> None:
    role = _role(request) if operation != "CreateRole" else None
    path = role.path if role is not None else request.params.get("Path") or "/"
    if "RoleName" not in request.params or not path.startswith(RESERVED):
        return
    name = request.params["RoleName"]
    code = "InvalidInput" if operation == "CreateRole" else "UnmodifiableEntity"
    message = f"Cannot perform the operation on the protected role '{name}' - this role is only "
    raise refused("iam", code, message + "modifiable by AWS")


def _check_sizes(operation: str, request: Any) -> None:
    params = request.params
    match operation:
        case "CreateRole":
            _fit("trust", params["AssumeRolePolicyDocument"], "ACLSizePerRole")
        case "UpdateAssumeRolePolicy":
            _fit("trust", params["PolicyDocument"], "ACLSizePerRole")
        case "CreatePolicy" | "CreatePolicyVersion":
            _fit("managed", params["PolicyDocument"], "PolicySize")
        case "PutRolePolicy":
            role = _role(request)
            others = {} if role is None else dict(role.policies)
            others[params["PolicyName"]] = params["PolicyDocument"]
            _fit("inline", "".join(others.values()), "MaximumPolicySize")
        case "AttachRolePolicy":
            role, arn = _role(request), params["PolicyArn"]
            if "/aws-service-role/" in arn:
                message = f"Cannot attach a Service Role Policy to a Customer Role: {arn}"
                raise refused("iam", "PolicyNotAttachable", message)
            attached = role.managed_policies if role else {}
            if arn not in attached and len(attached) >= ATTACHED_POLICIES:
                _exceeded("PoliciesPerRole", ATTACHED_POLICIES)


def _fit(kind: str, text: str, quota: str) -> None:
    if len("".join(text.split())) > SIZES[kind]:
        _exceeded(quota, SIZES[kind])


def _exceeded(quota: str, most: int) -> NoReturn:
    raise refused("iam", "LimitExceeded", f"Cannot exceed quota for {quota}: {most}", 409)
