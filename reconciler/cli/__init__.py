"""The program: arguments, console, files, exit codes. Everything that prints is here."""
