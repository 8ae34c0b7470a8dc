"""Faults that are switched while the sandbox runs, as curl would."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from reconciler.sandbox.plant import plant
from reconciler.sandbox.seed import RoleSeed, Seed
from reconciler.sandbox.server import serving
from reconciler.sandbox.state import World
from tests.sandbox.test_fidelity import TRUST


@pytest.fixture
def address() -> Iterator[str]:
    with serving(World(), 0) as url:
        yield url


def post(address: str, path: str, method: str = "POST", **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"{address}/_sandbox/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def iam(address: str, run: str) -> Any:
    return boto3.client(
        "iam",
        region_name="us-east-1",
        endpoint_url=address,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(user_agent=run, retries={"total_max_attempts": 1}, connect_timeout=2),
    )


def code(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


def test_a_request_waits_until_all_of_the_seed_is_there() -> None:
    world = World()
    filled = threading.Event()
    seed = Seed(roles={f"r{number}": RoleSeed() for number in range(20)})
    with serving(world, 0, filled) as url, ThreadPoolExecutor(1) as pool:
        listed = pool.submit(iam(url, "one").list_roles)
        plant(seed, world, endpoint_url=url)
        assert not listed.done()
        filled.set()
        assert len(listed.result(timeout=10)["Roles"]) == 20


def test_an_action_is_denied_from_now_on(address: str) -> None:
    client = iam(address, "one")
    client.create_role(RoleName="a", AssumeRolePolicyDocument=TRUST)
    assert post(address, "deny?action=iam:CreateRole&action=iam:PassRole") == (
        200,
        {"denied": ["iam:CreateRole", "iam:PassRole"], "expired": []},
    )
    made = {"RoleName": "b", "AssumeRolePolicyDocument": TRUST}
    assert code(client.create_role, **made) == "AccessDenied"
    assert post(address, "allow?action=iam:CreateRole")[1]["denied"] == ["iam:PassRole"]
    client.create_role(**made)


def test_credentials_expire_now_and_a_new_run_has_others(address: str) -> None:
    client = iam(address, "one")
    client.list_roles()
    assert post(address, "expire")[0] == 200
    assert code(client.list_roles) == "ExpiredToken"
    iam(address, "two").list_roles()


def test_a_role_uses_something(address: str) -> None:
    client = iam(address, "one")
    client.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    allowed = '{"Effect": "Allow", "Action": "*", "Resource": "*"}'
    document = f'{{"Version": "2012-10-17", "Statement": [{allowed}]}}'
    client.put_role_policy(RoleName="web", PolicyName="p", PolicyDocument=document)
    asked = "role=web&action=s3:PutObject&action=sqs&days=2&region=eu-west-1"
    assert post(address, f"used?{asked}")[0] == 200
    assert post(address, f"used?{asked}&days=x".replace("days=2&", ""))[0] == 400
    arn = client.get_role(RoleName="web")["Role"]["Arn"]
    made = client.generate_service_last_accessed_details(Arn=arn, Granularity="ACTION_LEVEL")
    for _ in range(50):
        time.sleep(0.2)
        answer = client.get_service_last_accessed_details(JobId=made["JobId"])
        if answer["JobStatus"] == "COMPLETED":
            break
    found = {s["ServiceNamespace"]: s for s in answer["ServicesLastAccessed"]}
    assert found["sqs"]["LastAuthenticatedRegion"] == "eu-west-1"
    (action,) = found["s3"]["TrackedActionsLastAccessed"]
    ago = datetime.now(UTC) - action["LastAccessedTime"]
    assert (action["ActionName"], ago.days) == ("PutObject", 2)


def test_an_outage_ends(address: str) -> None:
    client = iam(address, "one")
    client.list_roles()
    assert post(address, "outage?seconds=1.5")[0] == 200
    time.sleep(0.8)
    with pytest.raises(BotoCoreError):
        client.list_roles()
    for _ in range(50):
        time.sleep(0.2)
        try:
            client.list_roles()
        except BotoCoreError:
            continue
        return
    pytest.fail("the outage did not end")


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("deny", "POST", {}, 400),
        ("deny?action=PassRole", "POST", {}, 400),
        ("outage", "POST", {}, 400),
        ("outage?seconds=-1", "POST", {}, 400),
        ("outage?seconds=nan", "POST", {}, 400),
        ("used", "POST", {}, 400),
        ("used?role=nobody&action=s3:GetObject", "POST", {}, 400),
        ("used?role=web", "POST", {}, 400),
        ("expire", "GET", {}, 405),
        ("expire", "POST", {"Origin": "https://web.example"}, 405),
    ],
)
def test_what_is_no_switch(
    address: str, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    told, body = post(address, path, method, **headers)
    assert told == status
    assert body["error"]


GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"


def test_what_a_roll_out_watches_is_switched(address: str) -> None:
    status, state = post(address, "alarm?name=errors&state=ALARM&composite=true")
    assert (status, state["alarms"]) == (200, {"errors": "ALARM"})
    status, state = post(address, f"target?group={GROUP}&instance=i-0abc&state=unhealthy")
    assert (status, state["targets"]) == (200, {"i-0abc": "unhealthy"})
    status, state = post(address, "calls?action=sqs:SendMessage&every=1&late=30")
    assert (status, state["apps"]) == (200, ["sqs:SendMessage"])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("alarm?state=ALARM", "name is needed"),
        ("alarm?name=errors&state=loud", "state is one of OK"),
        ("target?group=web&instance=i-0abc&state=healthy", "group is the ARN"),
        (f"target?group={GROUP}&instance=i-0abc&state=ill", "state is one of initial"),
        ("calls?action=SendMessage", "action is an action"),
        ("calls?action=sqs:SendMessage&every=0", "at least one second"),
        ("calls?action=sqs:SendMessage&every=nan", "every is a number"),
    ],
)
def test_a_switch_that_is_not_understood(address: str, path: str, said: str) -> None:
    status, answer = post(address, path)
    assert status == 400
    assert said in answer["error"]
