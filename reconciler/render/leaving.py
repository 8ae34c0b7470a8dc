"""Terraform's ``import`` blocks for what a plan forgets: each resource as its provider cuts it up,
under the id that it has there."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.address import name_of
from reconciler.model.live import LiveEntity, LivePolicy, LiveProfile, LiveRole, LiveState
from reconciler.render.terraform import Import, comments, import_blocks

_HEAD = (
    "For Terraform 1.5 or OpenTofu 1.6, or later. To write the rest of the configuration:",
    "terraform plan -generate-config-out=generated.tf",
)


def leaving_for_terraform(planned: Planned) -> str:
    """Raises ``RefusedError`` for several targets: one configuration is for one account."""
    if len(planned.targets) != 1:
        message = "import blocks are for one account; pass one --target"
        raise RefusedError(message, ExitCode.ERROR)
    (target,) = planned.targets
    account = target.plan.identity.account_id
    head = [f"Account {account}, as reconciler found it.", *_HEAD]
    blocks = import_blocks(one for entity in _entities(target) for one in _imports(entity))
    instances = list(comments(_instances(target)))
    parts = ["\n".join(comments(head)) + "\n", *blocks]
    return "\n".join([*parts, *(["\n".join(instances) + "\n"] if instances else [])])


def _live(target: PlannedTarget) -> LiveState:
    assert target.context is not None, "planned without its context"
    return target.context.live


def _entities(target: PlannedTarget) -> Iterator[LiveEntity]:
    for change in target.plan.changes:
        if change.address.is_instance:
            continue
        entity = _live(target).entity(change.address)
        # What stands in for a profile during a hop goes when that ends.
        if entity is not None and not (isinstance(entity, LiveProfile) and entity.temporary_of):
            yield entity


def _imports(entity: LiveEntity) -> Iterator[Import]:
    name = entity.resource.name
    match entity:
        case LivePolicy():
            yield Import("aws_iam_policy", (name,), entity.arn)
        case LiveRole(resource=role):
            yield Import("aws_iam_role", (name,), name)
            for inline, _ in role.inline_policies:
                yield Import("aws_iam_role_policy", (name, inline), f"{name}:{inline}")
            for arn in role.managed_policies:
                names = name, name_of(arn)
                yield Import("aws_iam_role_policy_attachment", names, f"{name}/{arn}")
        case LiveProfile():
            yield Import("aws_iam_instance_profile", (name,), name)


def _instances(target: PlannedTarget) -> Iterator[str]:
    """An association is an attribute of the instance there, so it has no block."""
    found = [change for change in target.plan.changes if change.address.is_instance]
    if found:
        yield "In the aws_instance of each of these, set iam_instance_profile:"
    for change in found:
        here = _live(target).in_region(change.region or "")
        row = next((one.row for one in here if one.key.instance == change.name), None)
        yield f"  {change.name} ({change.region}): {row.profile_name if row else 'none'}"
