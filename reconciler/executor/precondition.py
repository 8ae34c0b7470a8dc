"""Before the first step of a change: is the resource still as it was when it was planned?

IAM has no compare-and-swap, so concurrent writers overwrite each other: a resource that has changed
since the plan is left as it is, and reported. Instances need no check: their calls name an
association, and AWS refuses one that is no longer active.

A cut-over is compared with what the plan expects at that point: it comes after an adoption, or
after the first half of a replacement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.errors import AwsError
from reconciler.model.address import (
    POLICY,
    PROFILE,
    ROLE,
    Address,
    name_key,
    profile_address,
    same_name,
)
from reconciler.model.live import LiveEntity, LivePolicy, LiveProfile, LiveRole
from reconciler.model.ownership import NO_ROLE, Pending, RoleMark, Waiting
from reconciler.model.policy_document import PolicyDocument, dangling_principals
from reconciler.model.resources import Identity, InstanceProfile, Policy, Role
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import CutOver, Observation
from reconciler.plan.plan import Users
from reconciler.ports import Clock, Reader

LAG_SECONDS = 10.0
"""IAM's reads may be older than those that the plan was made from."""
OWN_LAG_SECONDS = 120.0
"""For as long they may be older than what this run has written."""
COMPARE_AGAIN_SECONDS = 2.0
CHANGED = "ChangedSincePlanned"
MOST_NAMED = 12
FLEET_SECONDS = 10.0
"""How old a listing of all regions may be, of which there are dozens."""


@dataclass
class PreconditionCheck:
    """``planned`` is what was read, by address; ``begins`` is the state in which each cut-over
    should find its profiles; ``run`` is the id of this run."""

    reader: Reader
    clock: Clock
    planned: Mapping[Address, LiveEntity]
    begins: Mapping[CutOver, Observation] = field(default_factory=dict)
    run: str = ""
    going: frozenset[Address] = frozenset()
    """What the plan deletes, also to make it again."""
    identity: Identity | None = None
    users: Mapping[Address, Users] = field(default_factory=dict)
    """Of profiles that go or are emptied, as the plan found them."""
    _seen: set[Address] = field(default_factory=set)
    _unused: set[Address] = field(default_factory=set)
    _written: dict[tuple[Address, str], PolicyDocument] = field(default_factory=dict)
    """Inline policies as this run has written them, by the ``name_key`` of their names."""

    def check(self, address: Address) -> None:
        """Once for each address. Raises ``AwsError`` with the code ``ChangedSincePlanned``."""
        before = self.planned.get(address)
        if before is None or address in self._seen:
            return
        began = self.clock.now()
        while (what := self._difference(address, before)) is not None:
            if self.clock.now() - began >= LAG_SECONDS:
                message = f"{address} {what} since the plan; plan again"
                raise AwsError(f"compare:{address}", CHANGED, message)
            self.clock.sleep(COMPARE_AGAIN_SECONDS)
        self._seen.add(address)

    def check_written(self, address: Address, call: ApiCall) -> None:
        """Before an inline policy is written a second time, maybe hours after the first: what
        somebody put there meanwhile would be lost. Raises ``AwsError`` with the code
        ``ChangedSincePlanned``."""
        if call.operation not in ("PutRolePolicy", "DeleteRolePolicy"):
            return
        name, planned = str(call.params["PolicyName"]), self.planned.get(address)
        expected = self._written.get((address, name_key(name)))
        if expected is None or planned is None:
            return
        before, began = _inline(planned, name), self.clock.now()
        # Another run may have done the same.
        fine = [expected, _document(call)]
        while (now := _inline(self.reader.entity(address, planned.arn), name)) not in fine:
            patience = OWN_LAG_SECONDS if now == before else LAG_SECONDS
            if self.clock.now() - began >= patience:
                what = f"the inline policy {name} was changed outside of this run"
                message = f"{address}: {what} while it ran, and is left as it is; plan again"
                raise AwsError(f"compare:{address}", CHANGED, message)
            self.clock.sleep(COMPARE_AGAIN_SECONDS)

    def note_written(self, address: Address, call: ApiCall) -> None:
        """What the next write of an inline policy must find."""
        if (written := _document(call)) is not None:
            self._written[address, name_key(str(call.params["PolicyName"]))] = written

    def check_unused(self, address: Address, call: ApiCall) -> None:
        """Before the first permission or version is removed from a resource that is to be deleted:
        AWS refuses the deletion while something uses it, and by then the permissions would be gone.
        A profile is deleted even if it is used, so it is checked before its first step.

        Raises ``AwsError`` with the code ``ChangedSincePlanned``.
        """
        if address.kind == PROFILE:
            self._check_users(address)
            return
        takes_away = call.operation.startswith(("Detach", "Delete"))
        if not takes_away or address not in self.going or address in self._unused:
            return
        began = self.clock.now()
        while (user := self._user(address)) is not None:
            if self.clock.now() - began >= OWN_LAG_SECONDS:
                message = f"{address} has come into use since the plan: {user}; plan again"
                raise AwsError(f"compare:{address}", CHANGED, message)
            self.clock.sleep(COMPARE_AGAIN_SECONDS)
        self._unused.add(address)

    def _user(self, address: Address) -> str | None:
        if address.kind == ROLE:
            holders = self.reader.profiles_with(address.name)
            return f"{profile_address(holders[0])} holds it" if holders else None
        planned = self.planned.get(address)
        if address.kind != POLICY or planned is None:
            return None
        now = self.reader.entity(address, planned.arn)
        if isinstance(now, LivePolicy) and now.attachments:
            return f"it is attached to {now.attachments} users, groups or roles"
        is_boundary = isinstance(now, LivePolicy) and now.boundaries
        return "it is used as a permissions boundary" if is_boundary else None

    def _check_users(self, address: Address) -> None:
        """In every region that was read: a flag was given only for the users in the plan."""
        users, planned = self.users.get(address), self.planned.get(address)
        if users is None or planned is None or self.identity is None or address in self._unused:
            return
        # One listing serves all profiles that are deleted within seconds.
        since = self.clock.now() - FLEET_SECONDS
        now = self.reader.consumers(self.identity, users.regions, (planned.arn,), since)
        found = [i for i in now.consumers(planned.arn) if i.is_running]
        reasons = [
            f"{i.key.instance} ({i.key.region}) has come to run with it since the plan"
            for i in found
            if i.key not in users.instances and not (users.comes_back and i.untouchable is None)
        ]
        reasons += [
            f"{region} cannot be read ({why}): instances may use it"
            for region, why in sorted(now.unread_regions.items())
            if region not in users.unread
        ]
        if reasons:
            more = f" and {len(reasons) - MOST_NAMED} more" if len(reasons) > MOST_NAMED else ""
            message = f"{address} is kept: {'; '.join(reasons[:MOST_NAMED])}{more}; plan again"
            raise AwsError(f"compare:{address}", CHANGED, message)
        self._unused.add(address)

    def check_cut_over(
        self, cutover: CutOver, made_id: str | None, seen: Observation | None = None
    ) -> None:
        """Before the first write of a cut-over: both its profiles, as they were ``seen`` just now.
        ``made_id`` is the id of a profile that this run has made. Raises ``AwsError`` with
        ``ChangedSincePlanned``."""
        # From here on the cut-over itself changes the profile.
        self._seen.add(cutover.address)
        observed = self.begins.get(cutover)
        if observed is None:
            return
        now = None if seen is None else seen.profile
        self._check_profile(cutover, observed.profile, made_id, now)
        if observed.temporary is not None:
            self._check_profile(cutover, observed.temporary, None, seen.temporary if seen else None)
        self._check_users(cutover.address)

    def _check_profile(
        self,
        cutover: CutOver,
        before: LiveProfile,
        made_id: str | None,
        now: LiveProfile | None,
    ) -> None:
        """``now`` is how it was just seen; ``None`` if it has to be read."""
        address, began = before.resource.address, self.clock.now()
        while True:
            now = now or self.reader.profile(before.resource.name)
            what = self._profile_difference(cutover, before, now, made_id)
            if what is None:
                return
            is_ours = self._may_be_older_than_our_writes(before, now)
            if self.clock.now() - began >= (OWN_LAG_SECONDS if is_ours else LAG_SECONDS):
                raise AwsError(f"compare:{address}", CHANGED, f"{address} {what}; plan again")
            self.clock.sleep(COMPARE_AGAIN_SECONDS)
            now = None

    def _profile_difference(
        self,
        cutover: CutOver,
        before: LiveProfile,
        now: LiveProfile | None,
        made_id: str | None,
    ) -> str | None:
        if now is None:
            return "was deleted since the plan"
        if now.id != (made_id or before.id):
            return "was deleted and created again since the plan"
        if now.owner != before.owner:
            return f"{_whose(now)} since the plan"
        mark = now.mark
        # The first half of a replacement may end with it, as after a cut-over that died: nobody can
        # take from running consumers what they hold.
        is_bare = isinstance(mark, Waiting) and mark.role_id == NO_ROLE
        is_emptied = cutover.half == "second" and is_bare
        if mark not in self._marks(cutover, before) and not is_emptied:
            if isinstance(mark, Pending):
                return f"is in a cut-over that run {mark.run} began since the plan"
            return "was marked by another run since the plan"
        if now.role_id != before.role_id:
            inside = f"role/{now.resource.role}" if now.resource.role else "no role"
            return f"was changed to {inside} outside of this run since the plan"
        return None

    def _marks(self, cutover: CutOver, before: LiveProfile) -> tuple[RoleMark | None, ...]:
        """A profile that was found empty has the mark of the run that emptied it."""
        planned = self.planned.get(cutover.address)
        if cutover.half != "second" or not isinstance(planned, LiveProfile):
            return (before.mark,)
        return (before.mark, planned.mark) if planned.role_id is None else (before.mark,)

    def _may_be_older_than_our_writes(self, before: LiveProfile, now: LiveProfile | None) -> bool:
        """Whether it is shown as it was before what this run has done to it."""
        planned = self.planned.get(before.resource.address)
        if not isinstance(planned, LiveProfile):
            return now is None
        if now is None:
            return planned.id != before.id
        is_own = isinstance(now.mark, Pending) and now.mark.run == self.run
        return is_own or (_facts(planned) != _facts(before) and _facts(now) == _facts(planned))

    def _difference(self, address: Address, before: LiveEntity) -> str | None:
        now = self.reader.entity(address, before.arn)
        if now is None:
            return "was deleted"
        if now.id != before.id:
            return "was deleted and created again"
        if now.owner != before.owner:
            return _whose(now)
        return None if _same(now.resource, before.resource) else "was changed outside of this run"


def _document(call: ApiCall) -> PolicyDocument | None:
    if call.operation != "PutRolePolicy":
        return None
    return PolicyDocument.of(json.loads(call.params["PolicyDocument"]))


def _inline(role: LiveEntity | None, name: str) -> PolicyDocument | None:
    found = role.resource.inline_policies if isinstance(role, LiveRole) else ()
    return next((document for one, document in found if same_name(one, name)), None)


def _whose(now: LiveEntity) -> str:
    other = now.claimed_by
    return f"was taken over by the owner {other!r}" if other else "lost its owner tag"


def _facts(profile: LiveProfile) -> tuple[str, str | None, RoleMark | None, str | None]:
    """What a cut-over must find as it was planned."""
    return profile.id, profile.owner, profile.mark, profile.role_id


def _same(now: Policy | Role | InstanceProfile, before: Policy | Role | InstanceProfile) -> bool:
    """Two reads of one thing. A policy's description is in some answers and not in others; and AWS
    itself rewrites a trust when a role that it names is deleted, as this very plan may do."""
    if isinstance(now, Policy) and isinstance(before, Policy):
        return replace(now, description=before.description) == before
    if isinstance(now, Role) and dangling_principals(now.trust_policy.value):
        return isinstance(before, Role) and replace(now, trust_policy=before.trust_policy) == before
    return now == before
