"""Whatever stands in AWS or in YAML, a terminal shows it and does nothing else."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from reconciler.render.escape import printable
from reconciler.render.styled_text import data, line, plain


@given(st.text())
def test_nothing_that_acts_comes_out(text: str) -> None:
    out = printable(text)
    # Blanks of every width (Zs) show as blanks; everything else must be printable.
    assert all(c.isprintable() or unicodedata.category(c) == "Zs" for c in out)
    assert not set(out) & {"\x1b", "\n", "\r", "\x07", "\u202e", "\u2066"}
    assert not out.strip().startswith("::")


def test_escapes_are_readable() -> None:
    assert printable("a\x1b[31mb\nc\u202ed") == "a\\u001b[31mb\\nc\\u202ed"


def test_no_line_begins_with_a_command() -> None:
    """GitHub's runner obeys it, whatever blanks stand before it."""
    assert printable("::add-mask::x") == "\\u003a:add-mask::x"
    assert printable("\u00a0 ::x") == "\u00a0 \\u003a:x"
    assert printable("a::b :c") == "a::b :c"


def test_markup_is_text() -> None:
    assert plain([line("role/", data("[red]app[/red]"))]) == "role/[red]app[/red]"
