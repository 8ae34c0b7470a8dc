"""A page as one file: nothing is fetched, nothing is run but its own script.

Source: developer.mozilla.org/docs/Web/HTTP/Guides/CSP (hashes of inline styles and scripts)
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files

from reconciler.render.escape import printable


def text(value: object) -> str:
    """Harmless in HTML, in text and in attributes."""
    return escape(printable(value))


def page(title: str, body: str, *, data: str | None = None) -> str:
    """``body`` is HTML; ``data`` is JSON for the page's script, which there is only with it."""
    css = own("page.css")
    script = own("page.js") if data is not None else ""
    scripts = f"script-src '{_hash(script)}'; " if script else ""
    policy = (
        f"default-src 'none'; style-src '{_hash(css)}'; {scripts}"
        "base-uri 'none'; form-action 'none'"
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="referrer" content="no-referrer"><title>{text(title)}</title>'
        f"<style>{css}</style>"
    )
    tail = ""
    if data is not None:
        inside = data.replace("<", "\\u003c")
        tail = f'<script type="application/json" id="document">{inside}</script>'
        tail += f"<script>{script}</script>"
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>{body}</main>'
        f"{tail}</body></html>\n"
    )


@cache
def own(name: str) -> str:
    return files("reconciler.render.html").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
