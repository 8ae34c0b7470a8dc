"""Specs written: the formatter, edits in place, live state as a spec."""
