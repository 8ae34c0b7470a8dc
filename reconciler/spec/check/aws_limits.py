"""AWS's own limits, each with the page that states it.

Sources: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html and the API reference of
each operation that creates the thing.
"""

from __future__ import annotations

import re
import unicodedata

NAME = re.compile(r"[A-Za-z0-9_+=,.@-]+")
ROLE_NAME_LENGTH = 64
NAME_LENGTH = 128
"""Of profiles, inline policies and managed policies."""

PATH = re.compile(r"/|/[\u0021-\u007E]+/")
POLICY_PATH = re.compile(r"((/[A-Za-z0-9\.,\+@=_-]+)*)/")
PATH_LENGTH = 512
RESERVED_PATHS = ("/aws-service-role/", "/aws-reserved/")

ROLE_DESCRIPTION = re.compile(r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*")
DESCRIPTION_LENGTH = 1000
DOCUMENT_TEXT = re.compile(r"[\u0009\u000A\u000D\u0020-\u00FF]+")

MANAGED_POLICY_SIZE = 6144
INLINE_POLICIES_SIZE = 10_240
"""Of all inline policies of a role together, without white space."""
SESSION_SECONDS = (3600, 43_200)

TAG_KEY_LENGTH = 128
TAG_VALUE_LENGTH = 256
USER_TAGS = {"role": 48, "policy": 49, "instance-profile": 44}
"""Of AWS's 50; the rest is kept for our own (``ownership``)."""

INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
ACCOUNT_ID = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+")
POLICY_ARN = re.compile(r"arn:[a-z0-9-]+:iam::(?:[0-9]{12}|aws):policy(/[A-Za-z0-9_+=,.@-]+)+")
SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
SID = re.compile(r"[A-Za-z0-9]*")


def is_tag_text(text: str) -> bool:
    r"""AWS's ``[\p{L}\p{Z}\p{N}_.:/=+\-@]*``, which Python's ``re`` cannot say."""
    return all(c in "_.:/=+-@" or unicodedata.category(c)[0] in "LZN" for c in text)
