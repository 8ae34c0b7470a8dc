"""Reads instances and their associations, region by region.

``IncludeManagedResources`` shows instances that ECS, EKS and others manage also where the account
hides them. Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

from reconciler.aws import parse
from reconciler.aws.origins import UNKNOWN_REGION
from reconciler.aws.paging import ApiReader, whole, why
from reconciler.aws.session import Clients
from reconciler.errors import AwsError
from reconciler.model.address import resource_key
from reconciler.model.live import AssociationRow, LiveInstance, LiveState
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Identity
from reconciler.threads import result_of

IDS_AT_ONCE = 100
LIST_AGAIN_SECONDS = (1.0, 2.0, 3.0)
"""Pauses, in seconds, before a missing instance is asked for again: EC2 lists a new launch late.
Source: docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
"""
MOST_BY_ID = 500
"""Of more instances those of a region are listed, a thousand a page, not asked for by id."""
_IS_ALIVE = {
    "Name": "instance-state-name",
    "Values": ["pending", "running", "stopping", "stopped"],
}
_DESCRIBE = "ec2:DescribeInstances"
_ASSOCIATIONS = "ec2:DescribeIamInstanceProfileAssociations"

_Rows = dict[str, list[AssociationRow]]
_Read = tuple[_Rows, list[LiveInstance]]
"""Associations, and instances without theirs."""
Started = Mapping[str, Callable[[], _Read]]
"""Regions that are being read."""


class Instances:
    """``sleep`` is called with seconds before an instance that is not shown yet is asked for
    again."""

    def __init__(self, ask: ApiReader, prefix: str, sleep: Callable[[float], None]) -> None:
        self._ask = ask
        self._prefix = prefix
        self._sleep = sleep

    def start(self, regions: Collection[str], pool: ThreadPoolExecutor) -> Started:
        def both(region: str) -> Callable[[], _Read]:
            rows = pool.submit(self._rows, region)
            described = pool.submit(self._described, region, [_IS_ALIVE])
            return lambda: (result_of(rows), result_of(described))

        return {region: both(region) for region in sorted(set(regions))}

    def start_consumers(
        self, regions: Collection[str], arns: Collection[str], pool: ThreadPoolExecutor
    ) -> Started:
        """Those to which an association gives one of the profiles. Associations, which cannot be
        asked for by profile, are a tenth of the size of instances."""
        wanted = {resource_key(arn) for arn in arns}

        def read(region: str) -> _Read:
            rows = {
                name: there
                for name, there in self._rows(region).items()
                if any(resource_key(row.profile_arn) in wanted for row in there)
            }
            keys = [InstanceKey(region, name) for name in rows]
            if len(keys) > MOST_BY_ID:
                listed = self._described(region, [_IS_ALIVE])
                return rows, [i for i in listed if i.key.instance in rows]
            parts = (self._described(region, [_IS_ALIVE, *by_id]) for _, by_id in _parts(keys))
            return rows, [instance for part in parts for instance in part]

        return {
            region: partial(result_of, pool.submit(read, region)) for region in sorted(set(regions))
        }

    def fleet(self, identity: Identity, started: Started) -> LiveState:
        """Only instances. A region that refuses is distinguished from one without instances."""
        found: dict[str, list[LiveInstance]] = {}
        unread: dict[str, str] = {}
        for region, read in started.items():
            try:
                found[region] = list(self._joined(region, *read()))
            except AwsError as error:
                if error.code == UNKNOWN_REGION:
                    raise
                unread[region] = why(error)
        self._look_again(found, unread)
        instances = {i.key: i for there in found.values() for i in there}
        return LiveState(
            identity=identity, instances=instances, regions=tuple(found), unread_regions=unread
        )

    def some(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        """Instances that EC2 shows, terminated ones too, or that an association names; sorted."""
        found: list[LiveInstance] = []
        for region, filters in _parts(keys):
            rows = self._rows(region, Filters=filters)
            described = self._described(region, filters)
            found.extend(self._joined(region, rows, described))
        return tuple(sorted(found, key=lambda i: i.key))

    def associations(
        self, keys: Collection[InstanceKey]
    ) -> dict[InstanceKey, tuple[AssociationRow, ...]]:
        return {
            InstanceKey(region, name): parse.in_order(rows)
            for region, filters in _parts(keys)
            for name, rows in self._rows(region, Filters=filters).items()
        }

    def _look_again(self, found: dict[str, list[LiveInstance]], unread: dict[str, str]) -> None:
        """An instance that only an association names may have terminated, or not be shown yet: it
        is asked for by its id, in any state, and again for some seconds."""
        for pause in (0.0, *LIST_AGAIN_SECONDS):
            waiting = {r: [i.key for i in there if i.is_unknown] for r, there in found.items()}
            if not any(waiting.values()):
                return
            if pause:
                self._sleep(pause)
            for region, keys in waiting.items():
                try:
                    again = [i for i in self.some(keys) if not i.is_gone]
                except AwsError as error:
                    unread[region] = why(error)
                    del found[region]
                    continue
                found[region] = [*(i for i in found[region] if not i.is_unknown), *again]

    def _joined(
        self, region: str, rows: _Rows, described: list[LiveInstance]
    ) -> Iterator[LiveInstance]:
        shown: set[str] = set()
        for instance in described:
            name = instance.key.instance
            shown.add(name)
            yield parse.with_rows(instance, rows.get(name, ()))
        for name, there in rows.items():
            if name not in shown:
                yield parse.unseen(InstanceKey(region, name), there)

    def _rows(self, region: str, **params: Any) -> _Rows:
        rows: _Rows = {}
        operation = "describe_iam_instance_profile_associations"
        listed = self._ask.pages(
            "ec2", operation, "IamInstanceProfileAssociations", region, **params
        )
        for answer in listed:
            with whole(_ASSOCIATIONS):
                if (row := parse.row(answer)) is not None:
                    rows.setdefault(parse.need(answer, "InstanceId"), []).append(row)
        return rows

    def _described(self, region: str, filters: list[dict[str, Any]]) -> list[LiveInstance]:
        """Without their associations."""

        def made(page: dict[str, Any]) -> list[LiveInstance]:
            reservations = page.get("Reservations", ())
            listed = (answer for r in reservations for answer in r.get("Instances", ()))
            with whole(_DESCRIBE):
                return [parse.instance(answer, region, self._prefix) for answer in listed]

        operation = "describe_instances"
        pages = self._ask.each_page(
            made, "ec2", operation, region, IncludeManagedResources=True, Filters=filters
        )
        return [instance for page in pages for instance in page]


def _parts(keys: Collection[InstanceKey]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The region and the filters of each request. By filter, since asking by id is an error when
    one of them is gone."""
    for region in sorted({key.region for key in keys}):
        wanted = sorted(key.instance for key in keys if key.region == region)
        for start in range(0, len(wanted), IDS_AT_ONCE):
            yield region, [{"Name": "instance-id", "Values": wanted[start : start + IDS_AT_ONCE]}]


class Regions:
    """Asked only for regions that a tag names, so nothing is read before."""

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
