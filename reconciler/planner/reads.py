"""What a plan has to read of an account: all of it or what is named, and afterwards the
AWS-managed policies that it names. Which regions is for ``needs_instances`` and ``reach`` of the
planner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model import ownership
from reconciler.model.address import (
    ASSOCIATION,
    POLICY,
    ROLE,
    Address,
    matches_any,
    name_key,
    name_of,
)
from reconciler.model.live import LiveState
from reconciler.model.ownership import temporary_name
from reconciler.model.policy_document import principals
from reconciler.model.resources import Identity, InstanceProfile, Policy
from reconciler.planner.context import PlanContext, resolved
from reconciler.planner.options import Options
from reconciler.planner.patterns import of_the_specs, patterns
from reconciler.ports import Expected, Named, Scope
from reconciler.spec.desired import DesiredState

ONE_BY_ONE = 25
"""Under ``--only``, up to so many things are read by themselves: a role takes three calls and one
for each inline policy, and a whole account hundreds where there are thousands of roles."""


INDEX_LAG_SECONDS = 3600.0
"""How late AWS's index of tags may be, for all that is known: AWS documents no limit."""


def scope_of(
    desired: DesiredState,
    identity: Identity,
    options: Options,
    regions: Iterable[str],
    written: frozenset[Address] | None = None,
) -> Scope:
    """What is asked of the account, and of these regions. ``written`` is what this run has changed
    before, ``None`` before it changes anything."""
    profiles = {name_key(a.profile) for a in desired.associations} | desired.profiles.keys()
    temporary = {temporary_name(name) for name in profiles}
    named = _named(desired, options, identity)
    # To find what nobody names takes all, and a pattern may be for what left the specs.
    known = of_the_specs(desired)
    asked = [p.glob for p in patterns(options) if not p.glob.startswith(f"{ASSOCIATION}/")]
    outside = not all(any(address.matches(glob) for address in known) for glob in asked)
    takes_all = options.destroy or options.unmanaged or bool(options.forget) or outside
    return Scope(
        regions=tuple(sorted(regions)),
        prefix=options.prefix,
        owner=options.owner,
        policies=frozenset(desired.policies),
        profiles=frozenset(profiles | temporary),
        all_tags=options.prune or takes_all,
        named=named,
        one_by_one=bool(options.only) and not takes_all and named.size <= ONE_BY_ONE,
        expected={}
        if options.prune or takes_all or options.rotate
        else dict(_expected(desired, options, written or frozenset())),
        # What this run has let go itself is among what it has written.
        released_since=options.now - INDEX_LAG_SECONDS if written is None else float("inf"),
    )


def _expected(
    desired: DesiredState, options: Options, written: frozenset[Address]
) -> Iterator[tuple[Address, Expected]]:
    """Profiles and policies as they are once they need nothing. What has just been written may be
    shown as it was, and what is to be cut over again is looked at by itself."""
    key = options.prefix + ownership.OWNER
    resources: list[InstanceProfile | Policy] = [p.resource for p in desired.profiles.values()]
    resources += [p.resource for p in desired.policies.values()]
    for resource in resources:
        address = resource.address
        if address in written or matches_any(address, options.refresh):
            continue
        owner = ownership.encode_owner(options.owner, resource.name)
        role = resource.role if isinstance(resource, InstanceProfile) else None
        yield address, Expected({**resource.tags, key: owner}, resource.path, role)


def _named(desired: DesiredState, options: Options, identity: Identity) -> Named:
    """What is planned, and what that refers to."""
    wanted = resolved(desired, LiveState(identity=identity))
    roles = [r for r in wanted.roles.values() if options.includes(r.resource.address)]
    profiles = [p for p in wanted.profiles.values() if options.includes(p.resource.address)]
    names = {p.resource.name for p in profiles}
    if options.may_include("association"):
        names |= {a.profile for a in wanted.associations}
    held = (wanted.profile(name) for name in names)
    inside = {p.resource.role for p in held if p is not None and p.resource.role is not None}
    arns = {arn for r in roles for arn in r.resource.policies}
    arns |= {
        identity.arns.of(POLICY, p.path, p.name)
        for p in (entity.resource for entity in wanted.policies.values())
        if options.includes(p.address)
    }
    documents = (r.resource.trust_policy.value for r in roles)
    trusted = {name_of(p) for d in documents for p in principals(d) if identity.arns.has(p, ROLE)}
    return Named(
        roles=tuple(sorted({r.resource.name for r in roles} | inside | trusted)),
        profiles=tuple(sorted(names)),
        policies=tuple(sorted(arn for arn in arns if identity.arns.has(arn, POLICY))),
    )


def aws_policies_to_ask_for(context: PlanContext) -> tuple[str, ...]:
    """ARNs of the AWS-managed policies that included roles name and no role of the account has:
    whether they exist is known only from AWS. Sorted."""
    live = context.live
    known = {arn for role in live.roles.values() for arn in role.resource.policies}
    named = {
        arn
        for role in context.desired.roles.values()
        if context.options.includes(role.resource.address)
        for arn in role.resource.policies
        if live.identity.arns.is_aws_managed(arn)
    }
    return tuple(sorted(named - known - live.absent))
