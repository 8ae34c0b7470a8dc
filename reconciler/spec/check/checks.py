"""Everything AWS would refuse, and everything that would leave an instance without credentials,
found before any call; and rules of ``ignore`` that contradict the specs, or have expired. Policy
documents are checked in ``policy_checks.py``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from reconciler.diagnostics import Diagnostic, Location, Near, Severity
from reconciler.model.address import instance_address, name_key, name_of
from reconciler.model.partitions import DNS_SUFFIXES
from reconciler.model.trust import trusts_ec2
from reconciler.spec.check import (
    aws_limits,
    aws_managed_policies,
    policy_checks,
    service_principals,
)
from reconciler.spec.check.roll_out import check_roll_out
from reconciler.spec.check.spots import Spot
from reconciler.spec.desired import (
    Desired,
    DesiredAssociation,
    DesiredPolicy,
    DesiredProfile,
    DesiredRole,
    DesiredState,
    Place,
)
from reconciler.spec.settings import Settings
from reconciler.spec.yaml.policy_documents import place_of_inline, place_of_managed
from reconciler.spec.yaml.tree import Scalar, Sequence, UnreadDocument, child


def check(desired: DesiredState, settings: Settings, place: Place | None) -> Iterator[Diagnostic]:
    for entity in desired.entities():
        yield from _common(entity, settings.tag_prefix)
        match entity:
            case DesiredPolicy():
                yield from _policy(entity)
            case DesiredRole():
                yield from _role(entity, desired, settings)
            case DesiredProfile():
                yield from _profile(entity, desired)
                yield from check_roll_out(entity)
    for association in desired.associations:
        yield from _association(association)
    yield from _claims(desired.associations)
    yield from _contradictions(desired, settings, place)
    if not desired.size and place is not None:
        message = "the set holds no resources"
        yield Diagnostic("warning", "no-resources", message, place.here)


def _error(code: str, message: str, place: Place, *at: str | int) -> Diagnostic:
    return Diagnostic("error", code, message, place.at(*at))


def is_unread(place: Place, *at: str | int) -> bool:
    """Whether a policy document could not be read, which was reported."""
    return isinstance(child(place.tree, (*place.path, *at)), UnreadDocument)


def _common(entity: Desired, prefix: str) -> Iterator[Diagnostic]:
    resource, place = entity.resource, entity.place
    kind = resource.address.kind
    longest = aws_limits.ROLE_NAME_LENGTH if kind == "role" else aws_limits.NAME_LENGTH
    yield from _name(f"the name of a {kind}", resource.name, longest, place)
    yield from _path(resource.path, kind, place)
    yield from _tags(dict(resource.tags), kind, prefix, place)


def _name(what: str, name: str, longest: int, place: Place, *at: str | int) -> Iterator[Diagnostic]:
    if len(name) > longest:
        message = f"{what} has at most {longest} characters, this has {len(name)}"
        yield _error("name-too-long", message, place, *at)
    if not aws_limits.NAME.fullmatch(name):
        message = f"{what} is made of letters, digits and _+=,.@-, not {name!r}"
        yield _error("invalid-name", message, place, *at)


def _path(path: str, kind: str, place: Place) -> Iterator[Diagnostic]:
    pattern = aws_limits.POLICY_PATH if kind == "policy" else aws_limits.PATH
    if len(path) > aws_limits.PATH_LENGTH:
        message = f"a path has at most {aws_limits.PATH_LENGTH} characters, this has {len(path)}"
        yield _error("path-too-long", message, place, "path")
    elif not pattern.fullmatch(path) or path == "//":
        message = f"a path begins and ends with a slash, such as /web/, not {path!r}"
        yield _error("invalid-path", message, place, "path")
    elif path.startswith(aws_limits.RESERVED_PATHS):
        yield _error("reserved-path", f"AWS manages the resources at {path}", place, "path")


def _tags(tags: dict[str, str], kind: str, prefix: str, place: Place) -> Iterator[Diagnostic]:
    most = aws_limits.USER_TAGS[kind]
    if len(tags) > most:
        message = f"{len(tags)} tags; a {kind} has room for {most} besides our own"
        yield _error("too-many-tags", message, place, "tags")
    for key, value in tags.items():
        yield from _tag(key, value, prefix, place)
    if kind == "role":
        yield from _folded("tag keys of a role", tuple(tags), place, "tags")


def _tag(key: str, value: str, prefix: str, place: Place) -> Iterator[Diagnostic]:
    reserved = ("aws:", "reconciler:", prefix.casefold())
    if key.casefold().startswith(reserved):
        message = f"the tag {key!r} is reserved; keys of {', '.join(sorted(set(reserved)))} are"
        yield _error("reserved-tag", message, place, "tags", key)
    if not 1 <= len(key) <= aws_limits.TAG_KEY_LENGTH:
        message = f"a tag key has 1 to {aws_limits.TAG_KEY_LENGTH} characters, this has {len(key)}"
        yield _error("tag-length", message, place, "tags", key)
    if len(value) > aws_limits.TAG_VALUE_LENGTH:
        message = (
            f"a tag value has at most {aws_limits.TAG_VALUE_LENGTH} characters, not {len(value)}"
        )
        yield _error("tag-length", message, place, "tags", key)
    if (
        not aws_limits.is_tag_text(key)
        or (key and not key.strip())
        or not aws_limits.is_tag_text(value)
    ):
        message = "tags are made of letters, digits, blanks and _.:/=+-@"
        yield _error("invalid-tag", message, place, "tags", key)


def _folded(what: str, names: tuple[str, ...], place: Place, *at: str) -> Iterator[Diagnostic]:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name_key(name), name)
        if first != name:
            message = f"{first!r} and {name!r} are the same: {what} ignore case"
            yield _error("case-collision", message, place, *at, name)


def _policy(entity: DesiredPolicy) -> Iterator[Diagnostic]:
    policy, place = entity.resource, entity.place
    if len(policy.description) > aws_limits.DESCRIPTION_LENGTH:
        yield from _description_length(policy.description, place)
    if is_unread(place, "document"):
        return
    yield from policy_checks.managed_policy(policy.document, Spot(place, ("document",)))
    if policy.document.size > aws_limits.MANAGED_POLICY_SIZE:
        yield _error(
            "policy-too-large",
            f"{policy.document.size} characters without white space; "
            f"a managed policy has at most {aws_limits.MANAGED_POLICY_SIZE}",
            place,
            "document",
        )


def _description_length(text: str, place: Place) -> Iterator[Diagnostic]:
    most = aws_limits.DESCRIPTION_LENGTH
    message = f"a description has at most {most} characters, this has {len(text)}"
    yield _error("description-too-long", message, place, "description")


def _role(entity: DesiredRole, desired: DesiredState, settings: Settings) -> Iterator[Diagnostic]:
    role, place = entity.resource, entity.place
    if len(role.description) > aws_limits.DESCRIPTION_LENGTH:
        yield from _description_length(role.description, place)
    if not aws_limits.ROLE_DESCRIPTION.fullmatch(role.description):
        message = "a role's description is Latin-1 text: no emoji, no other scripts"
        yield _error("invalid-description", message, place, "description")
    least, most = aws_limits.SESSION_SECONDS
    if not least <= role.max_session_seconds <= most:
        message = f"must be from 1h to 12h, not {role.max_session_seconds} seconds"
        yield _error("session-range", message, place, "max_session_duration")
    yield from _trust(entity, settings)
    yield from _managed(entity, desired, settings)
    yield from _inline(entity)


def _trust(entity: DesiredRole, settings: Settings) -> Iterator[Diagnostic]:
    place, document = entity.place, entity.resource.trust_policy
    shorthand = place.at("trust") != place.here
    written = place.at("trust_policy") != place.here
    if shorthand == written:
        message = "a role has either trust or trust_policy"
        yield _error("trust", message, place, *(("trust",) if shorthand else ()))
        return
    at = ("trust",) if shorthand else ("trust_policy",)
    if is_unread(place, *at):
        return
    if shorthand:
        yield from _services(place)
    else:
        yield from policy_checks.trust_policy(document, Spot(place, at))
    most = settings.quotas.trust_policy_size
    if document.size > most:
        message = f"{document.size} characters; a trust policy has at most {most} here"
        yield _error("trust-too-large", message, place, *at)


def _services(place: Place) -> Iterator[Diagnostic]:
    """Of ``trust: ec2``. The builder leaves out what is no service."""
    message = "trust is a service such as ec2, or a list of them"
    written = child(place.tree, (*place.path, "trust"))
    items = written.items if isinstance(written, Sequence) else (written,)
    if not items:
        yield _error("trust", message, place, "trust")
    for item in items:
        if not isinstance(item, Scalar) or item.text is None:
            if item is not None:
                yield Diagnostic("error", "trust", message, item.location)
        elif not aws_limits.SERVICE.fullmatch(item.text):
            near = Near(item.text, service_principals.known())
            given = f"{message}, not {item.text!r}"
            yield Diagnostic("error", "trust", given, item.location, near=near)
        elif (wrong := service_principals.unknown(item.text)) is not None:
            # A word is our own short form, so a misspelt one is certain not to be AWS's.
            is_error = wrong.likely is not None and "." not in item.text
            severity: Severity = "error" if is_error else "warning"
            hint = wrong.hint or "AWS refuses one that it does not have"
            yield Diagnostic(severity, "trust", wrong.message, item.location, hint)


def _managed(
    entity: DesiredRole, desired: DesiredState, settings: Settings
) -> Iterator[Diagnostic]:
    role, place = entity.resource, entity.place
    most = settings.quotas.managed_policies_per_role
    if len(role.managed_policies) > most:
        message = f"{len(role.managed_policies)} managed policies; a role has at most {most} here"
        yield _error("too-many-policies", message, place, "managed_policies")
    for reference, at in policies_of(entity):
        yield from _reference(reference, desired, place, *at)


def policies_of(entity: DesiredRole) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """What a role refers to as it is written, its managed policies and its boundary, each with its
    path."""
    root, start = entity.place.tree, entity.place.path
    at = place_of_managed(root, entity.resource.name)
    listed = child(root, (*start, *at))
    for number, item in enumerate(listed.items if isinstance(listed, Sequence) else ()):
        if isinstance(item, Scalar) and item.text is not None:
            yield item.text, (*at, number)
    boundary = child(root, (*start, "permissions_boundary"))
    if isinstance(boundary, Scalar) and boundary.text is not None:
        yield boundary.text, ("permissions_boundary",)


def _reference(
    reference: str, desired: DesiredState, place: Place, *at: str | int
) -> Iterator[Diagnostic]:
    where, path = place.value(*at), ""
    if not reference.startswith("arn:"):
        yield from _name("the name of a policy", reference, aws_limits.NAME_LENGTH, place, *at)
        if desired.policy(reference) is None:
            path = aws_managed_policies.paths().get(reference, "")
    elif not aws_limits.POLICY_ARN.fullmatch(reference):
        message = f"{reference!r} is not the ARN of a policy"
        yield Diagnostic("error", "invalid-arn", message, where)
    elif (partition := reference.split(":")[1]) not in DNS_SUFFIXES:
        near = Near(partition, tuple(DNS_SUFFIXES), otherwise="write arn:${partition}:…")
        message = f"there is no partition {partition!r}"
        yield Diagnostic("error", "invalid-arn", message, where, near=near)
    else:
        path = reference.partition(":policy")[2]
    if path.startswith(aws_limits.RESERVED_PATHS):
        message = f"{name_of(reference)} is for a service-linked role: AWS attaches it to no other"
        yield Diagnostic("error", "reserved-path", message, where)


def _inline(entity: DesiredRole) -> Iterator[Diagnostic]:
    role, place = entity.resource, entity.place
    names = tuple(name for name, _ in role.inline_policies)
    yield from _folded("names of inline policies", names, place, "inline_policies")
    for name, document in role.inline_policies:
        at = place_of_inline(place.tree, role.name, name)
        yield from _name("the name of an inline policy", name, aws_limits.NAME_LENGTH, place, *at)
        if not is_unread(place, *at):
            yield from policy_checks.inline_policy(document, Spot(place, at))
    size = sum(document.size for _, document in role.inline_policies)
    if size > aws_limits.INLINE_POLICIES_SIZE:
        most = aws_limits.INLINE_POLICIES_SIZE
        message = (
            f"{size} characters without white space; a role's inline policies have at most {most}"
        )
        yield _error("inline-too-large", message, place, "inline_policies")


def _profile(entity: DesiredProfile, desired: DesiredState) -> Iterator[Diagnostic]:
    role = desired.role(entity.resource.role)
    if entity.resource.role is not None and role is None:
        yield from _name(
            "the name of a role",
            entity.resource.role,
            aws_limits.ROLE_NAME_LENGTH,
            entity.place,
            "role",
        )
    if role is None or trusts_ec2(role.resource.trust_policy.value):
        return
    key = "trust" if role.place.at("trust") != role.place.here else "trust_policy"
    if is_unread(role.place, key):
        return
    # A service in the short form that is no service is told where it stands.
    if key == "trust" and any(found.severity == "error" for found in _services(role.place)):
        return
    message = f"{role.resource.address} does not trust ec2.amazonaws.com: no instance can use it"
    hint = "add ec2 to the services of its trust"
    if key == "trust_policy":
        hint = "allow sts:AssumeRole to Service: ec2.amazonaws.com in its trust_policy"
    related = (("its trust policy", role.place.at(key)),)
    place = entity.place.at("role")
    yield Diagnostic("error", "ec2-trust", message, place, hint, related)


def _association(entity: DesiredAssociation) -> Iterator[Diagnostic]:
    place = entity.place
    has_ids = place.at("instances") != place.here
    has_select = entity.select is not None
    if has_ids == has_select:
        message = "an association has either instances or select"
        yield _error("association", message, place, *(("select",) if has_ids else ()))
    if has_select and not entity.select:
        yield _error("empty-select", "select needs at least one tag", place, "select", "tags")
    if has_ids and not has_select and not entity.instances:
        message = "instances needs at least one id: it names no instance"
        where = place.value("instances")
        yield Diagnostic("error", "empty-select", message, where, "or use select, with tags")
    for key, values in (entity.select or {}).items():
        yield from _selected(key, values, place)
    yield from _name(
        "the name of a profile",
        entity.profile.replace("${region}", "r"),
        128,
        place,
        "instance_profile",
    )
    for number, instance in enumerate(entity.instances):
        if not aws_limits.INSTANCE_ID.fullmatch(instance):
            message = f"{instance!r} is not the id of an instance, such as i-0abc1234"
            yield _error("invalid-instance-id", message, place, "instances", number)
    for number, region in enumerate(entity.regions or ()):
        if not aws_limits.REGION.fullmatch(region):
            message = f"{region!r} is not a region, such as eu-west-1"
            yield _error("invalid-region", message, place, "regions", number)


def _selected(key: str, values: tuple[str, ...], place: Place) -> Iterator[Diagnostic]:
    at = ("select", "tags", key)
    if not values:
        message = f"{key} needs at least one value: it matches no instance"
        yield Diagnostic("error", "empty-select", message, place.value(*at))
    is_listed = isinstance(child(place.tree, (*place.path, *at)), Sequence)
    for number, value in enumerate(values):
        if "*" in value or "?" in value:
            message = f"select compares values as they are: {value!r} is no pattern"
            where = place.value(*at, *((number,) if is_listed else ()))
            hint = "list the values that are meant"
            yield Diagnostic("warning", "select-pattern", message, where, hint)


def _claims(associations: tuple[DesiredAssociation, ...]) -> Iterator[Diagnostic]:
    """An instance has one profile, so one association at most may claim it."""
    first: dict[str, tuple[DesiredAssociation, int]] = {}
    for association in associations:
        for number, instance in enumerate(association.instances):
            other, at = first.setdefault(instance, (association, number))
            if (other, at) != (association, number):
                message = f"{instance} is claimed by {other.name!r} and by {association.name!r}"
                related = ((f"claimed by {other.name!r}", other.place.at("instances", at)),)
                here = association.place.at("instances", number)
                yield Diagnostic("error", "claimed-twice", message, here, related=related)


def _contradictions(
    desired: DesiredState, settings: Settings, place: Place | None
) -> Iterator[Diagnostic]:
    """What the specs ask for cannot be hidden: it would neither be applied nor missed."""
    named = {e.resource.address: e.place for e in desired.entities()}
    for association in desired.associations:
        named |= {instance_address(i): association.place for i in association.instances}
    for number, rule in enumerate(settings.ignore):
        if rule.attributes is not None or place is None:
            continue
        for address in sorted(a for a in named if a.matches(rule.match)):
            message = f"{address} is in the specs, and this rule would hide it"
            related = (("in the specs here", named[address].here),)
            where = place.at("ignore", number, "match")
            help_ = "narrow match, or name attributes"
            yield Diagnostic("error", "ignore-hides-spec", message, where, help_, related)


def expired(settings: Settings, place: Place | None, today: date) -> Iterator[Diagnostic]:
    """What such a rule passed over is back."""
    for number, rule in enumerate(settings.ignore):
        if rule.expires is not None and rule.expires <= today:
            where = place.at("ignore", number, "expires") if place else Location("")
            message = f"the rule for {rule.match} expired on {rule.expires}, and is ignored"
            yield Diagnostic("warning", "ignore-expired", message, where)
