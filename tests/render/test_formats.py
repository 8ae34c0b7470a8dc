"""Every report says the same, to whom it is for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from reconciler.diagnostics import Diagnostic, Location
from reconciler.plan.plan import summary
from reconciler.render import formats, phrases
from reconciler.render.ci import github
from reconciler.render.ci.repository import Repository
from reconciler.render.formats import ValidateReport
from reconciler.render.markdown import COMMENT_BYTES
from reconciler.render.text.diagnostics import token_length
from tests.render.situations import (
    HOSTILE,
    change,
    drift_report,
    everything,
    plan_document,
    plan_report,
)


@pytest.mark.parametrize("name", [n for n in formats.PLAN if n not in ("gitlab", "aws-cli")])
def test_a_plan_in_every_format(name: str) -> None:
    """Every change, and all that a person must decide or should know."""
    for planned in everything()[:2]:
        text = formats.PLAN[name](plan_report(planned))
        for target in planned.plan.targets:
            told = [str(one.address) for one in (*target.changes, *target.conflicts)]
            if name != "github":
                told += [str(one.address) for one in (*target.kept, *target.ignored)]
            for address in told:
                # Of annotations there are ten of a kind at most, and the tenth says so.
                is_cut = name == "github" and "more; see the summary" in text
                assert address in text or is_cut, (name, address)
            for guard in target.guards:
                assert guard.lift in text.replace("\\", "").replace("&amp;", "&"), (name, guard)
            for unread in target.unread:
                assert unread.what in text


@pytest.mark.parametrize("name", [n for n in formats.DRIFT if n != "gitlab"])
def test_a_drift_in_every_format(name: str) -> None:
    drift = everything()[2]
    text = formats.DRIFT[name](drift_report(drift))
    for finding in drift.findings:
        assert str(finding.address) in text, (name, finding)


def test_counts_are_those_of_the_plan() -> None:
    for planned in everything()[:2]:
        document = plan_report(planned).document
        assert phrases.counted(phrases.changes_of(document)) == summary(planned.plan)


def test_the_numbers_of_the_widget() -> None:
    made = [change("role/n", actions=["create"]), change("role/p", actions=["delete", "create"])]
    made += [change(f"association/i-{n}", actions=["cutover"]) for n in range(3)]
    widget = formats.PLAN["gitlab"](reported(plan_document(*made)))
    assert json.loads(widget) == {"create": 2, "update": 3, "delete": 1}
    assert list(json.loads(widget)) == ["create", "update", "delete"]


def reported(document: Any) -> Any:
    return formats.PlanReport(None, document)  # type: ignore[arg-type]  # the format reads no plan


def annotated(document: Any, place: Repository | None = None) -> list[str]:
    return github.plan_annotations(document, place or Repository()).splitlines()


def test_ten_annotations_of_each_kind() -> None:
    """The worst first; the tenth says how many more there are."""
    gone = [change(f"role/g{n}", actions=["delete"], differences=[]) for n in range(14)]
    made = [change(f"role/m{n}", actions=["create"], differences=[]) for n in range(10)]
    lines = annotated(plan_document(*made, *gone))
    assert sum(line.startswith("::warning") for line in lines) == 10
    assert sum(line.startswith("::notice") for line in lines) == 10
    assert "and 5 more" in lines[9]


def test_an_annotation_names_the_place_in_the_repository() -> None:
    line = annotated(plan_document(change()), Repository("specs/.."))[0]
    found = re.fullmatch(r"::notice (.*?)::(.*)", line)
    assert found is not None
    properties, message = found.groups()
    assert "file=specs/a.yaml,line=3,col=1" in properties
    assert message == "change description"


def test_what_an_apply_did_not_do_is_no_notice() -> None:
    """An interrupted run lists its whole plan; what was not done must not look done."""
    document = plan_document(change("role/done"), change("role/left"))
    document["outcome"] = {"exit_code": 130, "left": ["role/left"], "stranded": [], "failures": []}
    undone, done = annotated(document)
    assert undone.startswith("::warning title=role/left")
    assert "::not done: change description" in undone
    assert done.startswith("::notice title=role/done")


def test_a_failed_step_is_annotated_at_its_place() -> None:
    document = plan_document()
    failure: dict[str, Any] = {
        "address": "role/web",
        "what": "iam:AttachRolePolicy",
        "status": "failed",
    }
    failure |= {"reason": "AccessDenied: no", "source": {"file": "a.yaml", "line": 3, "column": 9}}
    document["outcome"] = {"exit_code": 3, "left": [], "stranded": [], "failures": [failure]}
    (line,) = annotated(document)
    assert line.startswith("::error title=role/web%3A failed,file=a.yaml,line=3,col=9::")


def test_what_comes_from_outside_is_no_command() -> None:
    """Neither a second command nor another property; the older form neither."""
    document = plan_document(
        change(reason=HOSTILE),
        guards=[{"key": "k", "reason": HOSTILE, "lift": "x,y::z", "addresses": []}],
        conflicts=[{"address": f"role/{HOSTILE}", "reason": "r", "owner": None, "lift": "--a",
                    "source": None}],
    )  # fmt: skip
    lines = annotated(document)
    assert len(lines) == 3
    assert all(line.startswith("::") for line in lines)
    for line in lines:
        assert "##[" not in line
        assert "\x1b" not in line
        assert line.split("::")[1].count(",") <= 3


def test_outputs_of_a_job() -> None:
    outputs = github.plan_outputs(plan_document(change()))
    assert outputs["has_changes"] == "true"
    assert outputs["change"] == "1"
    assert outputs["digest"].startswith("sha256:")
    assert github.plan_outputs(plan_document())["has_changes"] == "false"
    wanted = {"has_changes", "add", "change", "destroy", "cutover", "digest"}
    assert outputs.keys() >= wanted


def findings() -> ValidateReport:
    first = Diagnostic("error", "unknown-key", HOSTILE, Location("specs/a b.yaml", 3, 5), "tags")
    again = Diagnostic("error", "unknown-key", HOSTILE, Location("specs/a b.yaml", 9, 5))
    whole = Diagnostic("warning", "empty-file", "holds nothing", Location("specs/b.yaml"))
    return ValidateReport((first, again, whole), {})


def test_code_quality() -> None:
    """GitLab takes a list with these members alone, and one of each fingerprint."""
    issues = json.loads(formats.VALIDATE["gitlab"](findings()))
    assert len({issue["fingerprint"] for issue in issues}) == 3
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert issue["location"]["lines"]["begin"] >= 1
    assert issues[0]["location"]["path"] == "specs/a b.yaml"


def test_sarif_is_of_its_schema() -> None:
    """``pydantic_sarif`` is made from the schema of OASIS; what GitHub wants besides stands here."""
    model = pytest.importorskip("pydantic_sarif.model")
    log = json.loads(formats.VALIDATE["sarif"](findings()))
    model.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(log)
    run = log["runs"][0]
    for rule in run["tool"]["driver"]["rules"]:
        for member in ("shortDescription", "fullDescription", "help"):
            assert rule[member]["text"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert not place["artifactLocation"]["uri"].startswith("/")
        assert " " not in place["artifactLocation"]["uri"]
        assert all(number >= 1 for number in place["region"].values())
        assert result["partialFingerprints"]["primaryLocationLineHash"]


SPEC = 'roles:\n  web:\n    trst: ec2\n  "a b": {trust: "e c2"}\n'


@pytest.mark.parametrize(
    ("line", "column", "token"),
    [(3, 5, "trst"), (4, 3, '"a b"'), (4, 18, '"e c2"'), (3, 11, "ec2"), (1, 1, "roles")],
)
def test_sarif_covers_the_token(line: int, column: int, token: str) -> None:
    found = Diagnostic("error", "unknown-key", "x", Location("web.yaml", line, column))
    report = ValidateReport((found,), {"web.yaml": SPEC})
    (result,) = json.loads(formats.VALIDATE["sarif"](report))["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert (region["startLine"], region["endLine"]) == (line, line)
    covered = SPEC.splitlines()[line - 1][region["startColumn"] - 1 : region["endColumn"] - 1]
    assert covered == token
    assert f"| {' ' * (column - 1)}{'^' * len(token)}\n" in formats.VALIDATE["full"](report)


def test_sarif_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = ("unknown-key", "tag-length", "policy-condition")
    found = tuple(Diagnostic("error", code, "x", Location("a.yaml", 1, 1)) for code in codes)
    driver = json.loads(formats.VALIDATE["sarif"](ValidateReport(found, {})))["runs"][0]["tool"]
    rules = {rule["id"]: rule for rule in driver["driver"]["rules"]}
    assert "the nearest known key is suggested" in rules["unknown-key"]["help"]["text"]
    assert "helpUri" not in rules["unknown-key"]
    assert rules["tag-length"]["helpUri"].endswith("/reference_iam-quotas.html")
    assert "`StringEquals`" in rules["policy-condition"]["help"]["markdown"]
    assert "informationUri" not in driver["driver"]
    monkeypatch.setattr("reconciler.render.ci.sarif.home_page", lambda: "https://git.example/r")
    again = json.loads(formats.VALIDATE["sarif"](ValidateReport(found, {})))["runs"][0]["tool"]
    assert again["driver"]["informationUri"] == "https://git.example/r"


@pytest.mark.parametrize("name", formats.VALIDATE)
def test_findings_in_every_format(name: str) -> None:
    text = formats.VALIDATE[name](findings())
    assert "unknown-key" in text
    assert "\x1b" not in text
    assert "unknown-key" not in formats.VALIDATE[name](ValidateReport((), {}))


def test_a_comment_is_smaller_than_what_github_takes() -> None:
    assert COMMENT_BYTES < 65_536


@pytest.mark.parametrize(
    ("line", "start", "marked"),
    [
        ("    boundary: arn:aws:iam::1:policy/x", 14, "arn:aws:iam::1:policy/x"),
        ("  - {Action: s3:Get, Effect: Allow}", 13, "s3:Get"),
        ("  name: x", 2, "name"),
        ("  name:", 2, "name"),
        ("  - 'a b': c", 4, "'a b'"),
        ("[a, b]", 1, "a"),
        ("", 0, ""),
    ],
)
def test_what_is_underlined(line: str, start: int, marked: str) -> None:
    assert token_length(line, start) == max(1, len(marked))


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 steps applied"), (1, "1 step applied"), (2, "2 steps applied")]
)
def test_one_step_is_no_steps(number: int, said: str) -> None:
    assert phrases.steps_applied(number) == said
