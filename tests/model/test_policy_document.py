"""Every row of the equivalences: what means the same is equal, what does not is not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.policy_document import PolicyDocument, dangling_principals

V = "2012-10-17"


def doc(*statements: dict[str, Any], version: str | None = V) -> dict[str, Any]:
    made: dict[str, Any] = {"Statement": list(statements)}
    return {"Version": version, **made} if version else made


READ = {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}
LIST = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["b", "a"]}
BOOL = {**READ, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
NUMBER = {**READ, "Condition": {"NumericLessThan": {"s3:max-keys": "10"}}}
TAGS = {**READ, "Condition": {"StringEquals": {"aws:PrincipalTag/team": ["a", "b"]}}}
TRUST = {
    "Effect": "Allow",
    "Principal": {"AWS": ["111111111111", "222222222222"]},
    "Action": "sts:AssumeRole",
}
ANYONE = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}


def with_(statement: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**statement, **changes}


EQUAL = {
    "key order": (doc(READ), dict(reversed(list(doc(READ).items())))),
    "statement alone or in a list": (doc(READ), {"Version": V, "Statement": READ}),
    "statement order": (doc(READ, LIST), doc(LIST, READ)),
    "missing Sid and empty Sid": (doc(LIST), doc(with_(LIST, Sid=""))),
    "missing Version is the first one": (doc(READ, version=None), doc(READ, version="2008-10-17")),
    "action alone or in a list": (doc(READ), doc(with_(READ, Action=["s3:GetObject"]))),
    "action order": (doc(LIST), doc(with_(LIST, Action=["s3:GetObject", "s3:ListBucket"]))),
    "action case": (doc(READ), doc(with_(READ, Action="S3:getobject"))),
    "duplicate action": (doc(READ), doc(with_(READ, Action=["s3:GetObject", "s3:getObject"]))),
    "resource order": (doc(LIST), doc(with_(LIST, Resource=["a", "b"]))),
    "duplicate resource": (doc(READ), doc(with_(READ, Resource=["arn:aws:s3:::a/*"] * 2))),
    "condition key case": (
        doc(BOOL),
        doc(with_(READ, Condition={"Bool": {"AWS:securetransport": "true"}})),
    ),
    "condition value alone or in a list": (
        doc(BOOL),
        doc(with_(READ, Condition={"Bool": {"aws:SecureTransport": ["true"]}})),
    ),
    "bool or text": (
        doc(BOOL),
        doc(with_(READ, Condition={"Bool": {"aws:SecureTransport": True}})),
    ),
    "number or text": (
        doc(NUMBER),
        doc(with_(READ, Condition={"NumericLessThan": {"s3:max-keys": 10}})),
    ),
    "condition value order and duplicates": (
        doc(TAGS),
        doc(with_(READ, Condition={"StringEquals": {"aws:PrincipalTag/team": ["b", "a", "b"]}})),
    ),
    "account number or root ARN": (
        doc(TRUST),
        doc(
            with_(
                TRUST,
                Principal={
                    "AWS": ["arn:aws:iam::222222222222:root", "arn:aws-cn:iam::111111111111:root"]
                },
            )
        ),
    ),
    "anyone": (doc(ANYONE), doc(with_(ANYONE, Principal={"AWS": "*"}))),
    "principal order": (
        doc(TRUST),
        doc(with_(TRUST, Principal={"AWS": ["222222222222", "111111111111"]})),
    ),
    "empty principal list or none": (
        doc(with_(TRUST, Principal={"AWS": "111111111111", "Service": []})),
        doc(with_(TRUST, Principal={"AWS": "111111111111"})),
    ),
}

DIFFERENT = {
    "version": (doc(READ), doc(READ, version="2008-10-17")),
    "missing version is not the newest": (doc(READ), doc(READ, version=None)),
    "id": (doc(READ), {**doc(READ), "Id": "x"}),
    "sid": (doc(READ), doc(with_(READ, Sid="Write"))),
    "effect": (doc(READ), doc(with_(READ, Effect="Deny"))),
    "action": (doc(READ), doc(with_(READ, Action="s3:PutObject"))),
    "action and not-action": (
        doc(READ),
        doc({**{k: v for k, v in READ.items() if k != "Action"}, "NotAction": "s3:GetObject"}),
    ),
    "resource case": (doc(READ), doc(with_(READ, Resource="arn:aws:s3:::A/*"))),
    "condition operator": (
        doc(BOOL),
        doc(with_(READ, Condition={"BoolIfExists": {"aws:SecureTransport": "true"}})),
    ),
    "condition operator case": (
        doc(BOOL),
        doc(with_(READ, Condition={"bool": {"aws:SecureTransport": "true"}})),
    ),
    "condition value": (
        doc(BOOL),
        doc(with_(READ, Condition={"Bool": {"aws:SecureTransport": "false"}})),
    ),
    "condition": (doc(BOOL), doc(READ)),
    "twice the same statement": (doc(READ, READ), doc(READ)),
    "principal": (doc(TRUST), doc(with_(TRUST, Principal={"AWS": "111111111111"}))),
    "principal kind": (
        doc(with_(TRUST, Principal={"Service": "ec2"})),
        doc(with_(TRUST, Principal={"Federated": "ec2"})),
    ),
    "two principals that are no mappings": (
        doc(with_(TRUST, Principal="a")),
        doc(with_(TRUST, Principal="b")),
    ),
    "unique id and ARN": (
        doc(with_(TRUST, Principal={"AWS": "AROAABCDEFGHIJKLMNOPQ"})),
        doc(with_(TRUST, Principal={"AWS": "arn:aws:iam::111111111111:role/x"})),
    ),
}


@pytest.mark.parametrize("case", EQUAL)
def test_spelled_otherwise(case: str) -> None:
    left, right = EQUAL[case]
    assert PolicyDocument.of(left) == PolicyDocument.of(right)


@pytest.mark.parametrize("case", DIFFERENT)
def test_means_otherwise(case: str) -> None:
    left, right = DIFFERENT[case]
    assert PolicyDocument.of(left) != PolicyDocument.of(right)


NAMES = st.sampled_from(["s3:GetObject", "s3:PutObject", "ec2:Describe*", "iam:PassRole", "*"])
ARNS = st.sampled_from(["arn:aws:s3:::a", "arn:aws:s3:::b/*", "*"])
KEYS = st.sampled_from(["aws:SourceIp", "aws:PrincipalTag/team", "s3:prefix"])
OPERATORS = st.sampled_from(["StringEquals", "StringLike", "Bool"])


def some(of: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(of, min_size=1, max_size=3, unique=True)


CONDITIONS = st.dictionaries(
    OPERATORS, st.dictionaries(KEYS, some(st.sampled_from("abc")), min_size=1), max_size=2
)
STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": some(NAMES), "Resource": some(ARNS)},
    optional={"Condition": CONDITIONS, "Sid": st.sampled_from(["A", "B"])},
)
DOCUMENTS = st.lists(STATEMENTS, min_size=1, max_size=4).map(lambda s: doc(*s))


def respelled(data: st.DataObject, document: dict[str, Any]) -> dict[str, Any]:
    """The same meaning, as somebody else might have written it."""

    def listed(values: list[str], *, fold: bool = False) -> Any:
        shuffled = data.draw(st.permutations(values))
        doubled = [*shuffled, shuffled[0]] if data.draw(st.booleans()) else list(shuffled)
        if fold:
            doubled = [v.upper() if data.draw(st.booleans()) else v for v in doubled]
        return doubled[0] if len(set(doubled)) == 1 and data.draw(st.booleans()) else doubled

    def statement(one: dict[str, Any]) -> dict[str, Any]:
        made = copy.deepcopy(one)
        made["Action"] = listed(one["Action"], fold=True)
        made["Resource"] = listed(one["Resource"])
        made["Condition"] = {
            operator: {
                (key.upper() if data.draw(st.booleans()) else key): listed(values)
                for key, values in keys.items()
            }
            for operator, keys in one.get("Condition", {}).items()
        }
        return dict(data.draw(st.permutations(list(made.items()))))

    statements = [statement(s) for s in data.draw(st.permutations(document["Statement"]))]
    body: Any = statements[0] if len(statements) == 1 and data.draw(st.booleans()) else statements
    return {"Statement": body, "Version": V}


@given(st.data(), DOCUMENTS)
def test_any_respelling_is_equal(data: st.DataObject, document: dict[str, Any]) -> None:
    other = respelled(data, document)
    assert PolicyDocument.of(document) == PolicyDocument.of(other)


@given(st.data(), DOCUMENTS)
def test_any_other_change_is_a_difference(data: st.DataObject, document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    statement = data.draw(st.sampled_from(changed["Statement"]))
    what = data.draw(st.sampled_from(["Action", "Resource", "Effect", "Condition", "Sid", "drop"]))
    match what:
        case "Action":
            statement["Action"] = [*statement["Action"], "lambda:InvokeFunction"]
        case "Resource":
            statement["Resource"] = [*statement["Resource"], "arn:aws:s3:::other"]
        case "Effect":
            statement["Effect"] = "Deny" if statement["Effect"] == "Allow" else "Allow"
        case "Condition":
            statement["Condition"] = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
        case "Sid":
            statement["Sid"] = "Changed"
        case _:
            changed["Statement"].remove(statement)
    assert PolicyDocument.of(document) != PolicyDocument.of(changed)


@given(DOCUMENTS)
def test_what_is_sent_is_what_was_written(document: dict[str, Any]) -> None:
    assert json.loads(PolicyDocument.of(document).text) == document


def test_white_space_does_not_count() -> None:
    assert PolicyDocument.of({"Statement": [{"Sid": "a b"}]}).size == len(
        '{"Statement":[{"Sid":"ab"}]}'
    )


def test_a_principal_that_is_gone_shows_as_its_id() -> None:
    gone = doc(with_(TRUST, Principal={"AWS": ["AROAABCDEFGHIJKLMNOPQ", "111111111111"]}))
    assert dangling_principals(gone) == ("AROAABCDEFGHIJKLMNOPQ",)


@pytest.mark.parametrize("key", ["Version", "Statement"])
def test_the_version_is_sent_first(key: str) -> None:
    """AWS refuses a ``Statement`` mapping before it: the policy failed legacy parsing."""
    held = {"Version": "2012-10-17", "Statement": {"Effect": "Deny"}}
    document = {key: held[key], **held}
    assert PolicyDocument.of(document).text.startswith('{"Version":"2012-10-17","Statement":{')
