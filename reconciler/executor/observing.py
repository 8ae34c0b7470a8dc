"""What a cut-over sees of the world, and when it may believe it."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace

from reconciler.cutover.batches import POLL_SECONDS
from reconciler.cutover.value import CutOver, Memory, Seen
from reconciler.executor.sending import STOPPING_SECONDS
from reconciler.live import LiveProfile
from reconciler.model import Identity
from reconciler.ownership import NO_ROLE, InstanceKey, Pending, shadow_name
from reconciler.ports import AwsError, Clock, Reader

READ_LAG_SECONDS = 120.0
"""For how long IAM may not show what was written. Source:
docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html"""


@dataclass
class Observer:
    """Raises ``AwsError`` where it cannot see; a region that refuses is told as unread."""

    identity: Identity
    reader: Reader
    clock: Clock
    stop: threading.Event

    def observe(self, cutover: CutOver, memory: Memory | None = None) -> Seen:
        """Everything, in every region."""
        began = self.clock.now()
        profile = self._profile(cutover)
        state = self.reader.read_regions(self.identity, cutover.regions)
        flying = set(profile.in_flight) | (set(memory.away) | set(memory.back) if memory else set())
        shadow = self._shadow(cutover, profile)
        users = state.consumers(profile.arn) + (state.consumers(shadow.arn) if shadow else ())
        instances = {i.key: i for i in users}
        instances.update({k: state.instances[k] for k in flying if k in state.instances})
        unseen = [k for k in flying if k not in instances and k.region not in cutover.regions]
        instances.update({i.key: i for i in self.reader.instances(unseen)})
        return Seen(
            now=began,
            profile=profile,
            after_id=self._wanted(cutover),
            instances=instances,
            listed_at=began,
            unread=state.unread_regions,
            shadow=shadow,
        )

    def look(self, cutover: CutOver, seen: Seen, keys: Collection[InstanceKey]) -> Seen:
        """Both profiles and some instances again, as of before they were read."""
        now = self.clock.now()
        profile = self._profile(cutover)
        instances = dict(seen.instances)
        if keys:
            found = {i.key: i for i in self.reader.instances(keys)}
            instances.update(found)
            for key in set(keys) - found.keys():
                instances.pop(key, None)
        return replace(
            seen,
            profile=profile,
            instances=instances,
            now=now,
            after_id=self._wanted(cutover),
            shadow=self._shadow(cutover, profile),
        )

    def reread(self, cutover: CutOver, expected: Seen, touched: Collection[InstanceKey]) -> Seen:
        """The world after our own calls. IAM's reads may lag behind its writes, so a profile that
        does not show them yet is asked for again."""
        seen = self.look(cutover, expected, touched)
        began = self.clock.now()
        while not _shows(seen, expected) and not self.stop.is_set():
            if self.clock.now() - began > READ_LAG_SECONDS:
                return seen
            self.clock.sleep(0.5)
            seen = self.look(cutover, seen, ())
        return seen

    def _profile(self, cutover: CutOver) -> LiveProfile:
        profile = self.reader.profile(cutover.profile)
        if profile is None:
            raise AwsError("iam:GetInstanceProfile", "NoSuchEntity", "the profile is gone")
        return profile

    def _shadow(self, cutover: CutOver, profile: LiveProfile) -> LiveProfile | None:
        """There is one only during a hop; an earlier run may have begun it."""
        if cutover.limits.strategy != "hop" and not isinstance(profile.mark, Pending):
            return None
        return self.reader.profile(shadow_name(profile.resource.name))

    def _wanted(self, cutover: CutOver) -> str | None:
        """The id of the role that is to be inside: it may have been made a moment ago."""
        if cutover.after is None:
            return None
        return self._until_there(cutover.after.name)

    def _until_there(self, role: str) -> str | None:
        began = self.clock.now()
        while (found := self.reader.role(role)) is None:
            patience = STOPPING_SECONDS if self.stop.is_set() else READ_LAG_SECONDS
            if self.clock.now() - began > patience:
                return None
            self.clock.sleep(POLL_SECONDS)
        return found.id


def _shows(found: Seen, expected: Seen) -> bool:
    """Whether both profiles are read as our calls left them."""
    is_marked = dict(found.profile.marks) == dict(expected.profile.marks)
    is_filled = _inside(found.profile) == _inside(expected.profile)
    return is_marked and is_filled and _inside(found.shadow) == _inside(expected.shadow)


def _inside(profile: LiveProfile | None) -> str | None:
    return None if profile is None else profile.role_id or NO_ROLE
