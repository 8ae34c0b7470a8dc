"""Checks of a desired state whose form is valid; AWS's limits are one table."""
