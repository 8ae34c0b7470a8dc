"""Filters of EC2. Of those of ``DescribeInstances`` moto has a few, compares them without
wildcards, and has none about instance profiles. Some other reads of moto pass filters over.

Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.utils import get_object_value

from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged

_ATTRIBUTES = {
    "architecture": "architecture",
    "availability-zone": "availability_zone",
    "client-token": "client_token",
    "dns-name": "public_dns_name",
    "ebs-optimized": "ebs_optimized",
    "host-id": "placement.host_id",
    "hypervisor": "hypervisor",
    "image-id": "image_id",
    "instance-id": "id",
    "instance-lifecycle": "lifecycle",
    "instance-state-code": "state_code",
    "instance-state-name": "state",
    "instance-type": "instance_type",
    "instance.group-id": "security_groups.id",
    "instance.group-name": "security_groups.name",
    "group-id": "security_groups.id",
    "group-name": "security_groups.name",
    "ip-address": "public_ip",
    "kernel-id": "kernel",
    "key-name": "key_name",
    "launch-index": "ami_launch_index",
    "metadata-options.http-endpoint": "metadata_options.http_endpoint",
    "metadata-options.http-protocol-ipv6": "metadata_options.http_protocol_ipv6",
    "metadata-options.http-put-response-hop-limit": "metadata_options.http_put_response_hop_limit",
    "metadata-options.http-tokens": "metadata_options.http_tokens",
    "metadata-options.instance-metadata-tags": "metadata_options.instance_metadata_tags",
    "metadata-options.state": "metadata_options.state",
    "monitoring-state": "monitoring_state",
    "network-interface.network-interface-id": "network_interfaces.id",
    "network-interface.private-ip-address": "private_ip",
    "network-interface.private-dns-name": "private_dns_name",
    "network-interface.subnet-id": "subnet_id",
    "network-interface.vpc-id": "vpc_id",
    "owner-id": "owner_id",
    "placement-group-name": "placement.group_name",
    "platform": "platform",
    "private-dns-name": "private_dns_name",
    "private-ip-address": "private_ip",
    "product-code": "product_codes",
    "ramdisk-id": "ramdisk",
    "reason": "state_transition_reason",
    "root-device-name": "root_device_name",
    "root-device-type": "root_device_type",
    "source-dest-check": "source_dest_check",
    "state-reason-code": "state_reason.code",
    "state-reason-message": "state_reason.message",
    "subnet-id": "subnet_id",
    "tenancy": "placement.tenancy",
    "virtualization-type": "virtualization_type",
    "vpc-id": "vpc_id",
}
"""moto's attribute of an instance, by filter."""


def _profile(instance: Any, field: str) -> str | None:
    """Of the association, as ``DescribeInstances`` shows it."""
    shown: Mapping[str, str] = instance.iam_instance_profile or {}
    return shown.get(field)


def _operator(instance: Any) -> Mapping[str, Any]:
    return getattr(instance, "operator", None) or {}


_READ: dict[str, Callable[[Any], Any]] = {
    "iam-instance-profile.arn": lambda one: _profile(one, "Arn"),
    "iam-instance-profile.id": lambda one: _profile(one, "Id"),
    "iam-instance-profile.name": lambda one: (_profile(one, "Arn") or "").rpartition("/")[2],
    "launch-time": lambda one: one.launch_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "operator.managed": lambda one: bool(_operator(one)),
    "operator.principal": lambda one: _operator(one).get("Principal"),
    "tag-key": lambda one: [tag["key"] for tag in one.get_tags()],
    "tag-value": lambda one: [tag["value"] for tag in one.get_tags()],
}
_TAG = "tag:"


_ANSWERED: dict[str, tuple[str, ...]] = {
    "DescribeFleets": (),
    "DescribeIamInstanceProfileAssociations": ("instance-id", "state"),
    "DescribeInstanceStatus": ("instance-state-code", "instance-state-name"),
    "DescribeLaunchTemplateVersions": (),
    "DescribeRegions": ("endpoint", "opt-in-status", "region-name"),
    "DescribeTags": ("key", "resource-id", "resource-type", "value"),
}
"""By read, the filters that are looked at here. Of most others moto knows which it has not."""


def check_known(logged: Logged) -> None:
    """Refuses a filter that EC2 has not, and one that this sandbox has not, in EC2's words: that is
    better than all there is. Also where nothing is there that it could be asked of."""
    known = _ANSWERED.get(logged.operation, ())
    for one in logged.params.get("Filters") or logged.params.get("Filter") or ():
        name = str(one.get("Name"))
        is_here = is_known(name) if logged.operation == "DescribeInstances" else name in known
        if not is_here and logged.operation in ("DescribeInstances", *_ANSWERED):
            raise invalid(name)


def invalid(name: str) -> ServiceException:
    return refused("ec2", "InvalidParameterValue", f"The filter '{name}' is invalid")


def is_known(name: str) -> bool:
    return name in _ATTRIBUTES or name in _READ or name.startswith(_TAG)


def passes(instance: Any, filters: Mapping[str, Collection[str]]) -> bool:
    """In place of ``passes_filter_dict``: every filter by one of its values."""
    return all(is_met(_value(instance, name), values) for name, values in filters.items())


def is_met(found: Any, wanted: Collection[str]) -> bool:
    """Whether one of what is found, or the only one, fits one of the patterns."""
    several = found if isinstance(found, list | tuple | set) else [found]
    texts = [_text(one) for one in several if one is not None]
    return any(_form(pattern).fullmatch(text) for text in texts for pattern in wanted)


def _value(instance: Any, name: str) -> Any:
    if name.startswith(_TAG):
        key = name.removeprefix(_TAG)
        return [tag["value"] for tag in instance.get_tags() if tag["key"] == key]
    if (read := _READ.get(name)) is not None:
        return read(instance)
    return get_object_value(instance, _ATTRIBUTES[name])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@lru_cache(maxsize=4096)
def _form(pattern: str) -> re.Pattern[str]:
    """A ``*`` is any text and a ``?`` one character, unless a backslash precedes it.
    Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html"""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(p) or re.escape(p[-1]) for p in parts), re.DOTALL)
