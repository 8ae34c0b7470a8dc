"""Whether the specs allow a role an action: by the documents alone, or by AWS's simulator too.

What a request meets besides the role's own policies is not counted, and is told: policies of the
organization, of resources and of sessions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.commands.one_target import online
from reconciler.commands.patience import patient
from reconciler.commands.request import Connection, Request, RunPorts
from reconciler.commands.selection import (
    ADJUSTABLE,
    Offline,
    interpreted_offline,
    refuse_account,
    refuse_invalid,
    targets_of,
)
from reconciler.diagnostics import Location, meant
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.impact.allowed import Answer, Held, Outcome, TitledPolicy, answer, candidates
from reconciler.model.address import ROLE, name_of
from reconciler.model.policy_decision import Context
from reconciler.model.policy_document import as_list
from reconciler.model.resources import Identity
from reconciler.plan.authorization import Question
from reconciler.spec.check import aws_managed_policies
from reconciler.spec.desired import DesiredRole, SpecSet
from reconciler.spec.loader import PLACEHOLDER_ACCOUNT, for_target, read
from reconciler.spec.settings import TargetSpec
from reconciler.spec.yaml.policy_documents import place_of_inline

BEYOND = (
    "policies of the organization",
    "policies of resources, such as of a bucket, a key or a queue",
    "session policies",
)


@dataclass(frozen=True, slots=True)
class CanRequest:
    """``resources`` are empty for any. ``is_online`` is whether AWS is asked as well."""

    role: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    context: Context = field(default_factory=dict)
    is_online: bool = False


@dataclass(frozen=True, slots=True)
class RoleAnswer:
    """Of one target. ``not_counted`` is what may change the answers and was not looked at;
    ``is_online`` is whether AWS's simulator gave them."""

    target: str
    role: str
    place: Location
    answers: tuple[Answer, ...]
    not_counted: tuple[str, ...]
    is_online: bool = False


def can(asked: CanRequest, request: Request, ports: RunPorts | None) -> tuple[RoleAnswer, ...]:
    """One for each target whose specs have the role. ``ports`` are needed to ask AWS. Raises
    ``RefusedError`` for invalid specs, and for a role that they do not have (``USAGE``);
    ``AwsError`` where AWS cannot be asked."""
    parsed = read(request.path)
    settings = parsed.settings
    refuse_invalid(parsed.diagnostics, parsed.sources)
    targets = targets_of(request, settings)
    made = {
        name: interpreted_offline(for_target(parsed, target), request, target)
        for name, target in targets.items()
    }
    found = (d for one in made.values() for d in one.spec.diagnostics if d.code not in ADJUSTABLE)
    refuse_invalid(found, parsed.sources)
    answers = []
    for name, offline in made.items():
        if (role := offline.spec.desired.role(asked.role)) is None:
            continue
        if ports is not None and asked.is_online:
            answers.append(_online(name, asked, offline, targets[name], ports))
        else:
            answers.append(_offline(name, asked, role, offline.spec))
    if not answers:
        raise _no_role(asked.role, [offline.spec for offline in made.values()])
    return tuple(answers)


def exit_code(found: Sequence[RoleAnswer]) -> int:
    """0 if all is allowed, 2 if something is not, 1 if that is not known of something and nothing
    is denied."""
    outcomes = {one.outcome for answered in found for one in answered.answers}
    if outcomes & {"denied", "partly"}:
        return ExitCode.DIFFERENCES
    return ExitCode.ERROR if "unknown" in outcomes else ExitCode.OK


def _no_role(name: str, specs: Sequence[SpecSet]) -> RefusedError:
    known = {role.resource.name for spec in specs for role in spec.desired.roles.values()}
    message = f"the specs have no role {name!r}{meant(name, sorted(known))}"
    return RefusedError(message, ExitCode.USAGE)


def _offline(target: str, asked: CanRequest, role: DesiredRole, spec: SpecSet) -> RoleAnswer:
    held = _held(role, spec, {})
    answers = tuple(
        answer(held, action, resource, asked.context) for action, resource in _pairs(asked)
    )
    not_counted = tuple(_not_counted(held, answers, role))
    return RoleAnswer(target, role.resource.name, role.place.here, answers, not_counted)


def _pairs(asked: CanRequest) -> Iterator[tuple[str, str | None]]:
    for action in asked.actions:
        for resource in asked.resources or (None,):
            yield action, resource


def _held(role: DesiredRole, spec: SpecSet, documents: Mapping[str, Any]) -> Held:
    """``documents`` are of policies that are not in the set, by ARN or name as written."""
    policies = [
        TitledPolicy(f"inline policy {name}", document.value, _places(role, name, document.value))
        for name, document in role.resource.inline_policies
    ]
    unread = []
    for reference in role.resource.managed_policies:
        made = _policy(reference, spec, documents)
        if made is None:
            unread.append(reference)
        else:
            policies.append(made)
    boundary = role.resource.permissions_boundary
    limit = _policy(boundary, spec, documents) if boundary is not None else None
    denying = aws_managed_policies.denying()
    return Held(
        role.resource.name,
        tuple(policies),
        limit,
        tuple(unread),
        tuple(r for r in unread if not _is_aws_managed(r) or name_of(r) in denying),
        boundary if limit is None else None,
    )


def _is_aws_managed(reference: str) -> bool:
    return not reference.startswith("arn:") or ":iam::aws:policy/" in reference


def _policy(reference: str, spec: SpecSet, documents: Mapping[str, Any]) -> TitledPolicy | None:
    """A policy of the set wins over one of AWS's of the same name; ``None`` if its document is not
    known."""
    own = None if ":iam::aws:" in reference else spec.desired.policy(name_of(reference))
    if own is not None:
        document = own.resource.document.value
        count = len(as_list(document.get("Statement", [])))
        is_list = isinstance(document.get("Statement"), list)
        places = tuple(
            own.place.at("document", "Statement", *((number,) if is_list else ()))
            for number in range(count)
        )
        return TitledPolicy(str(own.resource.address), document, places)
    if reference not in documents:
        return None
    return TitledPolicy(f"policy {name_of(reference)}", documents[reference])


def _places(role: DesiredRole, name: str, document: Any) -> tuple[Location, ...]:
    at = place_of_inline(role.place.tree, str(role.place.path[-1]), name)
    held = document.get("Statement", [])
    numbers = range(len(held)) if isinstance(held, list) else ()
    if not isinstance(held, list):
        return (role.place.at(*at, "Statement"),)
    return tuple(role.place.at(*at, "Statement", number) for number in numbers)


def _not_counted(held: Held, answers: Sequence[Answer], role: DesiredRole) -> Iterator[str]:
    """What may still decide: what was not read, and what the specs do not have."""
    if any(one.outcome != "denied" for one in answers):
        for name in held.unread:
            yield f"what {name_of(name)} says, which is not in the specs; --online reads it"
    if held.unread_boundary is not None:
        yield f"the permissions boundary {name_of(held.unread_boundary)}; --online reads it"
    yield from _left(role)
    if any(PLACEHOLDER_ACCOUNT in json.dumps(policy.document) for policy in held.policies):
        yield (
            f"the account: without account_id in the settings ${{account_id}} is "
            f"{PLACEHOLDER_ACCOUNT}"
        )
    yield from BEYOND


def _left(role: DesiredRole) -> Iterator[str]:
    """What the specs leave as AWS has it."""
    if "permissions_boundary" in role.leave:
        yield "a permissions boundary that the role may have in AWS"
    if role.leave & {"managed_policies", "inline_policies"}:
        yield "policies that the role may have in AWS besides those of the specs"


def _online(
    target: str, asked: CanRequest, offline: Offline, of: TargetSpec | None, ports: RunPorts
) -> RoleAnswer:
    settings = offline.parsed.settings
    connection = patient(ports.connect(of, settings), ports)
    identity = connection.reader.identity()
    refuse_account(target, identity, of, settings)
    spec = online(offline, identity, connection.reader)
    role = spec.desired.role(asked.role)
    if role is None:
        raise _no_role(asked.role, [spec])
    ports.progress.reading(f"policies of {role.resource.address}")
    held = _held(role, spec, _fetched(role, spec, identity, connection))
    answers = tuple(
        _simulated(held, action, resource, asked.context, connection)
        for action, resource in _pairs(asked)
    )
    not_counted = (*_left(role), *BEYOND)
    return RoleAnswer(
        target, role.resource.name, role.place.here, answers, not_counted, is_online=True
    )


def _fetched(
    role: DesiredRole, spec: SpecSet, identity: Identity, connection: Connection
) -> Mapping[str, Any]:
    """Documents of policies that are not in the set, by the reference as written. Raises
    ``RefusedError`` for one that AWS does not have."""
    boundary = role.resource.permissions_boundary
    named = (*role.resource.managed_policies, *((boundary,) if boundary is not None else ()))
    found: dict[str, Any] = {}
    for reference in dict.fromkeys(named):
        if _policy(reference, spec, {}) is not None:
            continue
        is_arn = reference.startswith("arn:")
        arn = reference if is_arn else aws_managed_policies.arn_of(reference, identity.arns)
        facts = connection.reader.policy(arn)
        if facts is None:
            raise RefusedError(f"AWS has no policy {reference}", ExitCode.ERROR)
        found[reference] = facts.document
    return found


_OUTCOME: Mapping[str, Outcome] = {
    "allowed": "allowed",
    "implicitDeny": "denied",
    "explicitDeny": "denied",
}


def _simulated(
    held: Held, action: str, resource: str | None, context: Context, connection: Connection
) -> Answer:
    """AWS's own answer, with the statements that the documents give. What depends on conditions
    AWS takes to be absent, and wildcards for characters, so there the documents decide."""
    own = answer(held, action, resource, context)
    if own.outcome in ("unknown", "partly"):
        return own
    named = (resource,) if resource is not None else candidates(held, action)
    given = tuple(sorted((key, tuple(values)) for key, values in context.items()))
    boundary = held.boundary.document if held.boundary else None
    found = connection.examiner().simulate_documents(
        [policy.document for policy in held.policies],
        boundary,
        Question((action,), named, given),
    )
    allowed = [one for one in found if one.decision == "allowed"]
    if allowed:
        on = tuple(one.resource for one in allowed) if resource is None else ()
        return replace(own, outcome="allowed", why="AWS's simulator allows it", on=on)
    why = "no policy allows it"
    if any(one.decision == "explicitDeny" for one in found):
        why = "a policy denies it"
    elif any(one.is_bounded for one in found):
        why = "the permissions boundary does not allow it"
    return replace(own, outcome="denied", why=f"by AWS's simulator {why}", on=())


def role_named(text: str) -> str:
    """From ``web`` or ``role/web``. Raises ``RefusedError`` (``USAGE``) for another kind."""
    kind, slash, name = text.partition("/")
    if slash and (kind != ROLE or not name):
        kinds = f"{ROLE}/{name or 'NAME'}"
        raise RefusedError(
            f"ROLE is a role of the specs, such as {kinds}, not {text!r}", ExitCode.USAGE
        )
    return name if slash else text
