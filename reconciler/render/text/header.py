"""Where a plan would be applied: what must be seen before anything else."""

from __future__ import annotations

from reconciler.plan.plan import Plan, TargetPlan
from reconciler.render.styled_text import Line, data, line


def header_lines(plan: Plan) -> list[Line]:
    """Account, caller, regions and owner, for each target."""
    several = len(plan.targets) > 1
    return [one for target in plan.targets for one in header_lines_of(target, several=several)]


def header_lines_of(target: TargetPlan, *, several: bool) -> list[Line]:
    """Those of one target; with its name where there are ``several``, or the settings name it:
    one of them may be all that is told."""
    is_named = several or target.target != "default"
    named = f"Target {target.target}: account " if is_named else "Account "
    caller = data(f", as {target.identity.arn}" if target.identity.arn else "", "dim")
    where = f"regions {', '.join(target.regions)}" if target.regions else "no region"
    return [
        line(named, data(account_in_words(target), "bold"), caller),
        line("  ", data(f"{where}; owner {target.owner}", "dim")),
    ]


def account_in_words(target: TargetPlan) -> str:
    """``123456789012 (acme-prod)``."""
    alias = f" ({target.identity.alias})" if target.identity.alias else ""
    return f"{target.identity.account_id}{alias}"
