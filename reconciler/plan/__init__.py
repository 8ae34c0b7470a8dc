"""The plan as a value: changes, calls, steps and their order, the digest. Nothing here decides what
is planned (``planner``) and nothing carries it out (``executor``)."""
