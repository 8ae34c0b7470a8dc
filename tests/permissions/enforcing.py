"""A sandbox that allows what statements allow, and notes which of them were needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.sandbox.authorization import Authorizer
from reconciler.sandbox.state import Logged, World
from tests.rig import OURS


def document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@dataclass
class Enforcer(Authorizer):
    """Put into ``World.before``. ``seen`` are the calls."""

    seen: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls, world: World, statements: Sequence[Mapping[str, Any]], account: str | None = None
    ) -> Enforcer:
        return cls(world, [document(statements)], "tests", only=OURS, account=account)

    @property
    def used(self) -> set[str]:
        """The statements that alone allowed something."""
        found = (a.decision for a in self.answers if a.decision.is_allowed)
        return {decision.by[0]["Sid"] for decision in found if len(decision.by) == 1}

    def __call__(self, logged: Logged) -> None:
        if OURS in logged.user_agent and self.account in (None, logged.account):
            self.seen.add(logged.name)
        super().__call__(logged)
