"""JUnit's XML, as Jenkins, GitLab and GitHub's actions read it.

The table below is what the schema of Jenkins (``junit-10.xsd``) and Ant's say of the elements that
are written here: attributes that must be there, and those that may.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, fromstring

from reconciler.render import formats
from reconciler.render.formats import ValidateReport
from tests.render.situations import drift_report, everything
from tests.render.test_formats import findings

_NUMBER = r"\d+(\.\d{0,3})?"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
_ANY = r"(?s).*"
FORM: dict[str, tuple[dict[str, str], dict[str, str], set[str]]] = {
    "testsuites": (
        {},
        {"name": _ANY, "tests": _NUMBER, "failures": _NUMBER, "errors": _NUMBER},
        {"testsuite"},
    ),
    "testsuite": (
        {"name": _ANY, "tests": _NUMBER, "failures": _NUMBER, "errors": _NUMBER},
        {"time": _NUMBER, "timestamp": _TIME, "hostname": _ANY, "skipped": _NUMBER},
        {"testcase"},
    ),
    "testcase": (
        {"name": _ANY, "classname": _ANY, "time": _NUMBER},
        {},
        {"failure", "error", "skipped"},
    ),
    "failure": ({"type": _ANY}, {"message": _ANY}, set()),
    "error": ({"type": _ANY}, {"message": _ANY}, set()),
    "skipped": ({}, {"message": _ANY}, set()),
}


def is_of_the_form(element: Element) -> None:
    must, may, children = FORM[element.tag]
    assert element.attrib.keys() >= must.keys()
    for name, value in element.attrib.items():
        assert re.fullmatch({**must, **may}[name], value), (element.tag, name, value)
    for child in element:
        assert child.tag in children
        is_of_the_form(child)


def test_drift() -> None:
    drift = everything()[2]
    suites = fromstring(formats.DRIFT["junit"](drift_report(drift)))
    is_of_the_form(suites)
    suite = suites[0]
    assert suite.get("tests") == str(len(drift.findings))
    told = "".join(suite.itertext())
    assert re.search(r'! role/v1\n- +lost tags\.a: "b"', told), told
    n = drift.summary
    assert suite.get("errors") == str(n["unknown"])
    assert suite.get("skipped") == str(n["left"] + n["unmanaged"])
    failed = n["modified"] + n["missing"] + n["unadopted"] + n["stale"] + n["in_progress"]
    assert suite.get("failures") == str(failed)


def test_findings() -> None:
    suites = fromstring(formats.VALIDATE["junit"](findings()))
    is_of_the_form(suites)
    assert suites.get("tests") == "3"
    assert suites.get("failures") == "2"
    fine = fromstring(formats.VALIDATE["junit"](ValidateReport((), {})))
    assert (fine.get("tests"), fine.get("failures")) == ("1", "0")
