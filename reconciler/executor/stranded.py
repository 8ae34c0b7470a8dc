"""What a run removed and did not restore by its end: read from AWS, never from memory alone. The
marks on the profiles name the instances in flight, also those of an earlier run. Each result has
the call that restores it, for a person to run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.errors import AwsError
from reconciler.executor.outcomes import Outcome, Stranded, StrandedAs
from reconciler.model.address import PROFILE, Address, instance_address
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.model.ownership import Flight, InstanceKey, Pending
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import CutOver, RoleRef
from reconciler.plan.plan import TargetPlan
from reconciler.ports import Reader


def stranded(
    plan: TargetPlan, outcomes: Mapping[int, Outcome], given: Collection[ApiCall], reader: Reader
) -> tuple[Stranded, ...]:
    """``given`` are associations that were planned after a disassociation, and not made. A resource
    that cannot be read may be stranded, and is reported as such."""
    listed = list(_of_profiles(plan, outcomes, reader))
    for call in given:
        flight = Flight(InstanceKey(call.region or "", call.params["InstanceId"]))
        listed += _of_flights({flight}, call.params["IamInstanceProfile"]["Arn"], reader)
    found: dict[tuple[Address, str | None], Stranded] = {}
    for one in listed:
        found.setdefault((one.address, one.region), one)
    return tuple(found.values())


def _of_profiles(
    plan: TargetPlan, outcomes: Mapping[int, Outcome], reader: Reader
) -> Iterator[Stranded]:
    known: dict[Address, set[InstanceKey]] = {}
    for place, ordered in enumerate(plan.work):
        pending = ordered.pending
        if pending.address.kind == PROFILE:
            flying = known.setdefault(pending.address, set())
            flying.update(outcomes[place].in_flight if place in outcomes else ())
    for address, flying in known.items():
        observed = [begun.profile for c, begun in plan.begins.items() if c.address == address]
        try:
            profile = reader.profile(address.name)
        except AwsError as error:
            planned = {key for profile in observed for key in profile.in_flight}
            arn = observed[0].arn if observed else ""
            yield from _unknown(flying | planned, arn, error)
            continue
        if profile is not None:
            flights = {*profile.flights, *(Flight(k) for k in flying - profile.in_flight)}
            yield from _of_flights(flights, profile.arn, reader)
            yield from _without_role(plan, profile, reader)


def _of_flights(flights: Collection[Flight], arn: str, reader: Reader) -> Iterator[Stranded]:
    for region in sorted({flight.key.region for flight in flights}):
        here = sorted(flight for flight in flights if flight.key.region == region)
        try:
            found = {i.key: i for i in reader.instances([flight.key for flight in here])}
        except AwsError as error:
            yield from _unknown((flight.key for flight in here), arn, error)
            continue
        for flight in here:
            instance = found.get(flight.key)
            if instance is not None and (what := _lacks(instance, flight)):
                yield _instance(flight.key, what, arn)


def _lacks(instance: LiveInstance, flight: Flight) -> StrandedAs | None:
    if instance.is_gone:
        return None
    if instance.row is None:
        return "no_profile"
    return "not_running" if flight.is_stop and not instance.is_running else None


def _unknown(keys: Iterable[InstanceKey], arn: str, error: AwsError) -> Iterator[Stranded]:
    why = f"{error.call}: {error.code}"
    return (_instance(key, "no_profile", arn, why) for key in sorted(keys))


def _instance(key: InstanceKey, what: StrandedAs, arn: str, unknown: str = "") -> Stranded:
    if what == "not_running":
        call = ApiCall("ec2", "StartInstances", {"InstanceIds": [key.instance]}, key.region)
    else:
        params = {"InstanceId": key.instance, "IamInstanceProfile": {"Arn": arn}}
        call = ApiCall("ec2", "AssociateIamInstanceProfile", params, key.region)
    return Stranded(instance_address(key.instance), what, call, key.region, unknown)


def _without_role(plan: TargetPlan, profile: LiveProfile, reader: Reader) -> Iterator[Stranded]:
    """A run removed the role and added none. The previous role is restored, if it still exists."""
    if profile.role_id is not None or not isinstance(profile.mark, Pending):
        return
    address = profile.resource.address
    cutovers = [c for c in plan.begins if c.address == address]
    if not cutovers or cutovers[-1].after is None:
        return
    try:
        role = next((r for r in _roles(cutovers) if reader.role(r.name) is not None), None)
    except AwsError:
        role = next(_roles(cutovers), None)
    if role is not None:
        name = profile.resource.name
        params = {"InstanceProfileName": name, "RoleName": role.name}
        yield Stranded(address, "no_role", ApiCall("iam", "AddRoleToInstanceProfile", params))


def _roles(cutovers: list[CutOver]) -> Iterator[RoleRef]:
    yield from (c.before for c in cutovers if c.before is not None)
    yield from (c.after for c in cutovers if c.after is not None)
