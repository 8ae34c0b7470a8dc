"""How much goes on at a time: so many things at once, and one after the other per address."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock

import pytest

from reconciler.commands.apply import Apply
from reconciler.commands.recorder import Silent
from reconciler.commands.request import RunPorts
from reconciler.executor import executor
from reconciler.executor.places import Places
from reconciler.model.address import Address
from reconciler.ports import Within
from tests.rig import Rig

READ = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}"


@dataclass
class Counting(Silent):
    """A progress that counts what is open."""

    open: Counter[Address] = field(default_factory=Counter)
    most: int = 0
    most_of_one: int = 0
    lock: Lock = field(default_factory=Lock)

    def started(self, address: Address, what: str, within: Within | None = None) -> None:
        with self.lock:
            self.open[address] += 1
            self.most = max(self.most, self.open.total())
            self.most_of_one = max(self.most_of_one, *self.open.values())
        # Lets the others begin: on a busy machine each would be done before the next one starts.
        time.sleep(0.005)

    def done(self, address: Address, what: str, seconds: float) -> None:
        with self.lock:
            self.open[address] -= 1

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        raise AssertionError(reason)


def test_so_many_at_a_time_and_one_per_address(aws: Rig) -> None:
    inline = ", ".join(f"i{n}: {READ}" for n in range(3))
    roles = "".join(f"  r{n}: {{trust: ec2, inline_policies: {{{inline}}}}}\n" for n in range(8))
    aws.write(f"roles:\n{roles}")
    for parallelism in (1, 3):
        planned = aws.plan(parallelism=parallelism)
        counting = Counting()
        commands = aws.commands()
        world = RunPorts(commands.connect, commands.clock, counting, commands.run)
        assert Apply(planned, world).execute().exit_code == 0
        assert counting.most == 1 if parallelism == 1 else 1 < counting.most <= parallelism
        assert counting.most_of_one == 1
        assert not +counting.open
        aws.settle(destroy=True, allow=frozenset({("delete", "8")}))


def test_a_thread_that_is_stopped_as_its_step_ends(
    aws: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it may be, between any two lines: its place may be free later than its
    result is known."""
    aws.write("roles: {a: {trust: ec2}, b: {trust: ec2}, c: {trust: ec2}}")
    give = Places.give

    def late(places: Places) -> None:
        time.sleep(0.05)
        give(places)

    monkeypatch.setattr(Places, "give", late)
    monkeypatch.setattr(executor, "LOOK_SECONDS", 0.001)
    assert Apply(aws.plan(parallelism=1), aws.commands()).execute().exit_code == 0
