"""The picture of ``reconciler demo`` in ``docs/demo.svg``: what it prints of a cut-over that is killed
and resumed, with its colors."""

from __future__ import annotations

import re
from io import StringIO
from unittest.mock import patch

from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from reconciler.cli.app import app
from reconciler.cli.runs import demo
from tests.transcripts import normal

_CHAPTERS = re.compile(r"(?:\x1b\[[\d;]*m)?4\. The specs change.*?(?=\n\S*6\. )", re.DOTALL)
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
WIDTH = 104


def picture() -> str:
    """Of chapters 4 and 5. Its fonts are those of the reader: nothing is fetched for it."""
    with patch.object(demo, "REAL_SHARE", 0.0):
        told = CliRunner().invoke(app, ["demo", "--color", "always"]).stdout
    found = _CHAPTERS.search(told)
    assert found is not None, told
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(normal(found[0])))
    made = console.export_svg(title="reconciler demo", unique_id="demo")
    return "\n".join(line.rstrip() for line in _FONTS.sub("", made).splitlines()) + "\n"
