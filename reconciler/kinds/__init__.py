"""What differs between kinds of resource: the steps that create, update and delete each. What is
the same for all of them is in ``planner``."""
