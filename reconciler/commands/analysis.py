"""``plan --access-analyzer``: what AWS's Access Analyzer finds in the policy documents that a plan
would write. What it does not answer is told, and changes nothing else."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.diagnostics import Diagnostic, Location, in_order
from reconciler.errors import DENIED, AwsError
from reconciler.model.address import Address, name_key
from reconciler.model.live import LiveEntity
from reconciler.model.policy_document import PolicyDocument
from reconciler.plan.changes import actions_of
from reconciler.ports import FindingKind, PolicyAnalyzer, PolicyFinding, Progress
from reconciler.spec.check.documents import Written, documents
from reconciler.threads import each

_Answer = TypeVar("_Answer")
CODES: Mapping[FindingKind, str] = MappingProxyType(
    {
        "error": "access-analyzer-error",
        "security": "access-analyzer-security",
        "warning": "access-analyzer-warning",
        "suggestion": "access-analyzer-suggestion",
    }
)
_REFUSES_ONE = frozenset(
    {"ValidationException", "InvalidParameterException", "UnprocessableEntityException"}
)
"""Codes that are about one document."""


def analyzed(planned: Planned, progress: Progress, parallelism: int, targets: int) -> Planned:
    """The plan with the findings as warnings of each target; ``parallelism`` calls at a time for
    each of so many ``targets``."""

    def checked(target: PlannedTarget) -> PlannedTarget:
        asked = tuple(_asked(target))
        if not asked:
            return target
        progress.reading(f"Access Analyzer in account {target.plan.identity.account_id}")
        found = _Analysis(target).of(asked, parallelism)
        if len(planned.targets) > 1:
            target.connection.release()
        diagnostics = in_order((*target.plan.diagnostics, *found))
        return replace(target, plan=replace(target.plan, diagnostics=diagnostics))

    before = _calls(planned.targets)
    made = tuple(each(checked, planned.targets, targets))
    # What planned may have been workers of an engine, whose calls no reader here has counted.
    calls = Counter(planned.plan.api_calls) + (_calls(made) - before)
    plan = replace(
        planned.plan, targets=tuple(t.plan for t in made), api_calls=dict(sorted(calls.items()))
    )
    return replace(planned, plan=plan, targets=made)


def _calls(targets: Iterable[PlannedTarget]) -> Counter[str]:
    calls: Counter[str] = Counter()
    for reader in {id(t.connection.reader): t.connection.reader for t in targets}.values():
        calls.update(reader.calls)
    return calls


@dataclass(frozen=True, slots=True)
class _WrittenDocument:
    """A document that the plan writes; ``before`` is the one that AWS has in its place."""

    written: Written
    before: PolicyDocument | None


def _asked(target: PlannedTarget) -> Iterator[_WrittenDocument]:
    changes = {change.address: change for change in target.plan.changes}
    for written in documents(target.spec.desired):
        change = changes.get(written.address)
        if change is None:
            continue
        is_new = actions_of(change)[-1] == "create"
        touched = {name_key(difference.path) for difference in change.differences}
        if not is_new and name_key(_attribute(written)) not in touched:
            continue
        live = target.plan.based_on.get(written.address)
        yield _WrittenDocument(written, None if is_new or live is None else _live(live, written))


def _attribute(written: Written) -> str:
    match written.use:
        case "managed":
            return "document"
        case "trust":
            return "trust_policy"
        case "inline":
            return f"inline_policies.{written.name}"


def _live(live: LiveEntity, written: Written) -> PolicyDocument | None:
    resource = live.resource
    match written.use:
        case "managed":
            found: PolicyDocument | None = getattr(resource, "document", None)
        case "trust":
            found = getattr(resource, "trust_policy", None)
        case "inline":
            found = dict(getattr(resource, "inline_policies", ())).get(written.name or "")
    return found


@dataclass
class _Analysis:
    """Asks about the documents of one target. A call that is denied, or that its region does not
    have, is not made again."""

    target: PlannedTarget
    refused: dict[str, AwsError] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, asked: tuple[_WrittenDocument, ...], parallelism: int) -> tuple[Diagnostic, ...]:
        regions = (*self.target.plan.regions, self.target.connection.default_region)
        region = next((one for one in regions if one), None)
        if region is None:
            why = "no region is set; pass --region"
            return (self._unknown(why),)
        analyzer = self.target.connection.analyzer(region)
        # The first one alone: where it is denied, so are all others.
        first, rest = asked[:1], asked[1:]
        check = partial(self._checked, analyzer)
        found = [*each(check, first, 1), *each(check, rest, parallelism)]
        account = self.target.plan.identity.account_id
        told = [
            self._unknown(f"{call}: {error.code} in {region} of {account}", error.code in DENIED)
            for call, error in sorted(self.refused.items())
        ]
        return (*(one for several in found for one in several), *told)

    def _checked(self, analyzer: PolicyAnalyzer, asked: _WrittenDocument) -> tuple[Diagnostic, ...]:
        written, before = asked.written, asked.before
        text = written.document.text
        found = self._answered(
            written, "access-analyzer:ValidatePolicy", lambda: analyzer.validate(text, written.use)
        )
        made = [one if isinstance(one, Diagnostic) else _told(one, written) for one in found]
        if before is not None and before != written.document:
            reasons = self._answered(
                written,
                "access-analyzer:CheckNoNewAccess",
                lambda: analyzer.new_access(before.text, text, written.use),
            )
            made += (
                one if isinstance(one, Diagnostic) else _new_access(one, written) for one in reasons
            )
        return tuple(made)

    def _answered(
        self, written: Written, call: str, ask: Callable[[], tuple[_Answer, ...]]
    ) -> tuple[_Answer | Diagnostic, ...]:
        """The answer; a finding if this document is not taken; nothing if the call is refused."""
        with self.lock:
            if call in self.refused:
                return ()
        try:
            return ask()
        except AwsError as error:
            if error.code in _REFUSES_ONE:
                message = f"Access Analyzer does not take it: {error.code}: {error.message}"
                place = written.spot.place.at(*written.spot.path)
                return (Diagnostic("warning", "access-analyzer-unknown", message, place),)
            with self.lock:
                self.refused.setdefault(call, error)
            return ()

    def _unknown(self, why: str, is_denied: bool = False) -> Diagnostic:
        message = f"Access Analyzer did not check the policies of this plan: {why}"
        place = Location(self.target.spec.root)
        needed = "reconciler permissions --for plan --access-analyzer prints what it needs"
        hint = needed if is_denied else None
        return Diagnostic("warning", "access-analyzer-unknown", message, place, hint)


def _told(found: PolicyFinding, written: Written) -> Diagnostic:
    spot = written.spot.inside(*found.path)
    message = f"{_whose(written.address, written)}: {found.code}: {found.text}"
    place = spot.place.value(*spot.path)
    return Diagnostic("warning", CODES[found.kind], message, place, found.link or None)


def _new_access(reason: str, written: Written) -> Diagnostic:
    message = f"{_whose(written.address, written)} allows more than before: {reason}"
    place = written.spot.place.at(*written.spot.path)
    return Diagnostic("warning", "access-analyzer-new-access", message, place)


def _whose(address: Address, written: Written) -> str:
    match written.use:
        case "managed":
            return str(address)
        case "trust":
            return f"the trust policy of {address}"
        case "inline":
            return f"the inline policy {written.name!r} of {address}"
