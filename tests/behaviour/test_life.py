"""A state machine: applies, crashes, and everything that people do to a fleet, in any order.

Hypothesis draws the order. After each step nobody whose profile we manage is lost; whenever an apply
ends well, every running consumer is served the role of its profile.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.behaviour.faults import Crash, crashing
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig

ROLES = ("v1", "v2", "v3")
REGIONS = (HOME, AWAY)


def spec(role: str, strategy: str, most: str) -> str:
    cutover = f"{{strategy: {strategy}, max_unavailable: {most}}}"
    return f"""
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}, v3: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {cutover}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}, regions: [{HOME}, {AWAY}]}}}}
"""


class Life(RuleBasedStateMachine):
    """One account from its first apply on. ``given`` are instances that had the profile, and that
    nobody has taken it from by hand since."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.aws: Rig = self.stack.enter_context(rig(Path(folder)))
        self.given: set[tuple[str, str]] = set()
        self.taken: set[tuple[str, str]] = set()
        self.role = "v1"
        self.is_swapped = False
        self.aws.write(spec("v1", "reassociate", "1"))
        self.aws.settle()
        self.aws.clock.sleep(60)

    def teardown(self) -> None:
        self.stack.close()

    def instances(self) -> list[tuple[str, str, str]]:
        found = []
        for region in REGIONS:
            for page in self.aws.ec2(region).get_paginator("describe_instances").paginate():
                for reservation in page["Reservations"]:
                    found += [
                        (region, i["InstanceId"], i["State"]["Name"])
                        for i in reservation["Instances"]
                    ]
        return sorted(found)

    def some(self, number: int, *states: str) -> tuple[str, str] | None:
        fitting = [(region, i) for region, i, state in self.instances() if state in states]
        return fitting[number % len(fitting)] if fitting else None

    @rule(
        role=st.sampled_from(ROLES),
        strategy=st.sampled_from(["reassociate", "hop", "restart"]),
        most=st.sampled_from(["1", "2", "50%"]),
    )
    def want(self, role: str, strategy: str, most: str) -> None:
        self.role = role
        self.aws.write(spec(role, strategy, most))

    @rule()
    def apply(self) -> None:
        """Whatever happened before, one apply ends it."""
        flags: dict[str, Any] = {"allow": frozenset({("retry", "*")})}
        applied = self.aws.apply(**flags)
        broken = [o for o in applied.result.outcomes if o.status != "applied"]
        assert not broken, broken
        assert applied.left is not None
        assert applied.left.is_empty, applied.left.changes
        self.aws.clock.sleep(60)
        self.is_swapped = False
        self.learn()
        for region, instance in self.given:
            if (region, instance, "running") in self.instances():
                assert self.aws.served(instance, region) == self.role, instance
        note = self.aws.profile_tags("web")["reconciler:role-id"]
        assert note == self.aws.role_id(self.role)

    @rule(at=st.integers(1, 25), after=st.booleans())
    def die(self, at: int, after: bool) -> None:
        """An apply that dies at one of its writes, if it has so many."""
        try:
            with crashing(self.aws, at, after=after):
                self.aws.apply(allow=frozenset({("retry", "*")}))
        except Crash:
            pass
        self.learn()

    @rule(region=st.sampled_from(REGIONS), is_ours=st.booleans())
    @precondition(lambda self: len(self.instances()) < 5 and self.aws.role_in("web") is not None)
    def launch(self, region: str, is_ours: bool) -> None:
        self.aws.clock.sleep(60)
        if is_ours:
            self.aws.launch(1, region=region, tags={"app": "web"})
        else:
            self.aws.launch(1, region=region, profile="web")
        self.learn()

    @rule(number=st.integers(0, 9))
    def halt(self, number: int) -> None:
        if found := self.some(number, "running"):
            self.aws.ec2(found[0]).stop_instances(InstanceIds=[found[1]])

    @rule(number=st.integers(0, 9))
    def start(self, number: int) -> None:
        if found := self.some(number, "stopped"):
            self.aws.ec2(found[0]).start_instances(InstanceIds=[found[1]])

    @rule(number=st.integers(0, 9))
    def end(self, number: int) -> None:
        if found := self.some(number, "running", "stopped"):
            self.aws.ec2(found[0]).terminate_instances(InstanceIds=[found[1]])
            self.given.discard(found)

    @rule(role=st.sampled_from(ROLES))
    def swap_by_hand(self, role: str) -> None:
        held = self.aws.role_in("web")
        # There and back between two applies leaves no trace: docs/reliability.md says so.
        if held is not None and held != role and not self.is_swapped:
            self.is_swapped = True
            web = {"InstanceProfileName": "web"}
            self.aws.iam.remove_role_from_instance_profile(**web, RoleName=held)
            self.aws.iam.add_role_to_instance_profile(**web, RoleName=role)

    @rule(number=st.integers(0, 9))
    def take_off_by_hand(self, number: int) -> None:
        if found := self.some(number, "running", "stopped"):
            region, instance = found
            row = self.aws.aws.staying(ACCOUNT, region, instance)
            if row is not None:
                self.aws.ec2(region).disassociate_iam_instance_profile(AssociationId=row.id)
                self.given.discard(found)
                self.taken.add(found)
                self.aws.clock.sleep(10)

    @rule(seconds=st.sampled_from([5, 90, 3600]))
    def wait(self, seconds: int) -> None:
        self.aws.clock.sleep(seconds)

    def learn(self) -> None:
        for region, instance, _ in self.instances():
            if self.aws.aws.staying(ACCOUNT, region, instance):
                self.given.add((region, instance))

    @invariant()
    def nobody_is_lost(self) -> None:
        noted = {
            word.removesuffix("/start")
            for key, value in self.aws.profile_tags("web").items()
            if "in-flight" in key
            for word in value.split()
        }
        for region, instance in self.given:
            has_one = self.aws.aws.staying(ACCOUNT, region, instance) is not None
            assert has_one or f"{region}/{instance}" in noted, instance


Life.TestCase.settings = settings(max_examples=8, stateful_step_count=12)
TestLife = Life.TestCase


class LongLife(Life):
    pass


LongLife.TestCase.settings = settings(max_examples=150, stateful_step_count=25)
TestLongLife = pytest.mark.slow(LongLife.TestCase)
