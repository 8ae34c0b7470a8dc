"""What a run of many targets holds open, and what it asks for more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.aws import models
from reconciler.aws.session import Clients, Login, Session, reading
from reconciler.cli.connection import run_ports
from reconciler.cli.console import Console
from reconciler.cli.given import AccessFlags
from reconciler.cli.progress import Quiet
from reconciler.commands.apply import Apply
from reconciler.commands.plan import make_plan
from reconciler.commands.request import Request, RunPorts
from reconciler.plan.authorization import READS, WRITES
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.state import World

TARGETS = "".join(
    f"  t{n}: {{role_arn: 'arn:aws:iam::{n:012d}:role/ci', regions: [us-east-1, eu-west-1]}}\n"
    for n in (111, 222, 333)
)
SETTINGS = f"version: 1\nowner: tests\npropagation: 0s\ntargets:\n{TARGETS}"


@pytest.fixture
def aws() -> Iterator[World]:
    with embedded(World()) as world:
        yield world


@pytest.fixture
def request_of_all(tmp_path: Path) -> Request:
    (tmp_path / "reconciler.yaml").write_text(SETTINGS, "utf-8")
    (tmp_path / "a.yaml").write_text("roles: {r: {trust: ec2, instance_profile: true}}\n", "utf-8")
    return Request(path=str(tmp_path))


def ports() -> RunPorts:
    return run_ports(AccessFlags(None, None, ("us-east-1",)), Quiet(Console()))


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Clients]]:
    """All that are made."""
    made: list[Clients] = []
    before = Clients.__post_init__

    def note(self: Clients) -> None:
        before(self)
        made.append(self)

    monkeypatch.setattr(Clients, "__post_init__", note)
    yield made


def test_nothing_is_held_open_for_targets_that_ended(
    aws: World, request_of_all: Request, clients: list[Clients]
) -> None:
    """A process may have few files open."""
    run = ports()
    planned = make_plan(request_of_all, run)
    assert len({one.plan.identity.account_id for one in planned.targets}) == 3
    assert clients
    assert not [one for one in clients if one._made]
    assert not [one for one in clients if one.session._boto and one.session.login.role_arn]
    done = Apply(planned, run).execute()
    assert done.exit_code == 0
    assert not [one for one in clients if one._made]


def test_each_role_is_assumed_once(aws: World, request_of_all: Request) -> None:
    run = ports()
    done = Apply(make_plan(request_of_all, run), run).execute()
    assert done.exit_code == 0
    asked = Counter(one.operation for one in aws.log)
    assert asked["AssumeRole"] == 3
    assert asked["GetCallerIdentity"] == 6  # before the plan, and before the plan made again


def test_the_plan_of_one_target_keeps_its_clients(
    aws: World, request_of_all: Request, clients: list[Clients]
) -> None:
    """It goes on with them."""
    make_plan(replace(request_of_all, targets=("t111",)), ports())
    assert [one for one in clients if one._made]


def test_released_clients_are_made_again(aws: World) -> None:
    session = Session(Login(run="test", region="us-east-1"))
    made = reading(session)
    first = made.get("iam")
    session.release()
    second = made.get("iam")
    assert second is not first
    assert second.list_roles()["Roles"] == []
    assert first.list_roles()["Roles"] == []  # whoever still has it


def test_the_caller_s_credentials_are_found_once(aws: World) -> None:
    caller = Session(Login(run="test", region="us-east-1"))
    arns = [f"arn:aws:iam::{n:012d}:role/ci" for n in (1, 2)]
    sessions = [
        Session(Login(run="test", region="us-east-1", role_arn=arn), caller=caller) for arn in arns
    ]
    assert {one.region for one in sessions} == {"us-east-1"}
    assert not [one for one in sessions if one._boto]
    keys = {one.boto.get_credentials().access_key for one in sessions}
    assert len(keys) == 2
    assert sessions[0]._of_caller() is sessions[1]._of_caller() is caller.boto


@pytest.mark.parametrize("service", ["ec2", "iam"])
def test_a_model_has_the_calls_that_are_made(service: str) -> None:
    names = {call.partition(":")[2] for call in (*READS, *WRITES) if call.startswith(service)}
    model = models.Models(None).load_service_model(service, "service-2")
    assert set(model["operations"]) == names
    whole = models.Models(None)._loader.load_service_model(service, "service-2")
    for name in names:
        assert model["operations"][name] == whole["operations"][name]
    assert model["shapes"].items() <= whole["shapes"].items()
    assert len(model["shapes"]) < len(whole["shapes"]) / 2
