"""What each command does, imported when it is run: its help and the completion of its flags are not
to wait for that. The flags are in ``commands/``."""
