"""Where the specs stand in a repository: what annotations and links name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import quote

from reconciler.render.json.types import SourceShape


@dataclass(frozen=True, slots=True)
class Repository:
    """``root`` is the folder of the checkout. ``pages`` is the address below which the hoster shows
    files of the commit, such as ``https://github.com/o/r/blob/SHA``; ``None`` where there is
    none."""

    root: str = "."
    pages: str | None = None

    def path(self, file: str) -> str:
        """From the root on, with ``/``; a file that lies elsewhere stays as it is."""
        relative = os.path.relpath(os.path.abspath(file), os.path.abspath(self.root))  # noqa: PTH100 - links are not followed
        return file if relative.startswith("..") else relative.replace(os.sep, "/")

    def link(self, source: SourceShape) -> str | None:
        """The page of the place, to be followed by a person."""
        path = self.path(source["file"])
        if self.pages is None or path.startswith(("/", "..")):
            return None
        return f"{self.pages}/{quote(path)}#L{source['line']}"


HERE = Repository()
"""The folder that the program runs in, of which there are no pages."""
