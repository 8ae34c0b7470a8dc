"""Why something is as it is: from an address or an instance to its chain (association, profile,
role, policies), what the instance is served, what the next apply does, and where new instances come
from. It reads through the planner and decides nothing: what comes next is the plan itself."""
