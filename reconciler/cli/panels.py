"""Titles under which ``--help`` shows the flags that several commands have."""

from __future__ import annotations

SCOPE = "Scope"
OWNERSHIP = "Ownership and guards"
RUN = "How to run"
ACCESS = "Access to AWS"
OUTPUT = "Output"
