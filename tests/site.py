"""Builds the site from the repository: `make site`.

Its source is a copy of the pages and of what they link to, at the same places: so every link is
right in the repository and on the site. ``README.md`` is the first page.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.program import ROOT

CONFIG = ROOT / "zensical.toml"
BUILD = ROOT / "build"
COPIED = ("docs", "examples", "specs", ".github")
_LINK = re.compile(r"\]\(([^)#\s]*)")


def pages() -> list[str]:
    """Every page of the repository that the site has."""
    found = [
        *ROOT.glob("*.md"),
        *(p for n in ("docs", "examples") for p in (ROOT / n).rglob("*.md")),
    ]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def listed() -> list[str]:
    """Every page of the navigation."""
    return list(_listed(tomllib.loads(CONFIG.read_text("utf-8"))["project"]["nav"]))


def _listed(entry: object) -> Iterator[str]:
    match entry:
        case str():
            yield entry
        case dict():
            yield from _listed(list(entry.values()))
        case list():
            for inner in entry:
                yield from _listed(inner)


def stage(folder: Path) -> None:
    """The source of the site."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (*ROOT.glob("*.md"), *(ROOT / n for n in ("LICENSE", "constraints.txt"))):
        shutil.copy(path, folder)
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name)


def build() -> subprocess.CompletedProcess[str]:
    """Fails if a link or an anchor leads nowhere, and says which."""
    stage(BUILD / "site-source")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(CONFIG)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def broken() -> list[str]:
    """Links of the site that lead nowhere in it: the generator looks at pages alone. A link to
    another site is one too where a browser would fetch from it unasked."""
    site = BUILD / "site"
    found = []
    for page in sorted(site.rglob("*.html")):
        for tag, attribute, link in re.findall(
            r'<(\w+)[^>]*?\s(href|src)="?([^"\s>]+)', page.read_text("utf-8")
        ):
            address = urlsplit(unescape(link))
            if address.scheme or address.netloc:
                is_fetched = attribute == "src" or tag == "link"
                target = site / "nowhere" if is_fetched else site
            elif address.path.startswith("/"):
                target = site / address.path.lstrip("/")
            else:
                target = page.parent / unquote(address.path)
            if not (target / "index.html" if target.is_dir() else target).is_file():
                found.append(f"{page.relative_to(site)}: {link}")
    return found


if __name__ == "__main__":
    made = build()
    sys.stdout.write(made.stdout)
    sys.stderr.write(made.stderr)
    lost = broken()
    sys.stderr.writelines(f"{link}\n" for link in lost)
    sys.exit(made.returncode or len(lost) > 0)
