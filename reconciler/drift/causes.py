"""How severe a finding is, and why: one table of rules, which ``docs/drift.md`` repeats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.drift.severity import SEVERITIES, Severity
from reconciler.model.ownership import ROLLED_BACK
from reconciler.model.policy_widening import OF_TRUSTS, widenings
from reconciler.plan.changes import Difference


@dataclass(frozen=True, slots=True)
class CauseRule:
    severity: Severity
    meaning: str
    says: str = ""
    """What a finding says of it, with the ``text`` of its cause."""


RULES: Mapping[str, CauseRule] = {
    "no-profile": CauseRule(
        "critical", "a run took its profile from an instance and did not restore it"
    ),
    "not-associated": CauseRule(
        "critical",
        "an instance that the specs give a profile has none",
        "the instance has no profile",
    ),
    "stopped": CauseRule("critical", "a run stopped an instance and did not start it again"),
    "stale-credentials": CauseRule(
        "critical", "running instances may be served the credentials of another role"
    ),
    "contradicted": CauseRule(
        "critical",
        "evidence (`--evidence`) shows that an instance is served another role than the one that "
        "its profile holds",
        "evidence contradicts its profile",
    ),
    "interrupted": CauseRule(
        "critical",
        "a run died in the middle of a cut-over",
        "a run died in the middle of its cut-over",
    ),
    "trust-widened": CauseRule(
        "critical",
        "a trust policy lets in somebody that the specs do not (another account, everyone), or "
        "lacks a condition or a Deny of the specs",
        "the trust is wider than in the specs: {}",
    ),
    "permissions-widened": CauseRule(
        "critical",
        "a policy was attached or changed that allows `*`, `iam:PassRole`, or all but some actions",
        "{}",
    ),
    "boundary-removed": CauseRule(
        "critical", "a permissions boundary is missing", "the permissions boundary was removed"
    ),
    "waiting": CauseRule(
        "warning", "instances keep the old role until AWS renews their credentials"
    ),
    "differs": CauseRule("warning", "anything else that differs, is missing, or could not be read"),
    "rolled-back": CauseRule(
        "info", "a roll-back left its mark, and the specs want the role that it went back to"
    ),
    "tags": CauseRule("info", "nothing but tags differs"),
    "not-in-specs": CauseRule("info", "in no spec: it left them, or is not ours"),
}


@dataclass(frozen=True, slots=True)
class Cause:
    """A rule that applies to a finding; ``text`` says to what."""

    rule: str
    text: str = ""


def words_of(causes: Iterable[Cause]) -> tuple[str, ...]:
    """What the finding says beyond its status and differences."""
    said = (RULES[c.rule].says.format(c.text) for c in causes if c.rule in RULES)
    return tuple(text for text in said if text)


def severity_of(causes: tuple[Cause, ...]) -> Severity:
    """The highest of the causes."""
    found = (RULES[c.rule].severity for c in causes if c.rule in RULES)
    return min(found, key=SEVERITIES.index, default="warning")


def causes_of(
    differences: tuple[Difference, ...],
    documents: Mapping[str, object],
    account: str | None = None,
) -> tuple[Cause, ...]:
    """Why the differences of a resource matter. ``before`` is what AWS has, ``after`` what the
    specs want; ``documents`` are of attached policies that the specs do not name, by ARN;
    ``account`` is the one that the resource is in."""
    found = tuple(cause for one in differences for cause in _causes(one, documents, account))
    if found:
        return found
    if differences and all(one.path.startswith("tags.") for one in differences):
        return (Cause("tags"),)
    return (Cause("differs"),)


def _causes(
    difference: Difference, documents: Mapping[str, object], account: str | None
) -> Iterator[Cause]:
    """What AWS has lets in what the specs do not."""
    wanted, found = difference.after, difference.before
    if difference.path == ROLLED_BACK:
        yield Cause("rolled-back")
    for one in widenings(difference.path, wanted, found, documents, account):
        if one.kind in OF_TRUSTS:
            yield Cause("trust-widened", one.text)
        elif one.kind == "boundary-removed":
            yield Cause("boundary-removed", one.text)
        else:
            yield Cause("permissions-widened", one.text)
