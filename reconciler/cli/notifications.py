"""Outputs of ``drift`` besides its report: baseline, notifications and metrics."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import typer

from reconciler.cli.console import Console
from reconciler.cli.files import MOST_BYTES, read_foreign, text_of, write_whole
from reconciler.cli.streams import close_stdout
from reconciler.drift.baseline import Baseline, Covers, following, undelivered
from reconciler.drift.findings import Drift, Finding
from reconciler.drift.severity import Severity
from reconciler.errors import AwsError, DeliveryError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.notify.notice import Notice
from reconciler.notify.notifier import Destination, Publisher, deliver, destination_of
from reconciler.notify.prometheus import Run, metrics
from reconciler.notify.webhook import Web
from reconciler.render.json.drift import baseline_of, baseline_text, finding_json
from reconciler.render.json.types import DriftShape


class Outputs(Publisher, Protocol):
    """What ``drift`` writes to AWS, see ``aws.outputs``. Every method raises ``AwsError``."""

    def read_object(self, bucket: str, key: str, most_bytes: int) -> bytes | None: ...

    def write_object(self, bucket: str, key: str, text: str) -> None: ...


@dataclass
class Notifier:
    """Writes the baseline and metrics, and sends notifications.

    An error is printed and makes the exit code 1, but the remaining outputs are still written."""

    baseline: str | None
    destinations: tuple[Destination, ...]
    metrics: Path | None
    outputs: Outputs
    console: Console
    problems: int = 0
    undelivered: int = 0
    drift: Drift | None = None

    def stored_baseline(self) -> Baseline | None:
        """The stored baseline, empty if there is none yet; ``None`` without ``--baseline``. Raises
        ``RefusedError`` if it cannot be read."""
        if self.baseline is None:
            return None
        try:
            if (found := _object(self.baseline)) is not None:
                content = self.outputs.read_object(*found, MOST_BYTES + 1)
                text = None if content is None else text_of(content)
            else:
                path = Path(self.baseline)
                text = read_foreign(path) if path.exists() else None
            return Baseline() if text is None else baseline_of(text)
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            message = f"{self.baseline} is not a baseline written by drift: {said}"
            raise RefusedError(message, ExitCode.ERROR) from error

    def notify(self, drift: Drift, document: DriftShape, before: Baseline, covers: Covers) -> None:
        """Sends the notifications, and stores the new baseline."""
        pending_delivery: dict[str, tuple[Finding, ...]] = {}
        for destination in self.destinations:
            news = undelivered(drift, before.pending_delivery.get(destination.id, ()))
            if news and not self._delivered(destination, document, news):
                pending_delivery[destination.id] = news
        if self.baseline is not None:
            text = baseline_text(
                following(drift, before, covers, pending_delivery), document["created_at"]
            )
            with self.reporting_errors():
                if (found := _object(self.baseline)) is not None:
                    self.outputs.write_object(*found, text)
                else:
                    write_whole(Path(self.baseline), text)

    def _delivered(
        self, destination: Destination, document: DriftShape, news: tuple[Finding, ...]
    ) -> bool:
        notice = Notice(document, tuple(finding_json(finding) for finding in news))
        try:
            deliver(destination, notice, Web(), self.outputs)
        except DeliveryError as error:
            self.undelivered += 1
            self.problems += 1
            hint = "it is sent again with the next run" if self.baseline else None
            self.console.error(f"{destination.name} could not be notified: {error}", hint)
            return False
        return True

    @contextmanager
    def reporting_errors(self) -> Iterator[None]:
        """Prints an error of the block and counts it as a problem, instead of raising it."""
        try:
            yield
        except OSError as error:
            self.problems += 1
            if error.filename is None:
                close_stdout()
            if not isinstance(error, BrokenPipeError):
                name = error.filename or "output"
                self.console.error(f"{name}: {error.strerror or type(error).__name__}")
        except AwsError as error:
            self.problems += 1
            self.console.error(f"{error.call}: {error.code}: {error.message}")

    @contextmanager
    def writing_metrics(self) -> Iterator[None]:
        """Writes the metrics after the block, also if it raises: they report failures too."""
        began = time.time()
        try:
            yield
        finally:
            if self.metrics is not None:
                self._measure(self.metrics, began)

    def _measure(self, path: Path, began: float) -> None:
        found = self.drift
        is_success = found is not None and found.exit_code is not ExitCode.ERROR
        now = time.time()
        run = Run(now, now - began, is_success and not self.problems, found, self.undelivered)
        with self.reporting_errors():
            try:
                before = read_foreign(path) if path.is_file() else ""
            except ValueError as error:  # another kind of file, which must not be overwritten
                message = f"this is not a metrics file: {error}"
                raise OSError(errno.EINVAL, message, str(path)) from error
            write_whole(path, metrics(run, before))

    def exit_code(self, drift: Drift, lowest: Severity) -> ExitCode:
        """``lowest`` is the severity from which findings count."""
        return ExitCode.ERROR if self.problems else drift.exit_code_from(lowest)


def _object(place: str) -> tuple[str, str] | None:
    """Bucket and key of ``s3://…``."""
    if not place.startswith("s3://"):
        return None
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return bucket, key


def notifier_of(
    baseline: str | None,
    notify: list[str] | None,
    measure: str | None,
    outputs: Outputs,
    console: Console,
) -> Notifier:
    """The notifier that the flags ask for. Raises a usage error for an invalid flag."""
    if notify and baseline is None:
        message = "--notify needs --baseline: without it every finding is sent with every run"
        raise typer.BadParameter(message)
    if baseline is not None and (found := _object(baseline)) and not all(found):
        raise typer.BadParameter(f"--baseline takes s3://BUCKET/KEY, not {baseline!r}")
    try:
        destinations = tuple(destination_of(text, os.environ) for text in notify or ())
    except ValueError as error:
        raise typer.BadParameter(f"--notify {error}") from error
    kind, equals, path = (measure or "prometheus=").partition("=")
    if kind != "prometheus" or not equals or (measure is not None and not path):
        raise typer.BadParameter(f"--metrics takes prometheus=FILE, not {measure!r}")
    return Notifier(baseline, destinations, Path(path) if path else None, outputs, console)
