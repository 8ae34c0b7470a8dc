"""Markdown that a hoster renders: hostile names stay names, and what does not fit is left out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.render.ci.repository import Repository
from reconciler.render.escape import markdown_code, markdown_text
from reconciler.render.markdown import Page, drift_markdown, plan_markdown
from tests.render.situations import (
    HOSTILE,
    change,
    drift_report,
    everything,
    plan_document,
    plan_report,
)

RENDERER = MarkdownIt("commonmark").enable("table")
ALLOWED = re.compile(
    r"</?(?:h3|table|thead|tbody|tr|th|td|p|ul|li|strong|em|code|pre|a|details|summary)\b"
)


def rendered(text: str) -> str:
    return str(RENDERER.render(text))


def is_harmless(html: str) -> None:
    """No element but those of a report, and no link but ours."""
    for tag in re.findall(r"<[^!].*?>", html):
        assert ALLOWED.match(tag), tag
    assert not re.findall(r'href="(?!https://git\.example/)', html)


@given(st.text(max_size=40))
def test_text_is_text(text: str) -> None:
    html = rendered(f"a {markdown_text(text)} b")
    assert html.count("<") == 2, html
    assert not re.search(r"(?<!\w)@\w", html)


@given(st.text(max_size=40))
def test_code_is_code(text: str) -> None:
    html = rendered(f"| a | b |\n| --- | --- |\n| {markdown_code(text)} | x |\n")
    assert html.count("<td>") == 2, html
    assert html.count("<code>") == 1


def test_hostile_names_in_a_plan() -> None:
    hostile = {"address": f"role/{HOSTILE}", "reason": HOSTILE}
    document = plan_document(
        change(f"role/{HOSTILE}", reason=HOSTILE, differences=[
            {"path": f"tags.{HOSTILE}", "before": HOSTILE, "after": "```\n<script>"}]),
        kept=[{**hostile, "status": "left"}],
        guards=[{"key": HOSTILE, "reason": HOSTILE, "lift": HOSTILE, "addresses": []}],
        conflicts=[{**hostile, "owner": HOSTILE, "lift": HOSTILE, "source": None}],
        unread=[{**hostile, "region": None}],
    )  # fmt: skip
    html = rendered(plan_markdown(document, Page()))
    is_harmless(html)
    assert "@team" not in re.sub(r"<code.*?</code>", "", html, flags=re.S)


def test_links_lead_to_the_commit() -> None:
    place = Repository(".", "https://git.example/o/r/blob/abc")
    html = rendered(plan_markdown(plan_document(change()), Page(repository=place)))
    assert 'href="https://git.example/o/r/blob/abc/specs/a.yaml#L3"' in html
    is_harmless(html)


@pytest.mark.parametrize("budget", [400, 900, 2_000, 5_000, 20_000, 60_000])
def test_what_does_not_fit_is_left_out(budget: int) -> None:
    """Differences first, then rows; the counts and the digest are always there."""
    document = plan_document(*(change(f"role/r{n:03}") for n in range(300)))
    text = plan_markdown(document, Page(budget=budget))
    assert len(text.encode()) <= budget
    assert "300 to change" in text
    assert document["digest"] in text
    rows = len(re.findall(r"^\| `", text, re.M))
    diffs = len(re.findall(r"^! role", text, re.M))
    assert rows == 300 or diffs == 0
    assert (rows == 300 and diffs == 300) or "do not fit" in text
    is_harmless(rendered(text))


def test_everything_there_is() -> None:
    stopped, pruned, drift = everything()
    for planned in (stopped, pruned):
        is_harmless(rendered(plan_markdown(plan_report(planned).document, Page())))
    is_harmless(rendered(drift_markdown(drift_report(drift).document, Page())))


def test_a_plan_without_changes() -> None:
    assert "no changes" in plan_markdown(plan_document(), Page())


def test_an_apply_that_failed_in_part() -> None:
    failure: dict[str, Any] = {
        "target": None,
        "address": "role/a",
        "what": "iam:TagRole",
        "status": "failed",
        "reason": "AccessDenied: no",
        "request_id": "r-1",
        "remaining": [],
    }
    outcome: Any = {
        "exit_code": 3,
        "applied": 2,
        "failed": 1,
        "skipped": 0,
        "interrupted": False,
        "failures": [failure],
        "left": ["role/a"],
        "stranded": [],
        "advice": ["apply again to resume"],
    }
    document = plan_document(change())
    document["outcome"] = outcome
    text = plan_markdown(document, Page())
    assert text.startswith("### reconciler apply")
    assert "Applied in part: 2 steps applied, 1 failed" in text
    assert "iam:TagRole: AccessDenied: no" in text
    assert "**Remaining:** `role/a`" in text
