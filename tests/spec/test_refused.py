"""Documents that AWS refuses, each with the place of its one finding, and documents that it takes.

AWS's answers are those of getmoto/moto's ``tests/test_iam/test_iam_policies.py``, which were asked
of AWS, of public bug reports, and of the IAM user guide.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.diagnostics import Diagnostic
from reconciler.spec.loader import load

HERE = "‸"
"""Stands in the text where the finding is expected."""


def managed(document: str) -> str:
    return f"policies:\n  p:\n    document:{document}"


def statement(text: str, more: str = "") -> str:
    lines = "".join(f"\n          {line}" for line in text.splitlines())
    return managed(f"\n      Version: 2012-10-17\n      Statement:\n        -{lines[11:]}{more}")


def says(action: str = "s3:GetObject", resource: str = "'*'", more: str = "") -> str:
    return statement(f" Effect: Allow\nAction: {action}\nResource: {resource}\n{more}")


def when(condition: str) -> str:
    return says(more=f"Condition: {condition}")


def trust(text: str) -> str:
    lines = "".join(f"\n          {line}" for line in text.splitlines())
    start = (
        "roles:\n  r:\n    trust_policy:\n      Version: 2012-10-17\n      Statement:\n        -"
    )
    return start + lines[11:]


def trusting(principal: str, action: str = "sts:AssumeRole", more: str = "") -> str:
    return trust(f" Effect: Allow\nAction: {action}\nPrincipal: {principal}\n{more}")


def role(text: str) -> str:
    return f"roles:\n  r:\n    trust: ec2\n    {text}"


ARN = "arn:aws:iam::111111111111"
REFUSED = {
    # The document.
    "another version": (
        managed(
            "\n      Version: ‸2013-10-17\n      Statement: {Effect: Deny, Action: '*', Resource: '*'}"
        ),
        "policy-version",
    ),
    "the old version": (
        managed(
            "\n      Version: ‸2008-10-17\n      Statement: {Effect: Deny, Action: '*', Resource: '*'}"
        ),
        "policy-version",
    ),
    "the version is left out": (
        managed("\n      Statement: {Effect: Deny, Action: '*', Resource: '*'}").replace(
            "document", "‸document"
        ),
        "policy-version",
    ),
    "the version is null": (
        managed(
            "\n      Version: ‸null\n      Statement: {Effect: Deny, Action: '*', Resource: '*'}"
        ),
        "policy-null",
    ),
    "no statement": (
        managed("\n      Version: 2012-10-17").replace("document", "‸document"),
        "policy-statement",
    ),
    "no statements in the list": (
        managed("\n      Version: 2012-10-17\n      Statement: ‸[]"),
        "policy-statement",
    ),
    "an empty statement": (
        managed("\n      Version: 2012-10-17\n      Statement: ‸{}"),
        "policy-statement",
    ),
    "nothing at all": (managed(" {}").replace("document", "‸document"), "policy-statement"),
    "statement is null": (managed("\n      Version: 2012-10-17\n      Statement:‸"), "policy-null"),
    "statement is text": (
        managed("\n      Version: 2012-10-17\n      Statement: ‸afd"),
        "policy-statement",
    ),
    "a statement is text": (
        managed("\n      Version: 2012-10-17\n      Statement: [‸afd]"),
        "policy-statement",
    ),
    "a statement is null": (
        managed("\n      Version: 2012-10-17\n      Statement: [‸~]"),
        "policy-null",
    ),
    "an unknown key": (
        managed(
            "\n      Version: 2012-10-17\n      ‸Extra: 1\n"
            "      Statement: {Effect: Deny, Action: '*', Resource: '*'}"
        ),
        "unknown-key",
    ),
    "an id that is a list": (
        managed(
            "\n      Version: 2012-10-17\n      Id: ‸[a]\n"
            "      Statement: {Effect: Deny, Action: '*', Resource: '*'}"
        ),
        "policy-statement",
    ),
    "a document that is null": (managed("‸"), "wrong-type"),
    "other letters": (
        says(resource="'arn:aws:s3:::猫'").replace("document", "‸document"),
        "policy-text",
    ),
    # The statement.
    "an unknown element": (says(more="‸Actions: a:b"), "unknown-key"),
    "a principal": (says(more="‸Principal: '*'"), "unknown-key"),
    "no effect": (statement(" ‸Action: a:b\nResource: '*'"), "policy-effect"),
    "another effect": (statement(" Effect: ‸invalid\nAction: a:b\nResource: '*'"), "policy-effect"),
    "an effect in another case": (
        statement(" Effect: ‸allow\nAction: a:b\nResource: '*'"),
        "policy-effect",
    ),
    "an effect that is null": (
        statement(" Effect:‸\nAction: a:b\nResource: '*'"),
        "policy-null",
    ),
    "no action": (statement(" ‸Effect: Allow\nResource: '*'"), "policy-statement"),
    "two actions": (
        says(more="NotAction: a:b").replace("Action: s3", "‸Action: s3"),
        "policy-statement",
    ),
    "no resource": (statement(" ‸Effect: Allow\nAction: a:b"), "policy-statement"),
    "two resources": (
        says(more="NotResource: '*'").replace("Resource: '*'\n ", "‸Resource: '*'\n "),
        "policy-statement",
    ),
    "a Sid with a blank": (says(more="Sid: ‸a b"), "policy-sid"),
    "a Sid with a hyphen": (says(more="Sid: ‸a-b"), "policy-sid"),
    "a Sid that is a list": (says(more="Sid: ‸[]"), "policy-sid"),
    "a Sid that is a mapping": (says(more="Sid: ‸{}"), "policy-sid"),
    "a Sid that is null": (says(more="Sid:‸"), "policy-null"),
    "a Sid that comes twice": (
        statement(
            " {Sid: a, Effect: Allow, Action: a:b, Resource: '*'}",
            "\n        - {Sid: ‸a, Effect: Deny, Action: a:b, Resource: '*'}",
        ),
        "policy-sid",
    ),
    # Actions.
    "an action without a service": (says("‸GetObject"), "policy-action"),
    "an action of nothing": (says("‸''"), "policy-action"),
    "a service without an action": (says("‸'s3:'"), "policy-action"),
    "two colons": (says("‸s3:Get:Object"), "policy-action"),
    "two colons in a list": (says("[s3:GetObject, ‸s3:Get:Object]"), "policy-action"),
    "a blank in the service": (says("‸a a:GetObject"), "policy-action"),
    "a wildcard in the service": (says("‸'s*:GetObject'"), "policy-action"),
    "no actions in the list": (says("‸[]"), "policy-action"),
    "an action that is a mapping": (says("‸{}"), "policy-action"),
    "an action that is a list in a list": (says("[‸[]]"), "policy-action"),
    "an action that is null": (says("‸").replace("Action: ‸", "Action:‸"), "policy-null"),
    "a null among actions": (says("[s3:GetObject, ‸null]"), "policy-null"),
    "NotAction without a service": (
        statement(" Effect: Allow\nNotAction: ‸Get\nResource: '*'"),
        "policy-action",
    ),
    # Resources.
    "a name": (says(resource="‸my-bucket/*"), "policy-resource"),
    "a resource of nothing": (says(resource="‸''"), "policy-resource"),
    "one of several": (says(resource="['*', ‸adf]"), "policy-resource"),
    "one of several in a block": (
        says(resource="\n            - '*'\n            - ‸adf"),
        "policy-resource",
    ),
    "no arn": (says(resource="‸aws:s3:::b"), "policy-resource"),
    "the arn alone": (says(resource="‸'arn:aws'"), "policy-resource"),
    "no partition": (says(resource="‸arn::s3:::b"), "policy-resource"),
    "another partition": (says(resource="‸arn:error:s3:::b"), "policy-resource"),
    "the partition is left out": (says(resource="‸arn:s3:::b"), "policy-resource"),
    "no service": (says(resource="‸arn:aws::::b"), "policy-resource"),
    "any service": (says(resource="‸'arn:aws:*:*:*:*'"), "policy-resource"),
    "a colon too few": (says(resource="‸arn:aws:s3::b"), "policy-resource"),
    "two colons too few": (says(resource="‸arn:aws::b"), "policy-resource"),
    "a bucket in a region": (says(resource="‸arn:aws:s3:us-east-1::b"), "policy-resource"),
    "a role in a region": (
        says(resource="‸arn:aws:iam:us-east-1:111111111111:role/x"),
        "policy-resource",
    ),
    "no type of IAM": (says(resource=f"‸{ARN}:example"), "policy-resource"),
    "a type without a name": (says(resource=f"‸{ARN}:role"), "policy-resource"),
    "a type in the plural": (says(resource=f"‸{ARN}:roles/x"), "policy-resource"),
    "no resources in the list": (says(resource="‸[]"), "policy-resource"),
    "a resource that is a mapping": (says(resource="‸{a: b}"), "policy-resource"),
    "a resource that is null": (
        says(resource="‸").replace("Resource: ‸", "Resource:‸"),
        "policy-null",
    ),
    "NotResource of a name": (
        statement(" Effect: Deny\nAction: a:b\nNotResource: ‸bucket"),
        "policy-resource",
    ),
    # Conditions.
    "a condition that is text": (when("‸a"), "policy-condition"),
    "a condition that is a list": (when("‸[]"), "policy-condition"),
    "a condition that is null": (says(more="Condition:‸"), "policy-null"),
    "a condition without an operator": (
        when("{‸servicecatalog:accountLevel: self}"),
        "policy-condition",
    ),
    "an operator that is none": (when("{‸StringEqual: {aws:a: b}}"), "policy-condition"),
    "an operator misspelt": (when("{‸StringEqualz: {aws:a: b}}"), "policy-condition"),
    "an operator in another case": (when("{‸stringEquals: {aws:a: b}}"), "policy-condition"),
    "a set with two colons": (
        when("{‸'ForAnyValue::StringEquals': {aws:a: b}}"),
        "policy-condition",
    ),
    "a set in another case": (
        when("{‸'forAnyValue:StringEquals': {aws:a: b}}"),
        "policy-condition",
    ),
    "IfExists in another case": (when("{‸StringEqualsIfexists: {aws:a: b}}"), "policy-condition"),
    "a set that is none": (when("{‸'ForEachValue:StringEquals': {aws:a: b}}"), "policy-condition"),
    "an operator with text": (when("{StringEquals: ‸b}"), "policy-condition"),
    "an operator with a list": (when("{StringEquals: ‸[]}"), "policy-condition"),
    "an operator with null": (when("{StringEquals: ‸null}"), "policy-null"),
    "a value that is a mapping": (when("{StringEquals: {aws:a: ‸{}}}"), "policy-condition"),
    "a value that is null": (when("{StringEquals: {aws:a: ‸null}}"), "policy-null"),
    "no values in the list": (when("{StringEquals: {aws:a: ‸[]}}"), "policy-condition"),
    "a null among values": (when("{StringEquals: {aws:a: [b, ‸~]}}"), "policy-null"),
    "no number": (when("{NumericLessThan: {aws:a: ‸many}}"), "policy-condition"),
    "no date": (when("{DateLessThan: {aws:CurrentTime: ‸tomorrow}}"), "policy-condition"),
    "too many seconds": (
        when("{DateLessThan: {aws:CurrentTime: ‸9223372036854775808}}"),
        "policy-condition",
    ),
    "no address": (when("{IpAddress: {aws:SourceIp: ‸office}}"), "policy-condition"),
    "an address out of range": (
        when("{NotIpAddress: {aws:SourceIp: ‸10.0.0.256}}"),
        "policy-condition",
    ),
    "no network": (
        when("{IpAddress: {aws:SourceIp: [10.0.0.0/8, ‸10.0.0.0/33]}}"),
        "policy-condition",
    ),
    "no ARN in a condition": (when("{ArnEquals: {aws:SourceArn: ‸my-bucket}}"), "policy-condition"),
    # Trust policies.
    "an action of S3": (trusting("{Service: ec2.amazonaws.com}", "‸s3:GetObject"), "policy-action"),
    "one action of S3": (
        trusting("{Service: ec2.amazonaws.com}", "[sts:AssumeRole, ‸s3:GetObject]"),
        "policy-action",
    ),
    "every action": (trusting("{Service: ec2.amazonaws.com}", "‸'*'"), "policy-action"),
    "an action without sts": (
        trusting("{Service: ec2.amazonaws.com}", "‸AssumeRole"),
        "policy-action",
    ),
    "a resource in a trust": (
        trusting("{Service: ec2.amazonaws.com}", more="‸Resource: '*'"),
        "unknown-key",
    ),
    "no principal": (trust(" ‸Effect: Allow\nAction: sts:AssumeRole"), "policy-statement"),
    "a principal that is text": (trusting("‸bogus"), "policy-principal"),
    "a principal that is empty": (trusting("‸{}"), "policy-principal"),
    "a principal that is null": (
        trusting("‸").replace("Principal: ‸", "Principal:‸"),
        "policy-null",
    ),
    "an unknown kind": (trusting("{‸Srvice: ec2.amazonaws.com}"), "unknown-key"),
    "no principals in the list": (trusting("{AWS: ‸[]}"), "policy-principal"),
    "no services in the list": (trusting("{Service: ‸[]}"), "policy-principal"),
    "a word": (trusting("{AWS: ‸bogus}"), "policy-principal"),
    "eleven digits": (trusting("{AWS: ‸'11111111111'}"), "policy-principal"),
    "a wildcard in a principal": (trusting(f"{{AWS: ‸'{ARN}:role/*'}}"), "policy-principal"),
    "a wildcard for the account": (trusting("{AWS: ‸'arn:aws:iam::*:root'}"), "policy-principal"),
    "a group": (trusting(f"{{AWS: ‸'{ARN}:group/x'}}"), "policy-principal"),
    "a colon too many": (trusting("{AWS: ‸'arn:aws::iam::111111111111:root'}"), "policy-principal"),
    "a bucket as a principal": (trusting("{AWS: ‸'arn:aws:s3:::b'}"), "policy-principal"),
    "a principal of another partition": (
        trusting("{AWS: ‸'arn:error:iam::111111111111:root'}"),
        "policy-resource",
    ),
    "one of two principals": (
        trusting(f"{{AWS: ['{ARN}:root', ‸'{ARN}:roles/x']}}"),
        "policy-principal",
    ),
    "a service by its name": (trusting("{Service: ‸ec2}"), "policy-principal"),
    "one of two services": (
        trusting("{Service: [ec2.amazonaws.com, ‸lambda]}"),
        "policy-principal",
    ),
    "a provider that is none": (trusting("{Federated: ‸'github'}"), "policy-principal"),
    "a provider without its type": (
        trusting(f"{{Federated: ‸'{ARN}:github'}}"),
        "policy-principal",
    ),
    "NotPrincipal that allows": (
        trust(" Effect: Allow\nAction: sts:AssumeRole\n‸NotPrincipal: {AWS: '111111111111'}"),
        "policy-principal",
    ),
    # What a role refers to.
    "a policy in another partition": (
        role("managed_policies: [‸'arn:error:iam::aws:policy/x']"),
        "invalid-arn",
    ),
    "no policy": (role(f"managed_policies: [ReadOnlyAccess, ‸'{ARN}:role/x']"), "invalid-arn"),
    "no policy, in a block": (
        role(f"managed_policies:\n      - ReadOnlyAccess\n      - ‸{ARN}:role/x"),
        "invalid-arn",
    ),
    "no policy, not exclusive": (
        role(f"managed_policies: {{exclusive: false, policies: [‸'{ARN}:role/x']}}"),
        "invalid-arn",
    ),
    "no name": (role("managed_policies: [‸'a b']"), "invalid-name"),
    "of a service-linked role": (
        role(
            "managed_policies: [‸'arn:aws:iam::aws:policy/aws-service-role/AWSSupportServiceRolePolicy']"
        ),
        "reserved-path",
    ),
    "of a service-linked role, by name": (
        role("managed_policies: [‸AWSSupportServiceRolePolicy]"),
        "reserved-path",
    ),
    "no boundary": (role("permissions_boundary: ‸'arn:aws:s3:::x'"), "invalid-arn"),
}
TAKEN = {
    "a statement that is a mapping": managed(
        "\n      Version: 2012-10-17\n      Statement: {Effect: Deny, Action: '*', Resource: '*'}"
    ),
    "the version last": managed(
        "\n      Statement: {Effect: Deny, Action: '*', Resource: '*'}\n      Version: 2012-10-17"
    ),
    "an id": managed(
        "\n      Version: 2012-10-17\n      Id: a b\n      Statement: {Effect: Deny, Action: '*', Resource: '*'}"
    ),
    "every action": says("'*'"),
    "every action of every service": says("'*:*'"),
    "an action in another case": says("S3:getobject"),
    "wildcards in an action": says("'s3:Get?bj*'"),
    "a service that is unknown": says("s3-s.x:Get"),
    "NotAction and NotResource": statement(" Effect: Deny\nNotAction: a:b\nNotResource: '*'"),
    "any partition": says(resource="'arn:*:s3:::b'"),
    "an ARN that ends early": says(resource="'arn:aws:medialive:*'"),
    "an account with wildcards": says(resource="'arn:aws:s3::*:b*'"),
    "an access point": says(resource="'arn:aws:s3:*:*:accesspoint/x'"),
    "a bucket's access point": says(
        resource="'arn:aws:s3:eu-west-1:111111111111:accesspoint/x/object/*'"
    ),
    "a region with wildcards": says(resource="'arn:aws:rds:us-west-?:111111111111:*pg:*'"),
    "an account that is AWS": says(resource="arn:aws:cloudformation:us-west-2:aws:transform/x"),
    "seven parts": says(resource="'arn:aws:logs:*:*:log-group:x:*'"),
    "a variable": says(resource="'arn:aws:iam::*:user/${aws:username}'"),
    "a variable for the account": says(resource="'arn:*:kms:*:${aws:PrincipalAccount}:key/*'"),
    "a root": says(resource="'arn:aws:iam::*:root'"),
    "a new type of IAM": says(resource="'arn:aws:iam::aws:role-template/a/b:1'"),
    "all of IAM": says(resource=f"'{ARN}:*'"),
    "a service that is none": says(resource="arn:aws:invalid-service:us-east-1::b"),
    "every partition": says(
        resource="[arn:aws-cn:s3:::b, arn:aws-us-gov:s3:::b, arn:aws-iso-f:s3:::b, arn:aws-eusc:s3:::b]"
    ),
    "an empty Sid": says(more="Sid: ''"),
    "an empty condition": when("{}"),
    "an operator with nothing": when("{DateGreaterThan: {}}"),
    "an unknown operator with nothing": when("{x: {}}"),
    "a set": when("{'ForAllValues:StringEquals': {aws:TagKeys: Department}}"),
    "a set that need not exist": when("{'ForAnyValue:StringLikeIfExists': {aws:TagKeys: [a, b]}}"),
    "null and bool": when(
        "{'Null': {aws:a: true}, Bool: {aws:b: 'false'}, BoolIfExists: {aws:c: false}}"
    ),
    "dates": when(
        "{DateLessThan: {aws:CurrentTime: [2026-01-01, '2026-01-01T00:00:00Z', 1893456000, 01T, 9223372036854775807, '-292275054']}}"
    ),
    "numbers": when("{NumericLessThan: {aws:MultiFactorAuthAge: [3600, '3600', 1.5, 1e3, -1]}}"),
    "addresses": when(
        "{IpAddress: {aws:SourceIp: [10.0.0.0/8, 10.0.0.1, '2001:DB8::/32', '::1', 0.0.0.0/0]}}"
    ),
    "ARNs": when(
        "{ArnLike: {aws:SourceArn: ['*', 'arn:*:s3:::b', 'arn:aws:sns:*:111111111111:a:b']}}"
    ),
    "an ARN with a variable": when("{ArnEquals: {aws:SourceArn: '${aws:PrincipalTag/arn}'}}"),
    "binaries": when("{BinaryEquals: {aws:a: QmluYXJ5}}"),
    "an empty value": when("{StringLike: {s3:prefix: ['', 'home/*']}}"),
    "everybody": trusting("'*'"),
    "everybody, in the other form": trusting("{AWS: '*'}"),
    "an account": trusting("{AWS: '111111111111'}"),
    "an account's root": trusting(f"{{AWS: ['{ARN}:root', '{ARN}:user/a/b']}}"),
    "sessions": trusting(
        "{AWS: ['arn:aws:sts::111111111111:assumed-role/r/s', 'arn:aws:sts::111111111111:federated-user/u']}"
    ),
    "an id of a role": trusting("{AWS: AROAEXAMPLEEXAMPLE12}"),
    "services of all kinds": trusting(
        "{Service: [ec2.amazonaws.com.cn, alexa-appkit.amazon.com, states.us-east-1.amazonaws.com]}"
    ),
    "providers": trusting(
        f"{{Federated: ['{ARN}:saml-provider/x', '{ARN}:oidc-provider/a.b/c', accounts.google.com]}}",
        "[sts:AssumeRoleWithSAML, sts:AssumeRoleWithWebIdentity]",
    ),
    "wildcards of sts": trusting("{Service: ec2.amazonaws.com}", "['sts:AssumeRole*', 'sts:*']"),
    "more of sts": trusting("{AWS: '111111111111'}", "[sts:TagSession, sts:SetSourceIdentity]"),
    "all but some": trust(
        " Effect: Deny\nAction: sts:AssumeRole\nNotPrincipal: {AWS: '111111111111'}"
    ),
}
TOLD = {
    "a blank in an action": (says("‸'iam: asdf'"), "policy-action"),
    "an ARN that ends early": (says(resource="‸arn:aws:ec2"), "policy-resource"),
    "a key without a prefix": (when("{StringEquals: {‸team: b}}"), "policy-condition"),
    "an action of sts that takes nothing": (
        trusting("{AWS: '111111111111'}", "‸sts:AssumRole"),
        "policy-action",
    ),
    "a host that is no service": (trusting("{Service: ‸ec2.amazonaws.co}"), "policy-principal"),
}


def checked(text: str, folder: Path) -> list[Diagnostic]:
    path = folder / "spec.yaml"
    path.write_text(text.replace(HERE, ""), "utf-8")
    return list(load(str(path)).diagnostics)


def place(text: str) -> tuple[int, int]:
    before = text.partition(HERE)[0]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path) -> None:
    text, code = REFUSED[case]
    (found,) = checked(text, tmp_path)
    assert (found.severity, found.code) == ("error", code), str(found)
    assert (found.location.line, found.location.column) == place(text), str(found)


@pytest.mark.parametrize("case", TOLD)
def test_told(case: str, tmp_path: Path) -> None:
    """What AWS takes and cannot be meant."""
    text, code = TOLD[case]
    (found,) = checked(text, tmp_path)
    assert (found.severity, found.code) == ("warning", code), str(found)
    assert (found.location.line, found.location.column) == place(text)


@pytest.mark.parametrize("case", TAKEN)
def test_taken(case: str, tmp_path: Path) -> None:
    assert checked(TAKEN[case], tmp_path) == []


def test_there_are_enough() -> None:
    assert len(REFUSED) >= 80
    assert len(TAKEN) >= 40
