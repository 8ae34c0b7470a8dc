"""What ``reconciler merge`` does."""

from __future__ import annotations

from pathlib import Path

from reconciler.cli.arguments import Color
from reconciler.cli.console import Console
from reconciler.cli.files import plan_or_drift, write_whole
from reconciler.cli.reports import report_requests
from reconciler.commands.planfile import saved_from
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render import formats
from reconciler.render.formats import as_text
from reconciler.render.json.merge import NamedDocument, is_drift, merged
from reconciler.render.styled_text import data

MOST_TOLD = 10


def run(
    files: list[Path],
    out: Path | None,
    report: list[str] | None,
    color: Color,
    quiet: bool,
) -> None:
    console = Console(color=color.value, quiet=quiet)
    document = merged(_read(files))
    known = formats.MERGED_DRIFT if is_drift(document) else formats.MERGED_PLAN
    reports = report_requests(report, known, as_json=False)
    if out is not None:
        write_whole(out, as_text(document))
    elif not reports.reports:
        console.out_json(document)
    reports.write_merged(document, console)
    noun = "target" if len(document["targets"]) == 1 else "targets"
    console.note(data(f"Merged {len(files)} files: {len(document['targets'])} {noun}."))


def _read(files: list[Path]) -> list[NamedDocument]:
    """The documents. Raises ``RefusedError`` that names every file that is none."""
    found, broken = [], []
    for path in files:
        try:
            document = plan_or_drift(path)
            if not is_drift(document):
                saved_from(document, str(path))
        except RefusedError as error:
            broken.append(error)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            broken.append(RefusedError(f"{path}: {reason}", ExitCode.ERROR))
        else:
            found.append(NamedDocument(str(path), document))
    if not broken:
        return found
    first, *others = broken
    more = [error.message for error in others[:MOST_TOLD]]
    if len(others) > MOST_TOLD:
        more.append(f"and {len(others) - MOST_TOLD} more files")
    raise RefusedError(first.message, first.exit_code, details=tuple(more))
