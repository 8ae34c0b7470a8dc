"""``python -m reconciler``."""

from reconciler.cli.app import main

main()
