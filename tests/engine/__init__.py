"""Targets on other machines."""
