"""A command line that is wrong is told in the words of its user."""

from __future__ import annotations

import pytest

from reconciler.cli.app import run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drift", "--fail-on", "critcal"], "--fail-on takes critical, warning, info; not 'critcal'; did you mean critical?"),
        (["plan", "--color", "x"], "--color takes auto, always, never; not 'x'"),
        (["plan", "--parallelism", "x"], "--parallelism must be a whole number"),
        (["plan", "--parallelism", "500"], "--parallelism must be at most 50"),
        (["sandbox", "--lost", "x"], "--lost must be a number"),
        (["sandbox", "--ec2-lag", "-1"], "--ec2-lag must be at least 0"),
        (["plan", "--onyl", "x"], "No such option: --onyl (Possible options: --json, --only, --owner)"),
        (["import"], "--out DIR is missing: the folder for the specs"),
    ],
)  # fmt: skip
def test_a_wrong_value(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert run(arguments) == 64
    told = " ".join(capsys.readouterr().err.split())
    assert said in told, told
    assert "Input should be" not in told
    assert "Value error" not in told


def test_a_wrong_value_of_a_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_PARALLELISM", "x")
    assert run(["plan"]) == 64
    assert "RECONCILER_PARALLELISM must be a whole number" in capsys.readouterr().err
