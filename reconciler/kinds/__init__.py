"""The differences between kinds of resource: the steps that create, update and delete each. What
they have in common is in ``planner``."""
