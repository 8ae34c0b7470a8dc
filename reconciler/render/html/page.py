"""One HTML file for a plan or a drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from reconciler.plan.changes import Difference, Link, Mark
from reconciler.plan.picture import MARKS
from reconciler.render import phrases
from reconciler.render.ci.repository import Repository
from reconciler.render.html.diagram import picture
from reconciler.render.html.shell import page, text
from reconciler.render.json.encode import json_text
from reconciler.render.json.types import (
    ChangeShape,
    DriftShape,
    FindingShape,
    PlanShape,
    SourceShape,
    TargetShape,
)
from reconciler.render.styled_text import Line
from reconciler.render.text.direction import HAPPENED, PLANNED, Direction
from reconciler.render.text.values import difference_lines

_SIGNS = {"missing": "-", "left": "+", "unmanaged": "+"}
_LOOKS = {
    "modified": "update",
    "missing": "delete",
    "unadopted": "delete",
    "stale": "cutover",
    "in_progress": "cutover",
    "unknown": "delete",
}


@dataclass(frozen=True, slots=True)
class _Item:
    """Something that can be opened: a change or a finding. ``verb`` is what it is filtered by."""

    verb: str
    look: str
    sign: str
    address: str
    said: str
    source: SourceShape | None
    differences: list[tuple[str, Any, Any]]
    notes: list[str]
    commands: list[str]
    direction: Direction = PLANNED
    region: str | None = None
    instances: list[_Item] = field(default_factory=list)
    """Those that the cut-over of this profile brings over."""

    def all(self) -> Iterator[_Item]:
        yield self
        yield from self.instances


def plan_page(
    document: PlanShape,
    links: Iterable[Link],
    commands: dict[str, list[str]],
    repository: Repository,
    parts: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """``commands`` are those of the AWS CLI, by address; ``parts`` names the profile whose commands
    include those of an instance."""
    changes = phrases.changes_of(document)
    marks = {change["address"]: MARKS[change["actions"][0]] for change in changes}
    items = [item for target in document["targets"] for item in _changes(target, commands, parts)]
    stops = phrases.stops_of(document)
    counts = phrases.counts_in_words(phrases.counted(changes)) if changes else ""
    counts = "; ".join(part for part in (counts, stops) if part) or "no changes"
    estimate = f"; estimated duration: {phrases.lasts(document)}" if changes else ""
    verb = "Apply" if "outcome" in document else "Plan"
    about = f"{counts}{estimate}. Created at {document['created_at']}. Digest {document['digest']}."
    return _page(
        title=f"{verb} for {document['owner']}, {_accounts(document)}",
        about=about,
        items=items,
        notes=[*plan_notes(document)],
        drawing=picture(links, marks),
        legend=_LEGEND,
        document=document,
        repository=repository,
    )


def drift_page(document: DriftShape, links: Iterable[Link], repository: Repository) -> str:
    items = [_finding(finding) for finding in (*document["findings"], *document["resolved"])]
    found = [f"{n} {k.replace('_', ' ')}" for k, n in document["summary"].items() if n]
    marks: dict[str, Mark] = {f["address"]: "changes" for f in document["findings"]}
    about = f"{', '.join(found) or 'no drift'}. Compared at {document['created_at']}."
    notes = [("", phrases.note(n["address"], n["reason"])) for n in document["notes"]]
    return _page(
        title=f"Drift of {document['owner']}, {_accounts(document)}",
        about=about,
        items=items,
        notes=[*warnings(document), *notes],
        drawing=picture(links, marks),
        legend=_LEGEND_OF_DRIFT,
        document=document,
        repository=repository,
    )


def _accounts(document: PlanShape | DriftShape) -> str:
    named = [(t["target"], phrases.account(t)) for t in document["targets"]]
    shown = [account if name == "default" else f"{name} {account}" for name, account in named]
    return f"account {', '.join(shown)}"


def _changes(
    target: TargetShape, commands: Mapping[str, list[str]], parts: Mapping[str, str]
) -> list[_Item]:
    """The changes of a target, the instances of a cut-over below their profile."""
    made = [_change(c, commands, parts.get(c["address"])) for c in target["changes"]]
    by_address = {item.address: item for item in made}
    items: list[_Item] = []
    for item in made:
        whole = by_address.get(parts.get(item.address, ""))
        (items if whole is None else whole.instances).append(item)
    return items


def _change(change: ChangeShape, commands: Mapping[str, list[str]], whole: str | None) -> _Item:
    verb = phrases.verb_of(change)
    where = f" in {change['region']}" if change["region"] else ""
    notes = [change["reason"]] if change["reason"] else []
    notes.extend(f"Widens: {one['text']}" for one in change.get("widens", ()))
    if change["consumers"]:
        notes.append(f"running instances: {' '.join(change['consumers'])}")
    if (radius := change.get("blast_radius")) is not None:
        told = [phrases.consumers_in_words(group, FEW_INSTANCES) for group in radius["consumers"]]
        notes.extend(f"running: {one}" for one in told)
        notes.extend(phrases.apart(change))
    if whole is not None:
        notes.append(f"The commands are with {whole}.")
    return _Item(
        verb=phrases.COUNTED[verb],
        look=verb,
        sign=phrases.SYMBOLS[verb],
        address=change["address"],
        said=phrases.what(change) + where,
        source=change["source"],
        differences=phrases.attributes(change),
        notes=notes,
        commands=commands.get(change["address"], []),
        region=change["region"],
    )


def _finding(finding: FindingShape) -> _Item:
    notes = [*phrases.causes(finding)]
    if finding["reason"]:
        notes.append(finding["reason"])
    if finding["actor"]:
        notes.append(phrases.who(finding["actor"]))
    if finding["first_seen"]:
        notes.append(f"first seen at {finding['first_seen']}")
    since = f", {finding['transition']}" if finding["transition"] else ""
    status = finding["transition"] if finding["transition"] == "resolved" else finding["status"]
    return _Item(
        verb=str(status),
        look=_LOOKS.get(finding["status"], "faint"),
        sign="!" if finding["severity"] == "critical" else _SIGNS.get(finding["status"], "~"),
        address=finding["address"],
        said=f"{phrases.headword(finding)}{since}",
        source=finding["source"],
        differences=[(d["path"], d["before"], d["after"]) for d in finding["differences"]],
        notes=notes,
        commands=[],
        direction=HAPPENED,
    )


def _page(
    *,
    title: str,
    about: str,
    items: list[_Item],
    notes: list[Note],
    drawing: str,
    legend: str,
    document: PlanShape | DriftShape,
    repository: Repository,
) -> str:
    listed = "".join(f'<li class="{look}">{text(said)}</li>' for look, said in notes)
    parts = [
        f"<h1>{text(title)}</h1>",
        f'<p class="about">{text(about)}</p>',
        _cards(items),
        f'<h2>Notes</h2><ul class="notes">{listed}</ul>' if notes else "",
        f"<h2>Roles, profiles and instances</h2>{legend}{drawing}" if drawing else "",
        _tools(items),
        "".join(_shown(item, repository) for item in items),
    ]
    return page(title, "".join(parts), data=json_text(document, None))


_LEGEND = '<p class="faint">+ create, - destroy, ~ change, ↻ cut over</p>'
_LEGEND_OF_DRIFT = (
    '<p class="faint">~ differs from the specs; apply would + add, - take away, ↻ cut over</p>'
)


_LABELS = {"cutover": "cut over", "in_progress": "in progress"}


def _cards(items: list[_Item]) -> str:
    every = [one for item in items for one in item.all()]
    verbs = [item.verb for item in every]
    looks = {item.verb: item.look for item in every}
    cards = [
        f'<li><button type="button" data-verb="{text(verb)}" aria-pressed="false">'
        f'<b class="{looks[verb]}">{verbs.count(verb)}</b>{text(_LABELS.get(verb, verb))}'
        "</button></li>"
        for verb in dict.fromkeys(verbs)
    ]
    return f'<ul class="cards">{"".join(cards)}</ul>'


def _tools(items: list[_Item]) -> str:
    kinds = sorted({one.address.partition("/")[0] for item in items for one in item.all()})
    options = "".join(f'<option value="{text(k)}">{text(k)}</option>' for k in kinds)
    hidden = "" if items else " hidden"
    return (
        f'<div class="tools"{hidden}><input id="search" type="search" placeholder="Search  ( / )" '
        'aria-label="Search"><select id="kind" aria-label="Kind">'
        '<option value="">all kinds</option>'
        f'{options}</select><button type="button" id="open">Expand or collapse all</button>'
        '<span id="shown" class="faint" role="status"></span></div>'
    )


def _shown(item: _Item, repository: Repository) -> str:
    kind = item.address.partition("/")[0]
    inside = [f"<p>{text(note)}</p>" for note in item.notes]
    if item.differences:
        lines = [
            line
            for d in item.differences
            for line in difference_lines(Difference(*d), item.direction)
        ]
        inside.append(f"<pre>{chr(10).join(map(_colored, lines))}</pre>")
    if item.commands:
        code = text_lines(item.commands)
        inside.append(f'<pre>{code}</pre><button type="button" class="copy">Copy</button>')
    body = "".join(inside) or '<p class="faint">No details.</p>'
    return (
        f'<details data-verb="{text(item.verb)}" data-kind="{text(kind)}"><summary>'
        f'<span class="sign {item.look}">{text(item.sign)}</span>'
        f'<span class="address">{text(item.address)}</span> '
        f'<span class="faint">{text(item.said)}</span>{_place(item.source, repository)}'
        f'</summary><div class="inside">{body}</div></details>{_instances(item, repository)}'
    )


FEW_INSTANCES = 12
"""Most instances of a cut-over that are listed unasked."""


def _instances(item: _Item, repository: Repository) -> str:
    if not item.instances:
        return ""
    count = Counter(one.region for one in item.instances)
    regions = ", ".join(f"{count[region]} in {region}" for region in sorted(count, key=str))
    noun = "instance" if len(item.instances) == 1 else "instances"
    is_open = " open" if len(item.instances) <= FEW_INSTANCES else ""
    rows = "".join(_shown(one, repository) for one in item.instances)
    return (
        f'<details class="instances"{is_open}><summary>{len(item.instances)} {noun} of '
        f'<span class="address">{text(item.address)}</span> '
        f'<span class="faint">{text(regions)}</span></summary>{rows}</details>'
    )


def text_lines(lines: list[str]) -> str:
    return "\n".join(text(line) for line in lines)


def _colored(line: Line) -> str:
    looks = {"green", "red", "yellow", "magenta"}
    return "".join(
        f'<span class="{piece.style}">{text(piece.text)}</span>'
        if piece.style in looks
        else text(piece.text)
        for piece in line
    ).removeprefix("      ")


def _place(source: SourceShape | None, repository: Repository) -> str:
    if source is None:
        return ""
    name = text(f"{repository.path(source['file'])}:{source['line']}")
    link = repository.link(source)
    inside = f'<a href="{text(link)}">{name}</a>' if link else name
    return f'<span class="where">{inside}</span>'


Note = tuple[str, str]
"""A look and words."""


def plan_notes(document: PlanShape) -> Iterator[Note]:
    if "outcome" in document:
        outcome = document["outcome"]
        yield ("stop" if outcome["exit_code"] else "", phrases.ended(outcome))
        for lost in outcome["stranded"]:
            yield "stop", f"{phrases.lacking(lost)}. To restore it: {lost['command']}"
        for one in outcome["failures"]:
            yield "stop", f"{one['address']} {one['status']}: {one['what']}: {one['reason']}"
    for target in document["targets"]:
        for guard in target["guards"]:
            yield "stop", f"Apply is blocked: {guard['reason']}; {guard['lift']}"
        for change in target["changes"]:
            for widening in change.get("widens", ()):
                yield "warning", f"{change['address']} widens: {widening['text']}"
        for conflict in target["conflicts"]:
            said = f"{conflict['reason']}; use {conflict['lift']} to manage it"
            yield "stop", f"{conflict['address']} {said}"
        for unread in target["unread"]:
            name = phrases.unread(unread)
            yield "stop", f"{name} cannot be read: {unread['reason']}"
    if (told := phrases.assumed(document)) is not None:
        yield "", told
    yield from warnings(document)
    for target in document["targets"]:
        for kept in (*target["kept"], *target["ignored"]):
            yield "", phrases.note(kept["address"], kept["reason"])


def warnings(document: PlanShape | DriftShape) -> Iterator[Note]:
    for found in document["diagnostics"]:
        place = f"{found['file']}:{found['line']}"
        look = "stop" if found["severity"] == "error" else "warning"
        yield look, f"{place}: {found['message']} ({found['code']})"
