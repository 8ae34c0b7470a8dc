"""The policies that AWS manages, by name, each with its path: a name is enough to find one, or to
say which was meant. AWS adds some every week, so that a name that is not here may be right.

Source: docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from reconciler.model.address import Arns


@cache
def paths() -> Mapping[str, str]:
    """The path of each policy, by name. The file has each path on a line, the names at it below."""
    text = files(__package__).joinpath("aws_managed_policies.txt").read_text("utf-8")
    found: dict[str, str] = {}
    path = "/"
    for line in text.splitlines():
        if line.startswith("/"):
            path = line
        else:
            found[line] = path
    return found


def arn_of(name: str, arns: Arns) -> str:
    """ARNs of AWS-managed policies follow from their names but for those at odd paths."""
    return arns.aws_managed(paths().get(name, "/"), name)


@cache
def denying() -> frozenset[str]:
    """Names of those that deny something: what another policy allows they may take away."""
    text = files(__package__).joinpath("aws_denying_policies.txt").read_text("utf-8")
    return frozenset(text.splitlines())
