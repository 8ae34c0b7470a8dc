"""Faults that the fast tests must find: ``python -m tests.mutants``."""
