"""The command line: arguments, console, files, signals and exit codes. Only here is printed."""
