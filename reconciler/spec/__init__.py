"""From YAML files to the desired state, and back: parse, build, check, format. Nothing here knows
AWS; what only AWS can tell is checked by ``planner``."""
