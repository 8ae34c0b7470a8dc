"""``python -m tests.mutants``: exits with 1 if a mutant survives."""

from __future__ import annotations

import sys

from tests.mutants.runner import main

if __name__ == "__main__":
    sys.exit(main())
