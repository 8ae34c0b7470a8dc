"""What may be using a resource? Asked before every removal: deletions, emptied profiles, removed
associations, replacements.

EC2 serves a running instance the credentials of the role that was in its profile when the profile
was associated, and continues for hours after a swap. So the role that is in a profile now says
little: the mark on the profile names the role that its consumers were last known to have. What
could not be read counts as in use.
Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from reconciler.cutover.fleet import CLOCKS_APART
from reconciler.model import ownership
from reconciler.model.address import PROFILE, Address, name_key, profile_address
from reconciler.model.hours import hour_of
from reconciler.model.live import (
    AssociationRow,
    LiveEntity,
    LiveInstance,
    LivePolicy,
    LiveProfile,
    LiveRole,
    LiveState,
)
from reconciler.model.ownership import (
    CREDENTIALS_SECONDS,
    Failed,
    Partial,
    Pending,
    Settled,
    Waiting,
)
from reconciler.model.trust import trusts_ec2

_T = TypeVar("_T")

UseKind = Literal["inside", "attached", "served", "released", "unknown"]
"""``inside``: a profile holds the role; ``attached``: something has the policy; ``served``: running
instances have it, or had it when last known; ``released``: it was released less than seven hours
ago; ``unknown``: what could answer was not read."""


@dataclass(frozen=True, slots=True)
class Use:
    """One reason why something may be in use. ``by`` is the user, if it has an address; ``reason``
    continues after the address of the thing used."""

    kind: UseKind
    reason: str
    by: Address | None = None
    instances: tuple[LiveInstance, ...] = ()


@dataclass(frozen=True, slots=True)
class InUse:
    """Answers for one account, indexed once, so that no fleet is searched for each profile. ``now``
    is in seconds of the epoch."""

    live: LiveState
    now: float
    _consumers: Mapping[str, tuple[LiveInstance, ...]] = field(default_factory=dict)
    _profiles: Mapping[str, tuple[LiveProfile, ...]] = field(default_factory=dict)
    _roles: Mapping[str, tuple[LiveRole, ...]] = field(default_factory=dict)
    _moved_off: Mapping[str, tuple[LiveInstance, ...]] = field(default_factory=dict)
    _released: tuple[tuple[str, int], ...] = ()
    """Roles that consumers have let go, by id, and when, in seconds of the epoch."""
    _lost: tuple[Use, ...] = ()
    """Of any role that EC2 can serve."""

    @staticmethod
    def of(live: LiveState, now: float) -> InUse:
        consumers = _grouped(
            (name_key(instance.row.profile_name), instance)
            for _, instance in sorted(live.instances.items())
            if instance.row is not None and not instance.is_gone
        )
        times = ((role.id, released_at(role)) for role in live.roles.values())
        released = tuple((role_id, at) for role_id, at in times if at is not None)
        profiles = _grouped(_holders(live, consumers, released, now))
        roles = [role for _, role in sorted(live.roles.items())]
        policies = _grouped((arn, role) for role in roles for arn in role.resource.policies)
        left, lost = _grouped(_left_profiles(live)), tuple(_of_lost_profiles(live, consumers))
        return InUse(live, now, consumers, profiles, policies, left, released, lost)

    def uses(self, entity: LiveEntity) -> tuple[Use, ...]:
        """Everything that may be using it today, whatever is planned."""
        match entity:
            case LiveRole():
                return tuple(self._uses_of_role(entity))
            case LiveProfile():
                users, unknown = self.consumers(entity), tuple(self._unknown(entity))
                if not users:
                    return unknown
                reason = f"{counted(users)} would be left without it"
                return (Use("served", reason, None, users), *unknown)
            case LivePolicy():
                return tuple(self._uses_of_policy(entity))

    def associated(self, name: str) -> tuple[LiveInstance, ...]:
        """Instances with an association that names the profile, given by its ``name_key``."""
        return self._consumers.get(name, ())

    def consumers(self, profile: LiveProfile) -> tuple[LiveInstance, ...]:
        """Instances with an association that names the profile, those too that a cut-over has on
        its temporary profile or in flight; sorted, in every region that was read."""
        found = {i.key: i for i in self.associated(name_key(profile.resource.name))}
        for key in profile.in_flight:
            if key in self.live.instances and not self.live.instances[key].is_gone:
                found[key] = self.live.instances[key]
        return tuple(found[key] for key in sorted(found))

    def profiles_of(self, role: LiveRole) -> tuple[LiveProfile, ...]:
        """Profiles that hold it or whose mark names it: their consumers may have it."""
        return self._profiles.get(role.id, ())

    def roles_with(self, policy: LivePolicy) -> tuple[LiveRole, ...]:
        """Roles that have it attached, or as their permissions boundary."""
        return self._roles.get(policy.arn, ())

    def untouchable(self, profile: LiveProfile) -> tuple[LiveInstance, ...]:
        """Running consumers that we cannot give a profile back to: another service manages them,
        or AWS does not show them."""
        return tuple(i for i in self.consumers(profile) if i.untouchable and i.is_running)

    def moved_off(self, profile: LiveProfile) -> tuple[LiveInstance, ...]:
        """Running instances that were associated by a spec, and have another profile, or none, by
        another hand: their processes may still have its credentials, and nobody knows since when
        they have not. The tag that shows this can be forged, but then a role is only kept."""
        return self._moved_off.get(profile.id, ())

    def roles_held(self, profile: LiveProfile) -> tuple[str, ...]:
        """Ids of the roles whose credentials its consumers may hold: of the one inside, of those
        that its mark names, and of those that it had before."""
        users = self._consumers.get(name_key(profile.resource.name), ())
        named = (
            profile.role_id,
            *ids_in(profile),
            *_ids_before(profile, users, self._released, self.now),
        )
        return tuple(dict.fromkeys(i for i in named if i and i != ownership.NO_ROLE))

    def roles_left(self, row: AssociationRow) -> tuple[str, ...]:
        """Ids of the roles that an instance may have from this association. If its profile was
        deleted, that is every role that EC2 can serve: it is not known which one was in it."""
        profile = self.live.profile(row.profile_name)
        if profile is not None and profile.id == row.profile_id:
            return self.roles_held(profile)
        return tuple(role.id for role in self.live.roles.values() if is_for_ec2(role))

    def _uses_of_role(self, role: LiveRole) -> Iterator[Use]:
        for profile in self.profiles_of(role):
            yield from self._through(profile, role)
        for address, why in sorted(self.live.unread.items()):
            if address.kind == PROFILE:
                yield Use("unknown", f"{address} cannot be read ({why})", address)
        epoch = released_at(role)
        if epoch is not None and epoch + CREDENTIALS_SECONDS > self.now:
            hour = hour_of(epoch + CREDENTIALS_SECONDS)
            yield Use("released", f"processes may hold its credentials until {hour}")
        if is_for_ec2(role):
            yield from self._lost

    def _through(self, profile: LiveProfile, role: LiveRole) -> Iterator[Use]:
        address = profile.resource.address
        if profile.role_id == role.id:
            yield Use("inside", f"{address} holds it", address)
        elif isinstance(profile.mark, Pending):
            yield Use(
                "inside", f"the cut-over of {address} between two roles is in progress", address
            )
        running = tuple(i for i in self.consumers(profile) if i.is_running)
        if running:
            noun = "instance" if len(running) == 1 else "instances"
            reason = f"{len(running)} running {noun} of {address} may hold its credentials"
            yield Use("served", reason, address, running)
        if moved := self.moved_off(profile):
            noun = "instance" if len(moved) == 1 else "instances"
            left = f"{len(moved)} running {noun} left {address} outside of reconciler"
            reason = f"{left} and may hold its credentials"
            yield Use("served", reason, address, moved)
        yield from self._unknown(profile)

    def _unknown(self, profile: LiveProfile) -> Iterator[Use]:
        """Where consumers of the profile may be that were not seen."""
        address = profile.resource.address
        for region, why in sorted(self.live.unread_regions.items()):
            yield Use("unknown", f"{region} cannot be read ({why}): instances may use it", address)
        if (unlisted := self.live.unlisted) is not None:
            reason = f"the account's regions cannot be listed ({unlisted}): instances may use it"
            yield Use("unknown", reason, address)
        if address in self.live.unread:
            why = self.live.unread[address]
            yield Use("unknown", f"{address} cannot be read ({why})", address)

    def _uses_of_policy(self, policy: LivePolicy) -> Iterator[Use]:
        attached = bounded = 0
        for role in self.roles_with(policy):
            attached += policy.arn in role.resource.managed_policies
            bounded += policy.arn == role.resource.permissions_boundary
            yield Use("attached", f"{role.resource.address} uses it", role.resource.address)
        if (others := policy.attachments - attached) > 0:
            has = "has it" if others == 1 else "have it"
            noun = "user or group" if others == 1 else "users or groups"
            yield Use("attached", f"{others} {noun} {has} attached")
        if (others := policy.boundaries - bounded) > 0:
            has = "user has it as its" if others == 1 else "users have it as their"
            yield Use("attached", f"{others} {has} permissions boundary")


def is_for_ec2(role: LiveRole) -> bool:
    """Whether EC2 can serve it to instances."""
    return trusts_ec2(role.resource.trust_policy.value)


def ids_in(profile: LiveProfile) -> tuple[str, ...]:
    """Ids of the roles that consumers may have according to its mark. A role that was given up says
    nothing about the role that they have (``_ids_before`` does)."""
    match profile.mark:
        case Settled(role_id) | Partial(role_id) | Waiting(role_id):
            return (role_id,)
        case Pending(before, after):
            return before, after
        case Failed():
            return (profile.left_with,) if profile.left_with else ()
        case None:
            return ()


def released_at(role: LiveRole) -> int | None:
    """When a running instance last stopped using it, in seconds of the epoch."""
    return ownership.decode_released(role.marks.get(ownership.RELEASED))


def counted(instances: Iterable[LiveInstance]) -> str:
    """``3 instances (1 stopped)``."""
    listed = tuple(instances)
    stopped = sum(not i.is_running for i in listed)
    noun = "instance" if len(listed) == 1 else "instances"
    if not stopped:
        return f"{len(listed)} running {noun}"
    return f"{len(listed)} {noun} ({stopped} stopped)"


def _grouped(pairs: Iterable[tuple[str, _T]]) -> dict[str, tuple[_T, ...]]:
    """By the first of each pair, in their order."""
    found: dict[str, list[_T]] = {}
    for key, one in pairs:
        found.setdefault(key, []).append(one)
    return {key: tuple(members) for key, members in found.items()}


def _of_lost_profiles(
    live: LiveState, consumers: Mapping[str, tuple[LiveInstance, ...]]
) -> Iterator[Use]:
    """Instances of a deleted profile: they keep getting the role that was in it, and it is not
    known which one that was."""
    known = {profile.id for profile in (*live.profiles.values(), *live.shadows.values())}
    for region, why in sorted(live.unread_regions.items()):
        yield Use("unknown", f"{region} cannot be read ({why}): instances may hold it")
    if live.unlisted is not None:
        reason = f"the account's regions cannot be listed ({live.unlisted}): instances may hold it"
        yield Use("unknown", reason)
    for name, instances in sorted(consumers.items()):
        lost = [i for i in instances if i.is_running and i.row and i.row.profile_id not in known]
        if lost and profile_address(name) not in live.unread:
            address = profile_address(lost[0].row.profile_name if lost[0].row else name)
            noun = "instance" if len(lost) == 1 else "instances"
            reason = f"{len(lost)} running {noun} of {address}, which was deleted, may hold it"
            yield Use("unknown", reason, address, tuple(lost))


def _left_profiles(live: LiveState) -> Iterator[tuple[str, LiveInstance]]:
    """Instances, each with the id of the profile that its tag names and that it does not have."""
    for key, instance in sorted(live.instances.items()):
        mark = ownership.decode_association(instance.marks.get(ownership.ASSOCIATION))
        if mark is None or mark.instance != key.instance or not instance.is_running:
            continue
        if instance.row is None or instance.row.profile_id != mark.profile_id:
            yield mark.profile_id, instance


def _ids_before(
    profile: LiveProfile,
    users: Iterable[LiveInstance],
    released: Iterable[tuple[str, int]],
    now: float,
) -> Iterator[str]:
    """Ids of roles that were released after the launch of a consumer that no cut-over has certainly
    refreshed: a mark names the last two roles, and there may have been more. After a roll-back it
    names only the one that was given up, which instances have that could not be refreshed. With
    strategy ``wait`` it names only the role that EC2 is to serve in the end: the one before was let
    go by that swap."""
    running, given_up, since = [i for i in users if i.is_running], None, 0.0
    match profile.mark:
        case Waiting(_, epoch) if now < epoch + CREDENTIALS_SECONDS:
            behind = [i for i in running if i.launched_at <= epoch + CLOCKS_APART]
            since = epoch - CLOCKS_APART
        case Pending():
            behind = running
        case Partial(_, regions):
            behind = [i for i in running if i.key.region not in regions]
        case Failed(role_id):
            behind = running
            given_up = None if any(i.untouchable for i in running) else role_id
        case _:
            return
    if not behind:
        return
    launched = min(i.launched_at for i in behind)
    for role_id, epoch in released:
        if role_id != given_up and max(launched - CLOCKS_APART, since) <= epoch:
            yield role_id


def _holders(
    live: LiveState,
    consumers: Mapping[str, tuple[LiveInstance, ...]],
    released: Iterable[tuple[str, int]],
    now: float,
) -> Iterator[tuple[str, LiveProfile]]:
    """Profiles, each with the id of every role that its consumers may hold."""
    profiles = (*live.profiles.values(), *live.shadows.values())
    for profile in sorted(profiles, key=lambda p: p.resource.address):
        users = consumers.get(name_key(profile.resource.name), ())
        before = _ids_before(profile, users, released, now)
        for role_id in {profile.role_id or "", *ids_in(profile), *before}:
            yield role_id, profile
