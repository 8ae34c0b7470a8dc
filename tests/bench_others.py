"""What else changes roles and profiles, for ``tests/bench_against.py``: a shell script of ``aws``
commands, as AWS's documentation teaches them, Ansible with its collection ``amazon.aws``, and
Terraform with its provider ``hashicorp/aws``.

None has a way back, and the first two do one thing after the other. Neither Ansible nor Terraform
associates a profile again whose role has changed: the instances keep the credentials of the old
one. Terraform has no resource for an association, so it launches the instances itself.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench_bare import TRUST

PLAYBOOK_VARIABLE = "ANSIBLE_PLAYBOOK"
"""Names the program of Ansible, which most often has an environment of its own."""
MIRROR_VARIABLE = "TERRAFORM_PLUGIN_DIR"
"""Names a directory with the provider, as ``terraform providers mirror`` makes one."""


def aws_program() -> str | None:
    beside = Path(sys.executable).parent / "aws"
    return str(beside) if beside.exists() else shutil.which("aws")


def ansible_program() -> str | None:
    return os.environ.get(PLAYBOOK_VARIABLE) or shutil.which("ansible-playbook")


def terraform_program() -> str | None:
    return shutil.which("terraform") if os.environ.get(MIRROR_VARIABLE) else None


def shell_script(program: str, url: str, wanted: dict[str, Any], scenario: str) -> str:
    commands = {"create": _create, "noop": _noop, "drift": _drift, "swap": _swap}[scenario]
    ask = f'aws() {{ {program} --endpoint-url {url} "$@"; }}'
    region = "export AWS_DEFAULT_REGION=us-east-1"  # `aws` of PyPI does not read AWS_REGION
    return "\n".join(["set -eu", region, ask, f"trust='{TRUST}'", *commands(wanted)]) + "\n"


def _create(wanted: dict[str, Any]) -> Iterator[str]:
    for name in (*wanted["roles"], *wanted["others"]):
        yield f'aws iam create-role --role-name {name} --assume-role-policy-document "$trust"'
    for one in wanted["profiles"]:
        name = f"--instance-profile-name {one['name']}"
        yield f"aws iam create-instance-profile {name}"
        yield f"aws iam add-role-to-instance-profile {name} --role-name {one['role']}"
        yield _associated(one)


def _associated(one: dict[str, str]) -> str:
    given = f"--instance-id {one['instance']} --iam-instance-profile Name={one['name']}"
    return f"aws ec2 associate-iam-instance-profile {given}"


def _noop(wanted: dict[str, Any]) -> Iterator[str]:
    yield from (f"aws iam get-role --role-name {name}" for name in wanted["roles"])
    for one in wanted["profiles"]:
        yield f"aws iam get-instance-profile --instance-profile-name {one['name']}"
    yield "aws ec2 describe-iam-instance-profile-associations"


def _drift(wanted: dict[str, Any]) -> Iterator[str]:
    yield from _noop(wanted)
    for name in wanted["roles"][:5]:
        yield f"aws iam update-role --role-name {name} --description '' --max-session-duration 3600"


def _swap(wanted: dict[str, Any]) -> Iterator[str]:
    for one in wanted["profiles"][: wanted["swapped"]]:
        name = f"--instance-profile-name {one['name']}"
        yield f"aws iam remove-role-from-instance-profile {name} --role-name {one['role']}"
        yield f"aws iam add-role-to-instance-profile {name} --role-name {one['other']}"
        found = f"--filters Name=instance-id,Values={one['instance']} --output text"
        query = "--query IamInstanceProfileAssociations[].AssociationId"
        asked = f"aws ec2 describe-iam-instance-profile-associations {found} {query}"
        yield f"association=$({asked})"
        yield 'aws ec2 disassociate-iam-instance-profile --association-id "$association"'
        yield f'until [ -z "$({asked})" ]; do sleep 1; done'
        yield _associated(one)


def playbook(url: str, wanted: dict[str, Any], swapped: int) -> str:
    """All there should be; the first ``swapped`` profiles have the other role."""
    profiles = [
        {**one, "role": one["other"] if number < swapped else one["role"]}
        for number, one in enumerate(wanted["profiles"])
    ]
    role = {"name": "{{ item }}", "assume_role_policy_document": TRUST, "description": ""}
    profile = {"name": "{{ item.name }}", "role": "{{ item.role }}"}
    instance = {
        "instance_ids": ["{{ item.instance }}"],
        "iam_instance_profile": "{{ item.name }}",
        "wait": False,
    }
    tasks = [
        {"amazon.aws.iam_role": role, "loop": [*wanted["roles"], *wanted["others"]]},
        {"amazon.aws.iam_instance_profile": profile, "loop": profiles},
        {"amazon.aws.ec2_instance": instance, "loop": profiles},
    ]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "module_defaults": {"group/amazon.aws.aws": {"endpoint_url": url, "region": "us-east-1"}},
        "tasks": tasks,
    }
    return json.dumps([play])


def terraform_init(program: list[str]) -> list[str]:
    return [*program, "init", "-input=false", f"-plugin-dir={os.environ[MIRROR_VARIABLE]}"]


def terraform_files(url: str, wanted: dict[str, Any], swapped: int) -> str:
    """All there should be, as ``*.tf.json``; the first ``swapped`` profiles have the other role."""
    endpoints = dict.fromkeys(("iam", "ec2", "sts"), url)
    skipped = ("credentials_validation", "metadata_api_check", "region_validation")
    provider = {
        "region": "us-east-1",
        "endpoints": endpoints,
        **{f"skip_{one}": True for one in skipped},
    }
    roles, profiles, instances = {}, {}, {}
    for name in (*wanted["roles"], *wanted["others"]):
        roles[name] = {"name": name, "assume_role_policy": TRUST}
    for number, one in enumerate(wanted["profiles"]):
        role = one["other"] if number < swapped else one["role"]
        name = one["name"]
        profiles[name] = {"name": name, "role": f"${{aws_iam_role.{role}.name}}"}
        instances[name] = {
            "ami": wanted["image"],
            "instance_type": "t3.micro",
            "iam_instance_profile": f"${{aws_iam_instance_profile.{name}.name}}",
        }
    resources = {
        "aws_iam_role": roles,
        "aws_iam_instance_profile": profiles,
        "aws_instance": instances,
    }
    return json.dumps(
        {
            "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
            "provider": {"aws": provider},
            "resource": resources,
        }
    )
