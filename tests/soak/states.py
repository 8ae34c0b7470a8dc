"""Random desired states, from dice: the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

ACTIONS = ("s3:GetObject", "s3:PutObject", "ec2:Describe*")
AWS_POLICIES = ("AmazonSSMManagedInstanceCore", "CloudWatchAgentServerPolicy")
STRATEGIES = ("reassociate", "reassociate", "restart", "hop")


def document(dice: random.Random) -> dict[str, Any]:
    actions = dice.sample(ACTIONS, dice.randint(1, 2))
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def tags(dice: random.Random) -> dict[str, str]:
    keys = dice.sample(["team", "Tier", "cost"], dice.randint(0, 2))
    return {key: dice.choice(["", "a", "b"]) for key in keys}


def some(dice: random.Random, names: tuple[str, ...], least: int) -> list[str]:
    return sorted(dice.sample(names, dice.randint(least, len(names))))


def role(dice: random.Random, policies: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"trust": dice.choice(["ec2", ["ec2", "lambda"]]), "tags": tags(dice)}
    if dice.random() < 0.6:
        made["managed_policies"] = some(dice, (*policies, *AWS_POLICIES), 0)
    if dice.random() < 0.4:
        made["inline_policies"] = {dice.choice("ab"): document(dice)}
    if dice.random() < 0.4:
        made["description"] = dice.choice(["one", "two"])
    return made


def state(dice: random.Random) -> dict[str, Any]:
    policies = some(dice, ("p1", "p2"), 0)
    roles = some(dice, ("r1", "r2", "r3"), 1)
    profiles = {
        name: {
            "role": dice.choice(roles),
            "tags": tags(dice),
            "cutover": {
                "strategy": dice.choice(STRATEGIES),
                "max_unavailable": dice.choice([1, 2, "50%"]),
            },
        }
        for name in some(dice, ("f1", "f2"), 1)
    }
    made: dict[str, Any] = {
        "policies": {name: {"document": document(dice), "tags": tags(dice)} for name in policies},
        "roles": {name: role(dice, policies) for name in roles},
        "instance_profiles": profiles,
    }
    if dice.random() < 0.8:
        fleet = {
            "instance_profile": dice.choice(sorted(profiles)),
            "select": {"tags": {"app": "web"}},
        }
        made["associations"] = {"fleet": fleet}
    return made
