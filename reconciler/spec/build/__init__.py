"""From the YAML tree to the desired state: variables, scalars, validation by the models."""
