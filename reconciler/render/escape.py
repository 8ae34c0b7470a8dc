"""What comes from AWS or YAML, made harmless for where it goes."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SPOKEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
LOG_COMMAND = re.compile(r"##([a-z]*)\[", re.IGNORECASE)
"""Runners obey ``##[…]`` (GitHub), ``##vso[…]`` (Azure) and ``##teamcity[…]`` in a line of a log;
GitHub's anywhere in it."""
_LINE_COMMAND = re.compile(r"^(\s*):(?=:)")
"""GitHub's runner obeys ``::…::`` where a line begins with it, blanks aside: as the name of a file
may, or a word of AWS's. Source: github.com/actions/runner, ActionCommand.TryParseV2"""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~&#@!$^=])|(:)(?=//)|(?<=www)(\.)")
"""Characters that are markup inside a line, or begin a link."""
_LINKING = re.compile(r"([@#])(?=\w)")
_JOINER = "\u200d"


def printable(text: object) -> str:
    """One line that a terminal, and the log of a pipeline, shows as it is: control, format and
    private characters (among them those that reverse the direction of text) are written as
    escapes."""
    plain = "".join(c if is_plain(c) else _SPOKEN.get(c, f"\\u{ord(c):04x}") for c in str(text))
    plain = LOG_COMMAND.sub(lambda found: f"#\\u0023{found[1]}[", plain)
    return _LINE_COMMAND.sub(r"\1\\u003a", plain)


def shortened(text: str, most: int) -> str:
    """At most so many characters; the last shows that there were more."""
    return text if len(text) <= most else text[: most - 1] + "…"


@lru_cache(10_000)
def is_plain(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")


def markdown_code(text: object) -> str:
    """A code span, in a table too: nothing inside it is markup, a mention or a link.
    Source: github.github.com/gfm (6.3 code spans, 4.10 tables)."""
    plain = printable(text)
    if not plain.strip():
        return "` `"
    fence = fence_for(plain, 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}".replace("|", "\\|")


def markdown_text(text: object) -> str:
    """Text without effect: no markup, no HTML, no mentions."""
    linked = _LINKING.sub(rf"\1{_JOINER}", printable(text))
    return _MARKUP.sub(r"\\\g<0>", linked)


def fence_for(text: str, least: int) -> str:
    """Backticks, longer than any run of them in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def github_data(text: object) -> str:
    """The message of a workflow command.
    Source: docs.github.com/actions/reference/workflow-commands-for-github-actions"""
    plain = "\n".join(printable(line) for line in str(text).split("\n"))
    return plain.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def github_property(text: object) -> str:
    """A property of a workflow command, such as ``file``."""
    return github_data(text).replace(":", "%3A").replace(",", "%2C")
