"""AWS's own limits, found offline, each with its place and the number that was exceeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.spec.loader import load

ALLOW = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"


def statement(text: str) -> str:
    return f"policies:\n  p: {{document: {{Version: 2012-10-17, Statement: [{{{text}}}]}}}}"


def trust(text: str) -> str:
    return f"roles:\n  r: {{trust_policy: {{Version: 2012-10-17, Statement: [{{{text}}}]}}}}"


def role(text: str, name: str = "r") -> str:
    return f"roles:\n  {name}: {{trust: ec2, {text}}}"


BIG = "x" * 6200
CASES = {
    "role name": (role("path: /", "a" * 65), "name-too-long", "65"),
    "role name characters": (role("path: /", "'a b'"), "invalid-name", "a b"),
    "profile name": (f"instance_profiles:\n  {'a' * 129}: {{role: null}}", "name-too-long", "129"),
    "policy name": (f"policies:\n  {'a' * 129}: {{document: {ALLOW}}}", "name-too-long", "129"),
    "empty name": ("roles:\n  '': {trust: ec2}", "invalid-name", "''"),
    "path without slashes": (role("path: web"), "invalid-path", "web"),
    "path of two slashes": (role("path: //"), "invalid-path", "//"),
    "path with a blank": (role("path: '/a b/'"), "invalid-path", "/a b/"),
    "path too long": (role(f"path: /{'a' * 512}/"), "path-too-long", "514"),
    "policy path": (f"policies:\n  p: {{path: '/a!/', document: {ALLOW}}}", "invalid-path", "/a!/"),
    "service-linked path": (
        role("path: /aws-service-role/x/"),
        "reserved-path",
        "aws-service-role",
    ),
    "reserved path": (role("path: /aws-reserved/x/"), "reserved-path", "aws-reserved"),
    "description too long": (role(f"description: {'a' * 1001}"), "description-too-long", "1001"),
    "description not Latin-1": (role("description: 猫"), "invalid-description", "Latin-1"),
    "session too short": (role("max_session_duration: 59m"), "session-range", "3540"),
    "session too long": (role("max_session_duration: 13h"), "session-range", "46800"),
    "tag key too long": (role(f"tags: {{{'a' * 129}: b}}"), "tag-length", "129"),
    "tag value too long": (role(f"tags: {{a: {'b' * 257}}}"), "tag-length", "257"),
    "tag characters": (role("tags: {'a<b>': c}"), "invalid-tag", ""),
    "tag of blanks": (role("tags: {' ': c}"), "invalid-tag", ""),
    "our tag": (role("tags: {'reconciler:owner': x}"), "reserved-tag", "reconciler:owner"),
    "aws tag": (role("tags: {'AWS:x': x}"), "reserved-tag", "AWS:x"),
    "too many tags": (
        role(f"tags: {{{', '.join(f't{n}: x' for n in range(49))}}}"),
        "too-many-tags",
        "49",
    ),
    "too many profile tags": (
        f"instance_profiles:\n  p: {{role: null, tags: {{{', '.join(f't{n}: x' for n in range(45))}}}}}",
        "too-many-tags",
        "45",
    ),
    "tag keys in two cases": (role("tags: {Team: a, team: b}"), "case-collision", "Team"),
    "inline names in two cases": (
        role(f"inline_policies: {{A: {ALLOW}, a: {ALLOW}}}"),
        "case-collision",
        "'A'",
    ),
    "eleven policies": (
        role(f"managed_policies: [{', '.join(f'p{n}' for n in range(11))}]"),
        "too-many-policies",
        "11",
    ),
    "no ARN of a policy": (
        role("managed_policies: ['arn:aws:s3:::x']"),
        "invalid-arn",
        "arn:aws:s3",
    ),
    "policy too large": (
        statement(f"Effect: Allow, Action: 's3:*', Resource: {BIG}"),
        "policy-too-large",
        "6144",
    ),
    "inline too large": (
        role(
            f"inline_policies: {{a: {{Version: 2012-10-17, Statement: [{{Effect: Allow, Action: 's3:*', Resource: {'x' * 10300}}}]}}}}"
        ),
        "inline-too-large",
        "10240",
    ),
    "trust too large": (
        trust(f"Effect: Allow, Action: 'sts:AssumeRole', Principal: {{AWS: {'x' * 2100}}}"),
        "trust-too-large",
        "2048",
    ),
    "not Latin-1": (
        statement("Effect: Allow, Action: 's3:*', Resource: 猫"),
        "policy-text",
        "Latin-1",
    ),
    "no statement": (
        "policies:\n  p: {document: {Version: 2012-10-17}}",
        "policy-statement",
        "Statement",
    ),
    "effect": (
        statement("Effect: allow, Action: 's3:*', Resource: '*'"),
        "policy-effect",
        "Allow or Deny",
    ),
    "no action": (statement("Effect: Allow, Resource: '*'"), "policy-statement", "Action"),
    "two actions": (
        statement("Effect: Allow, Action: a:b, NotAction: a:b, Resource: '*'"),
        "policy-statement",
        "NotAction",
    ),
    "action without service": (
        statement("Effect: Allow, Action: GetObject, Resource: '*'"),
        "policy-action",
        "SERVICE:ACTION",
    ),
    "no resource": (statement("Effect: Allow, Action: 's3:*'"), "policy-statement", "Resource"),
    "resource in a trust": (
        trust("Effect: Allow, Principal: '*', Action: 'sts:*', Resource: '*'"),
        "unknown-key",
        "Resource",
    ),
    "principal in a policy": (
        statement("Effect: Allow, Action: 's3:*', Resource: '*', Principal: '*'"),
        "unknown-key",
        "Principal",
    ),
    "principal kind": (
        trust("Effect: Allow, Principal: {Srvice: x}, Action: 'sts:*'"),
        "unknown-key",
        "Srvice",
    ),
    "principal": (
        trust("Effect: Allow, Principal: text, Action: 'sts:*'"),
        "policy-principal",
        "Principal",
    ),
    "condition": (
        statement("Effect: Allow, Action: 's3:*', Resource: '*', Condition: x"),
        "policy-condition",
        "Condition",
    ),
    "sid": (
        statement("Sid: 'a b', Effect: Allow, Action: 's3:*', Resource: '*'"),
        "policy-sid",
        "letters",
    ),
    "same sid": (
        statement(
            "Sid: A, Effect: Allow, Action: 's3:*', Resource: '*'}, {Sid: A, Effect: Allow, Action: 's3:*', Resource: '*'"
        ),
        "policy-sid",
        "twice",
    ),
    "policy version": (
        "policies:\n  p: {document: {Version: 2020-01-01, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}",
        "policy-version",
        "2012-10-17",
    ),
    "unknown policy key": (
        "policies:\n  p: {document: {Versoin: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}",
        "unknown-key",
        "Versoin",
    ),
    "no trust": ("roles:\n  r: {description: x}", "trust", "either"),
    "two trusts": (role("trust_policy: {Version: 2012-10-17, Statement: []}"), "trust", "either"),
    "trust is null": ("roles:\n  r: {trust: null}", "trust", "ec2"),
    "trust policy is null": ("roles:\n  r: {trust_policy: null}", "policy-statement", "Statement"),
    "trust of nothing": ("roles:\n  r: {trust: []}", "trust", "ec2"),
    "trust is no service": ("roles:\n  r: {trust: 'EC 2'}", "trust", "ec2"),
    "a role that does not trust EC2": (
        "roles: {r: {trust: lambda}}\ninstance_profiles:\n  p: {role: r}",
        "ec2-trust",
        "role/r",
    ),
    "a profile of its own that does not trust EC2": (
        "roles:\n  r: {trust: lambda, instance_profile: true}",
        "ec2-trust",
        "role/r",
    ),
    "neither ids nor tags": ("associations:\n  a: {instance_profile: p}", "association", "either"),
    "both ids and tags": (
        "associations:\n  a: {instance_profile: p, instances: [i-0abc1234], select: {tags: {a: b}}}",
        "association",
        "either",
    ),
    "no tags": (
        "associations:\n  a: {instance_profile: p, select: {tags: {}}}",
        "empty-select",
        "one tag",
    ),
    "no ids": (
        "associations:\n  a: {instance_profile: p, instances: []}",
        "empty-select",
        "one id",
    ),
    "no values": (
        "associations:\n  a: {instance_profile: p, select: {tags: {app: []}}}",
        "empty-select",
        "app needs",
    ),
    "a bad item of a trust": ("roles:\n  r: {trust: [ec2, 'EC 2']}", "trust", "EC 2"),
    "no id of an instance": (
        "associations:\n  a: {instance_profile: p, instances: [i-xyz]}",
        "invalid-instance-id",
        "i-xyz",
    ),
    "no region": (
        "associations:\n  a: {instance_profile: p, instances: [i-0abc1234], regions: [europe]}",
        "invalid-region",
        "europe",
    ),
    "claimed twice": (
        "associations:\n  a: {instance_profile: p, instances: [i-0abc1234]}\n  b: {instance_profile: q, instances: [i-0abc1234]}",
        "claimed-twice",
        "'a' and by 'b'",
    ),
    "the same name": (
        "roles:\n  r: {trust: ec2, instance_profile: true}\ninstance_profiles: {r: {role: r}}",
        "duplicate-name",
        "instance-profile/r",
    ),
    "names in two cases": (
        "roles:\n  Web: {trust: ec2}\n  web: {trust: ec2}",
        "duplicate-name",
        "case",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_limit(tmp_path: Path, case: str) -> None:
    text, code, said = CASES[case]
    path = tmp_path / "spec.yaml"
    path.write_text(text, "utf-8")
    found = [d for d in load(str(path)).diagnostics if d.severity == "error"]
    assert code in [d.code for d in found], [str(d) for d in found]
    finding = next(d for d in found if d.code == code)
    assert said in finding.message
    assert finding.location.line >= 1


@pytest.mark.parametrize("quota", ["20", "25"])
def test_adjusted_quotas(tmp_path: Path, quota: str) -> None:
    (tmp_path / "reconciler.yaml").write_text(f"quotas: {{managed_policies_per_role: {quota}}}")
    (tmp_path / "spec.yaml").write_text(
        role(f"managed_policies: [{', '.join(f'p{n}' for n in range(20))}]")
    )
    assert not load(str(tmp_path)).diagnostics


@pytest.mark.parametrize("version", ["", "Version: 2008-10-17, "])
def test_the_old_policy_version_inside_a_role_is_a_warning(tmp_path: Path, version: str) -> None:
    path = tmp_path / "spec.yaml"
    body = f"{{{version}Statement: [{{Effect: Allow, Action: 's3:*', Resource: '*'}}]}}"
    path.write_text(role(f"inline_policies: {{x: {body}}}"))
    assert [(d.severity, d.code) for d in load(str(path)).diagnostics] == [
        ("warning", "policy-version")
    ]


@pytest.mark.parametrize("trusted", ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"])
def test_ec2_in_china_too(tmp_path: Path, trusted: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"roles: {{r: {{trust: {trusted}, instance_profile: true}}}}")
    assert not load(str(path)).diagnostics


@pytest.mark.parametrize("value", ["web-*", "[web, 'a?']"])
def test_a_selector_is_no_pattern(tmp_path: Path, value: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        f"associations: {{a: {{instance_profile: p, select: {{tags: {{app: {value}}}}}}}}}"
    )
    (found,) = load(str(path)).diagnostics
    assert (found.severity, found.code) == ("warning", "select-pattern")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("trust: lambda", "add ec2 to the services of its trust"),
        (
            "trust_policy: {Version: 2012-10-17, Statement: {Effect: Allow, Action: 'sts:AssumeRole', Principal: {AWS: '111111111111'}}}",
            "allow sts:AssumeRole to Service: ec2.amazonaws.com in its trust_policy",
        ),
    ],
)
def test_the_help_of_ec2_trust_does_not_lead_into_the_next_error(
    tmp_path: Path, body: str, said: str
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"roles: {{r: {{{body}, instance_profile: true}}}}")
    (found,) = load(str(path)).diagnostics
    assert (found.code, found.suggestion) == ("ec2-trust", said)


@pytest.mark.parametrize(
    ("text", "files", "code", "place"),
    [
        ("none.json", {}, "unreadable-file", "p.json"),
        ("../x.json", {}, "bad-file", "s.yaml"),
        ("p.yml", {"p.yml": "{Version: 1}"}, "bad-file", "s.yaml"),
        ("p.json", {"p.json": "{"}, "yaml-syntax", "p.json"),
        ("p.json", {"p.json": ""}, "policy-statement", "p.json"),
        ("p.json", {"p.json": "[]"}, "wrong-type", "p.json"),
        ("p.json", {"p.json": "{}"}, "policy-statement", "p.json"),
    ],
)
@pytest.mark.parametrize("where", ["document", "trust_policy", "inline"])
def test_one_mistake_in_a_file_is_one_finding(
    tmp_path: Path, text: str, files: dict[str, str], code: str, place: str, where: str
) -> None:
    for name, body in files.items():
        (tmp_path / name).write_text(body)
    made = {
        "document": "policies: {p: {document: {file: NAME}}}",
        "trust_policy": "roles: {r: {trust_policy: {file: NAME}}}",
        "inline": "roles: {r: {trust: ec2, inline_policies: {x: {file: NAME}}}}",
    }
    (tmp_path / "s.yaml").write_text(made[where].replace("NAME", text))
    (found,) = load(str(tmp_path)).diagnostics
    assert found.severity == "error"
    assert found.code == code or text == "none.json"


DOCUMENT = (
    "trust_policy: {Version: 2012-10-17, Statement: "
    "{Effect: Allow, Action: 'sts:AssumeRole', Principal: {Service: NAME}}}"
)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("trust: ec2", []),
        ("trust: [ec2, ecs-tasks, edgelambda]", []),
        ("trust: [logs.us-east-1.amazonaws.com]", []),
        ("trust: [ec2.amazonaws.com, ec2.amazonaws.com.cn]", []),
        (
            "trust: ecz2",
            ["1:20 error[trust] there is no service 'ecz2' that is known | did you mean 'ec2'?"],
        ),
        (
            "trust: [ec2, lamda]",
            [
                "1:26 error[trust] there is no service 'lamda' that is known | did you mean 'lambda'?"
            ],
        ),
        (
            "trust: EC2",
            [
                "1:20 error[trust] trust is a service such as ec2, or a list of them, not 'EC2' | "
                "did you mean 'ec2'?"
            ],
        ),
        # Near to none: it may be younger than the list of those that are known.
        (
            "trust: zzyzx",
            [
                "1:20 warning[trust] there is no service 'zzyzx' that is known | AWS refuses one "
                "that it does not have"
            ],
        ),
        # Written in full it is taken as it stands.
        (
            "trust: ecz2.amazonaws.com",
            [
                "1:20 warning[trust] there is no service 'ecz2.amazonaws.com' that is known | "
                "did you mean 'ec2.amazonaws.com'?"
            ],
        ),
        (DOCUMENT.replace("NAME", "ec2.amazonaws.com"), []),
        (DOCUMENT.replace("NAME", "zzyzx.amazonaws.com"), []),
        (DOCUMENT.replace("NAME", "channels.lex.amazonaws.com"), []),
        (
            DOCUMENT.replace("NAME", "[ec2.amazonaws.com, lamda.amazonaws.com]"),
            [
                "1:143 warning[policy-principal] there is no service 'lamda.amazonaws.com' that is "
                "known | did you mean 'lambda.amazonaws.com'?"
            ],
        ),
    ],
)
def test_a_service_that_aws_does_not_have(tmp_path: Path, body: str, found: list[str]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"roles: {{r: {{{body}}}}}")
    assert [
        f"{d.location.line}:{d.location.column} {d.severity}[{d.code}] {d.message} | {d.suggestion}"
        for d in load(str(path)).diagnostics
    ] == found


def test_a_misspelt_service_is_one_mistake(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("roles: {r: {trust: ecz2, instance_profile: true}}")
    assert [d.code for d in load(str(path)).diagnostics] == ["trust"]


def test_what_is_wrong_with_an_alias_stands_at_the_alias(tmp_path: Path) -> None:
    """What is wrong inside of what it stands for is told there, once for all that use it."""
    path = tmp_path / "spec.yaml"
    path.write_text(
        """\
x-all: &all {Effect: Allow, Action: "sts:AssumeRole"}
x-text: &text {Effect: Alow, Action: "s3:*", Resource: "*"}
x-name: &name "a b"
roles:
  one:
    trust_policy:
      Version: 2012-10-17
      Statement:
        - *all
  two:
    trust: *name
    inline_policies:
      p: {Version: 2012-10-17, Statement: [*text]}
      q: {Version: 2012-10-17, Statement: *text}
"""
    )
    assert [str(d.location).removeprefix(f"{path}:") for d in load(str(path)).diagnostics] == [
        "2:24",
        "9:11",
        "11:12",
    ]
