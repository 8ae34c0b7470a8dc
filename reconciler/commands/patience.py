"""Connections that wait until the network is back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from reconciler.commands.request import Connection, RunPorts
from reconciler.executor.interrupt import Interrupt
from reconciler.executor.retrying_reader import RetryingReader
from reconciler.model.address import Address


def patient(connection: Connection, ports: RunPorts) -> Connection:
    """The connection with a reader that waits out a lost connection, and says what it waits for: to
    whoever reads it, an endpoint that is wrong and a network that is gone look alike."""
    told = partial(ports.progress.waiting, Address("AWS"))
    reader = RetryingReader(connection.reader, ports.clock, Interrupt(), told=told)
    return replace(connection, reader=reader)
