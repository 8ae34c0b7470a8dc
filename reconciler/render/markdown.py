"""A plan or a drift in the Markdown of GitHub and GitLab, shortened to fit.

Shortened in this order: the differences, then what is kept, then rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from reconciler.model.address import EVERYTHING
from reconciler.render import phrases
from reconciler.render.ci.repository import HERE, Repository
from reconciler.render.escape import markdown_code as code
from reconciler.render.escape import markdown_text as words
from reconciler.render.json.types import (
    ChangeShape,
    DriftShape,
    FindingShape,
    KeptShape,
    OutcomeShape,
    PlanShape,
    SourceShape,
)
from reconciler.render.text.direction import HAPPENED
from reconciler.render.text.values import differing, fenced

COMMENT_BYTES = 60_000
"""GitHub takes 65,536 characters."""
SUMMARY_BYTES = 1024 * 1024 - 1024
"""A step summary of GitHub holds 1 MiB."""

FEW_ACCOUNTS = 12
"""So many are named in a title; more are counted."""


@dataclass(frozen=True, slots=True)
class Page:
    """``budget`` is in bytes; ``head`` stands in front of all else; ``repository`` makes links."""

    budget: int | None = None
    head: str = ""
    repository: Repository = HERE


@dataclass(frozen=True, slots=True)
class _Parts:
    title: str
    columns: tuple[str, ...]
    rows: list[str]
    notes: list[str]
    """Guards, conflicts, failures and warnings; never shortened."""
    asides: list[str]
    diffs: list[str]
    foot: str


_SIGNS = {"create": "+", "delete": "-"}
"""Of the differences of a change."""


def plan_markdown(document: PlanShape, page: Page) -> str:
    changes = phrases.changes_of(document)
    verb = "apply" if "outcome" in document else "plan"
    counts = phrases.counted(changes)
    told = phrases.counts_in_words(counts) if any(counts.values()) else ""
    stops = phrases.stops_of(document)
    told = " · ".join(part for part in (told, f"**{stops}**" if stops else "") if part)
    several = len(document["targets"]) > 1
    took = f"Estimated duration: {phrases.lasts(document)}. " if changes else ""
    parts = _Parts(
        title=f"reconciler {verb} · {_accounts(document)} · {told or _none('changes', document)}",
        columns=("", "Resource", "Change", "Spec"),
        rows=[
            _change_row(change, target["target"] if several else None, page.repository)
            for target in document["targets"]
            for change in target["changes"]
        ],
        notes=[*_notes(document, page.repository)],
        asides=[
            _note(kept)
            for target in document["targets"]
            for kept in (*target["kept"], *target["ignored"])
        ],
        diffs=[
            differing(change["address"], _SIGNS.get(phrases.verb_of(change), "!"), differences)
            for change in changes
            if (differences := phrases.attributes(change))
        ],
        foot=f"{took}Digest `{document['digest']}`.",
    )
    return _fitted(parts, page)


def _none(what: str, document: PlanShape | DriftShape) -> str:
    """Without targets nothing was compared."""
    return f"**no {what}**" if document["targets"] else "nothing was compared"


def _note(kept: KeptShape) -> str:
    """As ``phrases.note``, with the address as code."""
    if kept["address"] == EVERYTHING.kind:
        return f"- {words(phrases.note(kept['address'], kept['reason']))}"
    return f"- {code(kept['address'])}: {words(kept['reason'])}"


def _accounts(document: PlanShape | DriftShape) -> str:
    """``prod 111111111111, dev 222222222222``."""
    targets = document["targets"]
    if len(targets) == 1 and targets[0]["target"] == "default":
        return words(phrases.account(targets[0]))
    named = targets if len(targets) <= FEW_ACCOUNTS else []
    told = ", ".join(words(f"{t['target']} {phrases.account(t)}") for t in named)
    return told or (f"{len(targets)} targets" if targets else "no targets")


def _change_row(change: ChangeShape, target: str | None, repository: Repository) -> str:
    verb = phrases.verb_of(change)
    said = words(phrases.what(change))
    if change["reason"]:
        said += f" ({words(change['reason'])})"
    if n := phrases.running(change):
        said += f"; {n} running {'instance' if n == 1 else 'instances'}"
        said += "".join(f"; {words(told)}" for told in phrases.apart(change))
    where = "".join(f" {word}" for word in (change["region"], target) if word)
    resource = f"{code(change['address'])}{words(where)}"
    return _row(f"`{phrases.SYMBOLS[verb]}`", resource, said, _place(change["source"], repository))


def _place(source: SourceShape | None, repository: Repository) -> str:
    if source is None:
        return ""
    name = code(f"{repository.path(source['file'])}:{source['line']}")
    link = repository.link(source)
    return f"[{name}](<{link}>)" if link else name


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _notes(document: PlanShape, repository: Repository) -> Iterator[str]:
    if "outcome" in document:
        yield from _outcome(document["outcome"])
    for target in document["targets"]:
        for guard in target["guards"]:
            lift = guard["lift"]
            lifted = f"override with {code(lift)}" if lift.startswith("--") else words(lift)
            yield f"- **Apply is blocked:** {words(guard['reason'])}; {lifted}"
        for change in target["changes"]:
            for widening in change.get("widens", ()):
                place = _place(change["source"], repository)
                said = f"{code(change['address'])} {words(widening['text'])} {place}"
                yield f"- **Widens:** {said}".rstrip()
        for conflict in target["conflicts"]:
            place = _place(conflict["source"], repository)
            said = f"{words(conflict['reason'])}; use {code(conflict['lift'])} to manage it"
            yield f"- **Not ours:** {code(conflict['address'])} {said} {place}".rstrip()
        for unread in target["unread"]:
            name = phrases.unread(unread)
            yield f"- **Unknown:** {code(name)} cannot be read: {words(unread['reason'])}"
    if (told := phrases.assumed(document)) is not None:
        yield f"- **Assumed:** {words(told)}"
    yield from _warnings(document, repository)


def _outcome(outcome: OutcomeShape) -> Iterator[str]:
    yield f"- **{words(phrases.ended(outcome))}**"
    for lost in outcome["stranded"]:
        yield f"- **{words(phrases.lacking(lost))}.** To restore it: {code(lost['command'])}"
    for one in outcome["failures"]:
        request = f" (request {code(one['request_id'])})" if one["request_id"] else ""
        said = f"{words(one['what'])}: {words(one['reason'])}{request}"
        where = f"{words(one['target'])} " if one["target"] else ""
        yield f"- **{one['status']}** {where}{code(one['address'])} {said}"
    for name in outcome.get("not_begun", ()):
        yield f"- **Not begun:** target {words(name)}"
    for address in outcome["left"] or ():
        yield f"- **Remaining:** {code(address)}"


def _warnings(document: PlanShape | DriftShape, repository: Repository) -> Iterator[str]:
    for found in document["diagnostics"]:
        place = _place(found, repository)
        said = f"{words(found['message'])} ({code(found['code'])})"
        yield f"- **{found['severity'].capitalize()}:** {said} {place}"


_MARKS = {"modified": "!", "missing": "-", "left": "+", "unmanaged": "+"}


def drift_markdown(document: DriftShape, page: Page) -> str:
    findings = [*document["findings"], *document["resolved"]]
    several = len(document["targets"]) > 1
    told = ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in document["summary"].items() if n)
    parts = _Parts(
        title=f"reconciler drift · {_accounts(document)} · {told or _none('drift', document)}",
        columns=("Status", "Resource", "What", "Spec"),
        rows=[_finding_row(finding, several, page.repository) for finding in findings],
        notes=[*_warnings(document, page.repository)],
        asides=[f"- {code(n['address'])}: {words(n['reason'])}" for n in document["notes"]],
        diffs=[
            differing(
                finding["address"],
                _MARKS.get(finding["status"], "!"),
                [(d["path"], d["before"], d["after"]) for d in finding["differences"]],
                HAPPENED,
            )
            for finding in findings
            if finding["differences"]
        ],
        foot=f"Compared at {document['created_at']}.",
    )
    return _fitted(parts, page)


def _finding_row(finding: FindingShape, several: bool, repository: Repository) -> str:
    status = phrases.headword(finding)
    since = finding["transition"]
    said = words(phrases.found(finding))
    if finding["actor"]:
        said += f"; {words(phrases.who(finding['actor']))}"
    resource = code(finding["address"]) + (f" {words(finding['target'])}" if several else "")
    shown = f"{status} ({since})" if since and since != "ongoing" else status
    return _row(shown, resource, said, _place(finding["source"], repository))


def _fitted(parts: _Parts, page: Page) -> str:
    """As much as fits; shortened in the order of the list."""
    whole = _composed(parts, parts, page)
    if _fits(whole, page):
        return whole
    shown = parts
    for name in ("diffs", "asides", "rows"):
        shown = _cut(shown, name, parts, page)
        if getattr(shown, name):
            break
    return _composed(shown, parts, page)


def _cut(shown: _Parts, name: str, parts: _Parts, page: Page) -> _Parts:
    """With as many of one list as fit."""
    items: list[str] = getattr(parts, name)

    def some(count: int) -> _Parts:
        return replace(shown, **{name: items[:count]})  # type: ignore[arg-type]  # lists all

    return some(_most(len(items), lambda n: _fits(_composed(some(n), parts, page), page)))


def _fits(text: str, page: Page) -> bool:
    return page.budget is None or len(text.encode()) <= page.budget


def _most(count: int, is_good: Callable[[int], bool]) -> int:
    """The largest number up to ``count`` that is good, 0 if none is; smaller ones are good too."""
    low, high = 0, count
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_good(middle) else (low, middle - 1)
    return low


def _composed(shown: _Parts, whole: _Parts, page: Page) -> str:
    blocks = [*([page.head] if page.head else []), f"### {shown.title}"]
    if whole.rows:
        head = [_row(*shown.columns), _row(*("---" for _ in shown.columns))]
        more = _more(shown.rows, whole.rows, "rows")
        blocks.append("\n".join([*head, *shown.rows]) + (f"\n\n{more}" if more else ""))
    if shown.notes:
        blocks.append("\n".join(shown.notes))
    if whole.diffs:
        inside = fenced(shown.diffs) if shown.diffs else ""
        blocks.append(
            _details("Differences", inside, _more(shown.diffs, whole.diffs, "differences"))
        )
    if whole.asides:
        more = _more(shown.asides, whole.asides, "notes")
        blocks.append(_details("Not changed", "\n".join(shown.asides), more))
    return "\n\n".join([*blocks, shown.foot]) + "\n"


def _more(shown: list[str], whole: list[str], noun: str) -> str:
    left = len(whole) - len(shown)
    return f"_{left} more {noun} do not fit._" if left else ""


def _details(title: str, *inside: str) -> str:
    text = "\n\n".join(part for part in inside if part)
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"
