"""``tag:GetResources`` for profiles and policies, which moto always answers with nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import iam_backends

from reconciler.sandbox.state import World

HOME = "us-east-1"
PAGE = 100
_PROFILES, _POLICIES = "iam:instance-profile", "iam:policy"


class TagIndexLayer:
    """As AWS: IAM's resources are in one region, and only those that have tags. How late it is, and
    what it lacks, is a fault of the sandbox."""

    def __init__(self, world: World, originals: dict[str, Any]) -> None:
        self._world, self._originals = world, originals

    def get_resources(self, request: Any) -> ActionResult:
        asked = json.loads(request.body or "{}")
        types = asked.get("ResourceTypeFilters") or []
        if not any(kind.startswith("iam:") for kind in types):
            answer: ActionResult = self._originals["get_resources"](request)
            return answer
        found: list[dict[str, Any]] = []
        if request.region == HOME:
            backend = iam_backends[request.current_account]["aws"]
            with self._world.indexed(request.current_account, backend):
                found = list(self._found(backend, types, asked.get("TagFilters") or []))
        start = int(asked.get("PaginationToken") or 0)
        size = self._world.page(min(int(asked.get("ResourcesPerPage") or PAGE), PAGE))
        more = str(start + size) if start + size < len(found) else ""
        page = {"ResourceTagMappingList": found[start : start + size], "PaginationToken": more}
        return ActionResult(page)

    def _found(
        self, backend: Any, types: list[str], filters: list[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        resources: list[tuple[str, dict[str, str]]] = []
        if _PROFILES in types:
            resources += [(p.arn, _tags(p)) for p in backend.instance_profiles.values()]
        if _POLICIES in types:
            local = (p for p in backend.managed_policies.values() if ":iam::aws:" not in p.arn)
            resources += [(p.arn, _tags(p)) for p in local]
        for arn, tags in sorted(resources):
            if tags and all(_matches(tags, one) for one in filters) and not self._misses(arn):
                listed = [{"Key": key, "Value": value} for key, value in tags.items()]
                yield {"ResourceARN": arn, "Tags": listed}

    def _misses(self, arn: str) -> bool:
        """The same resources each time."""
        return zlib.crc32(arn.encode()) / 2**32 < self._world.chaos.index_misses


def _matches(tags: dict[str, str], one: dict[str, Any]) -> bool:
    values = one.get("Values") or []
    return one["Key"] in tags and (not values or tags[one["Key"]] in values)


def _tags(resource: Any) -> dict[str, str]:
    """moto keeps them as a list of pairs here, and by key there."""
    tags = resource.tags
    if isinstance(tags, list):
        return {tag["Key"]: tag["Value"] for tag in tags}
    return {key: one["Value"] if isinstance(one, dict) else one for key, one in tags.items()}
