"""A file for each command: its arguments, and the call of the library."""
