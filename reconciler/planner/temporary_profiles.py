"""Shadows of profiles taken apart from the rest: they belong to the cut-over of the profile that
they stand in for, and to nothing else in a plan."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.address import name_key
from reconciler.model.live import LiveInstance, LiveProfile, LiveState
from reconciler.model.ownership import InstanceKey


def without_shadows(live: LiveState, owner: str) -> LiveState:
    """The account as it is once every hop has ended: instances on a shadow are where they belong.
    A shadow whose profile is gone is a profile like any other."""
    shadows = {
        name_key(profile.shadow_of): profile
        for profile in live.profiles.values()
        if profile.owner == owner and live.profile(profile.shadow_of or "") is not None
    }
    if not shadows:
        return live
    lent: dict[InstanceKey, LiveInstance] = {}
    instances = dict(live.instances)
    for name, shadow in shadows.items():
        home = live.profiles[name]
        for instance in live.consumers(shadow.arn):
            lent[instance.key] = instance
            instances[instance.key] = _at_home(instance, home)
    names = {name_key(shadow.resource.name) for shadow in shadows.values()}
    profiles = {name: profile for name, profile in live.profiles.items() if name not in names}
    return replace(live, profiles=profiles, instances=instances, shadows=shadows, lent=lent)


def _at_home(instance: LiveInstance, home: LiveProfile) -> LiveInstance:
    rows = tuple(replace(r, profile_arn=home.arn, profile_id=home.id) for r in instance.rows)
    return replace(instance, rows=rows)
