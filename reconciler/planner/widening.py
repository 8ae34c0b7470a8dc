"""What of a plan's changes is relevant to security: whom a role newly lets in, and what it may do
that it could not. ``model/policy_widening.py`` has the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.model.address import POLICY, name_of, same_name
from reconciler.model.policy_widening import OF_NEW_ROLES, Widening, widenings
from reconciler.model.revocation import REVOKED
from reconciler.plan.changes import Change, Create, Delete
from reconciler.planner.context import PlanContext
from reconciler.planner.revocations import REVOKES

_REVOKED = f"inline_policies.{REVOKED}"


def with_widenings(changes: Iterable[Change], context: PlanContext) -> tuple[Change, ...]:
    """The changes, each with what it widens."""
    made = []
    for change in changes:
        found = tuple(dict.fromkeys(_widened(change, context)))
        made.append(replace(change, widens=found) if found else change)
    return tuple(made)


def _widened(change: Change, context: PlanContext) -> Iterator[Widening]:
    account = context.live.identity.account_id
    match change:
        case Delete():
            return
        case Create():
            for path, after in _attributes(change.after or {}):
                documents = _documents([after], context)
                for one in widenings(path, None, after, documents, account):
                    if one.kind in OF_NEW_ROLES:
                        yield one
        case _:
            for difference in change.differences:
                if REVOKES in change.intent and same_name(difference.path, _REVOKED):
                    # What it denied is over, or is denied still by what comes in its place.
                    continue
                documents = _documents([difference.after], context)
                yield from widenings(
                    difference.path, difference.before, difference.after, documents, account
                )


def _attributes(after: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """As differences name them: policies one by one."""
    for name, value in after.items():
        if name in ("managed_policies", "inline_policies") and isinstance(value, Mapping):
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        else:
            yield name, value


def _documents(arns: Iterable[object], context: PlanContext) -> dict[str, object]:
    """Of managed policies of the account, as they are once the plan is applied."""
    found: dict[str, object] = {}
    for arn in arns:
        if not isinstance(arn, str) or not context.arns.has(arn, POLICY):
            continue
        wanted, live = context.desired.policy(name_of(arn)), context.live.policy(name_of(arn))
        policy = wanted or live
        if policy is not None:
            found[arn] = policy.resource.document.value
    return found
