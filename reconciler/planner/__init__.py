"""From desired and live state to an ordered plan, as pure functions: what is created, changed,
removed, kept, and who may be using it. Nothing here calls AWS."""

from reconciler.planner.options import Options
from reconciler.planner.planner import plan_target

__all__ = ["Options", "plan_target"]
