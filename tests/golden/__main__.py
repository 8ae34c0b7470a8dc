"""Writes the golden files."""

from __future__ import annotations

import sys

from tests.golden.cases import FILES, MAKERS, made


def main() -> None:
    files = {file: text for name in MAKERS for file, text in made(name).items()}
    for path in FILES.glob("*"):
        if path.name not in files:
            path.unlink()
    for file, text in files.items():
        (FILES / file).write_text(text, "utf-8")
    sys.stdout.write(f"{len(files)} files\n")


if __name__ == "__main__":
    main()
