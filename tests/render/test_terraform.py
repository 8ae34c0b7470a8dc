"""Blocks for Terraform are valid HCL, whatever IAM's names and paths have in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.commands.plan import make_plan
from reconciler.errors import RefusedError
from reconciler.render.leaving import leaving_for_terraform
from reconciler.render.terraform import Import, hcl, import_blocks, label, removed_blocks
from tests.rig import ACCOUNT, AWAY, HOME, Rig

BLOCK = re.compile(
    r'import \{\n  to = ([a-z_]+\.[A-Za-z_][\w-]*)\n  id = ("(?:[^"\\\n]|\\.)*")\n\}\n'
)
COMMENT = re.compile(r"#[^\n]*\n")


def ids(text: str) -> dict[str, str]:
    """By address, the id as it is written. Fails for anything but blocks and comments."""
    rest = COMMENT.sub("", BLOCK.sub("", text)).strip()
    assert rest == ""
    return {to: written.strip('"') for to, written in BLOCK.findall(text)}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("web", "web"),
        ("web-v2", "web_v2"),
        ("a+b=c,d.e@f", "a_b_c_d_e_f"),
        ("2fa", "_2fa"),
        ("-x", "_x"),
    ],
)
def test_names(name: str, wanted: str) -> None:
    assert label(name) == wanted


def test_names_that_differ_in_what_terraform_does_not_take() -> None:
    blocks = import_blocks(
        [Import("aws_iam_role", (name,), name) for name in ("a.b", "a_b", "a@b")]
    )
    assert ids("\n".join(blocks)) == {
        "aws_iam_role.a_b": "a.b",
        "aws_iam_role.a_b_2": "a_b",
        "aws_iam_role.a_b_3": "a@b",
    }


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('a"b', r'"a\"b"'),
        (r"a\b", r'"a\\b"'),
        ("${x}", '"$${x}"'),
        ("%{x}", '"%%{x}"'),
        ("$${x}", '"$$${x}"'),
    ],
)
def test_an_id_is_a_string_without_templates(text: str, written: str) -> None:
    assert hcl(text) == written


def test_removed_blocks() -> None:
    made = list(removed_blocks(["module.a.aws_iam_role.web"], ["aws_iam_role.b[0]"]))
    assert made == [
        "removed {\n  from = module.a.aws_iam_role.web\n  lifecycle {\n    destroy = false\n  }\n}\n",
        "# Terraform also manages other instances of these. One by one:\n"
        "# terraform state rm 'aws_iam_role.b[0]'\n",
    ]
    assert list(removed_blocks([])) == []


SPEC = """
policies:
  read: {path: '/app/', document: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}}
roles:
  web:
    trust: ec2
    managed_policies: [read, AmazonSSMManagedInstanceCore]
    inline_policies: {own: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:Put*', Resource: '*'}]}}
  other: {trust: ec2}
instance_profiles: {web: {role: web}}
associations: {web: {instance_profile: web, instances: [INSTANCE]}}
"""


def leaving(aws: Rig, *forget: str) -> str:
    request = aws.request(forget=forget)
    return leaving_for_terraform(make_plan(request, aws.commands(), keeps_context=True))


def test_each_resource_as_the_provider_cuts_it_up(aws: Rig) -> None:
    (instance,) = aws.launch(1)
    aws.write(SPEC.replace("INSTANCE", instance))
    aws.settle()
    text = leaving(aws, "*")
    assert ids(text) == {
        "aws_iam_policy.read": f"arn:aws:iam::{ACCOUNT}:policy/app/read",
        "aws_iam_role.web": "web",
        "aws_iam_role_policy.web_own": "web:own",
        "aws_iam_role_policy_attachment.web_AmazonSSMManagedInstanceCore": (
            "web/arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        ),
        "aws_iam_role_policy_attachment.web_read": (f"web/arn:aws:iam::{ACCOUNT}:policy/app/read"),
        "aws_iam_role.other": "other",
        "aws_iam_instance_profile.web": "web",
    }
    assert f"#   {instance} ({HOME}): web\n" in text
    assert set(ids(leaving(aws, "role/other"))) == {"aws_iam_role.other"}


def test_only_what_is_ours(aws: Rig, tmp_path: Path) -> None:
    aws.iam.create_role(RoleName="foreign", AssumeRolePolicyDocument='{"Statement": []}')
    aws.write("roles: {web: {trust: ec2}}\n")
    aws.settle()
    assert set(ids(leaving(aws, "*"))) == {"aws_iam_role.web"}


TARGETS = f"""
version: 1
owner: tests
regions: [{HOME}, {AWAY}]
targets:
  one: {{account_id: '{ACCOUNT}'}}
  two: {{account_id: '222222222222', role_arn: 'arn:aws:iam::222222222222:role/ci'}}
"""


def test_one_account_at_a_time(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}\n", TARGETS)
    aws.settle()
    with pytest.raises(RefusedError, match="import blocks are for one account; pass one --target"):
        leaving(aws, "*")
