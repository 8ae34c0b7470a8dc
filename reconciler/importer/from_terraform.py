"""From what a Terraform state manages to what is imported: exactly that, and nothing besides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.importer.importer import Selection
from reconciler.importer.terraform_state import SHARED, WHOLE, StateResource
from reconciler.model.address import Address, profile_address
from reconciler.model.live import LiveState


@dataclass(frozen=True, slots=True)
class FromTerraform:
    """What is imported of states. ``notes`` say what is not, each with Terraform's addresses;
    ``taken`` are the resources that are the specs' afterwards."""

    selection: Selection
    notes: Mapping[str, tuple[str, ...]]
    taken: tuple[StateResource, ...]


def chosen(resources: Sequence[StateResource], live: LiveState) -> FromTerraform:
    """Raises ``RefusedError`` if there is nothing to import, all of it is in another account, or
    AWS has not what the states say."""
    account = live.identity.account_id
    if all(one.is_part or one.type == SHARED for one in resources):
        message = f"the state has no {', '.join(WHOLE)}"
        raise RefusedError(message, ExitCode.ERROR)
    away = [one for one in resources if one.account not in ("", account)]
    shared = [one for one in resources if one.type == SHARED]
    wholes = [one for one in resources if not one.is_part and one not in (*away, *shared)]
    if away and not wholes:
        accounts = ", ".join(sorted({one.account for one in away}))
        message = f"the resources of the state are in account {accounts}, not in {account}"
        raise RefusedError(message, ExitCode.ERROR)
    named = {one.address for one in wholes}
    parts = [one for one in resources if one.is_part]
    instances = [one for one in wholes if one.type == "aws_instance"]
    foreign = [one for one in instances if profile_address(one.profile) not in named]
    loose = [one for one in parts if one.address not in named]
    unread = [one for one in instances if one not in foreign and one.region not in live.regions]
    moved = [one for one in instances if one not in (*foreign, *unread) and not _has(live, one)]
    _refuse_missing([one for one in wholes if one not in (*foreign, *unread)], live)
    selection = Selection(
        roles=_names(wholes, "aws_iam_role"),
        profiles=_names(wholes, "aws_iam_instance_profile"),
        policies=_names(wholes, "aws_iam_policy"),
        instances=frozenset(
            o.address.name for o in instances if o not in (*foreign, *unread, *moved)
        ),
        is_exact=True,
    )
    left = {*foreign, *loose, *unread, *moved, *away, *shared}
    notes = {
        "in another account": away,
        "of a role that the state does not manage": loose,
        "with an instance profile that the state does not manage": foreign,
        "in a region that was not read": unread,
        "with another instance profile in AWS": moved,
        f"{SHARED}, which detaches what others attach": shared,
    }
    return FromTerraform(
        selection,
        {why: tuple(sorted(one.where for one in found)) for why, found in notes.items() if found},
        tuple(one for one in resources if one not in left and one.type != "aws_instance"),
    )


def _names(resources: Iterable[StateResource], type_: str) -> tuple[str, ...]:
    return tuple(sorted({one.address.name for one in resources if one.type == type_}))


def _has(live: LiveState, resource: StateResource) -> bool:
    """Whether the instance has the profile that the state says."""
    profile = live.profile(resource.profile)
    held = live.consumers(profile.arn) if profile is not None else ()
    return any(one.key.instance == resource.address.name for one in held)


def _refuse_missing(resources: Sequence[StateResource], live: LiveState) -> None:
    there = {key.instance for key in live.instances}
    missing = [
        one
        for one in resources
        if (
            one.address.name not in there
            if one.type == "aws_instance"
            else live.entity(one.address) is None
        )
    ]
    if missing:
        raise RefusedError(
            "AWS lacks resources of the state; refresh it with `terraform apply -refresh-only`",
            ExitCode.ERROR,
            details=tuple(f"{one.address}: {one.where}" for one in missing),
        )


def released(
    resources: Sequence[StateResource],
    taken: Sequence[StateResource],
    addresses: Collection[Address],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What Terraform is to forget of ``taken``, since it has a spec now: blocks of which it is all
    instances, and the single addresses of the others. What was skipped would be nobody's."""
    own = {one.where for one in taken if one.address in addresses}
    rest = {one.block for one in resources if one.where not in own}
    here = [one for one in resources if one.where in own]
    whole = dict.fromkeys(one.block for one in here if one.block not in rest)
    return tuple(whole), tuple(one.where for one in here if one.block in rest)
