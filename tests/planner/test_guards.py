"""What stops an apply, as a table: changes, what exists, and the flags that would lift it."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import pytest

from reconciler.model.address import Address
from reconciler.model.live import LiveRole, LiveState
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import Identity, Role
from reconciler.plan.changes import (
    Adopt,
    Change,
    Create,
    CutOverInstance,
    Delete,
    Difference,
    Replace,
    Restore,
    Update,
)
from reconciler.planner import guards
from reconciler.planner.options import Options
from reconciler.spec.settings import Settings

NOW = 1_800_000_000.0
NOBODY: frozenset[Address] = frozenset()


def options(*allow: str, **settings: Any) -> Options:
    flags = frozenset((k, v) for k, _, v in (text.partition("=") for text in allow))
    return Options(Settings(**settings), "tests", ("us-east-1",), NOW, allow=flags)


def deleted(count: int) -> tuple[Change, ...]:
    return tuple(Delete(address=Address.parse(f"role/r{n}")) for n in range(count))


def updated(count: int) -> tuple[Change, ...]:
    return tuple(Update(address=Address.parse(f"role/u{n}")) for n in range(count))


SHARES: list[tuple[tuple[Change, ...], int, Options, list[str]]] = [
    (deleted(2), 5, options(), []),
    (deleted(3), 5, options(), ["--allow delete=3"]),
    (deleted(3), 9, options("delete=3"), []),
    (deleted(3), 9, options("delete=2"), ["--allow delete=3"]),
    (deleted(3), 9, options("delete=4"), ["--allow delete=3"]),
    (deleted(3), 10, options(), []),
    (deleted(4), 10, options(), ["--allow delete=4"]),
    (deleted(6), 10, options(), ["--allow change=6", "--allow delete=6"]),
    (deleted(6), 10, options("delete=6", "change=6"), []),
    (deleted(6), 10, options(guards={"max_delete": "100%", "max_change": "100%"}), []),
    (deleted(9), 9, options(guards={"max_delete": "100%"}), []),
    (deleted(3), 4, options(guards={"min_existing": 2, "max_delete": "80%"}), ["--allow change=3"]),
    (updated(1), 0, options(guards={"min_existing": 0}), []),
    (updated(1), 1, options(guards={"min_existing": 0}), ["--allow change=1"]),
    (deleted(3), 0, options(guards={"min_existing": 0}), ["--allow delete=3"]),
    (updated(5), 10, options(), []),
    (updated(6), 10, options(), ["--allow change=6"]),
    (updated(9), 9, options(), []),
    (
        tuple(Create(address=Address.parse(f"role/c{n}")) for n in range(90))
        + tuple(CutOverInstance(address=Address.parse(f"association/i-{n}")) for n in range(90))
        + tuple(Restore(address=Address.parse(f"association/i-r{n}")) for n in range(90)),
        10,
        options(),
        [],
    ),
    (
        (
            *updated(3),
            Adopt(address=Address.parse("role/a")),
            Replace(address=Address.parse("role/b")),
            *deleted(1),
        ),
        10,
        options(),
        ["--allow change=6"],
    ),
]


@pytest.mark.parametrize(("changes", "existing", "asked", "wanted"), SHARES)
def test_shares(
    changes: tuple[Change, ...], existing: int, asked: Options, wanted: list[str]
) -> None:
    found = guards.check(changes, existing, NOBODY, asked)
    assert sorted(g.lift for g in found) == wanted


def entry(expires: date, **what: Any) -> dict[str, Any]:
    return {**what, "reason": "planned", "expires": expires}


STANDING = [
    (entry(date(2027, 1, 16), delete=3), []),
    (entry(date(2027, 1, 15), delete=3), ["--allow delete=3"]),
    (entry(date(2027, 1, 16), delete=2), ["--allow delete=3"]),
]


@pytest.mark.parametrize(("allow", "wanted"), STANDING)
def test_an_entry_of_the_settings_counts_until_it_expires(
    allow: dict[str, Any], wanted: list[str]
) -> None:
    """It is 2027-01-15 in this world."""
    asked = options(allow=[allow])
    assert [g.lift for g in guards.check(deleted(3), 5, NOBODY, asked)] == wanted


PROTECTED = [
    ((), ["--allow protected=role/ci-deploy"]),
    (("protected=role/ci-deploy",), []),
    (("protected=role/ci-*",), []),
    (("protected=role/other",), ["--allow protected=role/ci-deploy"]),
]


@pytest.mark.parametrize(("allow", "wanted"), PROTECTED)
def test_protected_addresses(allow: tuple[str, ...], wanted: list[str]) -> None:
    asked = options(*allow, guards={"protected": ["role/ci-*"]})
    changes = (
        Update(address=Address.parse("role/ci-deploy")),
        Update(address=Address.parse("role/web")),
    )
    assert [g.lift for g in guards.check(changes, 50, NOBODY, asked)] == wanted


def account(arn: str) -> LiveState:
    trust = PolicyDocument.of({"Version": "2012-10-17", "Statement": []})
    role = Role(
        "Deployer",
        trust,
        managed_policies=(
            "arn:aws:iam::111111111111:policy/x/deploy",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
        permissions_boundary="arn:aws:iam::111111111111:policy/edge",
    )
    live = LiveRole(resource=role, id="AROA", arn="arn:aws:iam::111111111111:role/Deployer")
    return LiveState(Identity("111111111111", "aws", arn), roles={"deployer": live})


US = account("arn:aws:sts::111111111111:assumed-role/Deployer/reconciler-1")


def test_what_we_run_as() -> None:
    assert {str(a) for a in guards.our_own(US)} == {"role/Deployer", "policy/deploy", "policy/edge"}
    assert guards.our_own(account("arn:aws:iam::111111111111:user/me")) == NOBODY
    assert guards.our_own(dataclasses.replace(US, roles={})) == NOBODY


def difference(path: str) -> tuple[Difference, ...]:
    return (Difference(path, "a", "b"),)


SWAPPED = Difference("role", "Deployer", "other")
SELF: list[tuple[Change, bool]] = [
    (Update(address=Address.parse("role/Deployer"), differences=difference("trust_policy")), True),
    (
        Update(address=Address.parse("role/Deployer"), differences=difference("inline_policies.x")),
        True,
    ),
    (
        Update(
            address=Address.parse("role/Deployer"), differences=difference("managed_policies.x")
        ),
        True,
    ),
    (
        Update(
            address=Address.parse("role/Deployer"), differences=difference("permissions_boundary")
        ),
        True,
    ),
    (Update(address=Address.parse("role/Deployer"), differences=difference("tags.team")), False),
    (Update(address=Address.parse("role/Deployer"), differences=difference("description")), False),
    (Adopt(address=Address.parse("role/Deployer")), False),
    (Delete(address=Address.parse("role/Deployer")), True),
    (Replace(address=Address.parse("role/Deployer")), True),
    (Update(address=Address.parse("policy/deploy"), differences=difference("document")), True),
    (Update(address=Address.parse("policy/other"), differences=difference("document")), False),
    (Update(address=Address.parse("role/web"), differences=difference("trust_policy")), False),
    (Update(address=Address.parse("instance-profile/p"), differences=(SWAPPED,)), True),
    (Update(address=Address.parse("instance-profile/p"), differences=difference("role")), False),
    (Delete(address=Address.parse("instance-profile/p"), before={"role": "Deployer"}), True),
    (Delete(address=Address.parse("instance-profile/p"), before={"role": "web"}), False),
]


@pytest.mark.parametrize(("change", "is_guarded"), SELF)
def test_our_own_trust_and_permissions(change: Change, is_guarded: bool) -> None:
    own = guards.our_own(US)
    found = [g.lift for g in guards.check((change,), 50, own, options())]
    assert found == ([f"--allow self={str(change.address)!s}"] if is_guarded else [])
    lifted = options(f"self={str(change.address)!s}")
    assert list(guards.check((change,), 50, own, lifted)) == []
