"""How a profile wants its instances cut over: what is wrong with it, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.diagnostics import Diagnostic
from reconciler.model.checks import Checks, DeniedLimit, Verify
from reconciler.spec.check.account_checks import of_account
from reconciler.spec.loader import load

GROUP = "arn:aws:elasticloadbalancing:us-east-1:111111111111:targetgroup/web/0123456789abcdef"
ALARM = "arn:aws:cloudwatch:us-east-1:111111111111:alarm:web: errors"


def write(folder: Path, cutover: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(
        "roles: {r: {trust: ec2}}\ninstance_profiles:\n  p:\n    role: r\n    cutover:\n"
        + "".join(f"      {text}\n" for text in cutover.splitlines()),
        "utf-8",
    )
    return path


Told = tuple[str, str, str, str]


def found(folder: Path, cutover: str) -> list[Told]:
    return [_told(one) for one in load(str(write(folder, cutover))).diagnostics]


def _told(one: Diagnostic) -> Told:
    place = one.location
    where = f"{place.line}:{place.column}" if place else ""
    return where, one.severity, one.code, one.message


WRONG = {
    "bake: soon": (
        "6:13",
        "error",
        "invalid-duration",
        "bake: must be a duration such as 90s, 60m, 1h or 3600 (seconds), not 'soon'",
    ),
    "checkpoints: [100%]": (
        "6:21",
        "error",
        "invalid-checkpoint",
        "checkpoints: must be a share from 1% to 99%, not '100%'",
    ),
    "checkpoints: [10]": (
        "6:21",
        "error",
        "invalid-checkpoint",
        "checkpoints: must be a share from 1% to 99%, not '10'",
    ),
    "checkpoints: [50%, 10%]": (
        "6:26",
        "error",
        "invalid-checkpoint",
        "checkpoints ascend, and 10% comes after 50%",
    ),
    "checkpoints: [50%, 50%]": (
        "6:26",
        "error",
        "invalid-checkpoint",
        "checkpoints ascend, and 50% comes after 50%",
    ),
    "bake: 1m\nchecks: {denied: {max: some}}": (
        "7:30",
        "error",
        "invalid-count",
        "max: must be a count, not 'some'",
    ),
    "bake: 1m\nchecks: {denied: {max: -1}}": (
        "7:30",
        "error",
        "invalid-count",
        "max: must be a count, not '-1'",
    ),
    "bake: 7h\nchecks: {denied: {window: 7h}}": (
        "7:25",
        "error",
        "invalid-duration",
        "the window is from 1s to 6h: credentials of an instance last six hours",
    ),
    "bake: 7h\nchecks: {denied: {window: 0}}": (
        "7:25",
        "error",
        "invalid-duration",
        "the window is from 1s to 6h: credentials of an instance last six hours",
    ),
    "bake: 1m\nchecks: {alarm: [a]}": ("7:16", "error", "unknown-key", "unknown key 'alarm'"),
    "bake: 1m\nchecks: {alarms: ['']}": (
        "7:25",
        "error",
        "invalid-name",
        "the name of an alarm has 1 to 255 characters",
    ),
    "bake: 1m\nchecks: {alarms: ['arn:aws:sns:x']}": (
        "7:25",
        "error",
        "invalid-arn",
        "'arn:aws:sns:x' is not the ARN of a CloudWatch alarm",
    ),
    "bake: 1m\nchecks: {target_groups: [web]}": (
        "7:32",
        "error",
        "invalid-arn",
        "'web' is not the ARN of a target group",
    ),
    "strategy: wait\nbake: 1m": (
        "7:7",
        "error",
        "unused-check",
        "strategy wait refreshes no instance, so bake would never be looked at",
    ),
    "strategy: hop\ncheckpoints: [50%]": (
        "7:7",
        "error",
        "unused-check",
        "strategy hop has no checkpoints: until the next apply, instances would stay on the temporary profile",
    ),
    "verify: {source: [last-used]}": (
        "6:25",
        "error",
        "invalid-value",
        "source: must be 'imds' or 'cloudtrail', not 'last-used'",
    ),
    "verify: {source: [imds], timeout: soon}": (
        "6:41",
        "error",
        "invalid-duration",
        "timeout: must be a duration such as 90s, 60m, 1h or 3600 (seconds), not 'soon'",
    ),
    "verify: {source: [imds], on_unknown: rollback}": (
        "6:44",
        "error",
        "invalid-value",
        "on_unknown: must be 'continue' or 'stop', not 'rollback'",
    ),
    "verify: {sources: [imds]}": ("6:16", "error", "unknown-key", "unknown key 'sources'"),
    "strategy: wait\nverify: {source: [imds]}": (
        "7:7",
        "error",
        "unused-check",
        "strategy wait refreshes no instance, so verify would never be looked at",
    ),
    "checks: {alarms: [a]}": (
        "6:7",
        "warning",
        "no-bake",
        "without bake, checks are made once, as soon as a batch has ended",
    ),
    "bake: 1m\nchecks: {denied: {window: 5m}}": (
        "7:7",
        "warning",
        "no-bake",
        "bake is shorter than the window of denied calls, so that not all of it is seen",
    ),
}
"""Place, severity, code and message of what is found."""


@pytest.mark.parametrize("cutover", WRONG)
def test_what_is_wrong_and_where(tmp_path: Path, cutover: str) -> None:
    assert found(tmp_path, cutover) == [WRONG[cutover]]


def test_all_of_it(tmp_path: Path) -> None:
    text = (
        f"bake: 10m\ncheckpoints: [10%, 50%]\nchecks:\n  alarms: [web errors, '{ALARM}']\n"
        f"  target_groups: ['{GROUP}']\n  denied: {{}}\n"
        "verify: {source: [imds, cloudtrail, imds], timeout: 20m, on_unknown: stop}"
    )
    made = load(str(write(tmp_path, text)))
    assert not made.diagnostics
    (profile,) = made.desired.profiles.values()
    limits = profile.limits
    assert (limits.bake_seconds, limits.checkpoints) == (600, (10, 50))
    assert limits.checks == Checks(("web errors", ALARM), (GROUP,), DeniedLimit(0, 300))
    assert limits.verify == Verify(("imds", "cloudtrail"), 1200, "stop")


def test_nothing_is_watched_unless_it_is_written(tmp_path: Path) -> None:
    (profile,) = load(
        str(write(tmp_path, "bake: 1m\nchecks: {}\nverify: {}"))
    ).desired.profiles.values()
    assert not profile.limits.checks
    assert not profile.limits.verify


@pytest.mark.parametrize(
    ("account", "partition", "code"),
    [
        ("111111111111", "aws", None),
        ("222222222222", "aws", "other-account"),
        ("111111111111", "aws-cn", "other-partition"),
    ],
)
def test_of_this_account(tmp_path: Path, account: str, partition: str, code: str | None) -> None:
    text = f"bake: 10m\nchecks: {{alarms: ['{ALARM}'], target_groups: ['{GROUP}']}}"
    desired = load(str(write(tmp_path, text))).desired
    codes = [one.code for one in of_account(desired, account, partition)]
    assert codes == ([code, code] if code else [])
