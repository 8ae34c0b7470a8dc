"""A module for each command: its arguments, the call of the library, and its output."""
