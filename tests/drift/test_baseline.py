"""What became of each finding: every way that findings come, change, stay and go."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.drift.baseline import Baseline, compared, following, undelivered
from reconciler.drift.causes import Cause
from reconciler.drift.findings import Drift, Finding
from reconciler.model.address import Address
from reconciler.plan.changes import Difference
from reconciler.plan.plan import Plan
from reconciler.render.json.drift import baseline_of, baseline_text

FIRST, LATER = "2026-11-23T20:00:00Z", "2026-11-24T20:00:00Z"


def finding(address: str = "role/a", value: str = "x", **more: Any) -> Finding:
    return Finding(
        Address.parse(address), "modified", (Difference("description", value, "y"),), **more
    )


def drift(*findings: Finding) -> Drift:
    return Drift(Plan((), "tests", ""), findings)


def always(_: Finding) -> bool:
    return True


def after(before: Baseline, *findings: Finding) -> tuple[Drift, Baseline]:
    found = compared(drift(*findings), before, always, LATER)
    return found, following(found, before, always, {})


def transitions(found: Drift) -> list[str | None]:
    return [f.transition for f in (*found.findings, *found.resolved)]


def test_transitions_over_several_runs() -> None:
    clean, baseline = after(Baseline())
    assert transitions(clean) == []
    new, baseline = after(baseline, finding())
    assert transitions(new) == ["new"]
    ongoing, baseline = after(baseline, finding())
    assert transitions(ongoing) == ["ongoing"]
    changed, baseline = after(baseline, finding(value="z"))
    assert transitions(changed) == ["changed"]
    assert changed.findings[0].first_seen == LATER
    gone, baseline = after(baseline)
    assert transitions(gone) == ["resolved"]
    assert gone.findings == ()
    assert baseline == Baseline()


def test_first_seen_is_kept() -> None:
    before = Baseline((finding(first_seen=FIRST),))
    assert after(before, finding())[0].findings[0].first_seen == FIRST
    assert after(before, finding(value="z"))[0].findings[0].first_seen == FIRST


def test_findings_that_were_not_covered_are_not_resolved() -> None:
    before = Baseline((finding("role/a"), finding("role/b")))

    def covers(found: Finding) -> bool:
        return str(found.address) != "role/a"

    found = compared(drift(), before, covers, LATER)
    assert [str(f.address) for f in found.resolved] == ["role/b"]
    assert [str(f.address) for f in following(found, before, covers, {}).findings] == ["role/a"]


def test_two_findings_at_one_address() -> None:
    stale = replace(finding(), status="stale")
    found, _ = after(Baseline((finding(), stale)), stale, finding(value="z"))
    assert sorted(map(str, transitions(found))) == ["changed", "ongoing"]


def test_an_undelivered_finding_is_sent_again_as_new() -> None:
    found, _ = after(Baseline(), finding())
    pending_delivery = undelivered(found, ())
    ongoing, _ = after(Baseline((finding(),)), finding())
    assert undelivered(ongoing, ()) == ()
    assert [f.transition for f in undelivered(ongoing, pending_delivery)] == ["new"]


def test_an_undelivered_finding_that_is_resolved_is_not_sent() -> None:
    found, _ = after(Baseline(), finding())
    pending_delivery = undelivered(found, ())
    gone, _ = after(Baseline((finding(),)))
    assert [f.transition for f in undelivered(gone, ())] == ["resolved"]
    assert undelivered(gone, pending_delivery) == ()


def test_a_changed_finding_that_was_undelivered_is_sent_as_new() -> None:
    found, _ = after(Baseline(), finding())
    changed, _ = after(Baseline((finding(),)), finding(value="z"))
    assert [f.transition for f in undelivered(changed, undelivered(found, ()))] == ["new"]


def test_an_undelivered_resolution_is_sent_unless_the_finding_is_back() -> None:
    gone, _ = after(Baseline((finding(),)))
    pending_delivery = undelivered(gone, ())
    quiet, _ = after(Baseline())
    assert [f.transition for f in undelivered(quiet, pending_delivery)] == ["resolved"]
    back, _ = after(Baseline(), finding())
    assert [f.transition for f in undelivered(back, pending_delivery)] == ["new"]


FINDINGS = st.lists(
    st.builds(
        finding,
        st.sampled_from(["role/a", "role/b", "association/i-1"]),
        st.sampled_from("xyz"),
        region=st.sampled_from([None, "us-east-1"]),
        causes=st.sampled_from([(Cause("differs"),), (Cause("interrupted"), Cause("tags", "x"))]),
    ),
    max_size=5,
    unique_by=lambda f: f.fingerprint,
)


@given(FINDINGS, FINDINGS)
def test_every_finding_has_one_transition(before: list[Finding], now: list[Finding]) -> None:
    found, baseline = after(Baseline(tuple(before)), *now)
    assert sorted(f.fingerprint for f in found.findings) == sorted(f.fingerprint for f in now)
    known = {f.fingerprint for f in before}
    for one in found.findings:
        assert one.transition in ("new", "changed", "ongoing")
        assert (one.transition == "ongoing") == (one.fingerprint in known)
    for one in found.resolved:
        assert one.fingerprint in known
    again, _ = after(baseline, *now)
    assert set(transitions(again)) <= {"ongoing"}


@given(FINDINGS, st.dictionaries(st.text("ab", min_size=1), FINDINGS, max_size=2))
def test_a_baseline_round_trips(
    findings: list[Finding], pending_delivery: dict[str, list[Finding]]
) -> None:
    made = Baseline(tuple(findings), {name: tuple(f) for name, f in pending_delivery.items()})
    assert baseline_of(baseline_text(made, FIRST)) == made


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"findings": 3}', "\x00"])
def test_an_invalid_baseline(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        baseline_of(text)


def test_a_baseline_of_an_earlier_version_is_read() -> None:
    """It has no causes: the severity stays."""
    made = Baseline((finding(causes=(Cause("interrupted"),)), finding(address="role/b")))
    document = json.loads(baseline_text(made, FIRST))
    for one in document["findings"]:
        del one["causes"]
    read = baseline_of(json.dumps(document))
    assert [f.severity for f in read.findings] == ["critical", "warning"]
    assert [f.fingerprint for f in read.findings] == [f.fingerprint for f in made.findings]
