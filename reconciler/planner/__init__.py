"""From desired and live state to a plan. Pure: it holds neither reader nor writer."""

from reconciler.planner.assemble import plan_target
from reconciler.planner.options import Options

__all__ = ["Options", "plan_target"]
