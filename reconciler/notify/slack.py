"""A Slack message within the limits of incoming webhooks.

Source: docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from typing import Any

from reconciler.notify.notice import Notice
from reconciler.render import phrases
from reconciler.render.escape import printable, shortened
from reconciler.render.json.types import FindingShape

MOST_BLOCKS = 50
SECTION_CHARACTERS = 3_000
HEADER_CHARACTERS = 150
WHOLE_CHARACTERS = 12_000
"""Slack rejects messages of about 13,000 characters or more, which its pages do not say."""
_MARKS = {"critical": ":rotating_light:", "warning": ":warning:", "info": ":information_source:"}


def slack_message(notice: Notice) -> dict[str, Any]:
    """The body for an incoming webhook. Findings that do not fit are counted."""
    title = {"type": "plain_text", "text": shortened(notice.title, HEADER_CHARACTERS)}
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": title},
        _section(f"*{mrkdwn(notice.counts)}*"),
    ]
    room = WHOLE_CHARACTERS
    lines = [_line(finding) for finding in notice.findings]
    for number, line in enumerate(lines):
        room -= len(line)
        if room < 0 or len(blocks) == MOST_BLOCKS - 1:
            blocks.append(_section(f"_and {len(lines) - number} more_"))
            break
        blocks.append(_section(line))
    text = shortened(mrkdwn(f"{notice.title}: {notice.counts}"), SECTION_CHARACTERS)
    return {"text": text, "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _line(finding: FindingShape) -> str:
    """One finding, short enough for a section."""
    is_gone = finding["transition"] == "resolved"
    mark = ":white_check_mark:" if is_gone else _MARKS[finding["severity"]]
    status = f"{finding['transition'] or 'found'}: {phrases.headword(finding)}"
    what = mrkdwn(phrases.found(finding))
    who = f"; _{mrkdwn(phrases.who(finding['actor']))}_" if finding["actor"] else ""
    name = f"{finding['target']} {finding['address']}"
    return shortened(f"{mark} {status} `{mrkdwn(name)}` {what}{who}", SECTION_CHARACTERS)


def mrkdwn(text: object) -> str:
    """Escapes text so that it cannot mention users, link, or end a code span."""
    plain = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "`*_~":
        plain = plain.replace(mark, f"{mark}\u200b" if mark != "`" else "\u02cb")
    return plain
