"""Sends calls at a pace that AWS bears, waits out what passes, and finds out what a lost answer
did."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import THROTTLED, AwsError
from reconciler.executor.idempotency import (
    already_applied,
    is_named_there,
    is_young_principal,
    observed_effect,
)
from reconciler.executor.interrupt import Flights, Interrupt
from reconciler.executor.pace import Pace
from reconciler.executor.retry_rules import (
    LONGEST_SECONDS,
    REPEATABLE,
    THROTTLED_PAUSE_SECONDS,
    Told,
    Tries,
    budget,
    contradiction,
    may_be_done,
    not_told,
)
from reconciler.model.address import Address
from reconciler.plan.calls import ApiCall
from reconciler.ports import Clock, Reader, Writer, repeating


@dataclass
class Sender:
    """``stop`` is set when a person asked to stop; then patience is short, but while something is
    in flight: the call may be the one that gives a profile back."""

    writer: Writer
    reader: Reader
    clock: Clock
    stop: Interrupt
    account_policies: str
    dice: random.Random = field(default_factory=random.Random)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    """By service: each has limits of its own."""
    flights: Flights = field(default_factory=Flights)

    @repeating()
    def send(
        self,
        call: ApiCall,
        *,
        is_fresh: bool = False,
        was_made: Callable[[Address], bool] = lambda _address: False,
        instance: str | None = None,
        hoped_for: frozenset[str] = frozenset(),
        told: Told = not_told,
    ) -> Mapping[str, Any]:
        """The response; empty if the call had already taken effect.

        Raises ``AwsError`` for a permanent refusal, ``InstanceEndedError`` if the instance of the
        call has terminated. ``is_fresh`` says that this run made something that the call refers
        to, ``was_made`` whether it made what is at an address. ``instance`` is the instance, if the
        call does not name it; refusals in ``hoped_for`` are raised without a retry.
        """
        tries, was_lost = Tries(self.clock, self.stop, self.flights), False
        while True:
            try:
                return self._once(call)
            except AwsError as error:
                was_lost = was_lost or error.is_uncertain
                if error.code in hoped_for:
                    raise
                if self._is_there(call, error, was_lost, instance):
                    return {}
                patience = budget(call, error, self._is_young(call, error, is_fresh, was_made))
                patience = max(patience, contradiction(call, error, was_lost))
                found = observed_effect(call, error, self.reader, instance)
                if found is not None:
                    patience = min(patience, found.seconds)
                # The pace already spreads calls that are throttled.
                paced = error.code in THROTTLED and call.service in self.paces
                longest = THROTTLED_PAUSE_SECONDS if paced else LONGEST_SECONDS
                share = 0.5 + self.dice.random() / 2
                if not tries.wait(error, patience, told, share, longest):
                    raise error if found is None else found.explained(error) from error

    def _is_young(
        self,
        call: ApiCall,
        error: AwsError,
        is_fresh: bool,
        was_made: Callable[[Address], bool],
    ) -> bool:
        """Whether what the call refers to is there though AWS says it is not: this run made it, or
        one before this one, a moment ago."""
        if not budget(call, error, is_fresh=True) > budget(call, error, is_fresh=False):
            return False
        if error.code == "MalformedPolicyDocument":
            return is_young_principal(call, error, self.reader, self.account_policies, was_made)
        return is_fresh or is_named_there(call, self.reader, self.account_policies)

    def _once(self, call: ApiCall) -> Mapping[str, Any]:
        pace = self.paces.get(call.service)
        if pace is None:
            return self.writer.send(call)
        now = self.clock.now()
        # In a hurry it is the last chance of the call, whatever AWS thinks of the rate.
        if not self.stop.hurries and (left := pace.reserve(now) - now) > 0:
            self.stop.rest(self.clock, left)
        try:
            answer = self.writer.send(call)
        except AwsError as error:
            if error.code in THROTTLED:
                pace.throttled(self.clock.now())
            elif error.status is not None:
                pace.passed(self.clock.now())
            raise
        pace.passed(self.clock.now())
        return answer

    def _is_there(
        self, call: ApiCall, error: AwsError, was_lost: bool, instance: str | None
    ) -> bool:
        """A create that meets its own name is done only where it may have been ours."""
        if call.operation.startswith(REPEATABLE) or not may_be_done(call, error):
            return False
        if call.operation.startswith("Create") and not was_lost:
            return False
        return already_applied(call, self.reader, self.account_policies, instance)
