"""What passes is waited out for as long as its row says; what was lost is looked up, not guessed."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.errors import AwsError
from reconciler.executor.interrupt import Interrupt
from reconciler.executor.retry_rules import RETRYABLE, budget
from reconciler.executor.sender import Sender
from reconciler.model.address import Address
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import (
    AssociationRow,
    LiveEntity,
    LiveInstance,
    LivePrincipal,
    LiveProfile,
    LiveRole,
    LiveState,
)
from reconciler.model.ownership import InstanceKey
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import Identity, InstanceProfile, Role
from reconciler.plan.calls import ApiCall
from reconciler.ports import Facts, LaunchQuery, Scope
from reconciler.sandbox.embedded import JumpingClock

TAGS = [{"Key": "reconciler:owner", "Value": "me"}]
CREATE = ApiCall("iam", "CreateRole", {"RoleName": "r", "Tags": TAGS})
ADD = ApiCall("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": "p", "RoleName": "r"})
REMOVE = ApiCall(
    "iam", "RemoveRoleFromInstanceProfile", {"InstanceProfileName": "p", "RoleName": "r"}
)
TAG = ApiCall("iam", "TagRole", {"RoleName": "r", "Tags": TAGS})
VERSION = ApiCall(
    "iam",
    "CreatePolicyVersion",
    {"PolicyArn": "arn:aws:iam::1:policy/p", "PolicyDocument": '{"Statement": []}'},
)


@dataclass
class Scripted:
    """A writer that refuses as told, and then obeys; ``sent`` counts."""

    refusals: list[AwsError]
    sent: int = 0

    def send(self, call: ApiCall) -> Mapping[str, Any]:
        self.sent += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return {"done": True}


@dataclass
class Known:
    """A reader that shows a role, a profile and a policy, as they are."""

    tags: dict[str, str] = field(default_factory=dict)
    role_in: str | None = None
    has_role: bool = False
    arn: str = "arn"
    document: Any = None
    calls: Mapping[str, int] = field(default_factory=dict)
    entities: dict[str, LiveEntity] = field(default_factory=dict)

    def role_names(self) -> Mapping[str, str]:
        return {}

    def role(self, name: str) -> Facts | None:
        return Facts("AROA", self.arn, self.tags) if self.has_role else None

    def profiles_with(self, role: str) -> tuple[str, ...]:
        return ()

    def policy(self, arn: str) -> Facts | None:
        return Facts("ANPA", arn, {}, self.document)

    def profile(self, name: str) -> LiveProfile | None:
        return LiveProfile(resource=InstanceProfile(name, self.role_in), id="AIPA", arn="arn")

    def entity(self, address: Address, arn: str) -> LiveEntity | None:
        return self.entities.get(str(address))

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        return ()

    def associations(
        self, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, tuple[AssociationRow, ...]]:
        return {}

    def identity(self) -> Identity:
        return Identity("1", "aws")

    def read(self, identity: Identity, scope: Scope) -> LiveState:
        return LiveState(identity)

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        return ()

    def quotas(self) -> Mapping[str, int]:
        return {}

    def users_and_groups(self) -> tuple[LivePrincipal, ...]:
        return ()

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        return LiveState(identity)

    def consumers(
        self,
        identity: Identity,
        regions: Collection[str],
        arns: Collection[str],
        since: float | None = None,
    ) -> LiveState:
        return LiveState(identity)

    def launch_sources(self, queries: Collection[LaunchQuery]) -> LaunchSources:
        return LaunchSources()


def error(code: str, *, lost: bool = False) -> AwsError:
    return AwsError("iam:X", code, "told", is_uncertain=lost)


def sender(writer: Scripted, reader: Known, clock: JumpingClock | None = None) -> Sender:
    return Sender(
        writer,
        reader,
        clock or JumpingClock(),
        Interrupt(),
        "arn:aws:iam::1:policy",
        random.Random(1),
    )


@pytest.mark.parametrize("code", ["Throttling", "RequestLimitExceeded", "ConcurrentModification"])
def test_what_passes_is_waited_out(code: str) -> None:
    writer = Scripted([error(code)] * 3)
    assert sender(writer, Known()).send(TAG) == {"done": True}
    assert writer.sent == 4


@pytest.mark.parametrize(
    "code", ["AccessDenied", "ValidationError", "LimitExceeded", "UnmodifiableEntity"]
)
def test_what_stays_is_said_at_once(code: str) -> None:
    writer, clock = Scripted([error(code)]), JumpingClock()
    began = clock.now()
    with pytest.raises(AwsError) as refused:
        sender(writer, Known(), clock).send(TAG)
    assert (refused.value.code, writer.sent, clock.now()) == (code, 1, began)


def test_patience_ends() -> None:
    writer, clock = Scripted([error("ConcurrentModification")] * 1000), JumpingClock()
    began = clock.now()
    with pytest.raises(AwsError):
        sender(writer, Known(), clock).send(TAG)
    assert 110 <= clock.now() - began <= 125


TRUSTED = "arn:aws:iam::1:role/b"
TRUSTING = ApiCall(
    "iam",
    "CreateRole",
    {
        "RoleName": "r",
        "AssumeRolePolicyDocument": '{"Statement": {"Principal": {"AWS": "arn:aws:iam::1:role/b"}}}',
    },
)
INVALID = f'Invalid principal in policy: "AWS":"{TRUSTED}"'


@pytest.mark.parametrize(
    ("message", "made", "reader", "waits"),
    [
        (INVALID, {"role/b"}, Known(), True),
        (INVALID, {"role/B"}, Known(), True),
        (INVALID, {"policy/b", "role/r"}, Known(), False),
        (INVALID, set(), Known(), False),
        (INVALID, set(), Known(has_role=True, arn=TRUSTED), True),
        (INVALID, set(), Known(has_role=True, arn="arn:aws:iam::1:role/path/b"), False),
        ("Invalid principal in policy", {"role/b"}, Known(), True),
        ('Invalid principal in policy: "AWS":"arn:aws:iam::2:role/b"', {"role/b"}, Known(), False),
        ('Invalid principal in policy: "SERVICE":"ec3"', {"role/b"}, Known(), False),
        ("Syntax errors in policy.", {"role/b"}, Known(has_role=True, arn=TRUSTED), False),
        ("may only specify STS AssumeRole actions", {"role/b"}, Known(), False),
    ],
)
def test_a_document_is_waited_for_only_with_a_young_principal(
    message: str, made: set[str], reader: Known, waits: bool
) -> None:
    """Anything else that is wrong with it stays wrong."""
    refusal = AwsError("iam:CreateRole", "MalformedPolicyDocument", message)
    writer, clock = Scripted([refusal]), JumpingClock()
    addresses = frozenset(Address.parse(address) for address in made)
    began = clock.now()
    if waits:
        assert sender(writer, reader, clock).send(
            TRUSTING, is_fresh=True, was_made=addresses.__contains__
        )
    else:
        with pytest.raises(AwsError):
            sender(writer, reader, clock).send(
                TRUSTING, is_fresh=True, was_made=addresses.__contains__
            )
        assert clock.now() == began


@pytest.mark.parametrize("fresh", [True, False])
def test_a_name_that_is_new_may_not_be_known_yet(fresh: bool) -> None:
    writer = Scripted([error("NoSuchEntity")])
    if fresh:
        assert sender(writer, Known()).send(TAG, is_fresh=True)
    else:
        with pytest.raises(AwsError):
            sender(writer, Known()).send(TAG)


def test_a_lost_create_that_arrived() -> None:
    """The answer was lost; the name is taken, with our tags: by us."""
    writer = Scripted([error("ReadTimeoutError", lost=True), error("EntityAlreadyExists")])
    found = Known(has_role=False)
    reader = Known(has_role=True, tags={"reconciler:owner": "me"})
    assert sender(writer, reader).send(CREATE) == {}
    assert writer.sent == 1
    writer = Scripted([error("ReadTimeoutError", lost=True)])
    assert sender(writer, found).send(CREATE) == {"done": True}
    assert writer.sent == 2


def test_a_name_that_somebody_else_took() -> None:
    """Never ours because the name is right."""
    for reader in (Known(has_role=True), Known(has_role=True, tags={"reconciler:owner": "you"})):
        taken = [error("EntityAlreadyExists")] * 100
        writer = Scripted([error("InternalFailure", lost=True), *taken])
        with pytest.raises(AwsError) as refused:
            sender(writer, reader).send(CREATE)
        assert refused.value.code == "EntityAlreadyExists"


def test_a_create_that_meets_its_own_name_unasked_is_an_error() -> None:
    writer = Scripted([error("EntityAlreadyExists")])
    with pytest.raises(AwsError):
        sender(writer, Known(has_role=True, tags={"reconciler:owner": "me"})).send(CREATE)


@pytest.mark.parametrize(
    ("call", "code", "role_in", "is_there"),
    [
        (ADD, "LimitExceeded", "r", True),
        (ADD, "LimitExceeded", "R", True),
        (ADD, "LimitExceeded", "other", False),
        (REMOVE, "NoSuchEntity", None, True),
        (REMOVE, "NoSuchEntity", "other", True),
        (REMOVE, "NoSuchEntity", "r", False),
    ],
)
def test_read_again_and_compare(
    call: ApiCall, code: str, role_in: str | None, is_there: bool
) -> None:
    writer = Scripted([error(code)] * 100)
    made = sender(writer, Known(role_in=role_in))
    if is_there:
        assert made.send(call) == {}
        assert writer.sent == 1
    else:
        with pytest.raises(AwsError):
            made.send(call)


def test_a_read_that_is_older_than_the_refusal() -> None:
    """IAM says that the role is out, and shows it inside for a while."""
    reader, clock = Known(role_in="r"), JumpingClock()

    class Showing(Scripted):
        def send(self, call: ApiCall) -> Mapping[str, Any]:
            if self.sent == 2:
                reader.role_in = None
            return super().send(call)

    writer = Showing([error("NoSuchEntity")] * 100)
    assert sender(writer, reader, clock).send(REMOVE) == {}
    assert writer.sent == 3


def test_a_lost_create_that_cannot_be_seen_yet() -> None:
    """Its answer was lost, its name is taken, and no read shows it for a while."""
    reader, clock = Known(tags={"reconciler:owner": "me"}), JumpingClock()

    class Showing(Scripted):
        def send(self, call: ApiCall) -> Mapping[str, Any]:
            reader.has_role = self.sent == 3
            return super().send(call)

    lost = error("ConnectionClosedError", lost=True)
    writer = Showing([lost, *[error("EntityAlreadyExists")] * 100])
    assert sender(writer, reader, clock).send(CREATE) == {}
    assert writer.sent == 4


@pytest.mark.parametrize("operation", ["DetachRolePolicy", "DeleteRolePolicy"])
def test_a_lost_answer_is_no_proof(operation: str) -> None:
    """A 500 that came before anything was done: the role still has what is to go."""
    document = PolicyDocument.of({"Statement": []})
    held = Role("r", document, managed_policies=("arn:p",), inline_policies=(("a", document),))
    params = {"RoleName": "r", "PolicyArn": "arn:p", "PolicyName": "A"}
    writer = Scripted([error("ServiceFailure", lost=True)])
    reader = Known(entities={"role/r": LiveRole(resource=held, id="AROA", arn="arn")})
    assert sender(writer, reader).send(ApiCall("iam", operation, params)) == {"done": True}
    assert writer.sent == 2


def test_a_version_is_not_made_twice() -> None:
    writer = Scripted([error("ServiceFailure", lost=True)])
    assert sender(writer, Known(document={"Statement": []})).send(VERSION) == {}
    assert writer.sent == 1


def test_a_stop_makes_patience_short() -> None:
    """Not none: the call may be the one that gives an instance its profile back."""
    clock = JumpingClock()
    made = sender(Scripted([error("Throttling")] * 1000), Known(), clock)
    made.stop.set()
    began = clock.now()
    with pytest.raises(AwsError):
        made.send(TAG)
    assert 50 <= clock.now() - began <= 65
    made.writer = Scripted([error("Throttling")])
    assert made.send(TAG)


def test_every_row_has_a_budget() -> None:
    for row in RETRYABLE:
        assert 0 < row.seconds <= 300
        call = ApiCall("iam", row.operations[0] or "TagRole")
        refusal = AwsError("iam:X", row.code, row.says or "told")
        assert budget(call, refusal, True) == row.seconds
