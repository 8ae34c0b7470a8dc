"""The docs say what the program does: every rule, every flag, every command, every link."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from reconciler.aws.errors import _WORDS, CUT_OFF
from reconciler.aws.organizations import _HINTS
from reconciler.aws.origins import UNKNOWN
from reconciler.cli.app import COMMANDS
from reconciler.errors import DENIED, NO_CREDENTIALS, THROTTLED
from reconciler.executor.outcomes import _LOST, _OF_THE_SPECS
from reconciler.executor.precondition import CHANGED
from reconciler.executor.retry_rules import RETRYABLE
from reconciler.exit_codes import ExitCode
from reconciler.model.policy_widening import WIDENINGS, Kind
from reconciler.render.ci.rules import rules
from tests import site
from tests.made import MADE

ROOT = Path(__file__).parent.parent
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE = re.compile(
    r'(?:Diagnostic\(\s*"(?:error|warning)",\s*|_error\(\s*|_unreadable\([^,]+,\s*'
    r'|PydanticCustomError\(\s*|_report\(\s*|_warning\(\s*)"([a-z0-9-]+)"'
)

OWN_CODE = re.compile(r'\b(?:Aws|InstanceEnded)Error\(\s*[^,()]+(?:\([^()]*\))?,\s*"([\w.]+)"')
"""The second argument, where it is written out."""
NAMED_CODE = re.compile(r'^\w+ = "(\w+)"\n"""Our own code', re.MULTILINE)


TESTS = "".join(
    path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)
)


def codes() -> list[str]:
    found: set[str] = set()
    for path in (ROOT / "reconciler").rglob("*.py"):
        found.update(CODE.findall(path.read_text("utf-8")))
    return sorted(found | {"unknown-key", "missing-key", "invalid-value", "claimed-twice"})


@pytest.mark.parametrize("code", codes())
def test_every_rule_is_documented(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "rules.md").read_text("utf-8")


@pytest.mark.parametrize("code", codes())
def test_every_rule_has_a_test(code: str) -> None:
    assert f'"{code}"' in TESTS


@pytest.mark.parametrize("kind", WIDENINGS)
def test_what_is_relevant_to_security_is_documented(kind: Kind) -> None:
    rows = (ROOT / "docs" / "drift.md").read_text("utf-8").splitlines()
    assert any(row.startswith(f"| `{kind}` | {WIDENINGS[kind]} |") for row in rows)


def test_there_are_rules_to_document() -> None:
    assert len(codes()) > 50


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_each_page_has_its_place_on_the_site() -> None:
    """Once: the site has no page that nobody finds."""
    assert sorted(site.listed()) == site.pages()


def test_the_site_builds_and_each_of_its_links_leads_somewhere() -> None:
    """With ``--strict``, and without anything that a browser would fetch from elsewhere."""
    made = site.build()
    assert made.returncode == 0, made.stdout + made.stderr
    assert "No issues found" in made.stdout + made.stderr
    assert site.broken() == []
    assert (site.BUILD / "site" / "index.html").stat().st_size > 10_000


@pytest.mark.parametrize("path", [*DOCS, *(ROOT / "examples").rglob("*.md")], ids=str)
def test_every_row_is_of_a_table(path: Path) -> None:
    """Rows without a header render as text."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert re.fullmatch(r"\|[-| ]+\|", block.splitlines()[1]), block


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for name in chain(*COMMANDS.values()):
        assert f"`{name}" in text


WAITS = "docs/how-to/role-change.md"
"""Its commands wait for minutes in all: that is what it shows."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name == WAITS else []) for name in MADE],
)
def test_what_is_made_is_of_this_code(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == MADE[name](), "make docs"


def test_the_program_knows_what_the_docs_say_of_each_rule() -> None:
    """SARIF shows it in code scanning."""
    assert set(codes()) - rules().keys() == set()
    assert all(len(rule.text) > 5 for rule in rules().values())


def handled() -> set[str]:
    """Codes of AWS and botocore that the program does something about."""
    listed = (*_OF_THE_SPECS, *_LOST, *(rule.code for rule in RETRYABLE), CHANGED)
    of_boto = (*CUT_OFF, *_WORDS, *UNKNOWN, *_HINTS)
    return {*DENIED, *THROTTLED, *NO_CREDENTIALS, *listed, *of_boto, *own_codes()}


def own_codes() -> set[str]:
    """Those that the program gives to an error itself."""
    found: set[str] = set()
    for path in (ROOT / "reconciler").rglob("*.py"):
        text = path.read_text("utf-8")
        found.update(OWN_CODE.findall(text), NAMED_CODE.findall(text))
    return found


@pytest.mark.parametrize("code", sorted(handled()))
def test_each_code_of_aws_has_its_remedy(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")


def test_own_codes_are_found() -> None:
    assert {
        "NotBegun",
        "TimedOut",
        "MfaRequired",
        "InvalidConfiguration",
        "NoReport",
    } <= own_codes()


@pytest.mark.parametrize("code", [str(int(code)) for code in ExitCode])
def test_each_exit_code_has_its_remedy(code: str) -> None:
    assert f"\n| {code} | " in (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")


def promised() -> list[tuple[str, str]]:
    """File and test of every promise; a test without a file is in the file named before it."""
    found: list[tuple[str, str]] = []
    file = ""
    for name in re.findall(
        r"`([\w/.]*(?:\.py::)?test_\w+)`", (ROOT / "docs/promises.md").read_text()
    ):
        path, _, test = name.rpartition("::")
        file = path or file
        found.append((file, test))
    return found


@pytest.mark.parametrize(("file", "test"), promised())
def test_what_is_promised_has_its_test(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8")


def test_there_are_promises() -> None:
    assert len(promised()) > 100


ARCHITECTURE = ROOT / "docs" / "architecture.md"
PLACES = re.compile(r"`([a-z_]+(?:/[a-z_]+)*\.py)(?:: (\w+))?`")


def test_the_architecture_names_what_there_is() -> None:
    """Each file, and what it is said to define."""
    found = PLACES.findall(" ".join(ARCHITECTURE.read_text("utf-8").split()))
    assert len(found) > 50
    for name, symbol in found:
        path = next(p for p in (ROOT / "reconciler" / name, ROOT / name) if p.exists())
        assert not symbol or re.search(
            rf"^(?:(?:class|def) {symbol}\b|{symbol}\b.* = )", path.read_text("utf-8"), re.MULTILINE
        ), (name, symbol)


def test_the_architecture_names_every_package() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    for path in (ROOT / "reconciler").iterdir():
        if (path / "__init__.py").exists():
            assert f"`{path.name}/`" in text, path.name
