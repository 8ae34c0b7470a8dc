"""JUnit XML, which every CI system shows as a table: findings in specs, and drift.

A failure differs, an error could not be checked, and a skipped case is only reported.
Source: github.com/windyroad/JUnit-Schema (the Ant schema)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reconciler.render import phrases
from reconciler.render.ci.repository import Repository
from reconciler.render.escape import printable
from reconciler.render.json.types import DiagnosticShape, DriftShape
from reconciler.render.text.direction import HAPPENED
from reconciler.render.text.values import differing

_Kind = Literal["failure", "error", "skipped"]


def drift_junit(document: DriftShape) -> str:
    """A suite for each target, a case for each finding; one that passes where there is none."""
    suites = Element("testsuites", name="reconciler drift")
    found = phrases.findings_by_target(document)
    for target in document["targets"]:
        findings = found.get(target["target"], [])
        name = f"{target['target']} {target['account_id']}"
        suite = _suite(suites, name, document["created_at"])
        for finding in findings:
            kind = finding["address"].partition("/")[0]
            case = _case(suite, kind, finding["address"])
            pairs = [(d["path"], d["before"], d["after"]) for d in finding["differences"]]
            said = differing(finding["address"], "!", pairs, HAPPENED) if pairs else ""
            status = finding["status"]
            outcome: _Kind = "skipped" if status in ("left", "unmanaged") else "failure"
            if status == "unknown":
                outcome = "error"
            _broken(case, outcome, status, phrases.found(finding), said)
        if not findings:
            _case(suite, "drift", "no drift")
    return _text(suites)


def validate_junit(found: Iterable[DiagnosticShape], repository: Repository, time: str) -> str:
    """Errors fail; warnings are skipped."""
    suites = Element("testsuites", name="reconciler validate")
    suite = _suite(suites, "specs", time)
    listed = list(found)
    for one in listed:
        place = f"{repository.path(one['file'])}:{one['line']}:{one['column']}"
        case = _case(suite, one["code"], place)
        kind: _Kind = "failure" if one["severity"] == "error" else "skipped"
        _broken(case, kind, one["code"], one["message"])
    if not listed:
        _case(suite, "specs", "valid")
    return _text(suites)


def _suite(suites: Element, name: str, time: str) -> Element:
    stamp = time.removesuffix("Z")
    told = {"name": printable(name), "timestamp": stamp, "hostname": "localhost", "time": "0"}
    return SubElement(suites, "testsuite", told)


def _case(suite: Element, classname: str, name: str) -> Element:
    told = {"classname": printable(classname), "name": printable(name), "time": "0"}
    return SubElement(suite, "testcase", told)


def _broken(case: Element, kind: _Kind, type_: str, message: str, more: str = "") -> None:
    """``more`` are lines that are harmless already."""
    said = printable(message)
    if kind == "skipped":
        SubElement(case, kind, {"message": said})
    else:
        SubElement(case, kind, {"message": said, "type": type_}).text = more or said


def _text(suites: Element) -> str:
    """With the counts that readers take from the attributes."""
    counted = {
        "tests": "testcase",
        "failures": "*/failure",
        "errors": "*/error",
        "skipped": "*/skipped",
    }
    for suite in suites:
        for name, path in counted.items():
            suite.set(name, str(len(suite.findall(path))))
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode") + "\n"
