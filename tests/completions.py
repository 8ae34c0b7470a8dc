"""The shell completions, as the program prints them."""

from __future__ import annotations

from typer.testing import CliRunner

from reconciler.cli.app import NAME, app


def completion(shell: str) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``."""
    asked = {f"_{NAME.upper()}_COMPLETE": f"source_{shell}"}
    script = CliRunner().invoke(app, [], prog_name=NAME, env=asked).stdout
    return script.strip() + "\n"
