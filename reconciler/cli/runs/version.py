"""What ``reconciler version --json`` does."""

from __future__ import annotations

from reconciler.cli.console import Console


def run(found: dict[str, str]) -> None:
    Console(color="never").out_json(found)
