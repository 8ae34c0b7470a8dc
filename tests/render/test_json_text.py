"""JSON that a log does not obey, and JSON of others, of whatever shape."""

from __future__ import annotations

import ast
import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reconciler
from reconciler.commands.planfile import saved_from
from reconciler.drift.baseline import Baseline
from reconciler.errors import RefusedError
from reconciler.notify.notice import Notice
from reconciler.notify.pr_comments import bodies
from reconciler.notify.slack import slack_message
from reconciler.render.ci.github import plan_annotations
from reconciler.render.ci.repository import HERE
from reconciler.render.html.page import plan_page
from reconciler.render.json.drift import baseline_of, baseline_text, drift_json, finding_json
from reconciler.render.json.encode import json_text, parsed
from reconciler.render.json.planfile import file_digest, plan_of, sealed
from reconciler.render.json.types import PlanShape
from tests.render.situations import NOW, everything, plan_report
from tests.sampling import sampled

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["##[x]", "a##vso[y"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.sampled_from([None, 2]))
def test_it_is_the_same_value_and_no_command(value: Any, indent: int | None) -> None:
    text = json_text(value, indent)
    assert json.loads(text) == value
    assert not re.search(r"##[a-z]*\[", text, re.IGNORECASE)
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    text.encode()


def test_what_a_terminal_would_act_on() -> None:
    """A control sequence in one character, the reversal of text, half a pair, one beyond U+FFFF."""
    text = json_text(["\x9b31m", "\u202eabc", "\ud800", "\U000e0001", "ä✓😀"], None)
    assert text == '["\\u009b31m", "\\u202eabc", "\\ud800", "\\udb40\\udc01", "ä✓😀"]'


MAY_DUMP = {
    "render/json/encode.py": "the one place",
    "render/json/planfile.py": "to count a digest",
    "commands/planfile.py": "to count a digest",
    "plan/plan.py": "to count a digest",
    "render/json/merge.py": "to tell equal findings",
    "commands/can.py": "to find an account in a document",
    "commands/engine.py": "to send a value to a worker, which is no JSON",
    "impact/reduction.py": "to find a variable in a statement",
    "importer/terraform_state.py": "words in a line that is escaped",
    "permissions/statements.py": "to count what fits into a policy",
    "probe/running.py": "a seed that is read at once",
    "drift/findings.py": "to count a fingerprint",
    "model/policy_document.py": "the text that AWS gets",
    "model/policy_effect.py": "to tell equal conditions",
    "plan/plan_diff.py": "words in a line that is escaped",
    "render/text/policy_effect.py": "words in a line that is escaped",
    "render/text/values.py": "words in a line that is escaped",
}


def test_one_place_makes_json() -> None:
    root = Path(reconciler.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps")
    }
    assert found == MAY_DUMP.keys()


WRONG = {
    "nothing": ("", "not valid JSON"),
    "a list": ("[]", "valid dict"),
    "brackets": ("[" * 100_000, "nested too deeply"),
    "closed brackets": ("[" * 900 + "]" * 900, "nested too deeply"),
    "objects": ('{"a":' * 100_000, "nested too deeply"),
    "a number of five thousand digits": ("9" * 5_000, "not valid JSON"),
    "no number": ('{"digest": NaN}', "not a number"),
    "beyond all numbers": ('{"digest": [-1e999]}', "not a number"),
    "half": ('{"digest": "sha', "not valid JSON"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_plan_is_said(case: str) -> None:
    text, said = WRONG[case]
    with pytest.raises(ValueError, match=said):
        parsed(text, PlanShape)
    with pytest.raises(RefusedError) as caught:
        plan_of(text, "plan.json")
    assert caught.value.exit_code == 1
    with pytest.raises(ValueError, match=said):
        baseline_of(text)


ODD: tuple[Any, ...] = (
    None, True, 5, -1, 1.5, 10**30, "", "x", "\ud800", "²", [], [1], [[]], {}, {"Statement": 5},
    {"Statement": [5]}, {"Statement": [{"Action": {"a": [5]}, "Principal": 5, "Sid": {}}]},
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


def spoilt(document: Any, number: int) -> Any:
    """With something else in one place, or without it, or with a member too many."""
    chance = random.Random(number)
    made = copy.deepcopy(document)
    path = chance.choice([p for p in places(made) if p])
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    what = chance.randrange(6)
    if what == 0:
        del inner[path[-1]]
    elif what == 1 and isinstance(inner, dict):
        inner["surprise"] = 1
    else:
        inner[path[-1]] = chance.choice(ODD)
    return made


@pytest.fixture(scope="module")
def plan() -> Any:
    return json.loads(json_text(plan_report(everything()[1]).document))


@pytest.mark.parametrize("many", sampled([140], [700]))
def test_a_plan_of_any_shape_is_one_error_or_none(plan: Any, many: int) -> None:
    """Also with a digest that somebody counted anew: then what it shows may be odd, and is shown."""
    refused = shown = 0
    for number in range(many):
        made = spoilt(plan, number)
        with pytest.raises(RefusedError):
            if plan_of(json.dumps(made), "x") is not None:
                made = plan_of(json.dumps(made), "x")
                raise RefusedError("nothing that counts was changed", 5)  # type: ignore[arg-type]
        try:
            document = parsed(json.dumps(made), PlanShape)
            document = plan_of(json.dumps(sealed(document)), "x")
        except (RefusedError, ValueError):
            refused += 1
            continue
        shown += 1
        bodies(document)
        plan_annotations(document, HERE)
        plan_page(document, [], {}, HERE)
        try:
            saved_from(document, "x")
        except RefusedError:
            refused += 1
    assert refused > many * 3 // 7
    assert shown > many // 14


def test_a_baseline_of_any_shape_is_one_error_or_none() -> None:
    drift = everything()[2]
    text = baseline_text(Baseline(drift.findings, {"slack-1": drift.findings}), NOW)
    good, shown = json.loads(text), 0
    for number in range(400):
        made = json.dumps(spoilt(good, number))
        try:
            baseline = baseline_of(made)
        except ValueError:
            continue
        shown += 1
        baseline_text(baseline, NOW)
        told = tuple(finding_json(f) for f in baseline.findings)
        notice = Notice(drift_json(drift, NOW), told)
        slack_message(notice)
        json_text(notice.payload()).encode()
    assert 20 < shown < 300


def test_the_digest_of_the_file_covers_all_but_times_and_places(plan: Any) -> None:
    digest = file_digest(plan)
    assert plan["file_digest"] == digest
    for number in range(200):
        made = spoilt(plan, number)
        try:
            parsed(json.dumps(made), PlanShape)
        except ValueError:
            continue
        if made != plan and file_digest(made) == digest:
            assert differing(plan, made) <= {
                "created_at",
                "path",
                "source",
                "file",
                "line",
                "column",
            }
    for where in ("/a/specs", "../elsewhere"):
        moved = copy.deepcopy(plan)
        moved["request"]["path"] = where
        moved["created_at"] = "2027-01-01T00:00:00Z"
        assert file_digest(moved) == digest


def differing(left: Any, right: Any, name: str = "") -> set[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        names = left.keys() | right.keys()
        return {d for n in names for d in differing(left.get(n), right.get(n), n)}
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = zip(left, right, strict=True)
        return {d for a, b in pairs for d in differing(a, b, name)}
    return set() if left == right else {name}
