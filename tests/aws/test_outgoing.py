"""Objects, messages and events, against moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from reconciler.aws.outputs import AwsOutputs
from reconciler.aws.session import Login, Session
from reconciler.errors import AwsError


@pytest.fixture
def outgoing(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsOutputs]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield AwsOutputs(Session(Login("run", region="us-east-1")))


def test_objects(outgoing: AwsOutputs) -> None:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="drift")
    assert outgoing.read_object("drift", "a/last.json", 100) is None
    outgoing.write_object("drift", "a/last.json", '{"ä": 1}')
    assert outgoing.read_object("drift", "a/last.json", 100) == '{"ä": 1}'.encode()
    assert outgoing.read_object("drift", "a/last.json", 2) == b'{"'
    with pytest.raises(AwsError, match="NoSuchBucket"):
        outgoing.read_object("elsewhere", "x", 100)


def test_messages_go_to_the_region_of_the_topic(outgoing: AwsOutputs) -> None:
    sns = boto3.client("sns", region_name="eu-west-1")
    topic = sns.create_topic(Name="drift")["TopicArn"]
    outgoing.publish(topic, "Drift", '{"a": 1}', {"status": "drifted"})
    backend: Any = sns_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]
    ((_, message, subject, attributes, *_),) = backend.topics[topic].sent_notifications
    assert (message, subject) == ('{"a": 1}', "Drift")
    assert attributes["status"]["Value"] == "drifted"


def test_events(outgoing: AwsOutputs) -> None:
    events = boto3.client("events", region_name="us-east-1")
    logs = boto3.client("logs", region_name="us-east-1")
    logs.create_log_group(logGroupName="/aws/events/drift")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["io.reconciler"]}))
    arn = f"arn:aws:logs:us-east-1:{DEFAULT_ACCOUNT_ID}:log-group:/aws/events/drift"
    events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": arn}])
    outgoing.put_event("default", "io.reconciler", "Reconciler Drift Detected", '{"a": 1}')
    (logged,) = logs.filter_log_events(logGroupName="/aws/events/drift")["events"]
    assert json.loads(logged["message"])["detail"] == {"a": 1}


def test_an_event_that_is_not_taken(outgoing: AwsOutputs) -> None:
    """EventBridge answers 200 all the same."""
    with pytest.raises(AwsError, match="events:PutEvents"):
        outgoing.put_event("default", "io.reconciler", "x", "not JSON")
