"""Whole sets: files and their root, settings, defaults, shorthands, variables, scalars as the schema
wants them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.diagnostics import has_errors
from reconciler.model.address import role_address
from reconciler.model.policy_document import as_list
from reconciler.spec.desired import SpecSet
from reconciler.spec.format.formatter import formatted
from reconciler.spec.loader import (
    Caller,
    Interpreter,
    for_target,
    interpret,
    load,
    read,
    validated,
)
from reconciler.spec.settings import TargetSpec

STATEMENT = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
ASSUME = {
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def loaded(folder: Path, caller: Caller | None = None, /, **files: str) -> SpecSet:
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return load(str(folder), caller)


def good(folder: Path, caller: Caller | None = None, /, **files: str) -> SpecSet:
    spec = loaded(folder, caller, **files)
    assert not has_errors(spec.diagnostics), [str(d) for d in spec.diagnostics]
    return spec


def test_the_example_of_the_format(tmp_path: Path) -> None:
    (tmp_path / "read-assets.json").write_text(
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
    )
    spec = good(
        tmp_path,
        Caller("123456789012"),
        web="""
version: 1
defaults: {tags: {team: web}, path: /web/}
policies:
  read-assets: {path: /, document: {file: read-assets.json}, tags: {}}
roles:
  web-server:
    description: Web tier
    trust: ec2
    managed_policies: [AmazonSSMManagedInstanceCore, read-assets]
    inline_policies:
      write-logs: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: logs:PutLogEvents, Resource: "*"}]}
    permissions_boundary: read-assets
    max_session_duration: 90m
    tags: {tier: front}
    instance_profile: true
instance_profiles:
  web-blue:
    role: web-server
    path: /
    cutover: {strategy: reassociate, max_unavailable: 25%, pause: 30s, on_failure: stop}
associations:
  web-fleet: {instance_profile: web-blue, instances: [i-0abc1234], regions: [eu-west-1]}
  by-tags: {instance_profile: web-blue, select: {tags: {app: web, env: [prod, stage]}}}
""",
    )
    role = spec.desired.roles["web-server"]
    assert role.resource.trust_policy.value["Statement"] == [ASSUME]
    assert role.resource.max_session_seconds == 5400
    assert role.resource.tags == {"team": "web", "tier": "front"}
    assert (role.resource.path, role.leave) == ("/web/", frozenset())
    assert spec.desired.policies["read-assets"].leave == {"description"}
    assert spec.desired.profiles["web-server"].resource.tags == {"team": "web", "tier": "front"}
    blue = spec.desired.profiles["web-blue"]
    assert (blue.limits.max_unavailable, blue.limits.pause_seconds) == ("25%", 30)
    fleet = {a.name: a for a in spec.desired.associations}
    assert fleet["by-tags"].select == {"app": ("web",), "env": ("prod", "stage")}
    assert fleet["web-fleet"].regions == ("eu-west-1",)
    assert role.place.here.line == 7


@pytest.mark.parametrize(
    "written", ["0123", "on", "no", "1.10", "2012-10-17", "1e3", "12:30:45", "true"]
)
def test_scalars_stay_as_written(tmp_path: Path, written: str) -> None:
    spec = good(tmp_path, web=f"roles: {{r: {{trust: ec2, tags: {{a: {written}}}}}}}")
    assert spec.desired.roles["r"].resource.tags == {"a": written}


def test_an_account_keeps_its_zero(tmp_path: Path) -> None:
    spec = good(tmp_path, reconciler="account_id: 001234567012\nowner: me", web="roles: {}")
    assert spec.settings.account_id == "001234567012"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${account_id}", "123456789012"),
        ("${partition}", "aws-cn"),
        ("${bucket}", "from-flag"),
        ("${aws:username}", "${aws:username}"),
        ("${aws:PrincipalTag/team, 'x'}", "${aws:PrincipalTag/team, 'x'}"),
        ("${*}${?}${$}", "${*}${?}${$}"),
        ("$${bucket}", "${bucket}"),
        ("$${aws:x}", "${aws:x}"),
        ("a${", "a${"),
    ],
)
def test_variables(tmp_path: Path, text: str, wanted: str) -> None:
    spec = good(
        tmp_path,
        Caller("123456789012", "aws-cn", {"bucket": "from-flag"}),
        reconciler="variables: {bucket: from-settings}",
        web=f'roles: {{r: {{trust: ec2, description: "{text}"}}}}',
    )
    assert spec.desired.roles["r"].resource.description == wanted


def test_merge_keys_and_anchors(tmp_path: Path) -> None:
    text = """
x-shared: &shared {trust: ec2, description: shared}
roles:
  a: {<<: *shared}
  b: {<<: [*shared], description: own}
"""
    roles = good(tmp_path, web=text).desired.roles
    assert roles["a"].resource.description == "shared"
    assert roles["b"].resource.description == "own"


def test_several_files_are_one_set(tmp_path: Path) -> None:
    spec = good(
        tmp_path, None, a="roles: {a: {trust: ec2}}", **{"sub/b": "roles: {b: {trust: ec2}}"}
    )
    assert sorted(spec.desired.roles) == ["a", "b"]


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".hidden.yaml").write_text("roles: [")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("roles: [")
    assert good(tmp_path, web="roles: {a: {trust: ec2}}").desired.size == 1


def test_the_root_is_where_the_settings_are(tmp_path: Path) -> None:
    good(
        tmp_path,
        None,
        reconciler="owner: me",
        **{"a/x": "roles: {a: {trust: ec2}}", "b/y": "roles: {b: {trust: ec2}}"},
    )
    part = load(str(tmp_path / "a"))
    assert part.settings.owner == "me"
    assert sorted(part.desired.roles) == ["a", "b"]
    assert part.chosen == frozenset({role_address("a")})
    assert load(str(tmp_path)).chosen is None


def test_a_single_file(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("roles: {a: {trust: ec2}}")
    (tmp_path / "other.yaml").write_text("roles: {b: {trust: ec2}}")
    assert sorted(load(str(path)).desired.roles) == ["a"]


def test_what_is_left_out_is_left_alone(tmp_path: Path) -> None:
    roles = good(
        tmp_path,
        web="""
roles:
  plain: {trust: ec2}
  open: {trust: ec2, path: /x/, permissions_boundary: null, managed_policies: {exclusive: false, policies: [a]},
         inline_policies: {exclusive: false, policies: {}}}
""",
    ).desired.roles
    assert roles["plain"].leave == {"path", "permissions_boundary"}
    assert roles["open"].leave == {"managed_policies", "inline_policies"}


def test_an_inline_policy_may_be_called_policies(tmp_path: Path) -> None:
    text = "roles: {r: {trust: ec2, inline_policies: {policies: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}}}"
    role = good(tmp_path, web=text).desired.roles["r"].resource
    assert [name for name, _ in role.inline_policies] == ["policies"]


def test_a_set_without_resources_says_so(tmp_path: Path) -> None:
    spec = good(tmp_path, reconciler="owner: me")
    assert [d.code for d in spec.diagnostics] == ["no-resources"]


def test_targets_have_their_own_variables_and_parts(tmp_path: Path) -> None:
    settings = """
targets:
  one: {variables: {tier: first}, specs: [common/, one/]}
  two: {variables: {tier: second}, specs: [common/, two/]}
"""
    role = "roles: {{{0}: {{trust: ec2, description: '${{tier}}'}}}}"
    files = {"common/a": role.format("a"), "one/b": role.format("b"), "two/b": role.format("b")}
    loaded(tmp_path, None, reconciler=settings, **files)
    parsed = read(str(tmp_path))
    assert not validated(parsed, {}).diagnostics
    target = parsed.settings.targets["two"]
    desired = interpret(for_target(parsed, target), Caller(variables=target.variables)).desired
    assert {r.resource.description for r in desired.roles.values()} == {"second"}
    assert sorted(desired.roles) == ["a", "b"]


NAMED = {
    "a name": ("roles: {r: {trust: ec2, tags: {a: 'x-${account_id}'}}}", "account"),
    "behind an escape": ('roles: {r: {trust: ec2, tags: {a: "\\x24{account\\x5fid}"}}}', "account"),
    "over two lines": (
        'roles: {r: {trust: ec2, tags: {a: "${account_\\\n  id}"}}}',
        "account",
    ),
    "the partition": ("roles: {r: {trust: ec2, tags: {a: '${partition}'}}}", "partition"),
    "one of IAM's": ("roles: {r: {trust: ec2, tags: {a: '${aws:PrincipalAccount}'}}}", ""),
    "none": ("roles: {r: {trust: ec2, tags: {a: account_id}}}", ""),
    "in a document": (
        "policies: {p: {document: {file: p.json}}}",
        "account",
    ),
}
DOCUMENT = {"Version": "2012-10-17", "Statement": [{**STATEMENT, "Resource": "${account_id}"}]}


@pytest.mark.parametrize("case", NAMED)
def test_a_set_is_the_same_for_two_accounts_unless_it_names_one(tmp_path: Path, case: str) -> None:
    text, named = NAMED[case]
    (tmp_path / "p.json").write_text(json.dumps(DOCUMENT).replace("$", "\\u0024"), "utf-8")
    loaded(tmp_path, None, a=text, reconciler="owner: me")
    parsed, here = read(str(tmp_path)), Caller("111111111111", "aws", {})
    others = {
        "account": Caller("222222222222", "aws", {}),
        "partition": Caller("111111111111", "aws-cn", {}),
    }
    interpreter = Interpreter()

    def is_shared(other: Caller) -> bool:
        return interpreter.of(parsed, here) is interpreter.of(parsed, other)

    assert is_shared(here)
    assert not is_shared(Caller("111111111111", "aws", {"b": "c"}))
    for what, other in others.items():
        both = [list(interpret(parsed, caller).desired.entities()) for caller in (here, other)]
        is_same = [e.resource for e in both[0]] == [e.resource for e in both[1]]
        assert is_shared(other) is is_same is (what != named)


def test_targets_with_other_parts_of_a_set_share_nothing(tmp_path: Path) -> None:
    roles = {name: f"roles: {{{name}: {{trust: ec2}}}}" for name in ("a", "b")}
    loaded(tmp_path, None, reconciler="owner: me", **roles)
    parsed, interpreter = read(str(tmp_path)), Interpreter()
    parts = [for_target(parsed, TargetSpec(specs=[f"{name}.yaml"])) for name in ("a", "b", "a")]
    made = [interpreter.of(part, Caller()) for part in parts]
    assert [list(one.desired.roles) for one in made] == [["a"], ["b"], ["a"]]
    assert made[0] is made[2]


def test_a_part_that_is_not_there(tmp_path: Path) -> None:
    loaded(tmp_path, None, reconciler="targets:\n  one: {specs: [nowhere/]}", web="roles: {}")
    found = validated(read(str(tmp_path)), {}).diagnostics
    assert [(d.code, d.location.line) for d in found if d.severity == "error"] == [
        ("no-such-path", 1)
    ]


def test_an_anchor_that_is_used_again(tmp_path: Path) -> None:
    """YAML allows it: an alias means the last one before it. Nobody is warned in Python's words."""
    text = "x-a: &t {a: '1'}\nx-b: &t {b: '2'}\nroles: {r: {trust: ec2, tags: *t}}\n"
    role = good(tmp_path, a=text).desired.role("r")
    assert role is not None
    assert dict(role.resource.tags) == {"b": "2"}


BODY = '{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}'
INLINE = {
    "short": ("{NAME: BODY, other: BODY}", True),
    "short, from a file": ("{NAME: {file: p.json}, other: BODY}", True),
    "long": ("{exclusive: false, policies: {NAME: BODY, other: BODY}}", False),
    "long, from a file": ("{exclusive: true, policies: {NAME: {file: p.json}, other: BODY}}", True),
    "long, the only one": ("{exclusive: true, policies: {NAME: BODY}}", True),
    "short, the only one": ("{NAME: {file: p.json}}", True),
}


@pytest.mark.parametrize("name", ["file", "policies", "exclusive", "Version"])
@pytest.mark.parametrize("form", INLINE)
def test_an_inline_policy_may_have_any_name(tmp_path: Path, form: str, name: str) -> None:
    """Those of our own keys too, in either form; and `fmt` has the same idea of where it stands."""
    (tmp_path / "p.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": STATEMENT}))
    written, exclusive = INLINE[form]
    text = written.replace("NAME", name).replace("BODY", BODY)
    spec = good(tmp_path, a=f"roles: {{r: {{trust: ec2, inline_policies: {text}}}}}\n")
    role = spec.desired.role("r")
    assert role is not None
    found = dict(role.resource.inline_policies)
    assert found.keys() <= {name, "other"}
    assert as_list(found[name].value["Statement"]) == [STATEMENT]
    assert ("inline_policies" not in role.leave) == exclusive
    mixed = text.replace('Version: "2012-10-17", Statement', "Statement").replace(
        '"*"}]}', '"*"}], Version: "2012-10-17"}'
    )
    sorted_again = formatted(f"roles: {{r: {{trust: ec2, inline_policies: {mixed}}}}}\n")
    assert "Statement" not in sorted_again.partition("Version")[0].rpartition("inline")[2]


def test_the_place_of_an_inline_policy_named_as_one_of_our_keys(tmp_path: Path) -> None:
    wrong = (
        "{Version: '2012-10-17', Statement: [{Effect: Perhaps, Action: 's3:Get*', Resource: '*'}]}"
    )
    spec = loaded(
        tmp_path,
        a=f"roles:\n  r:\n    trust: ec2\n    inline_policies:\n      policies: {BODY}\n      x: {wrong}\n",
    )
    assert [d.location.line for d in spec.diagnostics] == [6]
