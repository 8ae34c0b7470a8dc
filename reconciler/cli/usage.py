"""What is wrong with a command line, in words: the framework's own are about its types."""

from __future__ import annotations

import re

from typer.exceptions import TyperException

from reconciler.diagnostics import meant

_CHOICES = re.compile(r"Value error, '(?P<given>.*)' is not one of (?P<known>.*)\.")
_PLAIN = (
    (re.compile(r"Input should be a valid integer\b.*"), "must be a whole number"),
    (re.compile(r"Input should be a valid number\b.*"), "must be a number"),
    (re.compile(r"Input should be less than or equal to (.*)"), r"must be at most \1"),
    (re.compile(r"Input should be greater than or equal to (.*)"), r"must be at least \1"),
)


def in_words(error: TyperException) -> str:
    """The message of a usage error, with the flag or the variable that the value came from."""
    parameter = getattr(error, "param", None)
    plain = _plain(error.message)
    if parameter is None or plain is None:
        return error.format_message()
    context = getattr(error, "ctx", None)
    source = context.get_parameter_source(parameter.name) if context is not None else None
    is_variable = source is not None and source.name == "ENVIRONMENT"
    return f"{parameter.envvar if is_variable else parameter.opts[0]} {plain}"


def _plain(message: str) -> str | None:
    """``None`` for a message that is plain already."""
    if (found := _CHOICES.fullmatch(message)) is not None:
        known = re.findall(r"'([^']*)'", found["known"])
        return f"takes {', '.join(known)}; not {found['given']!r}{meant(found['given'], known)}"
    for pattern, words in _PLAIN:
        if (match := pattern.fullmatch(message)) is not None:
            return match.expand(words)
    return None
