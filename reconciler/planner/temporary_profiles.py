"""Separates temporary profiles from the rest: they belong to the cut-over of the profile that they
stand in for, and to nothing else in a plan."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.address import name_key
from reconciler.model.live import LiveInstance, LiveProfile, LiveState
from reconciler.model.ownership import InstanceKey


def without_temporary_profiles(live: LiveState, owner: str) -> LiveState:
    """The account as it would be after every hop: instances on a temporary profile count for the
    original one. A temporary profile whose original is gone is a profile like any other."""
    shadows = {
        name_key(profile.temporary_of): profile
        for profile in live.profiles.values()
        if profile.owner == owner and live.profile(profile.temporary_of or "") is not None
    }
    if not shadows:
        return live
    on_temporary_profile: dict[InstanceKey, LiveInstance] = {}
    instances = dict(live.instances)
    for name, temporary in shadows.items():
        home = live.profiles[name]
        for instance in live.consumers(temporary.arn):
            on_temporary_profile[instance.key] = instance
            instances[instance.key] = _at_home(instance, home)
    names = {name_key(temporary.resource.name) for temporary in shadows.values()}
    profiles = {name: profile for name, profile in live.profiles.items() if name not in names}
    return replace(
        live,
        profiles=profiles,
        instances=instances,
        shadows=shadows,
        on_temporary_profile=on_temporary_profile,
    )


def _at_home(instance: LiveInstance, home: LiveProfile) -> LiveInstance:
    rows = tuple(replace(r, profile_arn=home.arn, profile_id=home.id) for r in instance.rows)
    return replace(instance, rows=rows)
