"""The picture of a plan: all roles, profiles and instances around the specs, or in the account,
with what happens to them."""

from __future__ import annotations

from reconciler.model.address import POLICY, PROFILE, ROLE, Address, instance_address, role_address
from reconciler.plan.changes import Create, actions_of
from reconciler.plan.picture import MARKS, Node, Picture
from reconciler.plan.plan import TargetPlan
from reconciler.planner.blast_radius import roles_with
from reconciler.planner.context import PlanContext
from reconciler.planner.topology import links


def picture_of(plan: TargetPlan, context: PlanContext, *, every: bool = False) -> Picture:
    """``context`` is that of the plan, or has more instances than it; ``every`` profile of the
    account is in it, also one that is in no spec and has nobody who uses it."""
    changes = {change.address: change for change in plan.changes}
    by_policy = _by_policy(plan, context)
    found = links(context, plan.changes, around=by_policy, every=every)
    ends = {end for link in found for end in (link.before, link.after)}
    ends |= {address for address in changes if address.kind in (ROLE, PROFILE)}
    if every:
        ends |= {one.resource.address for one in context.live.profiles.values()}
        ends |= {one.resource.address for one in context.desired.profiles.values()}
        ends |= {one.resource.address for one in context.desired.roles.values()}
    known = {i.key.instance: i for i in context.live.instances.values()}
    nodes = []
    for address in ends:
        change = changes.get(address)
        reason = by_policy.get(address) if change is None else None
        mark = "same" if change is None else MARKS[actions_of(change)[0]]
        node = Node(address, "changes" if reason else mark, reason=reason)
        if address.is_instance:
            live = known.get(address.name)
            region = change.region if change is not None else live.key.region if live else None
            label = live.tags.get("Name") or None if live is not None else None
            node = Node(instance_address(address.name), region=region, label=label)
        nodes.append(node)
    return Picture.of(found, nodes)


def _by_policy(plan: TargetPlan, context: PlanContext) -> dict[Address, str]:
    """Roles that may do more or less since a policy of theirs changes, each with the policy."""
    found: dict[Address, str] = {}
    for change in plan.changes:
        is_there = change.kind == POLICY and not isinstance(change, Create)
        if is_there and any(difference.path == "document" for difference in change.differences):
            for name in roles_with(change.name, context):
                found.setdefault(role_address(name), f"{change.address} changes")
    return found
