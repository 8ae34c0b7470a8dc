"""Whether EC2 may take a role, by the meaning of its trust policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from reconciler.model.partitions import DNS_SUFFIXES
from reconciler.model.trust import matches, trusts_ec2

EC2 = {"Service": "ec2.amazonaws.com"}
IF = {"StringEquals": {"aws:SourceAccount": "111111111111"}}


def allow(principal: object = EC2, **more: object) -> dict[str, Any]:
    actions = {} if "NotAction" in more else {"Action": "sts:AssumeRole"}
    return {"Effect": "Allow", "Principal": principal, **actions, **more}


def deny(**more: object) -> dict[str, Any]:
    return {**allow(), "Effect": "Deny", **more}


TRUSTED = {
    "the service": [allow()],
    "one of two services": [allow({"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]})],
    "a list of actions": [allow(Action=["sts:TagSession", "sts:AssumeRole"])],
    "all of sts": [allow(Action="sts:*")],
    "a wildcard": [allow(Action="sts:AssumeRol*")],
    "another case": [allow(Action="STS:assumerole")],
    "a question mark": [allow(Action="sts:Assume?ole")],
    "all but something else": [allow(NotAction="sts:TagSession")],
    "everybody": [allow("*")],
    "everybody, in the other form": [allow({"AWS": "*"})],
    "everybody, in a list": [allow({"AWS": ["*"]})],
    "a wildcard of a service": [allow({"Service": "*"})],
    "under a condition": [allow(Condition=IF)],
    "China": [allow({"Service": "ec2.amazonaws.com.cn"})],
    "a secret partition": [allow({"Service": "ec2.c2s.ic.gov"})],
    "Europe": [allow({"Service": "ec2.amazonaws.eu"})],
    "denied under a condition": [allow(), deny(Condition=IF)],
    "another action denied": [allow(), deny(Action="sts:TagSession")],
    "another denied": [allow(), deny(Principal={"Service": "lambda.amazonaws.com"})],
    "all others denied": [allow(), {**deny(), "Principal": None, "NotPrincipal": EC2}],
}
del TRUSTED["all others denied"][1]["Principal"]
NOT_TRUSTED = {
    "nobody": [],
    "another service": [allow({"Service": "lambda.amazonaws.com"})],
    "another action": [allow(Action="sts:TagSession")],
    "a wildcard that does not match": [allow(Action="sts:AssumeRoleWith*")],
    "all but that": [allow(NotAction="sts:Assume*")],
    "an account": [allow({"AWS": "111111111111"})],
    "denied": [deny()],
    "allowed and denied": [allow(), deny()],
    "everybody denied": [allow(), deny(Principal={"AWS": "*"})],
    "everybody denied, in the other form": [allow(), deny(Principal="*")],
    "denied with a wildcard": [allow(), deny(Action="sts:*")],
    "denied under no condition": [allow(), deny(Condition={})],
}


@pytest.mark.parametrize("case", TRUSTED)
def test_trusted(case: str) -> None:
    assert trusts_ec2({"Statement": TRUSTED[case]})


@pytest.mark.parametrize("case", NOT_TRUSTED)
def test_not_trusted(case: str) -> None:
    assert not trusts_ec2({"Statement": NOT_TRUSTED[case]})


def test_a_statement_that_is_a_mapping() -> None:
    assert trusts_ec2({"Statement": allow()})


def test_many_stars_take_no_time() -> None:
    assert not matches("*" * 200 + "!", "sts:AssumeRole" * 20)


def test_partitions_are_those_of_botocore() -> None:
    held = Path(botocore.__file__).parent / "data" / "partitions.json"
    known = json.loads(held.read_text("utf-8"))["partitions"]
    assert {p["id"]: p["outputs"]["dnsSuffix"] for p in known} == DNS_SUFFIXES
