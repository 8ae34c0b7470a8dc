"""Who comes to have which permissions by a plan: those that lose a role for another one, and roles
that change themselves, each as AWS has it and as it will be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.address import POLICY, name_key, name_of, same_name
from reconciler.model.live import LiveRole
from reconciler.model.ownership import InstanceKey
from reconciler.plan.changes import Change, Create, Delete, Replace
from reconciler.planner.context import PlanContext
from reconciler.planner.launches import role_after

_OF_ROLES = ("permissions_boundary", "managed_policies.", "inline_policies.")
_NOT_THERE: Mapping[str, Any] = {"Version": "2012-10-17", "Statement": []}
"""In place of a document that does not exist: it allows nothing."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What decides what a role may do, at one time. ``documents`` are of its managed policies and
    its boundary, by ARN, as far as they were read: others of AWS's own must be fetched. ``arn``
    is that of the role in AWS if it has exactly these permissions there."""

    role: str
    arn: str | None
    inline: tuple[Any, ...] = ()
    managed: tuple[str, ...] = ()
    boundary: str | None = None
    documents: Mapping[str, Any] | None = None

    @property
    def named(self) -> frozenset[str]:
        """ARNs of all that it has."""
        return frozenset((*self.managed, *((self.boundary,) if self.boundary else ())))

    def document(self, arn: str, fetched: Mapping[str, Any]) -> Any:
        """``None`` if it is not known."""
        own = (self.documents or {}).get(arn)
        return own if own is not None else fetched.get(arn)

    @property
    def unknown(self) -> frozenset[str]:
        """ARNs of the policies whose documents must be fetched."""
        return self.named - (self.documents or {}).keys()


@dataclass(frozen=True, slots=True)
class Taking:
    """``changes`` put ``after`` in the place of ``before``."""

    changes: tuple[Change, ...]
    before: Permissions
    after: Permissions


def takings(changes: Iterable[Change], context: PlanContext) -> tuple[Taking, ...]:
    """Everything that may take permissions from somebody, sorted: swaps of roles that running
    instances have, and changed roles whoever uses them."""
    listed = tuple(changes)
    world = _World(listed, context)
    swaps: dict[tuple[str, str], list[Change]] = {}
    for change in listed:
        for before, after in _swapped(change, world):
            swaps.setdefault((before, after), []).append(change)
    found = [
        Taking(tuple(by), held, world.after(after))
        for (before, after), by in sorted(swaps.items())
        if (held := world.before(before)) is not None
    ]
    found.extend(_changed_roles(world))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _World:
    changes: tuple[Change, ...]
    context: PlanContext

    def change_of(self, kind: str, name: str) -> Change | None:
        of_kind = (c for c in self.changes if c.kind == kind)
        return next((c for c in of_kind if same_name(c.name, name)), None)

    def before(self, name: str) -> Permissions | None:
        """``None`` for a role that AWS does not have."""
        live = self.context.live.role(name)
        return self.as_it_is(live) if live is not None else None

    def as_it_is(self, live: LiveRole) -> Permissions:
        role = live.resource
        inline = tuple(document.value for _, document in role.inline_policies)
        made = Permissions(
            role.name, live.arn, inline, role.managed_policies, role.permissions_boundary
        )
        return self._with_documents(made, is_after=False)

    def _with_documents(self, made: Permissions, *, is_after: bool) -> Permissions:
        found = {arn: self._document(arn, is_after=is_after) for arn in sorted(made.named)}
        known = {arn: document for arn, document in found.items() if document is not None}
        return Permissions(made.role, made.arn, made.inline, made.managed, made.boundary, known)

    def _document(self, arn: str, *, is_after: bool) -> Any:
        """``None`` for one that was not read."""
        if not self.context.arns.has(arn, POLICY):
            return self.context.live.of_aws.get(arn)
        name = name_of(arn)
        change = self.change_of(POLICY, name) if is_after else None
        if isinstance(change, Delete):
            return _NOT_THERE
        if change is not None and "document" in (change.after or {}):
            return (change.after or {})["document"]
        live = self.context.live.policy(name)
        return live.resource.document.value if live is not None else None

    def after(self, name: str) -> Permissions:
        """Of a role that does not exist, and will not, nothing is known but that it allows
        nothing."""
        live, change = self.context.live.role(name), self.change_of("role", name)
        if isinstance(change, Create):
            made = _made(change.name, change.after or {})
            return self._with_documents(made, is_after=True)
        if live is None:
            return Permissions(name, None)
        now = self.as_it_is(live)
        role = live.resource
        inline: dict[str, Any] = {n: d.value for n, d in role.inline_policies}
        managed, boundary = {*role.managed_policies}, role.permissions_boundary
        for difference in change.differences if change is not None else ():
            attribute, _, entry = difference.path.partition(".")
            before, after = difference.before, difference.after
            if attribute == "permissions_boundary":
                boundary = after
            elif attribute == "managed_policies":
                managed -= {before}
                managed |= {after} - {None}
            elif attribute == "inline_policies" and after is None:
                inline.pop(entry, None)
            elif attribute == "inline_policies":
                inline[entry] = after
        documents = tuple(inline[n] for n in sorted(inline))
        made = Permissions(role.name, None, documents, tuple(sorted(managed)), boundary)
        made = self._with_documents(made, is_after=True)
        is_same = _content(made) == _content(now) and not isinstance(change, Replace)
        return now if is_same else made


def _content(permissions: Permissions) -> tuple[Any, ...]:
    of = permissions
    return sorted(map(repr, of.inline)), of.managed, of.boundary, of.documents


def _made(name: str, after: Mapping[str, Any]) -> Permissions:
    return Permissions(
        name,
        None,
        tuple(after["inline_policies"].values()),
        tuple(sorted(after["managed_policies"].values())),
        after["permissions_boundary"],
    )


def _swapped(change: Change, world: _World) -> Iterator[tuple[str, str]]:
    """Names of the roles that running instances lose and get."""
    context, live = world.context, world.context.live
    match change.kind:
        case "instance-profile":
            profile = live.profile(change.name)
            if profile is None or isinstance(change, Delete):
                return
            if not any(i.is_running for i in context.in_use.consumers(profile)):
                return
            for difference in change.differences:
                if difference.path in ("role", "served_role"):
                    yield from _pair(difference.before, difference.after)
        case "association" if isinstance(change.before, Mapping) and change.after is not None:
            instance = live.instances.get(InstanceKey(change.region or "", change.name))
            lost = live.profile(change.before.get("instance_profile") or "")
            got = change.after.get("instance_profile")
            if lost is None or got is None or instance is None or not instance.is_running:
                return
            yield from _pair(lost.resource.role, role_after(got, world.changes, live))
        case _:
            return


def _pair(before: object, after: object) -> Iterator[tuple[str, str]]:
    """An instance that comes to have no role is another guard's."""
    if isinstance(before, str) and isinstance(after, str) and not same_name(before, after):
        yield before, after


def _changed_roles(world: _World) -> Iterator[Taking]:
    for _, live in sorted(world.context.live.roles.items()):
        own = world.change_of("role", live.resource.name)
        if isinstance(own, Delete):
            continue
        by: list[Change] = []
        if own is not None and any(d.path.startswith(_OF_ROLES) for d in own.differences):
            by.append(own)
        by += [
            change
            for arn in sorted(live.resource.policies)
            if world.context.arns.has(arn, POLICY)
            and (change := world.change_of(POLICY, name_of(arn))) is not None
            and (isinstance(change, Delete) or "document" in (change.after or {}))
        ]
        if by:
            name = name_key(live.resource.name)
            yield Taking(tuple(by), world.as_it_is(live), world.after(name))
