"""Rules of ``ignore`` that contradict the specs, or have expired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from reconciler.diagnostics import Diagnostic, Location
from reconciler.model.address import instance_address
from reconciler.spec.desired import DesiredState, Place
from reconciler.spec.settings import Settings


def contradictions(
    desired: DesiredState, settings: Settings, place: Place | None
) -> Iterator[Diagnostic]:
    """What the specs ask for cannot be hidden: it would neither be applied nor missed."""
    named = {e.resource.address: e.place for e in desired.entities()}
    for association in desired.associations:
        named |= {instance_address(i): association.place for i in association.instances}
    for number, rule in enumerate(settings.ignore):
        if rule.attributes is not None or place is None:
            continue
        for address in sorted(a for a in named if a.matches(rule.match)):
            message = f"{address} is in the specs, and this rule would hide it"
            related = (("in the specs here", named[address].here),)
            where = place.at("ignore", number, "match")
            help_ = "narrow match, or name attributes"
            yield Diagnostic("error", "ignore-hides-spec", message, where, help_, related)


def expired(settings: Settings, place: Place | None, today: date) -> Iterator[Diagnostic]:
    """What such a rule passed over is back."""
    for number, rule in enumerate(settings.ignore):
        if rule.expires is not None and rule.expires <= today:
            where = place.at("ignore", number, "expires") if place else Location("")
            message = f"the rule for {rule.match} expired on {rule.expires}, and is ignored"
            yield Diagnostic("warning", "ignore-expired", message, where)
