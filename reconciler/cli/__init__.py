"""The command line: arguments, exit codes, and all that is printed."""
