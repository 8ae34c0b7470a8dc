"""From YAML files to the desired state, and back: parse, build, check, format. Nothing here calls
AWS; what only AWS can answer is checked by ``planner``."""
