"""The desired state: from YAML files to the model."""
