"""Pure functions from a plan, a result or findings to text: one file a format."""
