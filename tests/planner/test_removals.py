"""What is taken away, and what stays because somebody may be using it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from reconciler.model.address import Address
from reconciler.model.live import LiveInstance, LiveState
from reconciler.model.ownership import RELEASED, ROLE_ID
from tests.planner.worlds import AWAY, NOW, instance, live, plan, role_id

READ = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
BOTH = f"""
roles:
  alpha: {{trust: ec2, inline_policies: {{read: {READ}}}, managed_policies: [p]}}
  beta: {{trust: ec2}}
policies: {{p: {{document: {READ}}}}}
instance_profiles: {{web: {{role: alpha}}}}
"""
OTHER = "roles: {beta: {trust: ec2}}\n"
HELD = OTHER + "instance_profiles: {web: {role: beta}}\n"


@dataclass(frozen=True)
class Case:
    """``specs`` against an account that was made by ``BOTH``; what is deleted, kept and guarded."""

    specs: str
    deleted: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    guards: tuple[str, ...] = ()
    instances: tuple[LiveInstance, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    """Of the profile ``web``."""
    inside: str | None = "alpha"
    released: int | None = None
    """Seconds ago, on ``alpha``."""
    more: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    allow: tuple[str, ...] = ()


def account(case: Case) -> LiveState:
    made = live(BOTH, case.instances)
    web = made.profiles["web"]
    web = replace(
        web,
        marks={**web.marks, **case.marks},
        resource=replace(web.resource, role=case.inside),
        role_id=role_id(case.inside) if case.inside else None,
    )
    alpha = made.roles["alpha"]
    if case.released is not None:
        alpha = replace(alpha, marks={**alpha.marks, RELEASED: str(int(NOW) - case.released)})
    return replace(
        made,
        profiles={**made.profiles, "web": web},
        roles={**made.roles, "alpha": alpha},
        **case.more,
    )


ALL = ("instance-profile/web", "role/alpha", "policy/p")
KEPT = ("left", "released")
LET_GO = "it is released by this plan; processes may hold its credentials for hours"
USES_P = "role/alpha uses it"
UNSEEN = "us-west-2 cannot be read (denied): instances may use it"

CASES = {
    "nothing uses it": Case(OTHER, ALL),
    "an instance of a profile that somebody deleted": Case(
        OTHER,
        ("instance-profile/web",),
        {
            "role/alpha": "1 running instance of instance-profile/old, which was deleted, may hold "
            "it; --allow release=role/alpha deletes it anyway",
            "policy/p": USES_P,
        },
        instances=(instance(1, "old"),),
    ),
    "an instance in another region": Case(
        OTHER,
        ("instance-profile/web",),
        {"role/alpha": LET_GO, "policy/p": USES_P},
        ("consumers=instance-profile/web",),
        (instance(1, "web", region=AWAY),),
    ),
    "a stopped instance": Case(
        OTHER,
        ALL,
        guards=("consumers=instance-profile/web",),
        instances=(instance(1, "web", state="stopped"),),
    ),
    "an instance that has ended": Case(
        OTHER, ALL, instances=(instance(1, "web", state="shutting-down"),)
    ),
    "a region that cannot be read": Case(
        OTHER,
        (),
        {
            "instance-profile/web": f"{UNSEEN}; --allow consumers=instance-profile/web deletes it anyway",
            "role/alpha": "instance-profile/web holds it",
            "policy/p": USES_P,
        },
        more={"unread_regions": {"us-west-2": "denied"}},
    ),
    "a region that cannot be read, allowed": Case(
        OTHER,
        ("instance-profile/web",),
        {
            "role/alpha": f"{UNSEEN}; --allow release=role/alpha deletes it anyway",
            "policy/p": USES_P,
        },
        more={"unread_regions": {"us-west-2": "denied"}},
        allow=("consumers=instance-profile/web",),
    ),
    "swapped by hand, the mark names it": Case(
        HELD,
        (),
        {"role/alpha": LET_GO, "policy/p": USES_P},
        instances=(instance(1, "web"),),
        inside="beta",
    ),
    "swapped by hand, allowed": Case(
        HELD,
        ("role/alpha", "policy/p"),
        instances=(instance(1, "web"),),
        inside="beta",
        allow=("release=role/alpha",),
    ),
    "swapped by hand, nobody has it": Case(HELD, ("role/alpha", "policy/p"), inside="beta"),
    "a cut-over from it has not ended": Case(
        HELD,
        (),
        {
            "role/alpha": "the cut-over of instance-profile/web between two roles is in progress",
            "policy/p": USES_P,
        },
        inside="beta",
        marks={ROLE_ID: f"pending/{role_id('alpha')}/{role_id('beta')}/1799990000/dead"},
    ),
    "a cut-over to it has not ended": Case(
        HELD,
        (),
        {
            "role/alpha": "the cut-over of instance-profile/web between two roles is in progress",
            "policy/p": USES_P,
        },
        inside="beta",
        marks={ROLE_ID: f"pending/{role_id('beta')}/{role_id('alpha')}/1799990000/dead"},
    ),
    "waiting to be served by AWS": Case(
        HELD,
        (),
        {"role/alpha": LET_GO, "policy/p": USES_P},
        instances=(instance(1, "web"),),
        inside="beta",
        marks={ROLE_ID: f"waiting/{role_id('alpha')}/1799990000"},
    ),
    "released an hour ago": Case(
        HELD,
        (),
        {
            "role/alpha": "processes may hold its credentials until 2027-01-15 14:00 UTC",
            "policy/p": USES_P,
        },
        inside="beta",
        marks={ROLE_ID: role_id("beta")},
        released=3600,
    ),
    "released eight hours ago": Case(
        HELD,
        ("role/alpha", "policy/p"),
        inside="beta",
        marks={ROLE_ID: role_id("beta")},
        released=8 * 3600,
    ),
    "the profile's role is ignored": Case(
        HELD,
        (),
        {"role/alpha": "instance-profile/web holds it", "policy/p": USES_P},
        settings={
            "ignore": [{"match": "instance-profile/web", "attributes": ["role"], "reason": "x"}]
        },
    ),
    "the profile names it in another case": Case(
        OTHER + "instance_profiles: {web: {role: Alpha}}\n",
        (),
        {"role/alpha": "instance-profile/web in the specs names it", "policy/p": USES_P},
    ),
    "an association names the profile": Case(
        OTHER + "associations: {a: {instance_profile: WEB, instances: [i-00000001]}}\n",
        (),
        {
            "instance-profile/web": "the association 'a' in the specs names it",
            "role/alpha": "instance-profile/web holds it",
            "policy/p": USES_P,
        },
        instances=(instance(1, "web"),),
    ),
    "users have the policy": Case(
        OTHER + "instance_profiles: {web: {role: beta}}\n",
        ("role/alpha",),
        {"policy/p": "2 users or groups have it attached"},
        inside="beta",
        marks={ROLE_ID: role_id("beta")},
        more={"attached": 3},
    ),
    "it is somebody's boundary": Case(
        OTHER + "instance_profiles: {web: {role: beta}}\n",
        ("role/alpha",),
        {"policy/p": "1 user has it as its permissions boundary"},
        inside="beta",
        marks={ROLE_ID: role_id("beta")},
        more={"bounded": 1},
    ),
    "a profile cannot be read": Case(
        HELD,
        (),
        {
            "role/alpha": "instance-profile/x cannot be read (denied); "
            "--allow release=role/alpha deletes it anyway",
            "policy/p": USES_P,
        },
        inside="beta",
        marks={ROLE_ID: role_id("beta")},
        more={"unread": {Address("instance-profile", "x"): "denied"}},
    ),
}


def with_counts(state: LiveState, case: Case) -> LiveState:
    p = state.policies["p"]
    p = replace(p, attachments=case.more.get("attached", 1), boundaries=case.more.get("bounded", 0))
    return replace(state, policies={"p": p})


@pytest.mark.parametrize("name", CASES)
def test_what_stays_and_why(name: str) -> None:
    case = CASES[name]
    fields = {k: v for k, v in case.more.items() if k not in ("attached", "bounded")}
    there = with_counts(account(replace(case, more=fields)), case)
    allow = frozenset(map(_pair, case.allow))
    guards = {"max_delete": 100, "max_change": 100}
    planned = plan(case.specs, there, {"guards": guards, **case.settings}, prune=True, allow=allow)
    deleted = tuple(str(c.address) for c in planned.changes if c.actions == ("delete",))
    assert sorted(deleted) == sorted(case.deleted)
    assert {str(k.address): k.reason for k in planned.kept if k.status in KEPT} == case.kept
    assert tuple(g.lift.removeprefix("--allow ") for g in planned.guards) == case.guards


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value
