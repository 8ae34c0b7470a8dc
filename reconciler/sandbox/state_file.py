"""The file of ``--state``: what a sandbox holds is written to it while it runs, so that the next
one goes on from there, also after a crash."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.sandbox.snapshot import snapshot
from reconciler.sandbox.state import World

EVERY_SECONDS = 1.0
SHARE = 0.1
"""Of the time, at most, that is spent on writing: a large sandbox is written less often."""


def as_text(world: World) -> str:
    """JSON in the format of a seed, one value in a line, so that a mistake has a place."""
    held = snapshot(world).model_dump(mode="json", exclude_defaults=True)
    return json.dumps(held, indent=1) + "\n"


@dataclass
class StateFile:
    """``write`` replaces the content of the file; ``failed`` is told when it cannot, once until it
    can again."""

    world: World
    write: Callable[[str], None]
    failed: Callable[[OSError], None]
    _written: str = ""
    _seen: int = -1
    _has_failed: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Writes it, and from then on after changes. Raises ``OSError`` if that is impossible."""
        self._save()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Whether what there is now is in the file."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._try()
        return not self._has_failed

    def _keep(self) -> None:
        pause = EVERY_SECONDS
        while not self._stop.wait(pause):
            begun = time.monotonic()
            self._try()
            pause = max(EVERY_SECONDS, (time.monotonic() - begun) / SHARE)

    def _try(self) -> None:
        try:
            self._save()
        except OSError as error:
            if not self._has_failed:
                self.failed(error)
            self._has_failed = True
        else:
            self._has_failed = False

    def _save(self) -> None:
        """Reads count too: an association takes effect when somebody looks."""
        seen = len(self.world.log)
        if seen == self._seen and not self._has_failed:
            return
        text = as_text(self.world)
        if text != self._written:
            self.write(text)
        self._written, self._seen = text, seen
