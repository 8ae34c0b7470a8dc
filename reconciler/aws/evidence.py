"""Evidence of the role that instances are served, from CloudTrail, from their own metadata service
and from what IAM notes of a role's use. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from reconciler.aws.cloudtrail import (
    AwsTrail,
    delivered_to,
    detail_of,
    identity_of,
    issued_at,
    within,
)
from reconciler.aws.errors import translated
from reconciler.aws.run_command import RunCommand
from reconciler.aws.session import Clients
from reconciler.errors import AwsError
from reconciler.model.evidence import Associated, LastUsed, Metadata, RoleSession, Silence
from reconciler.model.partitions import IAM_REGIONS, partition_of
from reconciler.ports import TOO_MANY_EVENTS, Associations, Clock
from reconciler.threads import interruptible

ASSOCIATING = ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")
MOST_PAGES = 40
"""Of the calls of a region that made associations: two thousand."""
MOST_OF_INSTANCE = 20
"""The same of events that name one instance: whoever may tag it can make as many as he likes."""
_NO_SUCH_ROLE = "NoSuchEntity"


class AwsEvidence:
    """An ``EvidenceReader`` over boto3."""

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients = clients
        self._trail = AwsTrail(clients, clock)
        self._commands = RunCommand(clients, clock)

    @property
    def calls(self) -> Mapping[str, int]:
        return dict(self._clients.counts)

    def sessions(self, region: str, instance: str) -> Iterator[RoleSession]:
        is_any = False
        for one in self._sessions(region, instance):
            is_any = True
            yield one
        home = IAM_REGIONS.get(partition_of(region))
        if not is_any and home not in (None, region):
            # Calls of IAM, and of other services without a region, are told there. It may be that
            # only the region of the instance may be asked.
            with suppress(AwsError):
                yield from self._sessions(str(home), instance)

    def _sessions(self, region: str, instance: str) -> Iterator[RoleSession]:
        events = self._trail.lookup(region, "Username", instance)
        yield from filter(None, (_session(event, instance) for event in events))

    def associations(self, region: str, since: float) -> Associations:
        made: dict[str, Associated] = {}
        read_since = since
        for name in ASSOCIATING:
            cut: list[str] = []
            told, at = partial(cut.append, name), since
            for event in self._trail.lookup(
                region, "EventName", name, since, MOST_PAGES, cut_short=told
            ):
                at = event["EventTime"].timestamp()
                found = _associated(event)
                if found is not None and found[1].at >= made.get(found[0], found[1]).at:
                    made[found[0]] = found[1]
            if cut:
                # CloudTrail tells times to the second, and others of that one may be missing.
                read_since = max(read_since, at + 1)
        return Associations(made, read_since)

    def association(self, region: str, instance: str, since: float) -> Associated | None:
        def too_many() -> None:
            raise AwsError("cloudtrail:LookupEvents", TOO_MANY_EVENTS, _TOO_MANY)

        events = self._trail.lookup(
            region, "ResourceName", instance, since, MOST_OF_INSTANCE, cut_short=too_many
        )
        found = (_associated(event) for event in events if event.get("EventName") in ASSOCIATING)
        return next((one[1] for one in found if one is not None and one[0] == instance), None)

    def metadata(
        self, region: str, instances: Collection[str], told: Callable[[], None]
    ) -> Mapping[str, Metadata | Silence]:
        return self._commands.metadata(region, instances, told)

    @interruptible
    def last_used(self, role: str) -> LastUsed | None:
        try:
            with translated("iam:GetRole"):
                answer = self._clients.get("iam").get_role(RoleName=role)
        except AwsError as error:
            if error.code == _NO_SUCH_ROLE:
                return None
            raise
        used = answer.get("Role", {}).get("RoleLastUsed") or {}
        if (at := used.get("LastUsedDate")) is None:
            return None
        return LastUsed(at.timestamp(), used.get("Region"))


_TOO_MANY = "there are more events of it than can be looked through"


def _session(event: Mapping[str, Any], instance: str) -> RoleSession | None:
    """``None`` for what was not called with credentials of the instance's profile."""
    detail = detail_of(event)
    role_id, issued = delivered_to(detail, instance), issued_at(detail)
    issuer = within(within(identity_of(detail), "sessionContext"), "sessionIssuer")
    if role_id is None or issued is None or issuer.get("principalId") != role_id:
        return None
    service = str(detail.get("eventSource") or "").partition(".")[0]
    name = issuer.get("userName") or str(issuer.get("arn") or "").rpartition("/")[2]
    return RoleSession(
        role_id,
        str(name),
        issued,
        event["EventTime"].timestamp(),
        f"{service}:{event.get('EventName') or detail.get('eventName')}",
        str(detail["errorCode"]) if detail.get("errorCode") else None,
    )


def _associated(event: Mapping[str, Any]) -> tuple[str, Associated] | None:
    """The instance, and what gave it its profile; ``None`` for a call that was refused."""
    detail = detail_of(event)
    if detail.get("errorCode"):
        return None
    answered, asked = detail.get("responseElements"), detail.get("requestParameters")
    instance = _named(answered, "instanceId") or _named(asked, "instanceId")
    if instance is None:
        named = [str(r.get("ResourceName") or "") for r in event.get("Resources") or ()]
        instance = next((name for name in named if name.startswith("i-")), None)
    if instance is None:
        return None
    at = event["EventTime"].timestamp()
    return instance, Associated(at, _named(answered, "associationId"))


def _named(value: Any, name: str) -> str | None:
    """The member of that name, however deep it stands; CloudTrail spells it in either case."""
    if not isinstance(value, dict):
        return None
    for key, inner in value.items():
        if key.casefold() == name.casefold() and isinstance(inner, str):
            return inner
    return next(filter(None, (_named(inner, name) for inner in value.values())), None)
