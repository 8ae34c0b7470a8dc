"""What the apply of one saved plan needs: its steps, and the way back from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconciler.model.address import ASSOCIATION, name_of
from reconciler.permissions.reading import reading, verifying, watching
from reconciler.permissions.scope import PermissionScope
from reconciler.permissions.statements import Statement, merged, statement
from reconciler.plan.authorization import (
    BOUNDARY,
    NEW_PROFILE,
    OLD_PROFILE,
    PASS_ROLE,
    POLICY_ARN,
    TAG_KEYS,
    WRITES,
    Need,
)

RoleIn = Callable[[str], str | None]
"""The name of the role that the specs put into a profile; ``None`` if they do not say."""

_PROFILE = "instance-profile"
_ROLE_IN_PROFILE = (
    "iam:AddRoleToInstanceProfile",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:UntagInstanceProfile",
)
_ON_INSTANCE = ("ec2:AssociateIamInstanceProfile", "ec2:CreateTags", "ec2:DeleteTags")
_BACK: Mapping[str, tuple[str, ...]] = {
    "iam:AddRoleToInstanceProfile": _ROLE_IN_PROFILE,
    "iam:RemoveRoleFromInstanceProfile": _ROLE_IN_PROFILE,
    "ec2:DisassociateIamInstanceProfile": _ON_INSTANCE,
    "ec2:ReplaceIamInstanceProfileAssociation": _ON_INSTANCE,
    "ec2:StopInstances": ("ec2:StartInstances", "ec2:CreateTags", "ec2:DeleteTags"),
}
"""What a roll-back, a resumed run or an interrupt may add to a call, on the same resource."""
_SIDS = {"role": "Roles", "policy": "Policies", _PROFILE: "InstanceProfiles"}
_SIDS["instance"] = "Instances"
_REF = re.compile(r"\$\{[a-z-]+/([^{}]+)\.(?:id|arn)\}")


def applying_plan(
    target: Mapping[str, Any], scope: PermissionScope, role_in: RoleIn, *, least: bool = False
) -> Iterator[Statement]:
    """``target`` is one of plan JSON. Instances that a role change or a rule finds are looked up
    again when it is applied, so calls on them are allowed for every instance of the regions. With
    ``least`` without what the plan goes on without: evidence, unless it stops where there is
    none."""
    yield from reading(scope, "apply")
    intents = [change["intent"] for change in target["changes"]]
    yield from watching(
        alarms=any(intent.get("alarms") for intent in intents),
        target_groups=any(intent.get("target_groups") for intent in intents),
        denied=any(intent.get("denied") for intent in intents),
    )
    verifies = [intent["verify"] for intent in intents if intent.get("verify")]
    needed = [one for one in verifies if not least or one["on_unknown"] == "stop"]
    yield from verifying(scope, {source for one in needed for source in one["source"]})
    steps = [step for step in target["steps"] if "call" in step]
    found = _Steps(steps, scope, _of_rules(target))
    yield from merged(found.statements())
    yield from found.passing(role_in)


def _of_rules(target: Mapping[str, Any]) -> frozenset[str]:
    """Addresses of instances that the specs do not name one by one."""
    return frozenset(
        change["address"]
        for change in target["changes"]
        if change["kind"] == "association"
        and (change["actions"] in (["cutover"], ["restore"]) or "select" in change["intent"])
    )


class _Steps:
    """The calls of a plan."""

    def __init__(
        self, steps: list[Mapping[str, Any]], scope: PermissionScope, of_rules: frozenset[str]
    ) -> None:
        self._steps = steps
        self._scope = scope
        self._of_rules = of_rules
        given = [step["params"].get("IamInstanceProfile") for step in steps]
        self._given = {_name(profile["Arn"]) for profile in given if profile}
        swaps = [step["params"] for step in steps if step["call"] in _ROLE_IN_PROFILE]
        changed = {params["InstanceProfileName"] for params in swaps}
        self._profiles = scope.named(_PROFILE, self._given | changed)
        filled, deleted = (
            {s["params"]["InstanceProfileName"] for s in steps if s["call"] == call}
            for call in ("iam:AddRoleToInstanceProfile", "iam:DeleteInstanceProfile")
        )
        self._going = deleted - filled
        """Profiles that are deleted for good: no role comes back into them."""

    def statements(self) -> Iterator[Statement]:
        for step in self._steps:
            call = step["call"]
            for need in WRITES[call]:
                yield from self._needed(need, step, is_own=True)
            for back in () if self._goes(step) else _BACK.get(call, ()):
                for need in WRITES[back]:
                    yield from self._needed(need, step, is_own=False)
            params = step["params"]
            is_home = step["address"] == f"{_PROFILE}/{params.get('InstanceProfileName')}"
            if call in _ROLE_IN_PROFILE and "RoleName" in params and is_home:
                # When it lost its instances is noted on a role; those of a temporary profile are
                # counted for the other one.
                on = self._scope.named("role", [params["RoleName"]])
                yield from statement(_SIDS["role"], ["iam:TagRole"], on)

    def _goes(self, step: Mapping[str, Any]) -> bool:
        return step["params"].get("InstanceProfileName") in self._going

    def passing(self, role_in: RoleIn) -> Iterator[Statement]:
        """A role into a profile, and those inside of the profiles that instances get: of one that
        neither the plan nor the specs fill, any."""
        inside: dict[str, set[str]] = {profile: set() for profile in self._given}
        for step in self._steps:
            is_swap = step["call"] in _ROLE_IN_PROFILE and "RoleName" in step["params"]
            if is_swap and not self._goes(step):
                params = step["params"]
                inside.setdefault(params["InstanceProfileName"], set()).add(params["RoleName"])
        names = {name for roles in inside.values() for name in roles}
        names |= {role for profile in inside if (role := role_in(profile)) is not None}
        unknown = [p for p, roles in inside.items() if not roles and role_in(p) is None]
        on = self._scope.every("role") if unknown else self._scope.named("role", names)
        yield from statement("PassRolesToEc2", [PASS_ROLE.action], on, self._scope.passing())

    def _needed(self, need: Need, step: Mapping[str, Any], *, is_own: bool) -> Iterator[Statement]:
        if need is PASS_ROLE:
            return
        params, sid = step["params"], _SIDS[need.on]
        if need.on == "instance":
            if NEW_PROFILE in need.keys and not self._profiles:
                return  # what is taken off for good
            limits = self._limits(need, step)
            yield from statement(sid, [need.action], self._instances(step), limits)
        elif need.on == "policy":
            name = params["PolicyName"] if "PolicyName" in params else _name(params["PolicyArn"])
            yield from statement(sid, [need.action], self._scope.named("policy", [name]))
        elif need.on == "role":
            limits = self._limits(need, step) if is_own else {}
            on = self._scope.named("role", [params["RoleName"]])
            yield from statement(sid, [need.action], on, limits)
        else:
            on = self._scope.named(_PROFILE, [params["InstanceProfileName"]])
            yield from statement(sid, [need.action], on)

    def _limits(self, need: Need, step: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        params = step["params"]
        if POLICY_ARN in need.keys:
            return {"ArnLike": {POLICY_ARN: self._policy(params["PolicyArn"])}}
        if BOUNDARY in need.keys:
            return {"ArnLike": {BOUNDARY: self._policy(params["PermissionsBoundary"])}}
        if NEW_PROFILE in need.keys:
            return {"ArnLike": {NEW_PROFILE: self._profiles}}
        if OLD_PROFILE in need.keys:
            return {"ArnLike": {OLD_PROFILE: self._profiles}}
        return self._scope.our_tags() if TAG_KEYS in need.keys else {}

    def _policy(self, arn: str) -> tuple[str, ...]:
        return self._scope.policies([_REF.sub(r"\1", arn)])

    def _instances(self, step: Mapping[str, Any]) -> tuple[str, ...]:
        """Some calls of a cut-over are about several instances at once."""
        address = step["address"]
        if address in self._of_rules or not address.startswith(f"{ASSOCIATION}/"):
            return self._scope.instances()
        own = replace(self._scope, regions=(step["region"],))
        return own.instances([name_of(address)])


def _name(arn: str) -> str:
    """Of an ARN that is known, or that AWS gives during the apply."""
    return name_of(_REF.sub(r"\1", arn))
