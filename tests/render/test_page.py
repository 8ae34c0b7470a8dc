"""The page: nothing is fetched, nothing of AWS's acts in it, and a person finds their way, in a real
browser where there is one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from reconciler.model.address import Address
from reconciler.plan.changes import Link
from reconciler.render import formats
from reconciler.render.ci.repository import Repository
from reconciler.render.html.diagram import picture
from reconciler.render.html.page import plan_page
from tests.render.situations import (
    HOSTILE,
    change,
    drift_report,
    everything,
    plan_document,
    plan_report,
)

CHROMIUM = shutil.which("chromium")
in_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium; on Debian: apt-get install chromium"
)


class Parsed(HTMLParser):
    """Tags with their attributes; raises for what does not close."""

    VOID = ("meta", "input", "rect", "line")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def hostile() -> str:
    address = f"role/{HOSTILE}"
    document = plan_document(
        change(address, reason=HOSTILE, consumers=[HOSTILE], differences=[
            {"path": f"tags.{HOSTILE}", "before": HOSTILE, "after": "</pre><script>alert(1)</script>"}]),
        guards=[{"key": "k", "reason": HOSTILE, "lift": HOSTILE, "addresses": []}],
        kept=[{"address": address, "reason": HOSTILE, "status": "left"}],
    )  # fmt: skip
    links = [Link(Address.parse(address), Address.parse(f"instance-profile/{HOSTILE}"), "comes")]
    links.append(
        Link(
            Address.parse(f"instance-profile/{HOSTILE}"),
            Address.parse(f"association/{HOSTILE}"),
            "same",
        )
    )
    place = Repository(".", "https://git.example/o/r/blob/abc")
    return plan_page(document, links, {address: [f"aws iam '{HOSTILE}'"]}, place)


def pages() -> list[str]:
    stopped, pruned, drift = everything()
    plans = [formats.PLAN["html"](plan_report(one)) for one in (stopped, pruned)]
    empty = plan_page(plan_document(), [], {}, Repository())
    return [*plans, formats.DRIFT["html"](drift_report(drift)), empty, hostile()]


@pytest.mark.parametrize("number", range(5))
def test_it_is_one_file_that_fetches_nothing(number: int) -> None:
    page = Parsed(pages()[number])
    known = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "ul", "li", "b",
             "button", "div", "svg", "g", "rect", "text", "line", "input", "select", "option", "span",
             "details", "summary", "pre", "script", "a"}  # fmt: skip
    for tag, attributes in page.tags:
        assert tag in known, tag
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style")
        ]
        if tag == "a":
            assert str(attributes["href"]).startswith("https://git.example/")
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in str(policy)


def test_the_whole_document_is_inside() -> None:
    text = pages()[0]
    found = re.search(r'<script type="application/json" id="document">(.*?)</script>', text, re.S)
    assert found is not None
    assert json.loads(found[1])["digest"] == everything()[0].plan.digest


def test_the_picture() -> None:
    links = [
        Link(Address.parse("role/a"), Address.parse("instance-profile/w"), "goes"),
        Link(Address.parse("role/b"), Address.parse("instance-profile/w"), "comes"),
    ]
    links += [
        Link(Address.parse("instance-profile/w"), Address.parse(f"association/i-{n}"), "fresh")
        for n in range(3)
    ]
    links += [
        Link(Address.parse("instance-profile/w"), Address.parse(f"association/j-{n}"), "same")
        for n in range(50)
    ]
    drawn = picture(links, {"role/b": "comes"})
    assert re.findall(r"<text[^>]*>([^<]*)<", drawn) == [
        "Roles", "Instance profiles", "Instances",
        "a", "+ b", "w", "↻ i-0", "↻ i-1", "↻ i-2", "50 instances",
    ]  # fmt: skip
    assert drawn.count("<line") == 6
    listed = re.findall(r"<li><span[^>]*>([^<]*)</span> <b[^>]*>([^<]*)</b>", drawn)
    assert listed == [
        ("instance profile", "w"), ("role", "- a"), ("role", "+ b"),
        ("instance", "↻ i-0"), ("instance", "↻ i-1"), ("instance", "↻ i-2"),
        ("instance", "50 instances"),
    ]  # fmt: skip
    assert picture([], {}) == ""


def test_what_changes_is_drawn_first() -> None:
    many = [
        Link(Address.parse(f"role/r{n}"), Address.parse(f"instance-profile/p{n:03}"), "same")
        for n in range(200)
    ]
    last = Link(Address.parse("role/x"), Address.parse("instance-profile/z"), "comes")
    drawn = picture([*many, last], {})
    assert ">z<" in drawn
    assert "141 more profiles are not shown" in drawn


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


def opened(browser: Any, folder: Path, html: str, **more: Any) -> tuple[Any, list[str]]:
    """The page, and what its console says: a violation of the policy is said there."""
    path = folder / "page.html"
    path.write_text(html, "utf-8")
    page = browser.new_page(**more)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    def dismissed(dialog: Any) -> None:
        said.append("dialog")
        dialog.dismiss()

    def requested(request: Any) -> None:
        if "page.html" not in request.url:
            said.append(request.url)

    page.on("dialog", dismissed)
    page.on("request", requested)
    page.goto(path.as_uri())
    return page, said


@in_a_browser
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser(browser: Any, tmp_path: Path, number: int, width: int, scheme: str) -> None:
    """Nothing acts, nothing is fetched, nothing sticks out."""
    size = {"width": width, "height": 900}
    page, said = opened(browser, tmp_path, pages()[number], viewport=size, color_scheme=scheme)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    assert dark == (scheme == "dark")
    assert said == []
    page.close()


@in_a_browser
def test_a_person_finds_their_way(browser: Any, tmp_path: Path) -> None:
    made = [change(f"role/r{n}") for n in range(3)]
    made.append(change("policy/p", actions=["delete"], differences=[], before={"path": "/"}))
    commands = {"role/r1": ["aws iam tag-role --role-name 'r1'"]}
    html = plan_page(plan_document(*made), [], commands, Repository())
    page, said = opened(browser, tmp_path, html, permissions=["clipboard-read", "clipboard-write"])
    visible = "details[data-verb]:visible"
    assert page.locator(visible).count() == 4
    page.keyboard.press("/")
    page.keyboard.type("r1")
    assert page.locator(visible).count() == 1
    assert page.locator("#shown").inner_text() == "1 of 4 shown"
    page.keyboard.press("Escape")
    assert page.locator(visible).count() == 4
    page.locator('.cards button[data-verb="destroy"]').click()
    assert page.locator(f"{visible} .address").all_inner_texts() == ["policy/p"]
    page.locator('.cards button[data-verb="destroy"]').click()
    page.select_option("#kind", "role")
    assert page.locator(visible).count() == 3
    row = page.locator("details", has_text="role/r1")
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    assert row.get_attribute("open") is not None
    assert 'description: "a" -> "b"' in row.inner_text()
    row.locator(".copy").click()
    row.locator(".copy", has_text=re.compile("Copied|Selected")).wait_for(timeout=5_000)
    page.locator("#open").click()
    assert page.locator("details[open]:visible").count() == 3
    page.locator("#open").click()
    assert page.locator("details[open]").count() == 0
    assert said == []
    page.close()


@in_a_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_instances_are_visible_at_every_width(browser: Any, tmp_path: Path, width: int) -> None:
    links = [
        Link(Address.parse("role/b"), Address.parse("instance-profile/w"), "comes"),
        Link(Address.parse("instance-profile/w"), Address.parse("association/i-0abc12"), "fresh"),
    ]
    html = plan_page(plan_document(change()), links, {}, Repository())
    size = {"width": width, "height": 900}
    page, said = opened(browser, tmp_path, html, viewport=size)
    shown = page.locator("text=↻ i-0abc12").locator("visible=true")
    assert shown.count() == 1
    box = shown.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert said == []
    page.close()


@in_a_browser
def test_every_row_is_open_on_paper(browser: Any, tmp_path: Path) -> None:
    """By the style sheet alone: whoever makes a PDF of the page runs no script of it."""
    html = plan_page(plan_document(change("role/r1"), change("role/r2")), [], {}, Repository())
    page, _ = opened(browser, tmp_path, html, java_script_enabled=False)
    page.emulate_media(media="screen")
    inside = page.locator("details pre")
    assert [inside.nth(n).bounding_box()["height"] for n in range(2)] == [0, 0]
    page.emulate_media(media="print")
    assert all(inside.nth(n).bounding_box()["height"] > 10 for n in range(2))
    page.close()


def cut_over(count: int) -> str:
    """A page with a cut-over of so many instances, and a role."""
    ids = [f"i-{n:08x}" for n in range(count)]
    changes = [change("role/r"), change("instance-profile/web", consumers=ids)]
    changes += [
        change(f"association/{name}", actions=["cutover"], region=f"region-{n % 2}")
        for n, name in enumerate(ids)
    ]
    parts = {f"association/{name}": "instance-profile/web" for name in ids}
    return plan_page(plan_document(*changes), [], {}, Repository(), parts)


@in_a_browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("count", [1, 12, 13])
def test_instances_are_rows_below_their_cut_over(
    browser: Any, tmp_path: Path, width: int, count: int
) -> None:
    size = {"width": width, "height": 900}
    page, said = opened(browser, tmp_path, cut_over(count), viewport=size)
    group, row = page.locator("details.instances"), page.locator("details.instances > details")
    assert page.locator("details.instances").count() == 1
    few = count <= 12
    noun = "instance" if count == 1 else "instances"
    listed = group.locator("> summary").inner_text()
    regions = (
        "1 in region-0"
        if count == 1
        else f"{(count + 1) // 2} in region-0, {count // 2} in region-1"
    )
    assert listed == f"{count} {noun} of instance-profile/web {regions}"
    assert row.locator("visible=true").count() == (count if few else 0)
    if not few:
        group.locator("> summary").click()
        assert row.locator("visible=true").count() == count
    first = row.first
    assert first.get_attribute("open") is None
    first.locator("summary").click()
    assert first.locator(".inside").is_visible()
    box = first.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert said == []
    page.close()


@in_a_browser
def test_a_search_finds_folded_instances(browser: Any, tmp_path: Path) -> None:
    page, _ = opened(browser, tmp_path, cut_over(13))
    page.fill("#search", "i-0000000c")
    # The profile's row names its instances too.
    assert page.locator("details[data-verb]:visible .address").all_inner_texts() == [
        "instance-profile/web",
        "association/i-0000000c",
    ]
    assert page.locator("#shown").inner_text() == "2 of 15 shown"
    page.fill("#search", "role/r")
    assert not page.locator("details.instances").is_visible()
    page.fill("#search", "")
    assert page.locator("details.instances").get_attribute("open") is None
    page.locator("#open").click()
    assert page.locator("details.instances > details[open]:visible").count() == 13
    page.close()


@in_a_browser
def test_folded_instances_are_on_paper(browser: Any, tmp_path: Path) -> None:
    page, _ = opened(browser, tmp_path, cut_over(13), java_script_enabled=False)
    page.emulate_media(media="print")
    rows = page.locator("details.instances > details")
    assert all(rows.nth(n).bounding_box()["height"] > 10 for n in range(13))
    page.close()
