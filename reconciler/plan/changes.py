"""Changes: one resource's difference between the specs and AWS, as a closed union, and the names of
what differs between two unequal resources. How two plans differ is in ``plan_diff.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from reconciler.diagnostics import Diagnostic, Location
from reconciler.model.address import ANY_INSTANCE, EVERYTHING, Address
from reconciler.model.policy_widening import Widening
from reconciler.model.resources import Resource

Action = Literal["create", "adopt", "update", "delete", "cutover", "restore"]


@dataclass(frozen=True, slots=True)
class Difference:
    """``path`` names the attribute; ``None`` stands for absent."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """``before`` and ``after`` hold the attributes that differ, all of them where one is ``None``.

    ``consumers`` are the running instances that it touches.
    """

    actions: ClassVar[tuple[Action, ...]]

    address: Address
    region: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    differences: tuple[Difference, ...] = ()
    reason: str | None = None
    consumers: tuple[str, ...] = ()
    source: Location | None = None
    places: Mapping[str, Location] = field(default_factory=dict, compare=False)
    """Of parts of the resource, by attribute; entries of policies as ``inline_policies.NAME``, in
    lower case."""
    intent: Mapping[str, Any] = field(default_factory=dict)
    """What else is decided and belongs to the digest: for a cut-over its roles and limits."""
    is_under_way: bool = False
    """An earlier run began it and did not end it."""
    was_interrupted: bool = False
    """The run that began it is so long ago that it no longer lives."""
    unchanged: Mapping[str, Any] = field(default_factory=dict)
    """The attributes that do not differ, for the reader."""
    widens: tuple[Widening, ...] = ()
    """Whom it lets in, or what it allows, that was not so before. Not of a drift."""

    @property
    def kind(self) -> str:
        return self.address.kind

    @property
    def name(self) -> str:
        return self.address.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(_Change):
    actions: ClassVar[tuple[Action, ...]] = ("create",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt(_Change):
    """Takes over what exists; ``differences`` are what it changes on the way."""

    actions: ClassVar[tuple[Action, ...]] = ("adopt",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(_Change):
    actions: ClassVar[tuple[Action, ...]] = ("update",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace(_Change):
    actions: ClassVar[tuple[Action, ...]] = ("delete", "create")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(_Change):
    actions: ClassVar[tuple[Action, ...]] = ("delete",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOverInstance(_Change):
    """A running instance is served the credentials of its profile's role."""

    actions: ClassVar[tuple[Action, ...]] = ("cutover",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(_Change):
    """An instance in flight gets the profile back that a run took from it."""

    actions: ClassVar[tuple[Action, ...]] = ("restore",)


Change = Create | Adopt | Update | Replace | Delete | CutOverInstance | Restore


def actions_of(change: Change) -> tuple[Action, ...]:
    """The ``actions`` of the plan JSON."""
    if isinstance(change, Adopt) and change.differences:
        return ("adopt", "update")
    return change.actions


KeptStatus = Literal["left", "released", "waiting", "warning", "blocked", "ignored", "revoked"]


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that is left as it is, and why."""

    address: Address
    reason: str
    status: KeptStatus = "left"
    """``left``: ours, in no spec; ``released``: kept for hours; ``waiting``: AWS completes the swap
    of its instances by itself; ``revoked``: sessions of the role were revoked by an inline policy;
    ``warning``, ``blocked``, ``ignored``: only reported."""


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """In no spec, and not ours. ``orphan`` says that nothing uses it, and how that is known."""

    address: Address
    orphan: str | None = None


@dataclass(frozen=True, slots=True)
class Unmet:
    """Something that the specs name and AWS does not have, or that cannot serve. ``found`` says
    what is wrong, with its place in the specs; ``needed_by`` is the resource that the plan leaves
    alone for it; ``status`` is its status in a drift."""

    address: Address
    found: Diagnostic
    needed_by: Address | None = None
    region: str | None = None
    status: Literal["missing", "modified", "unknown"] = "missing"


WHOLE_ACCOUNT = "the account as a whole"
WHICH_REGIONS = "which regions are enabled"


@dataclass(frozen=True, slots=True)
class Unread:
    """Something of which nothing can be said, because it could not be read. ``region`` is set
    where it is the instances of a region; without it, ``ANY_INSTANCE`` is for those in regions that
    cannot be listed."""

    address: Address
    reason: str
    region: str | None = None

    @property
    def what(self) -> str:
        if self.address == EVERYTHING:
            return WHOLE_ACCOUNT
        if self.address == ANY_INSTANCE and self.region is None:
            return WHICH_REGIONS
        return self.region or str(self.address)


Mark = Literal["same", "comes", "goes", "fresh", "changes"]
"""The change of a link between two resources, or of its ends; ``fresh`` is refreshed by a
cut-over."""


@dataclass(frozen=True, slots=True)
class Link:
    """A role in a profile, or a profile of an instance, by their addresses."""

    before: Address
    after: Address
    mark: Mark


@dataclass(frozen=True, slots=True)
class Conflict:
    """A person's decision is missing: the resource is not ours. ``lift`` is the flag to give."""

    address: Address
    reason: str
    lift: str
    source: Location | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """What stops ``apply``, and the flag that lifts it."""

    key: str
    reason: str
    lift: str
    addresses: tuple[Address, ...] = ()


_BY_WEIGHT = (
    "trust_policy",
    "permissions_boundary",
    "managed_policies",
    "inline_policies",
    "document",
    "role",
    "instance_profile",
)


def _weight(attribute: str) -> tuple[int, str]:
    is_listed = attribute in _BY_WEIGHT
    return (_BY_WEIGHT.index(attribute) if is_listed else len(_BY_WEIGHT)), attribute


_NESTED = ("tags", "managed_policies", "inline_policies")
"""Attributes that are mappings, whose entries are named one by one."""


def differences(before: Resource, after: Resource) -> tuple[Difference, ...]:
    """What matters most to security first. Policy documents are compared as the model compares
    them: by meaning."""
    left, right = before.attributes(), after.attributes()
    named: list[Difference] = []
    for name in sorted(left.keys() | right.keys(), key=_weight):
        if name in _NESTED:
            if getattr(before, name) != getattr(after, name):
                named.extend(_entries(name, left[name], right[name]))
        elif left[name] != right[name]:
            named.append(Difference(name, left[name], right[name]))
    documents = ((d, _document(before, d.path), _document(after, d.path)) for d in named)
    return tuple(d for d, was, wanted in documents if was is None or was != wanted)


def _entries(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    from deepdiff import DeepDiff

    # Two mappings with little in common would otherwise be shown as one change of the whole.
    tree = DeepDiff(dict(before), dict(after), view="tree", threshold_to_diff_deeper=0)
    # The first step below the root is the entry; what lies deeper is the document inside it.
    keys = {level.path(output_format="list")[0] for group in tree.values() for level in group}
    return [Difference(f"{name}.{key}", before.get(key), after.get(key)) for key in sorted(keys)]


def _document(resource: Resource, path: str) -> object:
    attribute, _, name = path.partition(".")
    if attribute == "inline_policies":
        return dict(getattr(resource, attribute)).get(name)
    if attribute in ("document", "trust_policy"):
        return getattr(resource, attribute)
    return None


def changed_attributes(found: tuple[Difference, ...], resource: Resource) -> dict[str, Any]:
    """The attributes of ``resource`` that some difference lies in."""
    touched = {difference.path.partition(".")[0] for difference in found}
    return {name: value for name, value in resource.attributes().items() if name in touched}
