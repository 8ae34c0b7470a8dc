"""``reconciler verify`` and ``drift --evidence``, as a person or a pipeline runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import refusing
from tests.render.test_shapes import valid
from tests.rig import ACCOUNT, HOME, Rig

SETTINGS = f"owner: tests\nregions: [{HOME}]\nconsumer_regions: [{HOME}]\npropagation: 60s\n"
SPEC = "roles: {v1: {trust: ec2}, v2: {trust: ec2}}\ninstance_profiles: {web: {role: v1}}\n"


@pytest.fixture
def one(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An instance on the profile; the commands run in the folder of the specs."""
    monkeypatch.chdir(aws.folder)
    monkeypatch.setenv("RECONCILER_SPECS", str(aws.folder))
    # The sandbox has a clock of its own, and the program that of this machine.
    monkeypatch.setattr("reconciler.cli.connection.SystemClock", lambda: aws.clock)
    aws.write(SPEC, SETTINGS)
    aws.settle(regions=())
    aws.clock.sleep(60)
    (made,) = aws.launch(1, profile="web", tags={"Name": "solo"})
    aws.clock.sleep(60)
    yield made


def use(aws: Rig, instance: str, **how: Any) -> None:
    aws.served(instance)
    aws.aws.sessions.use((ACCOUNT, HOME, instance), "s3:ListBuckets", aws.clock.now(), **how)


def swap(aws: Rig) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v2")


def test_exit_codes_and_json(aws: Rig, one: str, capsys: pytest.CaptureFixture[str]) -> None:
    def verified(code: ExitCode, *arguments: str) -> Any:
        assert run(["verify", *arguments, "--json", "--quiet"]) == code
        printed = json.loads(capsys.readouterr().out)
        valid("verify", printed)
        return printed

    assert verified(ExitCode.ERROR)["summary"] == {"proved": 0, "unknown": 1, "contradicted": 0}
    use(aws, one)
    found = verified(ExitCode.OK, one, "--source", "cloudtrail", "--source", "last-used")
    (told,) = found["targets"][0]["instances"]
    assert (told["instance"], told["name"], told["status"]) == (one, "solo", "proved")
    assert told["association"]["instance_profile"] == "web"
    assert told["association"]["role"] == told["mark"]["role"] == told["evidence"]["role"] == "v1"
    assert found["api_calls"]["cloudtrail:LookupEvents"] == 3
    swap(aws)
    use(aws, one)
    found = verified(ExitCode.DIFFERENCES, "instance-profile/web")
    assert found["targets"][0]["instances"][0]["evidence"]["how"] == "other-role"


def test_text(aws: Rig, one: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal: what is waited for is said in lines."""
    use(aws, one)
    assert run(["verify"]) == ExitCode.OK
    printed = capsys.readouterr()
    assert f"proved       {one} (solo) in {HOME}" in printed.out
    assert printed.out.endswith("Verified: 1 proved, 0 unknown, 0 contradicted.\n")
    assert "CloudTrail: waiting for the calls of 1 instance in us-east-1" in printed.err
    assert "\x1b" not in printed.out + printed.err


def test_what_is_missing_is_named(aws: Rig, one: str, capsys: pytest.CaptureFixture[str]) -> None:
    with refusing(aws, "LookupEvents", "AccessDenied"):
        assert run(["verify", "--quiet"]) == ExitCode.ERROR
    assert "Not allowed: cloudtrail:LookupEvents. reconciler permissions --for verify" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["web"], "'web' is no address"),
        (["Instance-Profile/web"], "did you mean instance-profile/web?"),
        (["instance-profile/wbe"], "did you mean instance-profile/web?"),
        (["--source", "cloud"], "--source"),
        (["--wait", "soon"], "--wait takes a duration such as 90s, 30m or 2h, not 'soon'"),
    ],
)
def test_wrong_usage(
    one: str, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", *arguments, "--quiet"]) == ExitCode.USAGE
    assert says in capsys.readouterr().err


def test_drift_tells_a_contradiction_until_it_is_known_to_be_gone(
    aws: Rig, one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not resolved by a run that did not look, nor by one for which it is unknown."""

    def drifted(*flags: str) -> Any:
        run(["drift", "--json", "--baseline", "baseline.json", *flags])
        return json.loads(capsys.readouterr().out)

    aws.aws.lags = aws.aws.lags.__class__(ec2_sees_iam=30.0, renewing=90.0)
    swap(aws)
    aws.clock.sleep(60)
    use(aws, one)
    aws.aws.lags = aws.aws.lags.__class__(ec2_sees_iam=30.0)
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v2")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v1")
    (found,) = drifted("--evidence")["findings"]
    assert (found["address"], found["status"], found["severity"], found["transition"]) == (
        f"association/{one}",
        "stale",
        "critical",
        "new",
    )
    assert [cause["rule"] for cause in found["causes"]] == ["contradicted"]
    for later in (drifted(), drifted()):
        assert (later["findings"], later["resolved"]) == ([], [])
    with refusing(aws, "LookupEvents", "AccessDenied"):
        later = drifted("--evidence")
    assert (later["findings"], later["resolved"]) == ([], [])
    (again,) = drifted("--evidence")["findings"]
    assert again["transition"] == "ongoing"
    (row,) = aws.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    aws.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    aws.clock.sleep(30)
    aws.ec2().associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "web"})
    aws.clock.sleep(60)
    use(aws, one)
    (gone,) = drifted("--evidence")["resolved"]
    assert gone["address"] == f"association/{one}"
