"""Tags of many profiles and policies in few calls, from AWS's own index of tags.

How late the index sees a change is not documented, and a resource may be missing in it. So an
answer only spares a read: it is believed where it shows a resource exactly as one that needs
nothing, and everything else is read by itself. What is missing in it is not without tags.

Source: docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html (IAM's
resources are in us-east-1; roles and users are not in it)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.aws import parse
from reconciler.aws.paging import ApiReader, whole, why
from reconciler.errors import AwsError
from reconciler.model import ownership
from reconciler.model.address import same_name
from reconciler.model.live import LivePolicy, LiveProfile
from reconciler.ports import Expected

HOME = "us-east-1"
PARTITION = "aws"
FEW = 10
"""So many tags are read one by one: the index would not take fewer calls to speak of."""
_TYPES = ["iam:instance-profile", "iam:policy"]
_CALL = "tag:GetResources"


@dataclass(frozen=True, slots=True)
class TagIndex:
    """``tags`` by ARN, of resources that have our owner tag; ``refused`` is why there are none."""

    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refused: str | None = None

    def believed(
        self, live: LiveProfile | LivePolicy, expected: Expected | None, prefix: str
    ) -> dict[str, str] | None:
        """The tags of ``live``, if they are those of a resource that is as the specs want it and
        that no cut-over is in progress for; ``None`` if it must be read by itself."""
        tags = self.tags.get(live.arn)
        if tags is None or expected is None:
            return None
        wanted = dict(expected.tags)
        if isinstance(live, LiveProfile):
            held = live.resource
            if held.path != expected.path or not same_name(held.role, expected.role):
                return None
            if live.role_id is None:
                return None
            settled = ownership.encode_role_mark(ownership.Settled(live.role_id))
            wanted[prefix + ownership.ROLE_ID] = settled
        return dict(tags) if tags == wanted else None

    def may_be_ours(self, arn: str, prefix: str, owner: str) -> bool:
        """Whether the index shows our owner on it."""
        found = ownership.decode_owner(self.tags.get(arn, {}).get(prefix + ownership.OWNER))
        return found is not None and found.owner == owner


def read_index(ask: ApiReader, prefix: str) -> TagIndex:
    """Every profile and policy that has our owner tag. Never raises ``AwsError``."""
    filters = [{"Key": prefix + ownership.OWNER}]
    try:
        found = ask.pages(
            "resourcegroupstaggingapi",
            "get_resources",
            "ResourceTagMappingList",
            HOME,
            ResourceTypeFilters=_TYPES,
            TagFilters=filters,
        )
        with whole(_CALL):
            return TagIndex(
                {parse.need(one, "ResourceARN"): parse.tags_of(one.get("Tags")) for one in found}
            )
    except AwsError as error:
        return TagIndex(refused=why(error))
