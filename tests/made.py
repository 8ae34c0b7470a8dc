"""Files that are made from the code: `make docs` writes them, and tests compare. ``python -m
tests.made NAME`` writes those with ``NAME`` in their path."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial

from reconciler.spec.schema import json_schema
from tests import demo_picture, graph_picture, picture
from tests.beyond_reference import beyond_reference
from tests.completions import completion
from tests.manual import manual
from tests.program import ROOT
from tests.reference import reference
from tests.strategy_pictures import PICTURES
from tests.strategy_pictures import picture as strategy
from tests.transcripts import played


def rules() -> str:
    """The copy of ``docs/rules.md`` that the program carries along: SARIF shows it."""
    return (ROOT / "docs" / "rules.md").read_text("utf-8")


def spec_schema() -> str:
    """What editors check specs by."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


PLAYED = (
    "docs/tutorial.md",
    "docs/how-to/adopt.md",
    "docs/how-to/role-change.md",
    "docs/how-to/terraform.md",
)
"""Pages whose transcripts are made."""

MADE: Mapping[str, Callable[[], str]] = {
    "docs/reference.md": reference,
    "docs/architecture.md": picture.page,
    "docs/spec-v1.json": spec_schema,
    **{page: partial(played, page) for page in PLAYED},
    **{f"docs/strategies/{name}.svg": partial(strategy, name) for name in PICTURES},
    "docs/demo.svg": demo_picture.picture,
    "docs/graph.svg": graph_picture.picture,
    "reconciler/lint/beyond_reference.txt": beyond_reference,
    "reconciler/render/ci/rules.md": rules,
    "share/man/man1/reconciler.1": manual,
    "share/bash-completion/completions/reconciler": partial(completion, "bash"),
    "share/zsh/site-functions/_reconciler": partial(completion, "zsh"),
    "share/fish/vendor_completions.d/reconciler.fish": partial(completion, "fish"),
}


def main() -> None:
    wanted = sys.argv[1:] or [""]
    for name, make in MADE.items():
        if any(word in name for word in wanted):
            path = ROOT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(), "utf-8")


if __name__ == "__main__":
    main()
