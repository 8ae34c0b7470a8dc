"""``reconciler doctor`` on a sandbox: every check ends, whatever is broken, and says what to do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from reconciler.render.json.schemas import schema_of
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening, refusing
from tests.behaviour.test_organizations import SETTINGS as IN_ORGANIZATION
from tests.behaviour.test_organizations import Organization
from tests.permissions.test_preflight import ASK, CALLED, TRUST, allow, of_specs
from tests.receiver import Received, Reply, receiver
from tests.rig import ACCOUNT, HOME, Rig

SPEC = """
roles: {web: {trust: ec2, path: /app/}}
instance_profiles: {web: {role: web}}
associations: {all: {instance_profile: web, select: {tags: {role: web}}}}
"""
SETTINGS = f"version: 1\nowner: tests\nregions: [{HOME}]\n"
OF_MACHINE = [
    *("versions", "specs", "proxies", "sts-endpoint", "iam-endpoint", "ec2-endpoint"),
    *("clock", "credentials"),
]
OF_ACCOUNT = [
    *("identity", "account", "regions", "reads", "changes", "quotas", "cloudtrail", "ssm")
]
SECRETS = ("hidden-key", "hidden-password", "hidden-token")


@pytest.fixture
def shell(aws: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> Iterator[Rig]:
    """A person with keys, and nothing else."""
    home = tmp_path_factory.mktemp("home")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[0])
    aws.write(SPEC, SETTINGS)
    yield aws
    written = {c.name for c in aws.aws.log if "reconciler/" in c.user_agent and not c.is_read}
    assert written <= {"sts:AssumeRole", "cloudtrail:LookupEvents"}


Found = dict[str, dict[str, Any]]


def examined(
    aws: Rig, capsys: pytest.CaptureFixture[str], *flags: str, code: ExitCode = ExitCode.OK
) -> Found:
    """What is printed, by check; of the last target if there are some."""
    assert run(["doctor", str(aws.folder), "--json", *flags]) == code
    told = capsys.readouterr()
    document = json.loads(told.out)
    jsonschema.validate(document, schema_of("doctor"))
    assert sum(document["summary"].values()) == len(document["checks"])
    for one in document["checks"]:
        assert bool(one["fix"]) == (one["status"] != "ok"), one
    assert not [secret for secret in SECRETS if secret in told.out + told.err]
    return {one["check"]: one for one in document["checks"]}


def statuses(found: Found) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    for name, one in found.items():
        made.setdefault(one["status"], []).append(name)
    return made


def test_where_everything_is_right(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    shell.iam.create_role(RoleName="caller", Path="/ci/", AssumeRolePolicyDocument=TRUST)
    shell.write(SPEC, CALLED)
    allow(shell, [*of_specs(shell, "apply", regions=()), ASK])
    found = examined(shell, capsys)
    assert statuses(found) == {
        "ok": [*OF_MACHINE, *(name for name in OF_ACCOUNT if name != "ssm")],
        "warning": ["ssm"],
    }
    assert found["identity"]["target"] == "main"
    assert found["clock"]["target"] is None
    assert ":assumed-role/caller/" in found["identity"]["message"]
    assert found["account"]["data"]["account_id"] == ACCOUNT
    assert found["credentials"]["data"]["origin"] == "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    assert found["regions"]["data"]["unreadable"] == {}
    assert found["changes"]["data"]["allowed"] > 15


def test_a_change_that_is_not_allowed(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    shell.iam.create_role(RoleName="caller", Path="/ci/", AssumeRolePolicyDocument=TRUST)
    shell.write(SPEC, CALLED)
    allow(
        shell,
        [*(s for s in of_specs(shell, "apply", regions=()) if s["Sid"] != "PassRolesToEc2"), ASK],
    )
    found = examined(shell, capsys, code=ExitCode.ERROR)
    denied = {"action": "iam:PassRole", "resource": f"arn:aws:iam::{ACCOUNT}:role/app/web"}
    assert found["changes"]["data"]["denied"] == [{**denied, "why": "no policy allows it"}]
    assert found["changes"]["fix"] == "reconciler permissions --for apply prints the policy"
    # Who only plans need not be allowed to change anything.
    assert "changes" not in examined(shell, capsys, "--for", "plan")


def test_a_role_that_is_elsewhere(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The specs give no path, and the caller may change what is at the path that it has."""
    shell.iam.create_role(RoleName="caller", Path="/ci/", AssumeRolePolicyDocument=TRUST)
    shell.iam.create_role(RoleName="web", Path="/app/", AssumeRolePolicyDocument=TRUST)
    shell.write("roles: {web: {trust: ec2}}\n", CALLED)
    everything = {"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::*:role/app/*"}
    reading = {"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"}
    allow(shell, [everything, reading, ASK])
    assert examined(shell, capsys)["changes"]["status"] == "ok"


def test_where_everything_is_denied(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(logged: Logged) -> None:
        if logged.service != "sts":
            code = "UnauthorizedOperation" if logged.service == "ec2" else "AccessDenied"
            raise refused(logged.service, code, "no", 403)

    with listening(shell.aws.before, refuse):
        found = examined(shell, capsys, code=ExitCode.ERROR)
    assert statuses(found) == {
        "ok": [*OF_MACHINE, "identity", "account"],
        "failure": ["regions", "reads"],
        "unknown": ["changes", "quotas"],
        "warning": ["cloudtrail", "ssm"],
    }
    assert found["regions"]["fix"] == (
        "allow ec2:DescribeRegions, or set consumer_regions in reconciler.yaml"
    )
    assert "iam:GetRole" in found["reads"]["data"]["denied"]
    assert found["account"]["data"]["alias"] is None


def test_verify_cannot_do_without_cloudtrail(
    shell: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    with refusing(shell, "LookupEvents", "AccessDenied"):
        asked = examined(shell, capsys)
        found = examined(shell, capsys, "--for", "verify", code=ExitCode.ERROR)
    assert asked["cloudtrail"]["status"] == "warning"
    assert found["cloudtrail"]["status"] == "failure"
    assert "permissions --for verify" in found["cloudtrail"]["fix"]
    assert "changes" not in found


def test_without_credentials(
    shell: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = examined(shell, capsys, code=ExitCode.ERROR)
    assert statuses(found) == {
        "ok": [name for name in OF_MACHINE if name != "credentials"],
        "failure": ["credentials"],
        "unknown": OF_ACCOUNT,
    }
    assert found["credentials"]["message"] == "no AWS credentials were found"
    assert "AWS_ACCESS_KEY_ID" in found["credentials"]["fix"]


def test_without_a_network(
    shell: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:{SECRETS[1]}@127.0.0.1:1")
    found = examined(shell, capsys, code=ExitCode.ERROR)
    assert statuses(found) == {
        "ok": ["versions", "specs", "proxies", "credentials"],
        "failure": ["sts-endpoint", "iam-endpoint", "ec2-endpoint"],
        "unknown": ["clock", *OF_ACCOUNT],
    }
    assert found["iam-endpoint"]["fix"] == "correct or remove AWS_ENDPOINT_URL"
    assert found["iam-endpoint"]["data"]["url"] == "http://127.0.0.1:1"
    assert found["quotas"]["message"] == "not asked: STS cannot be reached"


def test_one_endpoint_that_is_wrong(
    shell: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "nonsense")
    found = examined(shell, capsys, code=ExitCode.ERROR)
    assert statuses(found)["failure"] == ["ec2-endpoint", "regions"]
    assert "AWS_ENDPOINT_URL_EC2" in found["ec2-endpoint"]["fix"]
    assert found["quotas"]["status"] == "ok"


def web_page(_: Received) -> Reply:
    return 200, {}, b"<html><body>Sign in to use this network</body></html>"


def test_an_answer_of_somebody_else(
    shell: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver(web_page) as page:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", page.url)
        found = examined(shell, capsys, code=ExitCode.ERROR)
    assert found["sts-endpoint"]["status"] == "failure"
    assert "the response is not from AWS" in found["sts-endpoint"]["message"]


def refusing_nobody(_: Received) -> Reply:
    error = b"<Error><Code>InvalidClientTokenId</Code><Message>no</Message></Error>"
    body = b"<ErrorResponse>" + error + b"<RequestId>1</RequestId></ErrorResponse>"
    return 403, {"Content-Type": "text/xml"}, body


def test_the_clock_is_told_by_who_refuses(
    shell: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reconciler.aws.examiner.now", lambda: time.time() + 600)
    with receiver(refusing_nobody) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        found = examined(shell, capsys, code=ExitCode.ERROR)
    assert found["clock"]["status"] == "failure"
    assert abs(found["clock"]["data"]["seconds"] + 600) < 5
    assert found["sts-endpoint"]["status"] == "ok"
    assert found["identity"]["status"] == "failure"
    assert "AWS does not know the keys" in found["identity"]["fix"]


def test_a_profile_that_does_not_exist(
    shell: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nope")
    found = examined(shell, capsys, code=ExitCode.ERROR)
    assert statuses(found)["failure"] == ["credentials"]
    assert "no AWS profile 'nope' (AWS_PROFILE)" in found["credentials"]["message"]
    assert found["clock"]["status"] == "unknown"


def test_another_account(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    shell.write(SPEC, SETTINGS + "account_id: '999999999999'\n")
    found = examined(shell, capsys, code=ExitCode.ERROR)
    assert found["account"]["status"] == "failure"
    assert found["account"]["fix"] == (
        "use credentials of 999999999999, or correct account_id in reconciler.yaml"
    )
    assert statuses(found)["unknown"] == OF_ACCOUNT[2:]
    own = [c.name for c in shell.aws.log if "reconciler/" in c.user_agent]
    # Those in nobody's name, and who we are.
    asked = ["sts:GetCallerIdentity", "iam:ListAccountAliases", "ec2:DescribeRegions"]
    assert own == [*asked, "sts:GetCallerIdentity"]


def test_specs_with_errors_and_none_at_all(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    shell.write("roles: {web: {nonsense: 1}}\n", SETTINGS)
    found = examined(shell, capsys, code=ExitCode.ERROR)
    assert found["specs"]["status"] == "failure"
    assert "spec.yaml:1:" in found["specs"]["message"]
    assert found["specs"]["fix"] == f"run reconciler validate {shell.folder}"
    assert found["changes"]["status"] == "unknown"
    assert found["regions"]["status"] == "ok"
    assert run(["doctor", str(shell.folder / "nothing"), "--region", HOME, "--json"]) == 0
    (first,) = [
        one for one in json.loads(capsys.readouterr().out)["checks"] if one["check"] == "specs"
    ]
    assert first["status"] == "warning"
    assert first["fix"] == "run reconciler init, or pass the folder of the specs"


def test_an_unknown_target_is_wrong_usage(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", str(shell.folder), "--target", "x"]) == ExitCode.USAGE
    assert "there is no target 'x'" in capsys.readouterr().err


def test_ec2_is_asked_by_dry_runs_where_the_simulator_is_not(
    shell: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.launch(1, tags={"role": "web"})
    shell.settle(regions=(HOME,))
    shell.clock.sleep(60)
    shell.aws.log.clear()
    found = examined(shell, capsys)
    assert found["changes"]["status"] == "unknown"
    assert found["changes"]["message"].endswith(
        "as dry runs EC2 allows ec2:AssociateIamInstanceProfile, ec2:DeleteTags"
    )
    assert found["changes"]["fix"] == "run it as a role or as a user of IAM, to be sure"
    with refusing(shell, "AssociateIamInstanceProfile", "UnauthorizedOperation", asked=True):
        found = examined(shell, capsys, code=ExitCode.ERROR)
    (denied,) = found["changes"]["data"]["denied"]
    assert denied["action"] == "ec2:AssociateIamInstanceProfile"


def test_an_endpoint_that_takes_no_notice_of_dry_runs(
    shell: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both calls change nothing when they are carried out."""
    (instance,) = shell.launch(1, tags={"role": "web"})
    shell.settle(regions=(HOME,))
    shell.clock.sleep(60)
    before = shell.associations(), shell.instance_tags(instance)

    def takes_no_notice(logged: Logged) -> None:
        logged.params.pop("DryRun", None)

    shell.aws.log.clear()
    with listening(shell.aws.before, takes_no_notice):
        found = examined(shell, capsys)
    assert (shell.associations(), shell.instance_tags(instance)) == before
    assert found["changes"]["status"] == "unknown"
    shell.aws.log.clear()


def test_targets_one_of_which_cannot_be_assumed(
    shell: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    two = CALLED.replace("}}", "}, other: {role_arn: 'arn:aws:iam::111111111111:role/x'}}")
    shell.write("roles: {web: {trust: ec2}}\n", two)

    def refuse(logged: Logged) -> None:
        if logged.name == "sts:AssumeRole" and "111111111111" in logged.params["RoleArn"]:
            raise refused("sts", "AccessDenied", "no", 403)

    with listening(shell.aws.before, refuse):
        found = examined(shell, capsys, "--for", "plan", code=ExitCode.ERROR)
        assert found["identity"]["target"] == "other"
        assert found["identity"]["status"] == "failure"
        assert "the trust policy of arn:aws:iam::111111111111:role/x" in found["identity"]["fix"]
        assert found["account"]["message"] == "not asked: AWS does not say who is asking"
        assert run(["doctor", str(shell.folder), "--for", "plan", "--target", "main"]) == 0
    told = capsys.readouterr().out
    assert "\nTarget main\n" in told
    assert "other" not in told


def test_an_organization(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    Organization(shell)
    shell.write("roles: {one: {trust: ec2}}\n", IN_ORGANIZATION)
    found = examined(shell, capsys, "--for", "plan")
    assert found["organization"]["data"] == {"targets": 3}
    with refusing(shell, "ListAccounts", "AccessDeniedException"):
        found = examined(shell, capsys, "--for", "plan", code=ExitCode.ERROR)
    assert found["organization"]["status"] == "failure"
    assert "delegated administrator" in found["organization"]["fix"]


def test_it_is_a_line_for_each_check_and_holds_no_secret(
    shell: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRETS[1]}@proxy.example:3128?x={SECRETS[2]}")
    monkeypatch.setenv("http_proxy", f"me:{SECRETS[1]}@proxy.example")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert run(["doctor", str(shell.folder), "--region", HOME]) == ExitCode.OK
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert [line.split()[1] for line in lines[:-2]] == [*OF_MACHINE, *OF_ACCOUNT]
    assert lines[-1] == "14 ok, 1 warning, 0 failures, 1 unknown."
    assert "\x1b" not in told.out
    assert "HTTPS_PROXY=http://proxy.example:3128, http_proxy=proxy.example" in told.out
    assert not [secret for secret in SECRETS if secret in told.out + told.err]
    (ssm,) = [line for line in lines if " ssm " in line]
    assert ". Fix: attach AmazonSSMManagedInstanceCore" in ssm


def test_instances_that_answer(shell: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    core = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    shell.write(SPEC.replace("trust: ec2,", f"trust: ec2, managed_policies: ['{core}'],"), SETTINGS)
    shell.launch(1, tags={"role": "web"})
    shell.settle(regions=(HOME,))
    shell.clock.sleep(60)
    shell.associations()
    shell.aws.log.clear()
    assert examined(shell, capsys)["ssm"]["status"] == "ok"
