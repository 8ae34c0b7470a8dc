"""A plan with what it takes to apply it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.commands.request import Connection, Request
from reconciler.commands.target import Account
from reconciler.diagnostics import Diagnostic, in_order
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.plan.plan import Plan, TargetPlan
from reconciler.planner.context import PlanContext
from reconciler.planner.patterns import AddressPattern, Matchable, unmatched
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import (
    ParsedSet,
)


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """The plan of one target, and the account that it is for."""

    plan: TargetPlan
    account: Account
    matchable: Matchable
    """What a pattern of addresses may match here."""
    idle: frozenset[Diagnostic] = frozenset()
    """Warnings about patterns of the settings that match nothing here."""
    context: PlanContext | None = None
    """What the plan was made from, where it is to be kept and the account was read."""

    @property
    def spec(self) -> SpecSet:
        return self.account.spec

    @property
    def connection(self) -> Connection:
        return self.account.connection


_SUGGESTION = "access-analyzer-suggestion"
"""A warning by its severity in the reports, which have nothing below."""
PlanSeverity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with everything that is needed to apply it, and to plan again."""

    plan: Plan
    targets: tuple[PlannedTarget, ...]
    """None for a shard that no target is in."""
    request: Request
    parsed: ParsedSet

    @property
    def root(self) -> str:
        return str(self.parsed.found.root)

    @property
    def sources(self) -> Mapping[str, str]:
        """The text of every spec file, by its name in diagnostics."""
        return self.parsed.sources

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        found = [d for t in self.targets for d in (*t.spec.diagnostics, *t.plan.diagnostics)]
        if not self.targets:
            found += self.parsed.diagnostics
        if not self.request.for_drift:
            found += (unmet.found for unmet in self.plan.unmet)
        return in_order(found)

    @property
    def severity(self) -> PlanSeverity | None:
        """How much the plan matters: ``critical`` if a change widens who may assume a role or what
        it may do, ``warning`` if there is a warning, ``info`` if there is any change; ``None`` for
        nothing of that."""
        if any(change.widens for change in self.plan.changes):
            return "critical"
        if any(
            found.severity == "warning" and found.code != _SUGGESTION for found in self.diagnostics
        ):
            return "warning"
        return None if self.plan.is_empty else "info"


def refuse_unmatched(asked: Iterable[AddressPattern], made: Iterable[PlannedTarget]) -> None:
    """Raises ``RefusedError`` (``USAGE``) for patterns that match in none of the targets."""
    found = tuple(unmatched(asked, [one.matchable for one in made]))
    if not found:
        return
    rule = "a pattern must match what the specs define, what their owner has in AWS, or an instance"
    first, *more = found
    raise RefusedError(first, ExitCode.USAGE, details=(*more, rule))
