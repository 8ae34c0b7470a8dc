"""``--record``: where the record of cut-overs is written to, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.commands.apply import Applied
from reconciler.errors import AwsError
from reconciler.render.json.encode import json_text
from reconciler.render.json.plan import now_as_text
from reconciler.render.json.record import record_json
from reconciler.render.record import record_markdown

MARKDOWN, JSON = "text/markdown; charset=utf-8", "application/json"


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """A file, or an object of S3; ``is_markdown`` by its name."""

    name: str
    bucket: str = ""
    key: str = ""

    @property
    def is_markdown(self) -> bool:
        return self.name.casefold().endswith(".md")


def record_places(given: list[str] | None) -> tuple[RecordPlace, ...]:
    """Raises ``typer.BadParameter`` for a place that nothing can be written to."""
    return tuple(_place(text) for text in given or ())


def _place(text: str) -> RecordPlace:
    if not text.startswith("s3://"):
        if not text or Path(text).is_dir():
            raise typer.BadParameter(f"--record takes FILE or s3://BUCKET/KEY, not {text!r}")
        return RecordPlace(text)
    bucket, _, key = text.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise typer.BadParameter(f"--record takes FILE or s3://BUCKET/KEY, not {text!r}")
    return RecordPlace(text, bucket, key)


Store = Callable[[str, str, str, str], None]
"""Writes an object: bucket, key, text, content type. Raises ``AwsError``."""


@dataclass(frozen=True, slots=True)
class RecordWriter:
    """``store`` is made when it is needed: most records are files."""

    places: tuple[RecordPlace, ...] = ()
    store: Callable[[], Store] | None = None

    def write(self, applied: Applied, run: str, console: Console) -> bool:
        """Whether all are written; what is not is reported."""
        if not self.places:
            return True
        made = record_json(applied, applied.exit_code, run, now_as_text())
        texts = {True: record_markdown(made), False: json_text(made) + "\n"}
        written = [self._write(place, texts[place.is_markdown], console) for place in self.places]
        return all(written)

    def _write(self, place: RecordPlace, text: str, console: Console) -> bool:
        try:
            if place.bucket and self.store is not None:
                kind = MARKDOWN if place.is_markdown else JSON
                self.store()(place.bucket, place.key, text, kind)
            else:
                write_whole(Path(place.name), text)
        except OSError as error:
            console.error(f"{error.filename or place.name}: {error.strerror}")
            return False
        except AwsError as error:
            console.error(f"{place.name}: {error.call}: {error.code}: {error.message}")
            return False
        return True
