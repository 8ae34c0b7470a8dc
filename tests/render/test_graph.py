"""The picture in each format: nothing of AWS's is markup, boxes do not overlap, and what is in them
fits."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.address import Address
from reconciler.plan.changes import Link, Mark
from reconciler.plan.picture import Node, Picture
from reconciler.render.escape import printable
from reconciler.render.graph.dot import dot, quoted
from reconciler.render.graph.layout import CHARACTER, Box, columns_of, laid_out
from reconciler.render.graph.links import network
from reconciler.render.graph.mermaid import label, mermaid
from reconciler.render.graph.page import Section, graph_page
from reconciler.render.graph.rows import LETTERS, GraphRow, rows
from reconciler.render.graph.svg import svg_file
from tests.render.situations import HOSTILE
from tests.render.test_page import Parsed

MOST = 12
NAMES = (
    HOSTILE,
    '"]; click n1 "javascript:alert(1)"',
    "a\\",
    "a<b>&amp;#59; 1. x",
    "- x",
    "1. x",
    "end",
    "😀 名前 \u202e",
    "x" * 256,
)


def role(name: str) -> Address:
    return Address.parse(f"role/{name}")


def profile(name: str) -> Address:
    return Address.parse(f"instance-profile/{name}")


def instance(number: int) -> Address:
    return Address.parse(f"association/i-{number:017x}")


def swap(count: int = 1, name: str = "web", mark: Mark = "fresh") -> list[Link]:
    return [
        Link(role(f"{name}-v1"), profile(name), "goes"),
        Link(role(f"{name}-v2"), profile(name), "comes"),
        *(Link(profile(name), instance(n), mark) for n in range(count)),
    ]


def hostile() -> list[GraphRow]:
    nodes = [Node(instance(n), label=text, region="us-east-1") for n, text in enumerate(NAMES)]
    links = [Link(profile("web"), node.address, "fresh") for node in nodes]
    nodes.append(Node(profile("web"), "changes", reason=HOSTILE))
    return rows(Picture.of(links, nodes), MOST)


def of(links: list[Link], *nodes: Node) -> list[GraphRow]:
    return rows(Picture.of(links, nodes), MOST)


def told(listed: list[GraphRow]) -> list[tuple[str, ...]]:
    return [(leaf.title, *leaf.details) for row in listed for leaf in row.leaves]


def test_up_to_twelve_instances_are_drawn_one_by_one() -> None:
    assert len(told(of(swap(12)))) == 12
    assert told(of(swap(13))) == [("13 instances",)]


def test_what_happens_to_instances_is_not_folded_away() -> None:
    links = [*swap(40, mark="same")[2:], Link(profile("web"), instance(99), "goes")]
    assert told(of(links)) == [(instance(99).name,), ("40 instances",)]


def test_the_regions_of_many_instances_are_all_there() -> None:
    regions = [f"region-number-{n}" for n in range(7)]
    nodes = [Node(instance(n), region=regions[n % 7]) for n in range(5_000)]
    ((title, *lines),) = told(of(swap(5_000), *nodes))
    assert title == "5000 instances"
    assert all(len(line) <= LETTERS for line in lines)
    counts = dict(re.findall(r"(region-number-\d): (\d+)", re.sub(r"(\d+) in (\S+\d)", r"\2: \1", " ".join(lines))))  # fmt: skip
    assert list(counts) == regions
    assert sum(map(int, counts.values())) == 5_000


def test_what_changes_comes_first_and_profiles_of_one_role_are_together() -> None:
    links = [
        Link(role("shared"), profile("a"), "same"),
        Link(role("own"), profile("b"), "same"),
        Link(role("shared"), profile("c"), "same"),
        *swap(name="z"),
    ]
    made = of(links, Node(role("free"), "comes"), Node(role("unused")))
    assert [row.profile and row.profile.address.name for row in made] == [
        "z", None, "a", "c", "b", None
    ]  # fmt: skip
    assert [row.roles[0][0].address.name for row in made if row.profile is None] == [
        "free", "unused"
    ]  # fmt: skip


def test_only_what_changes() -> None:
    whole = Picture.of(
        [*swap(name="web"), Link(role("b"), profile("b"), "same"), Link(role("c"), profile("c"), "same")],
        [Node(role("c"), "changes", reason="policy/p changes"), Node(role("new"), "comes")],
    )  # fmt: skip
    assert {str(node.address) for node in whole.changing.nodes} == {
        "role/web-v1", "role/web-v2", "instance-profile/web", str(instance(0)),
        "role/c", "instance-profile/c", "role/new",
    }  # fmt: skip


@pytest.mark.parametrize("links", [swap(), swap(12), [*swap(5), *swap(3, "api"), *swap(0, "x")]])
def test_boxes_do_not_overlap_and_lines_end_at_boxes(links: list[Link]) -> None:
    drawing = laid_out(
        of(links, Node(role("free"), "comes"), Node(profile("web"), reason="y" * 90))
    )
    for one, other in combinations(drawing.boxes, 2):
        assert (
            one.y + one.height <= other.y
            or other.y + other.height <= one.y
            or one.x + one.width <= other.x
            or other.x + other.width <= one.x
        ), (one, other)
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
    left = {(box.x + box.width, box.y + box.height / 2) for box in drawing.boxes}
    right = {(box.x, box.y + box.height / 2) for box in drawing.boxes}
    for stroke in drawing.strokes:
        assert (stroke.x1, stroke.y1) in left
        assert (stroke.x2, stroke.y2) in right


def test_a_role_is_beside_the_profiles_that_change() -> None:
    """Not in the middle of all that hold it, which may be pages below."""
    links = [Link(role("shared"), profile(f"p{n:02}"), "same" if n else "comes") for n in range(60)]
    drawing = laid_out(of(links))
    tops = {box.whole: box.y for box in drawing.boxes}
    assert tops["role/shared"] == tops["instance-profile/p00"]


@pytest.mark.parametrize("name", ["x" * 256, "a, b, " * 40, "名前" * 60])
def test_the_region_is_there_however_long_the_name(name: str) -> None:
    drawing = laid_out(of(swap(), Node(instance(0), label=name, region="ap-southeast-2")))
    box: Box = next(box for box in drawing.boxes if box.whole.startswith("i-"))
    assert box.lines[1].endswith("…, ap-southeast-2")
    assert columns_of(box.lines[1]) <= LETTERS


@given(st.text(max_size=80), st.sampled_from(["", "us-east-1"]))
def test_text_fits_its_box(text: str, region: str) -> None:
    drawing = laid_out(of(swap(), Node(instance(0), label=text or "x", region=region)))
    box: Box = next(box for box in drawing.boxes if box.whole.startswith("i-"))
    for line in box.lines:
        assert columns_of(line) * CHARACTER <= box.width


@settings(max_examples=40)
@given(st.text())
def test_every_text_is_text_in_every_format(text: str) -> None:
    listed = of(swap(), Node(instance(0), label=text, region="us-east-1"), Node(profile("web"), reason=text))  # fmt: skip
    ElementTree.fromstring(svg_file([(text, listed), ("", [])]))
    Parsed(graph_page(text, text, [Section(text, listed, (text,))], text))
    assert unquoted(quoted(text, "x")) == f"{printable(text)}\nx"
    assert unlabelled(label(text)) == printable(text)


def unquoted(string: str) -> str:
    """As Graphviz reads a string in quotes as a label."""
    found = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', string, re.S)
    assert found is not None
    text = re.sub(r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], found[1])
    assert not re.search("&(?!amp;)", text)
    return text.replace("&amp;", "&")


def unlabelled(text: str) -> str:
    """As Mermaid reads a label: nothing in it is markup, of its own, of Markdown or of HTML."""
    assert all(c.isalnum() or c in " ._,/-#;" for c in text), text
    assert not re.match(r"\s*([-*+]|\d+\.)\s", text)
    return re.sub(r"#(\d+);", lambda one: chr(int(one[1])), text)


_VERTEX = re.compile(
    r'  (?:  )?n\d+_\d+(\(\["|\["|\(")([^"]*)("\]\)|"\]|"\))(:::(?:comes|goes|changes|fresh))?'
)
_EDGE = re.compile(
    r"  (?:  )?n\d+_\d+ (?:-->|-\.->)(?:\|(?:added|removed|changed|cut over)\|)? n\d+_\d+"
)
_OTHER = re.compile(
    r'flowchart LR|  subgraph t\d+\["[^"]*"\]|  end|    e\d+\["[^"]*"\]|  classDef \w+ [-#:,\w ]+|'
    r"  linkStyle [\d,]+ stroke:#\w+,stroke-width:2px"
)


@pytest.mark.parametrize("titles", [("",), (HOSTILE, "b")])
def test_mermaid(titles: tuple[str, ...]) -> None:
    """Each line is one of those that the grammar has, and no more of them come from what is in
    the data."""
    parts = [(title, network(hostile())) for title in titles]
    if len(titles) > 1:
        parts.append(("none", network([])))
    lines = mermaid(parts, empty="Nothing changes.").splitlines()
    for line in lines:
        assert _VERTEX.fullmatch(line) or _EDGE.fullmatch(line) or _OTHER.fullmatch(line), line
    vertices = [found for line in lines if (found := _VERTEX.fullmatch(line))]
    assert len(vertices) == len(titles) * (len(NAMES) + 1)
    assert sum(bool(_EDGE.fullmatch(line)) for line in lines) == len(titles) * len(NAMES)
    numbers = [line.split()[1] for line in lines if line.startswith("  linkStyle")]
    assert numbers == [",".join(str(n) for n in range(len(titles) * len(NAMES)))]


@pytest.mark.parametrize("titles", [("",), (HOSTILE, "b")])
def test_dot(titles: tuple[str, ...]) -> None:
    """Outside of strings in quotes there is nothing but what was put there."""
    parts = [(title, network(hostile())) for title in titles]
    text = dot(parts, empty="Nothing changes.")
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "S", text, flags=re.S)
    assert re.fullmatch(r"[\w\s{}\[\]=,;>-]+", bare), bare
    assert bare.count("{") == bare.count("}")
    assert bare.count("->") == len(titles) * len(NAMES)
    assert bare.count("shape=") == len(titles) * (len(NAMES) + 1)


def test_the_file_is_seen_in_the_dark_and_fetches_nothing() -> None:
    text = svg_file([("", hostile())])
    root = ElementTree.fromstring(text)
    assert "prefers-color-scheme:dark" in text
    tags = {element.tag.partition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "g", "text", "line"}
    assert not re.search(r"https?:", text.replace("http://www.w3.org/2000/svg", "").replace("(http:", ""))  # fmt: skip


def test_nothing() -> None:
    assert "Nothing changes." in svg_file([("", [])])
    assert mermaid([("", network([]))], empty="Nothing.") == 'flowchart LR\n  e1["Nothing."]\n'
    assert 'label="Nothing."' in dot([("", network([]))], empty="Nothing.")
    assert "Nothing changes." in graph_page("a", "b", [Section("", [])], "Nothing changes.")
