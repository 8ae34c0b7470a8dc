"""``reconciler demo``: the whole workflow in one process, on an AWS of its own."""

from __future__ import annotations

from reconciler.cli.arguments import Color, ColorFlag


def demo(color: ColorFlag = Color.auto) -> None:
    from reconciler.cli.runs.demo import run

    run(color)
