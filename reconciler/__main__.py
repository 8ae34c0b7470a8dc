"""The entry point, also of ``python -m reconciler``."""

import signal


def main() -> None:
    """Runs the command line and exits."""
    # Until the program handles signals itself, one ends the process. Python's own handler would
    # print where in the imports it was.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from reconciler.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
