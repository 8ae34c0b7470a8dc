"""From a plan to outcomes, through the writer port."""

from reconciler.executor.run import Executor, Tools

__all__ = ["Executor", "Tools"]
