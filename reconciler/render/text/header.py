"""Where a plan would be applied: what must be seen before anything else."""

from __future__ import annotations

from reconciler.plan.plan import Plan, TargetPlan
from reconciler.render.styled_text import Line, data, line


def header_lines(plan: Plan) -> list[Line]:
    """Account, caller, regions and owner, for each target."""
    lines: list[Line] = []
    several = len(plan.targets) > 1
    for target in plan.targets:
        named = f"Target {target.target}: account " if several else "Account "
        lines.append(
            line(
                named,
                data(account_in_words(target), "bold"),
                data(f", as {target.identity.arn}" if target.identity.arn else "", "dim"),
            )
        )
        where = f"regions {', '.join(target.regions)}" if target.regions else "no region"
        lines.append(line("  ", data(f"{where}; owner {target.owner}", "dim")))
    return lines


def account_in_words(target: TargetPlan) -> str:
    """``123456789012 (acme-prod)``."""
    alias = f" ({target.identity.alias})" if target.identity.alias else ""
    return f"{target.identity.account_id}{alias}"
