"""Which tool besides us seems to manage a resource, by the tags that such tools and their users
write.

Sources: docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-properties-reference.html (its
``aws:cloudformation:`` tags), docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html (the
``eks:`` tags and ``kubernetes.io/cluster/``), eksctl.io (``alpha.eksctl.io/``). Terraform and its
like write no tag by themselves; ``ManagedBy`` is a custom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

_TOOLS = ("Terraform", "OpenTofu", "Pulumi", "CloudFormation", "Crossplane", "Ansible", "eksctl")
_CUSTOM = frozenset({"managedby", "createdby", "provisionedby", "provisioner", "iac"})
_PREFIXES = {
    "aws:cloudformation:": "CloudFormation",
    "aws-cdk:": "CloudFormation",
    "eks:": "EKS",
    "aws:eks:": "EKS",
    "alpha.eksctl.io/": "EKS",
    "eksctl.cluster.k8s.io/": "EKS",
    "kubernetes.io/cluster/": "EKS",
}
_NO = frozenset({"", "0", "false", "no", "none"})


def manager_of(tags: Mapping[str, str]) -> str | None:
    """The tool that the tags speak of; ``None`` if they speak of none."""
    return next(_spoken_of(tags.items()), None)


def _spoken_of(tags: Iterable[tuple[str, str]]) -> Iterator[str]:
    for key, value in sorted(tags):
        low = key.casefold()
        yield from (tool for start, tool in _PREFIXES.items() if low.startswith(start))
        word = low.rpartition("/")[2].replace("-", "").replace("_", "")
        if word in _CUSTOM:
            yield from (_named(tool) for tool in _TOOLS if tool.casefold() in value.casefold())
        own = next((tool for tool in _TOOLS if word.startswith(tool.casefold())), None)
        if own is not None and value.casefold() not in _NO:
            yield _named(own)


def _named(tool: str) -> str:
    return "EKS" if tool == "eksctl" else tool
