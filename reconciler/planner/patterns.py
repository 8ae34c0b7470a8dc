"""Patterns of addresses that a person gave: what each may match, and the name that was meant by one
that matches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.diagnostics import Diagnostic, Location, nearest
from reconciler.model.address import (
    ANY_INSTANCE,
    ASSOCIATION,
    PROFILE,
    Address,
    instance_address,
    profile_address,
    same_name,
)
from reconciler.planner.context import PlanContext
from reconciler.planner.options import COUNTS, PlanFlags, heads
from reconciler.spec.desired import DesiredState, SpecSet


@dataclass(frozen=True, slots=True)
class Matchable:
    """What a pattern may match in one target: ``addresses`` are those that the specs define, those
    of what their owner has in AWS, and those of instances."""

    addresses: frozenset[Address]
    chosen: frozenset[Address] | None = None
    """Addresses in the selected part of the set; ``None`` for all."""
    has_unread_instances: bool = False


@dataclass(frozen=True, slots=True)
class AddressPattern:
    """A glob of addresses, and how the flag that gives it is written."""

    flag: str
    glob: str

    def __str__(self) -> str:
        return f"{self.flag}{self.glob}"

    @property
    def is_narrowing(self) -> bool:
        """Whether it chooses what is planned, so that it must match something in the chosen part
        of the set."""
        return self.flag == "--only "

    @property
    def may_be_instance(self) -> bool:
        return may_be_instance(self.glob)

    def matches(self, one: Matchable) -> bool:
        # Instances come and go: what covers all of them is no mistake while there are none.
        if ANY_INSTANCE.matches(self.glob) or (self.may_be_instance and one.has_unread_instances):
            return True
        known: Iterable[Address] = one.addresses
        if self.flag == "--refresh ":
            known = (a for a in one.addresses if a.kind == PROFILE)
        if self.is_narrowing and one.chosen is not None:
            known = (a for a in one.addresses if a.is_instance or a in one.chosen)
        return any(address.matches(self.glob) for address in known)


def patterns(flags: PlanFlags) -> tuple[AddressPattern, ...]:
    """All patterns of the flags, sorted within each flag that has no order of its own."""
    return (
        *(AddressPattern("--only ", glob) for glob in flags.only),
        *(AddressPattern("--exclude ", glob) for glob in flags.exclude),
        *(AddressPattern("--refresh ", glob) for glob in flags.refresh),
        *(AddressPattern("", glob) for glob in (*flags.forget, *flags.rotate)),
        *(AddressPattern(f"--allow {k}=", v) for k, v in sorted(flags.allow) if k not in COUNTS),
    )


def may_be_instance(glob: str) -> bool:
    """Whether the glob could match an address of an instance."""
    (head,) = heads([glob])
    start = f"{ASSOCIATION}/"
    return head.startswith(start) or start.startswith(head)


def of_the_specs(desired: DesiredState) -> frozenset[Address]:
    """What the specs define, and the instances that they list."""
    listed = {instance_address(i) for a in desired.associations for i in a.instances}
    return frozenset({entity.resource.address for entity in desired.entities()} | listed)


def matchable(context: PlanContext, desired: DesiredState) -> Matchable:
    """What the patterns of one target may match. ``desired`` is what the specs define, also where
    all of it is to be destroyed."""
    live, options = context.live, context.options
    ours = {e.resource.address for e in live.entities() if e.owner == options.owner}
    if options.unmanaged:
        ours |= {e.resource.address for e in live.entities()}
    instances = {instance_address(key.instance) for key in live.instances}
    # A guard may name a deleted profile that instances still have.
    held = {profile_address(i.row.profile_name) for i in live.instances.values() if i.row}
    known = of_the_specs(desired) | ours | instances | held
    return Matchable(known, options.chosen, live.has_unread_instances)


def unmatched(asked: Iterable[AddressPattern], targets: Iterable[Matchable]) -> Iterator[str]:
    """A sentence for each pattern that matches in none of the targets."""
    there = tuple(targets)
    for pattern in asked:
        if not any(pattern.matches(one) for one in there):
            known = frozenset(address for one in there for address in one.addresses)
            meant = suggestion(pattern.glob, known)
            yield f"{pattern} matches nothing{f'; did you mean {meant}?' if meant else ''}"


def suggestion(glob: str, known: Iterable[Address]) -> str | None:
    """The known address that was probably meant: the one of that kind with the nearest name, or one
    of just that name; by the whole of it where the kind is none that is known."""
    ordered = sorted(known)
    kind, slash, name = glob.partition("/")
    if slash and kind not in {address.kind for address in ordered}:
        return nearest(glob, [str(address) for address in ordered])
    wanted = name if slash else glob
    of_the_kind = {a.name: str(a) for a in ordered if a.kind == kind}
    if (meant := nearest(wanted, of_the_kind)) is not None:
        return of_the_kind[meant]
    others = {a.name: str(a) for a in reversed(ordered) if not slash or same_name(a.name, name)}
    meant = nearest(wanted, others)
    return None if meant is None else others[meant]


def idle_rules(context: PlanContext, spec: SpecSet) -> frozenset[Diagnostic]:
    """A warning for each rule of ``ignore`` that matches nothing, and for each protected address
    that nothing has (a glob may be for what is still to come). None where a part of the account is
    not known."""
    live, settings = context.live, spec.settings
    if live.not_whole is not None or live.unread:
        return frozenset()
    known = of_the_specs(spec.desired)
    known |= {entity.resource.address for entity in live.entities()}
    known |= {instance_address(key.instance) for key in live.instances}
    instances_known = bool(live.regions) and not live.has_unread_instances
    given: list[tuple[str, str, tuple[str | int, ...]]] = [
        (rule.match, "the rule for", ("ignore", number, "match"))
        for number, rule in enumerate(settings.ignore)
        if rule.expires is None or rule.expires > context.options.today
    ]
    given += [
        (glob, "the protected address", ("guards", "protected", number))
        for number, glob in enumerate(settings.guards.protected)
        if heads([glob]) == [glob]
    ]
    found = []
    for glob, what, where in given:
        is_known = instances_known or not may_be_instance(glob)
        if is_known and not any(address.matches(glob) for address in known):
            meant = suggestion(glob, known)
            place = spec.settings_place.at(*where) if spec.settings_place else Location(spec.root)
            help_ = f"did you mean {meant}?" if meant else None
            message = f"{what} {glob} matches nothing"
            found.append(Diagnostic("warning", "matches-nothing", message, place, help_))
    return frozenset(found)
