"""What ``docs/rules.md`` says of each rule, for reports that carry it along.

``rules.md`` in this folder is a copy of it, since a wheel has no docs; ``make docs`` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
_PAGES = {
    "AWS's limits": f"{_IAM}/reference_iam-quotas.html",
    "Policy documents": f"{_IAM}/reference_policies_elements.html",
    "ec2-trust": f"{_IAM}/id_roles_use_switch-role-ec2.html",
    "yaml-syntax": "https://yaml.org/spec/1.2.2/",
}
"""Where more is said, by the code of a rule or the section that it is in."""
_ROW = re.compile(r"\| ((?:`[\w-]+`(?:, )?)+) \| (.+) \|")


@dataclass(frozen=True, slots=True)
class Rule:
    """``text`` is Markdown; ``page`` is the address of a page that says more."""

    text: str
    page: str | None


@cache
def rules() -> Mapping[str, Rule]:
    """By code."""
    made: dict[str, Rule] = {}
    section = ""
    for line in files("reconciler.render.ci").joinpath("rules.md").read_text("utf-8").splitlines():
        section = line.removeprefix("## ") if line.startswith("## ") else section
        if found := _ROW.fullmatch(line):
            for code in re.findall(r"[\w-]+", found[1]):
                page = _PAGES.get(code, _PAGES.get(section))
                made[code] = Rule(found[2].replace(r"\|", "|"), page)
    return made


@cache
def home_page() -> str | None:
    """Of the installed program; ``None`` if its metadata names none."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("reconciler").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    named = dict(url.split(", ", 1) for url in urls)
    return named.get("Homepage")
