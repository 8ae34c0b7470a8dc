"""What many tests begin with is made once in a process, and then remembered: a fleet takes some
fifty calls, which is as much as many a test makes of its own."""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Callable
from typing import Any, TypeVar, cast

from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from tests.rig import Rig

Build = TypeVar("Build", bound=Callable[..., Any])
SIMULATED: dict[str, BackendDict[Any]] = {
    "ec2": ec2_backends,
    "iam": iam_backends,
    "sts": sts_backends,
}
NOT_OF_THE_STATE = frozenset({"lock", "clock", "cut", "goes_out", "before", "after"})
"""Of the sandbox: what ties it to this process and to its test."""


def prepared(build: Build) -> Build:
    """A function that makes something on a fresh sandbox, and leaves no listener on it. Called again
    with the same arguments it brings the sandbox, the specs and what it returned to the same state,
    without a call to AWS."""
    kept: dict[object, bytes] = {}

    @functools.wraps(build)
    def made(aws: Rig, *args: Any, **more: Any) -> Any:
        assert not aws.aws.log, "it is not fresh"
        began = pickle.dumps((aws.settings, aws.aws.lags, args, sorted(more.items())))
        if began in kept:
            return _restored(aws, kept[began])
        result = build(aws, *args, **more)
        assert not aws.aws.before + aws.aws.after
        kept[began] = _remembered(aws, result)
        return result

    return cast("Build", made)


class _Writing(pickle.Pickler):
    """The rig itself is that of the test."""

    def persistent_id(self, thing: object) -> str | None:
        return "the rig" if isinstance(thing, Rig) else None


class _Reading(pickle.Unpickler):
    def __init__(self, text: bytes, aws: Rig) -> None:
        super().__init__(io.BytesIO(text))
        self._aws = aws

    def persistent_load(self, _name: str) -> Rig:
        return self._aws


def _remembered(aws: Rig, result: object) -> bytes:
    found = sorted(aws.folder.rglob("*"))
    files = {str(p.relative_to(aws.folder)): p.read_bytes() for p in found if p.is_file()}
    backends = {
        service: {account: dict(kept) for account, kept in backend.items()}
        for service, backend in SIMULATED.items()
    }
    world = {name: v for name, v in vars(aws.aws).items() if name not in NOT_OF_THE_STATE}
    rig = (aws.clock.seconds, aws.settings, aws.runs, aws.progress, aws.expires_at)
    written = io.BytesIO()
    _Writing(written).dump((files, backends, world, rig, result))
    return written.getvalue()


def _restored(aws: Rig, state: bytes) -> Any:
    files, backends, world, rig, result = _Reading(state, aws).load()
    for name, text in files.items():
        path = aws.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    for service, accounts in backends.items():
        for account, regions in accounts.items():
            for region, backend in regions.items():
                dict.__setitem__(SIMULATED[service][account], region, backend)
    vars(aws.aws).update(world)
    aws.clock.seconds, aws.settings, aws.runs, aws.progress, aws.expires_at = rig
    return result
