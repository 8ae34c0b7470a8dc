"""How severe a finding may be. Why it is, is in ``causes.py``."""

from __future__ import annotations

from typing import Literal, get_args

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Highest first."""
