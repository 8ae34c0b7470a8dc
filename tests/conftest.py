"""Fixtures for all tests. Nothing here reaches a network or reads a person's credentials."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from hypothesis import HealthCheck, settings

import tests.botocore_data  # noqa: F401 - before moto reads the models
from tests.rig import Rig, rig
from tests.sampling import leave_to_the_sweep

# Under `nohup` it is ignored, and every program that a test starts would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Typer makes the commands anew for each run in this process.
typer.main.get_command = functools.cache(typer.main.get_command)

# `make sweep` takes the thorough one. No deadline: time is measured by benchmarks.
for profile, examples in (("fast", 30), ("thorough", 300)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
settings.load_profile("fast")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not any("::" in argument for argument in config.args):  # somebody asks for these cases
        leave_to_the_sweep(items)


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made
