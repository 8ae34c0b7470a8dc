"""What a drift leaves in AWS: objects, messages, events; nothing of what it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.aws.errors import translated
from reconciler.aws.session import Session
from reconciler.errors import AwsError
from reconciler.threads import interruptible

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class AwsOutputs:
    """Every method raises ``AwsError``. Sending again is left to botocore: a message may come
    twice."""

    session: Session

    @interruptible
    def read_object(self, bucket: str, key: str, most_bytes: int) -> bytes | None:
        """Its head; ``None`` where there is none.
        Source: docs.aws.amazon.com/AmazonS3/latest/API"""
        client = self.session.client("s3", None, ATTEMPTS)
        try:
            with translated("s3:GetObject"):
                body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read(most_bytes)
        except AwsError as error:
            if error.code == "NoSuchKey":
                return None
            raise
        return body

    @interruptible
    def write_object(
        self, bucket: str, key: str, text: str, content_type: str = "application/json"
    ) -> None:
        client = self.session.client("s3", None, ATTEMPTS)
        with translated("s3:PutObject"):
            client.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType=content_type)

    @interruptible
    def publish(
        self, topic_arn: str, subject: str, message: str, attributes: Mapping[str, str]
    ) -> None:
        """Source: docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
        client = self.session.client("sns", _region(topic_arn), ATTEMPTS)
        told = {n: {"DataType": "String", "StringValue": v} for n, v in attributes.items()}
        with translated("sns:Publish"):
            client.publish(
                TopicArn=topic_arn, Subject=subject, Message=message, MessageAttributes=told
            )

    @interruptible
    def put_event(self, bus: str, source: str, detail_type: str, detail: str) -> None:
        """Source: docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html"""
        client = self.session.client("events", _region(bus), ATTEMPTS)
        entry = {
            "EventBusName": bus,
            "Source": source,
            "DetailType": detail_type,
            "Detail": detail,
        }
        with translated("events:PutEvents"):
            answer = client.put_events(Entries=[entry])
        # It answers 200 for entries that it did not take.
        if answer["FailedEntryCount"]:
            failed = answer["Entries"][0]
            raise AwsError(
                "events:PutEvents", failed.get("ErrorCode", ""), failed.get("ErrorMessage", "")
            )


def _region(name: str) -> str | None:
    """Of an ARN; ``None`` for a name."""
    return name.split(":")[3] or None if name.startswith("arn:") else None
