"""What is printed is enough, and no statement of it is too much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.commands.permissions import wanted_for
from reconciler.permissions.statements import documents
from tests.permissions.enforcing import Enforcer
from tests.rig import AWAY, HOME, Rig, rig

SETTINGS = f"version: 1\nowner: tests\nregions: [{HOME}, {AWAY}]\naccount_id: '123456789012'\n"


def policy(aws: Rig, purpose: Any, **flags: Any) -> list[dict[str, Any]]:
    (wanted,) = wanted_for(aws.request(**flags), purpose)
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


def test_thin(tmp_path: Path) -> None:
    with rig(tmp_path) as aws:
        aws.write("""roles: {web: {trust: ec2, managed_policies: [read]}}
policies: {read: {document: {Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}}}
instance_profiles: {web: {role: web}}
""", SETTINGS)
        enforcer = Enforcer(aws.aws, policy(aws, "apply"))
        aws.aws.before.append(enforcer)
        aws.settle()
        print(enforcer.denied, enforcer.used, enforcer.seen)
        assert not enforcer.denied
