"""From desired and live state to an ordered plan, as pure functions: what is created, changed,
removed and kept, and what may be in use. Nothing here calls AWS."""

from reconciler.planner.options import Options
from reconciler.planner.planner import plan_context, plan_target

__all__ = ["Options", "plan_context", "plan_target"]
