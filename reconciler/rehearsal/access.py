"""What an identity with given policies would be denied in a rehearsal, and what would allow it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from reconciler.executor.outcomes import Outcome
from reconciler.model.address import Address
from reconciler.model.policy_decision import PolicyQuestion, keys_of
from reconciler.permissions.scope import PermissionScope
from reconciler.permissions.statements import Document, Statement, documents, merged, statement
from reconciler.plan.authorization import (
    NEW_PROFILE,
    PASS_ROLE,
    POLICY_ARN,
    READS,
    REGION,
    TAG_KEYS,
    WRITES,
)
from reconciler.ports import Progress, Within
from reconciler.sandbox.authorization import Authorizer, PolicyAnswer, is_known
from reconciler.sandbox.state import World

Phase = Literal["apply", "beyond", "recovery"]
"""Where it would be denied: to the apply, to what the apply does not reach since something else
was denied, or to the apply that follows a death."""
Step = tuple[Address, str]
"""As outcomes name it."""
_step: ContextVar[Step | None] = ContextVar("step", default=None)
_CONDITIONS = {need.action: need.keys for needs in WRITES.values() for need in needs}
_READS = {need.action: need.keys for read in READS.values() for need in read.needs}


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of one identity. ``source`` is the file that they are from."""

    source: str
    documents: tuple[Document, ...]

    @property
    def unknown_keys(self) -> tuple[str, ...]:
        """Condition keys that they name and a sandbox knows nothing of."""
        found = {key for one in self.documents for key in keys_of(one) if not is_known(key)}
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Denial:
    """An action on a resource that is not allowed, and ``why``. ``times`` is how often it was
    refused in its phase, or would be; ``calls`` are what asked for it; ``steps`` failed by it.
    Without what is not ``is_needed``, the plan and its apply are the same."""

    asked: PolicyQuestion
    why: str
    is_explicit: bool
    phase: Phase
    times: int
    calls: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    is_needed: bool = True

    @property
    def is_optional(self) -> bool:
        """Whether all calls that asked are reads that no command depends on."""
        return all(call in READS and not READS[call].purposes for call in self.calls)


@dataclass(frozen=True, slots=True)
class Access:
    """``questions`` is how many were asked of the policies."""

    policies: Policies
    denials: tuple[Denial, ...]
    questions: int
    allowing: tuple[Document, ...] = ()

    @property
    def needed(self) -> tuple[Denial, ...]:
        return tuple(one for one in self.denials if one.is_needed)


@dataclass
class Log:
    """What was answered in one phase, each with the step that asked, ``None`` while planning."""

    phase: Phase
    answers: list[tuple[PolicyAnswer, Step | None]] = field(default_factory=list)

    def note(self, answer: PolicyAnswer) -> None:
        self.answers.append((answer, _step.get()))

    @property
    def denied(self) -> list[tuple[PolicyAnswer, Step | None]]:
        return [one for one in self.answers if not one[0].decision.is_allowed]


@contextmanager
def enforced(
    world: World, policies: Policies | None, who: str, log: Log, *, refuses: bool = True
) -> Iterator[None]:
    """In the block, the sandbox checks all requests by the policies; without any, none."""
    if policies is None:
        yield
        return
    check = Authorizer(world, policies.documents, who, refuses=refuses, told=log.note)
    world.before.append(check)
    try:
        yield
    finally:
        world.before.remove(check)


@dataclass
class Following:
    """Progress that also notes which step a thread is at. Steps have contexts of their own, which
    the threads that they start inherit."""

    inner: Progress

    def started(self, address: Address, what: str, within: Within | None = None) -> None:
        # A cut-over tells of its parts, and is one step.
        if _step.get() is None:
            _step.set((address, what))
        self.inner.started(address, what, within)

    def reading(self, what: str) -> None:
        self.inner.reading(what)

    def entering(self, target: str) -> None:
        self.inner.entering(target)

    def target_ended(self, how: str, number: int, of: int) -> None:
        self.inner.target_ended(how, number, of)

    def waiting(self, address: Address, what: str, seconds: float, of: float | None = None) -> None:
        self.inner.waiting(address, what, seconds, of)

    def done(self, address: Address, what: str, seconds: float) -> None:
        self.inner.done(address, what, seconds)

    def skipped(self, address: Address, what: str, reason: str) -> None:
        self.inner.skipped(address, what, reason)

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self.inner.failed(address, what, reason, brief)


def denials(logs: Iterable[Log], outcomes: Iterable[Outcome]) -> tuple[Denial, ...]:
    """One for each action on a resource, of the first phase in which it was met; sorted. Its
    context has what all requests about it have."""
    failed = {(o.address, o.what) for o in outcomes if o.status == "failed"}
    found: dict[tuple[str, str], Denial] = {}
    for log in logs:
        for answer, step in log.denied:
            asked = answer.asked
            known = found.get((asked.action, asked.resource)) or Denial(
                replace(asked, context={}),
                answer.why,
                answer.decision.outcome == "explicitDeny",
                log.phase,
                times=0,
                calls=(),
            )
            is_here = known.phase == log.phase
            context = dict(known.asked.context)
            for key, values in asked.context.items():
                context[key] = _with(context.get(key, ()), values)
            found[asked.action, asked.resource] = replace(
                known,
                asked=replace(asked, context=context),
                times=known.times + is_here,
                calls=_with(known.calls, (answer.logged.name,)),
                steps=_with(known.steps, (step,) if step in failed else ()),
            )
    phases = get_args(Phase)
    order = sorted(found.items(), key=lambda one: (phases.index(one[1].phase), one[0]))
    return tuple(denial for _, denial in order)


def _with(known: tuple[Any, ...], more: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def allowing(found: Sequence[Denial], scope: PermissionScope) -> tuple[Document, ...]:
    """Policies that allow what is needed, and as little else as the requests tell: what a statement
    denies no other allows."""
    made = [
        s for one in found if one.is_needed and not one.is_explicit for s in _allowed(one, scope)
    ]
    return documents(merged(made)) if made else ()


_SIDS = {
    "role": "Roles",
    "policy": "Policies",
    "instance-profile": "InstanceProfiles",
    "instance": "Instances",
}


def _allowed(denial: Denial, scope: PermissionScope) -> Iterator[Statement]:
    action, given = denial.asked.action, denial.asked.context
    limits: dict[str, Mapping[str, tuple[str, ...]]] = {}
    keys = {**_READS, **_CONDITIONS}.get(action, ())
    kind = denial.asked.resource.split(":")[-1].partition("/")[0]
    sid = _SIDS.get(kind, "Account")
    if action in _READS:
        sid = f"Read{sid}"
    if action == PASS_ROLE.action:
        sid, limits = "PassRolesToEc2", {**scope.passing()}
    elif TAG_KEYS in keys:
        limits = {**scope.our_tags()}
    for key, how in ((REGION, "StringEquals"), (NEW_PROFILE, "ArnLike"), (POLICY_ARN, "ArnLike")):
        if key in keys and (values := given.get(key.casefold())):
            limits[how] = {**limits.get(how, {}), key: values}
    yield from statement(sid, [action], [denial.asked.resource], limits)
