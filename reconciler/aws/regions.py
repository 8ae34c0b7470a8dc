"""Which regions there are, enabled or not."""

from __future__ import annotations

from functools import cached_property

from reconciler.aws.paging import ApiReader
from reconciler.aws.session import Clients
from reconciler.ports import AwsError


class Regions:
    """Asked only of regions that somebody wrote into a tag, so nothing is looked up before."""

    def __init__(self, clients: Clients, ask: ApiReader) -> None:
        self._clients = clients
        self._ask = ask

    def __contains__(self, region: object) -> bool:
        """Whether the account's partition has the region. Where that cannot be found out it may:
        an instance could be waiting there for its profile."""
        if region in self._listed:
            return True
        return self._answered is None or region in self._answered

    @cached_property
    def _listed(self) -> frozenset[str]:
        """Those that botocore knows."""
        partition = self._clients.get("iam").meta.partition
        return frozenset(self._clients.session.boto.get_available_regions("ec2", partition))

    @cached_property
    def _answered(self) -> frozenset[str] | None:
        """Those that AWS has, younger ones too; ``None`` where it does not say.

        Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html
        """
        try:
            regions = self._ask.pages("ec2", "describe_regions", "Regions", AllRegions=True)
        except AwsError:
            return None
        return frozenset(region["RegionName"] for region in regions)
