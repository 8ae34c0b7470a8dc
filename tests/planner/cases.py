"""For every kind, and for every pair of kinds of which one depends on the other: specs, an account,
and the steps that follow. ``python -m tests.planner.cases`` writes ``golden.txt``: read what it
changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.model.live import LiveInstance
from reconciler.plan.plan import TargetPlan
from tests.planner.worlds import instance, live, plan, steps

GOLDEN = Path(__file__).with_name("golden.txt")
READ = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
WRITE = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 'sqs:*', Resource: '*'}]}"
ROLE_TRUST = (
    "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 'sts:AssumeRole', "
    "Principal: {AWS: 'arn:aws:iam::111111111111:role/%s'}}]}"
)


@dataclass(frozen=True)
class Case:
    """From ``before``, where all is as it says, to ``after``."""

    after: str
    before: str = "x-none: 1"
    instances: tuple[LiveInstance, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)

    def plan(self, after: str | None = None) -> TargetPlan:
        return plan(after or self.after, live(self.before, self.instances), **self.flags)


CASES = {
    "a policy is created": Case(f"policies: {{p: {{document: {READ}}}}}"),
    "a policy changes": Case(
        f"policies: {{p: {{document: {WRITE}}}}}", f"policies: {{p: {{document: {READ}}}}}"
    ),
    "a role is created with its policies": Case(
        f"policies: {{p: {{document: {READ}}}}}\nroles: {{app: {{trust: ec2, managed_policies: [p, AmazonSSMManagedInstanceCore], permissions_boundary: p, inline_policies: {{x: {READ}}}}}}}"
    ),
    "a role gets one policy for another": Case(
        f"policies: {{p: {{document: {READ}}}, q: {{document: {READ}}}}}\nroles: {{app: {{trust: ec2, managed_policies: [q]}}}}",
        f"policies: {{p: {{document: {READ}}}}}\nroles: {{app: {{trust: ec2, managed_policies: [p]}}}}",
    ),
    "a role trusts another": Case(
        f"roles: {{a: {{trust_policy: {ROLE_TRUST % 'b'}}}, b: {{trust: ec2}}}}"
    ),
    "two roles trust each other": Case(
        f"roles: {{a: {{trust_policy: {ROLE_TRUST % 'b'}}}, b: {{trust_policy: {ROLE_TRUST % 'a'}}}}}"
    ),
    "a profile is created with its role": Case(
        "roles: {app: {trust: ec2, managed_policies: [AmazonSSMManagedInstanceCore]}}\ninstance_profiles: {web: {role: app}}"
    ),
    "an instance is associated": Case(
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: app}}\nassociations: {fleet: {instance_profile: web, instances: [i-00000001]}}",
        "",
        (instance(1),),
    ),
    "a role is swapped for a new one": Case(
        "roles: {v1: {trust: ec2}, v2: {trust: ec2, managed_policies: [AmazonSSMManagedInstanceCore]}}\ninstance_profiles: {web: {role: v2}}",
        "roles: {v1: {trust: ec2}}\ninstance_profiles: {web: {role: v1}}",
        (instance(1, "web"), instance(2, "web", state="stopped")),
    ),
    "an instance moves to a new profile": Case(
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: app}, new: {role: app}}\nassociations: {fleet: {instance_profile: new, instances: [i-00000001, i-00000002]}}",
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: app}}",
        (instance(1, "web", is_ours=True), instance(2, "web", state="stopped", is_ours=True)),
    ),
    "everything of a role is pruned": Case(
        "roles: {keep: {trust: ec2}}",
        f"policies: {{p: {{document: {READ}}}}}\nroles: {{keep: {{trust: ec2}}, app: {{trust: ec2, managed_policies: [p], inline_policies: {{x: {READ}}}}}}}\ninstance_profiles: {{web: {{role: app}}}}",
        (),
        {"prune": True},
    ),
    "an association is pruned": Case(
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: app}}",
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: app}}",
        (instance(1, "web", is_ours=True),),
        {"prune": True, "allow": frozenset({("consumers", "association/*")})},
    ),
    "an instance moves and its profile is pruned": Case(
        "roles: {app: {trust: ec2}, other: {trust: ec2}}\ninstance_profiles: {new: {role: other}}\nassociations: {fleet: {instance_profile: new, instances: [i-00000001]}}",
        "roles: {app: {trust: ec2}, other: {trust: ec2}}\ninstance_profiles: {web: {role: app}, new: {role: other}}",
        (instance(1, "web", is_ours=True),),
        {"prune": True},
    ),
    "a swapped role is pruned": Case(
        "roles: {v2: {trust: ec2}}\ninstance_profiles: {web: {role: v2}}",
        f"roles: {{v1: {{trust: ec2, inline_policies: {{x: {READ}}}}}}}\ninstance_profiles: {{web: {{role: v1}}}}",
        (),
        {"prune": True},
    ),
    "a profile is emptied": Case(
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: null}}",
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: app}}",
        (instance(1, "web"),),
        {"allow": frozenset({("consumers", "instance-profile/web")})},
    ),
    "a role is made again at another path": Case(
        "roles: {app: {trust: ec2, path: /b/}}\ninstance_profiles: {web: {role: app}}",
        "roles: {app: {trust: ec2}}\ninstance_profiles: {web: {role: app}}",
        (instance(1, "web"),),
    ),
    "a policy is made again at another path": Case(
        f"policies: {{p: {{path: /b/, document: {READ}}}}}\nroles: {{app: {{trust: ec2, managed_policies: [p]}}}}",
        f"policies: {{p: {{document: {READ}}}}}\nroles: {{app: {{trust: ec2, managed_policies: [p]}}}}",
    ),
}


def written() -> str:
    found = (f"== {name}\n" + "\n".join(steps(case.plan())) for name, case in CASES.items())
    return "\n\n".join(found) + "\n"


if __name__ == "__main__":
    GOLDEN.write_text(written(), "utf-8")
