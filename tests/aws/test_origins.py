"""What a wrong profile, region or endpoint is called, where it came from, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest

from reconciler.aws.origins import ADVISED, Origins, known_regions, masked
from reconciler.aws.reader import AwsReader
from reconciler.aws.session import Login, Session, identity_of, reading
from reconciler.errors import AwsError
from tests.planner.worlds import ME

PROFILES = {
    "default": {"aws_access_key_id": "AKIA", "region": "eu-wst-2"},
    "dev": {"sso_session": "acme"},
    "prod": {"role_arn": "arn:aws:iam::1:role/x", "source_profile": "dev"},
    "old": {"sso_start_url": "https://acme.awsapps.com/start"},
    "chain": {"role_arn": "arn:aws:iam::1:role/y", "source_profile": "prod"},
    "loop": {"role_arn": "arn:aws:iam::1:role/y", "source_profile": "loop"},
    "tool": {"credential_process": "/opt/get --secret x"},
    "oidc": {"role_arn": "arn:aws:iam::1:role/z", "web_identity_token_file": "/t"},
    "site": {"login_session": "arn:aws:iam::1:user/me"},
}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
TOKEN = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/z"}
FILES = "~/.aws/config and ~/.aws/credentials"


def origins(environment: dict[str, str] | None = None, **given: Any) -> Origins:
    made = {"profile": None, "regions": (), "endpoint_url": None, "settings_regions": ()}
    return Origins(**{**made, "profiles": PROFILES, "environment": environment or {}, **given})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            origins(profile="prod-typo", profiles={"prod": {}, "dev": {}}),
            f"there is no AWS profile 'prod-typo' (--profile); did you mean prod? known in {FILES}: dev, prod",
        ),
        (
            origins({"AWS_PROFILE": "xyz", "AWS_CONFIG_FILE": "/etc/aws"}, profiles={}),
            "there is no AWS profile 'xyz' (AWS_PROFILE); known in /etc/aws and ~/.aws/credentials: none",
        ),
        (
            origins({"AWS_DEFAULT_PROFILE": "a", "AWS_PROFILE": "b"}, profiles={"c": {}}),
            f"there is no AWS profile 'a' (AWS_DEFAULT_PROFILE); known in {FILES}: c",
        ),
    ],
)
def test_a_profile_that_does_not_exist(made: Origins, message: str) -> None:
    assert made.no_profile() == message


@pytest.mark.parametrize(
    ("made", "region", "message"),
    [
        (origins(regions=("eu-wst-1",)), "eu-wst-1", "(--region); did you mean eu-west-1?"),
        (origins({"AWS_REGION": "eu-wst-1"}), "eu-wst-1", "(AWS_REGION); did you mean eu-west-1?"),
        (
            origins({"AWS_DEFAULT_REGION": "us-gov-wst-1"}),
            "us-gov-wst-1",
            "(AWS_DEFAULT_REGION); did you mean us-gov-west-1?",
        ),
        (
            origins(settings_regions=("ap-sotheast-2",)),
            "ap-sotheast-2",
            "(regions in reconciler.yaml); did you mean ap-southeast-2?",
        ),
        (
            origins(),
            "eu-wst-2",
            "(profile default of the AWS configuration); did you mean eu-west-2?",
        ),
        (origins(), "moon", "(in the specs)"),
    ],
)
def test_a_region_that_does_not_exist(made: Origins, region: str, message: str) -> None:
    assert made.no_region(region) == f"there is no region {region!r} {message}"


def test_regions_of_all_partitions_are_known() -> None:
    assert {"us-east-1", "cn-north-1", "us-gov-west-1"} <= known_regions()


@pytest.mark.parametrize(
    ("made", "code", "advice"),
    [
        (origins(KEYS), "ExpiredToken", "set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; those of the environment have expired"),
        (origins({**KEYS, "GITHUB_ACTIONS": "true"}), "ExpiredToken", "the session of this job is over: raise role-duration-seconds of aws-actions/configure-aws-credentials, or pass --max-time"),
        (origins(TOKEN), "ExpiredTokenException", "have the job issue a new token: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN"),
        (origins(TOKEN), "InvalidIdentityToken", "AWS does not accept the token: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, and the trust of its role"),
        (origins(KEYS, profile="dev"), "UnauthorizedSSOTokenError", "run aws sso login --profile dev"),
        (origins(profile="old"), "TokenRetrievalError", "run aws sso login --profile old"),
        (origins({"AWS_PROFILE": "dev"}), "SSOTokenLoadError", "run aws sso login --profile dev"),
        (origins(profile="prod"), "ExpiredToken", "profile prod assumes its role with profile dev: run aws sso login --profile dev"),
        (origins(profile="chain"), "ExpiredToken", "profile chain assumes its role with profile prod: profile prod assumes its role with profile dev: run aws sso login --profile dev"),
        (origins(profile="loop"), "ExpiredToken", "renew the keys of profile loop in ~/.aws/config or ~/.aws/credentials"),
        (origins(profile="site"), "ExpiredToken", "run aws login --profile site"),
        (origins(profile="tool"), "ExpiredToken", "credential_process of profile tool gives expired credentials"),
        (origins(profile="oidc"), "ExpiredToken", "get a new token: web_identity_token_file of profile oidc"),
        (origins(), "RequestExpired", "renew the keys of profile default in ~/.aws/config or ~/.aws/credentials"),
        (origins(profiles={}), "ExpiredToken", "they are from this host's role (EC2, ECS or EKS), which renews them: try again"),
        (origins(profiles={}), "NoCredentialsError", "run aws configure sso, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (origins(profiles={"a": {}, "b": {}}), "NoCredentialsError", "choose a profile with --profile or AWS_PROFILE; known: a, b"),
        (origins({"AWS_PROFILE": "dev"}), "NoCredentialsError", "run aws sso login --profile dev"),
        (origins({"GITHUB_ACTIONS": "true"}, profiles={}), "NoCredentialsError", "in GitHub Actions: aws-actions/configure-aws-credentials with role-to-assume, in a job with permissions: {id-token: write}"),
        (origins({"GITLAB_CI": "true"}, profiles={}), "NoCredentialsError", "in GitLab CI: id_tokens, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE"),
        (origins({"AWS_ACCESS_KEY_ID": "AKIA"}), "PartialCredentialsError", "AWS_ACCESS_KEY_ID is set; set AWS_SECRET_ACCESS_KEY too"),
        (origins({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}), "PartialCredentialsError", "AWS_WEB_IDENTITY_TOKEN_FILE is set; set AWS_ROLE_ARN too"),
        (origins(KEYS), "InvalidClientTokenId", "AWS does not know the keys, which are from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (origins(profile="default"), "SignatureDoesNotMatch", "the secret key, from profile default of the AWS configuration, does not belong to its access key, or the clock of this machine is wrong"),
        (origins(endpoint_url="http://x"), "EndpointConnectionError", "the endpoint is from --endpoint-url"),
        (origins({"AWS_ENDPOINT_URL_STS": "http://x", "AWS_ENDPOINT_URL": "http://y"}), "ConnectTimeoutError", "the endpoint is from AWS_ENDPOINT_URL_STS"),
        (origins({"AWS_ENDPOINT_URL": "http://y"}), "InvalidConfiguration", "the endpoint is from AWS_ENDPOINT_URL"),
        (origins({"AWS_ENDPOINT_URL": "http://y", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}), "EndpointConnectionError", "check the network, HTTPS_PROXY and NO_PROXY"),
        (origins(profiles={"default": {"endpoint_url": "http://y"}}), "EndpointConnectionError", "the endpoint is from profile default of the AWS configuration"),
        (origins(endpoint_url="https://x"), "SSLError", "the endpoint is from --endpoint-url"),
        (origins(), "SSLError", "check AWS_CA_BUNDLE, HTTPS_PROXY and NO_PROXY"),
        (origins(), "ProxyConnectionError", "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
        (origins(endpoint_url="http://x"), "ProxyConnectionError", "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
        (origins(), "InvalidConfiguration", None),
        (origins(), "NoSuchEntity", None),
    ],
)  # fmt: skip
def test_advice(made: Origins, code: str, advice: str | None) -> None:
    assert made.advice("sts", code) == advice
    assert code in ADVISED or advice is None


def test_secrets_of_a_url_are_not_told() -> None:
    assert masked("http://me:secret@host:8080/a?token=x#y") == "http://host:8080/a"


def of_this_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **environment: str) -> None:
    (tmp_path / "config").write_text("[profile prod]\nregion = eu-wst-1\n")
    for name in (*KEYS, *TOKEN, "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


DEAD = "http://me:secret@127.0.0.1:9"
KEYED = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize(
    ("login", "environment", "message", "hint"),
    [
        (Login("t", profile="prd"), {}, "there is no AWS profile 'prd' (--profile); did you mean prod?", None),
        (Login("t"), {"AWS_PROFILE": "prd"}, "there is no AWS profile 'prd' (AWS_PROFILE)", None),
        (Login("t", region="us-east-1", endpoint_url=DEAD), KEYED, "http://127.0.0.1:9/ cannot be reached", "--endpoint-url"),
        (Login("t", region="us-east-1"), {**KEYED, "AWS_ENDPOINT_URL_STS": DEAD}, "http://127.0.0.1:9/ cannot be reached", "AWS_ENDPOINT_URL_STS"),
        (Login("t", region="us-east-1", endpoint_url="localhost:9"), KEYED, "localhost:9", "--endpoint-url"),
        (Login("t", region="eu-wst-1", regions=("eu-wst-1",), endpoint_url=DEAD), KEYED, "there is no region 'eu-wst-1' (--region)", None),
        (Login("t", endpoint_url=DEAD), {**KEYED, "AWS_PROFILE": "prod"}, "there is no region 'eu-wst-1' (profile prod", None),
        (Login("t", settings_regions=("eu-wst-3",), endpoint_url=DEAD), KEYED, "there is no region 'eu-wst-3' (regions in rec", None),
        (Login("t", region="eu_west"), KEYED, "there is no region 'eu_west'", None),
    ],
)  # fmt: skip
def test_as_a_session_meets_it(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    login: Login,
    environment: dict[str, str],
    message: str,
    hint: str | None,
) -> None:
    of_this_world(monkeypatch, tmp_path, **environment)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(AwsError) as refused:
        identity_of(reading(Session(login)))
    error = refused.value
    assert message in str(error)
    assert "secret" not in str(error)
    assert hint is None or hint in (error.hint or "")


def test_a_region_that_aws_lists_exists_whatever_botocore_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that cannot be reached from here is unread, and stops nothing else."""
    for name, value in KEYED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("time.sleep", lambda _: None)
    session = Session(Login("t", region="us-east-1", endpoint_url=DEAD))
    reader = AwsReader(reading(session), "reconciler:")
    with pytest.raises(AwsError) as refused:
        reader.read_regions(ME, ["eu-south-9"])
    assert "there is no region 'eu-south-9' (in the specs)" in str(refused.value)
    session.enabled.add("eu-south-9")
    unread = reader.read_regions(ME, ["eu-south-9"]).unread_regions["eu-south-9"]
    assert unread.endswith("EndpointConnectionError")


def test_the_known_regions_are_those_of_botocore() -> None:
    session = botocore.session.Session()
    parts = session.get_available_partitions()
    assert known_regions() == {
        name for part in parts for name in session.get_available_regions("ec2", part)
    }


@pytest.mark.parametrize(
    ("made", "method", "has_token", "role", "words"),
    [
        (
            origins(KEYS),
            "env",
            True,
            None,
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; when they expire is not known",
        ),
        (
            origins({**KEYS, "AWS_CREDENTIAL_EXPIRATION": "2026-11-27T04:00:00Z"}),
            "env",
            True,
            None,
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; they expire at 2026-11-27T04:00:00Z",
        ),
        (
            origins(),
            "shared-credentials-file",
            False,
            None,
            "profile default in ~/.aws/credentials; they do not expire",
        ),
        (
            origins({"AWS_PROFILE": "dev", "AWS_CONFIG_FILE": "/etc/aws"}),
            "sso",
            True,
            None,
            "profile dev (AWS_PROFILE) in /etc/aws, by IAM Identity Center; they are renewed before they expire",
        ),
        (
            origins(profile="tool"),
            "custom-process",
            True,
            None,
            "credential_process of profile tool (--profile) in ~/.aws/config; they are renewed before they expire",
        ),
        (
            origins(TOKEN),
            "assume-role-with-web-identity",
            True,
            None,
            "a web identity token: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN; they are renewed before they expire",
        ),
        (
            origins(),
            "reconciler-target",
            True,
            "arn:aws:iam::1:role/x",
            "assuming arn:aws:iam::1:role/x; they are renewed before they expire",
        ),
        (origins(), "new", True, None, "new; they are renewed before they expire"),
    ],
)
def test_where_credentials_came_from(
    made: Origins, method: str, has_token: bool, role: str | None, words: str
) -> None:
    found = made.of_credentials(method, has_token=has_token, role=role)
    assert f"{found.origin}; {found.lasts}" == words
    assert not found.is_of_host
    assert made.of_credentials("iam-role", has_token=True, role=None).is_of_host
    assert not [secret for secret in ("AKIA", "/opt/get") if secret in words]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://me:pw@proxy:3128/x?token=pw#pw", "http://proxy:3128/x"),
        ("me:pw@proxy:3128", "proxy:3128"),
        ("me:p@w@proxy", "proxy"),
        ("proxy:3128?pw", "proxy:3128"),
    ],
)
def test_a_password_is_left_out(given: str, shown: str) -> None:
    assert masked(given) == shown
