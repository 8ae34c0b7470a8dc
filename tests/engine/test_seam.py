"""Targets as tasks of any executor: what travels, what comes back, and what becomes of workers that
die. The workers are threads here, to which nothing gets that is not pickled; ``test_dask.py`` has
processes."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.iam.models import iam_backends

from reconciler.cli.connection import WorkerSite, run_ports
from reconciler.cli.given import AccessFlags
from reconciler.commands import worker
from reconciler.commands.apply import Applied, Apply
from reconciler.commands.engine import Engine
from reconciler.commands.failures import FailureLimit
from reconciler.commands.plan import make_plan
from reconciler.commands.recorder import FailureRecorder
from reconciler.commands.request import Request, RunPorts
from reconciler.diagnostics import Diagnostic, Location
from reconciler.drift.findings import drift_of
from reconciler.errors import AwsError, InstanceEndedError, RefusedError
from reconciler.executor.interrupt import Interrupt
from reconciler.exit_codes import ExitCode
from reconciler.render.json.drift import drift_json
from reconciler.render.json.plan import plan_json
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.state import Alarm, Logged, World
from tests.sampling import deaths

SITE = WorkerSite(AccessFlags(None, None, ("us-east-1",)), 10, "0123456789ab")
NAMES = ("t1", "t2", "t3")
ACCOUNTS = {name: f"{number:012d}" for number, name in enumerate(NAMES, 111)}
TARGETS = "".join(
    f"  {name}: {{role_arn: 'arn:aws:iam::{account}:role/ci', regions: [us-east-1]}}\n"
    for name, account in ACCOUNTS.items()
)
SETTINGS = (
    f"version: 1\nowner: tests\npropagation: 0s\nconsumer_regions: [us-east-1]\ntargets:\n{TARGETS}"
)
SPEC = """
roles:
  web: {trust: ec2, tags: {a: '${account_id}'}}
  other: {trust: ec2}
instance_profiles: {web: {role: web}}
"""
NOW = "2026-11-27T00:00:00Z"


class DiedError(Exception):
    """Of the task of a worker that dies."""


@dataclass
class Workers(Executor):
    """Threads that get nothing but what was pickled. ``dies`` is asked before each task; a task
    whose worker died is done again, so often as an engine does it."""

    dies: Callable[[str], bool] = lambda _task: False
    again: int = 0
    sent: list[bytes] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        text = pickle.dumps((fn, args, kwargs))
        self.sent.append(text)
        about = f"{fn.__name__} {args[1]}"

        def work() -> Any:
            for attempt in range(self.again + 1):
                self.tasks.append(about)
                try:
                    if self.dies(about):
                        raise DiedError(about)
                    of, given, named = pickle.loads(text)
                    made = pickle.dumps(of(*given, **named))
                except DiedError:
                    worker._unpacked.clear()  # another process takes its place
                    if attempt == self.again:
                        raise BrokenExecutor(f"{about} was tried too often") from None
                else:
                    self.sent.append(made)
                    return pickle.loads(made)
            raise AssertionError

        return self.pool.submit(work)


@pytest.fixture
def aws() -> Iterator[World]:
    worker._unpacked.clear()
    with embedded(World(regions=("us-east-1",))) as world:
        yield world


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    (tmp_path / "reconciler.yaml").write_text(SETTINGS, "utf-8")
    (tmp_path / "a.yaml").write_text(SPEC, "utf-8")
    return Request(path=str(tmp_path))


def ports(workers: Workers | None = None, most_failures: int | None = None) -> RunPorts:
    made = run_ports(SITE.login, FailureRecorder(), 10)
    engine = None if workers is None else Engine(workers, SITE)
    return replace(made, engine=engine, failures=FailureLimit(most_failures))


def same(document: Any) -> Any:
    """Without what counts calls, since a worker asks once more whose account it is, and with one
    name for the sessions of all runs."""
    kept = {name: document[name] for name in document.keys() - {"api_calls", "file_digest"}}
    return json.loads(re.sub("reconciler-[0-9a-f]{12}", "reconciler-run", json.dumps(kept)))


def applied(request: Request, run: RunPorts, stop: Interrupt | None = None) -> Applied:
    return Apply(make_plan(request, run), run, stop or Interrupt()).execute()


def test_it_makes_the_same_documents(aws: World, request_of: Request) -> None:
    here, there = make_plan(request_of, ports()), make_plan(request_of, ports(Workers()))
    assert [one.target for one in there.plan.targets] == [*NAMES]
    assert same(plan_json(here, NOW)) == same(plan_json(there, NOW))
    assert here.diagnostics == there.diagnostics
    for_drift = replace(request_of, for_drift=True)
    found = [drift_of(make_plan(for_drift, run)) for run in (ports(), ports(Workers()))]
    assert same(drift_json(found[0], NOW)) == same(drift_json(found[1], NOW))


def test_it_applies(aws: World, request_of: Request) -> None:
    workers = Workers()
    done = applied(request_of, ports(workers))
    assert done.exit_code is ExitCode.OK
    assert [one.target for one in done.result.outcomes if one.status != "applied"] == []
    assert {one.target for one in done.result.outcomes} == {*NAMES}
    # Which of the workers begins first is theirs to say.
    began = [task for task in workers.tasks if task.startswith("apply")]
    assert sorted(began) == [f"apply {name}" for name in NAMES]
    assert make_plan(request_of, ports()).plan.is_empty
    written = {one.account for one in aws.log if not one.is_read and one.service == "iam"}
    assert written == {*ACCOUNTS.values()}


def test_calls_are_counted(aws: World, request_of: Request) -> None:
    here, there = (make_plan(request_of, run).plan for run in (ports(), ports(Workers())))
    more = {"sts:GetCallerIdentity": here.api_calls["sts:GetCallerIdentity"] * 2}
    assert there.api_calls == {**here.api_calls, **more}


def test_no_credentials_travel(
    aws: World, request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzEJr")
    workers = Workers()
    assert applied(request_of, ports(workers)).exit_code is ExitCode.OK
    assert len(workers.sent) == 2 * 5 * len(NAMES)
    for text in workers.sent:
        assert not re.search(rb"wJalrXUtnFEMI|FwoGZXIvYXdzEJr|A(SIA|KIA)[A-Z0-9]{8}", text)


def test_specs_travel_once_for_each_worker(aws: World, request_of: Request) -> None:
    workers = Workers()
    make_plan(request_of, ports(workers))
    assert len(worker._unpacked) == 1
    assert "trust: ec2" not in str(workers.sent)  # packed
    assert max(len(text) for text in workers.sent) < 10_000


def test_a_target_that_no_worker_ends_is_unknown(aws: World, request_of: Request) -> None:
    workers = Workers(dies=lambda task: task == "read t2")
    plan = make_plan(request_of, ports(workers)).plan
    assert [bool(one.changes) for one in plan.targets] == [True, False, True]
    (why,) = plan.targets[1].unread
    assert "no worker answered: BrokenExecutor: read t2 was tried too often" in why.reason
    assert not plan.is_whole


def test_an_apply_that_no_worker_ends_has_failed(aws: World, request_of: Request) -> None:
    workers = Workers(dies=lambda task: task == "apply t2")
    done = applied(request_of, ports(workers))
    assert done.exit_code is ExitCode.PARTLY_APPLIED
    (lost,) = [one for one in done.result.outcomes if one.status == "failed"]
    assert lost.target == "t2"
    assert "no worker answered" in lost.reason
    assert lost.advice == "apply again"
    assert done.left is not None
    assert [bool(one.changes) for one in done.left.targets] == [False, True, False]
    assert applied(request_of, ports(Workers())).exit_code is ExitCode.OK


WRITES = range(1, 5)


@pytest.mark.parametrize(("at", "is_done"), deaths(WRITES, (2, 3)))
def test_a_worker_that_dies_in_the_middle(
    aws: World, request_of: Request, at: int, is_done: bool
) -> None:
    """Before a write, or after it and before its answer: another one goes on with it."""
    writes: list[Logged] = []

    def die(logged: Logged) -> None:
        if logged.account == ACCOUNTS["t2"] and not logged.is_read:
            writes.append(logged)
            if len(writes) == at:
                raise DiedError(logged.operation)

    (aws.after if is_done else aws.before).append(die)
    workers = Workers(again=3)
    done = applied(request_of, ports(workers))
    assert len(writes) >= at
    assert workers.tasks.count("apply t2") == 2
    assert done.exit_code is ExitCode.OK
    assert done.left is not None
    assert done.left.is_empty
    assert make_plan(request_of, ports()).plan.is_empty


def test_more_than_was_approved_is_not_applied(aws: World, request_of: Request) -> None:
    assert applied(request_of, ports()).exit_code is ExitCode.OK
    change(aws, "t2", "web", Description="by hand")
    run = ports(Workers())
    planned = make_plan(request_of, run)
    change(aws, "t2", "other", Description="by hand, later")
    done = Apply(planned, run).execute()
    (refused,) = [one for one in done.result.outcomes if one.status == "failed"]
    assert refused.reason == "not approved: role/other (update)"
    assert refused.target == "t2"
    assert not [one for one in aws.log if one.operation == "UpdateRole" and is_ours(one)]


def test_less_than_was_approved_is_applied(aws: World, request_of: Request) -> None:
    assert applied(request_of, ports()).exit_code is ExitCode.OK
    for name in ("web", "other"):
        change(aws, "t2", name, Description="by hand")
    run = ports(Workers())
    planned = make_plan(request_of, run)
    change(aws, "t2", "other", Description="")
    assert Apply(planned, run).execute().exit_code is ExitCode.OK
    assert make_plan(request_of, ports()).plan.is_empty


def change(aws: World, target: str, name: str, **attributes: Any) -> None:
    """By hand."""
    role: Any = iam_backends[ACCOUNTS[target]]["aws"].get_role(name)
    role.description = attributes["Description"]


def is_ours(logged: Logged) -> bool:
    return "reconciler" in logged.user_agent


def test_a_limit_of_failures_counts_here(aws: World, request_of: Request) -> None:
    workers = Workers(dies=lambda task: task == "read t1")
    run = replace(ports(workers, most_failures=1), target_parallelism=1)
    plan = make_plan(request_of, run).plan
    assert [task for task in workers.tasks if task.startswith("read")] == ["read t1"]
    assert "not begun" in plan.targets[2].unread[0].reason


def test_an_interrupt_begins_no_further_target(aws: World, request_of: Request) -> None:
    """What is under way goes on to its end."""
    stop, workers = Interrupt(), Workers()

    def interrupts(task: str) -> bool:
        if task.startswith("apply"):
            stop.set()
        return False

    workers.dies = interrupts
    run = replace(ports(workers), target_parallelism=1)
    done = Apply(make_plan(request_of, run), run, stop).execute()
    assert done.exit_code is ExitCode.INTERRUPTED
    assert done.result.not_begun == ("t2", "t3")
    assert {one.target for one in done.result.outcomes} == {"t1"}
    assert all(one.status == "applied" for one in done.result.outcomes)


def test_a_worker_of_another_version(
    aws: World, request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "__version__", "9.9.9")
    with pytest.raises(RefusedError, match=r"a worker has reconciler 9\.9\.9, and .* is needed"):
        make_plan(request_of, ports(Workers()))


def test_a_worker_in_another_account(aws: World, request_of: Request, tmp_path: Path) -> None:
    """A target without a role is the account of whoever asks, and workers may be in several."""
    (tmp_path / "reconciler.yaml").write_text("version: 1\nowner: tests\n", "utf-8")

    def moves(task: str) -> bool:
        if task.startswith("read"):
            aws.account = "999999999999"
        return False

    with pytest.raises(AwsError, match="a worker's credentials are for account 999999999999"):
        make_plan(request_of, ports(Workers(dies=moves)))


def test_one_target_that_cannot_be_read_is_an_error(aws: World, request_of: Request) -> None:
    one = replace(request_of, targets=("t1",))
    with pytest.raises(AwsError, match="no worker answered"):
        make_plan(one, ports(Workers(dies=lambda task: task.startswith("read"))))


def test_mistakes_in_specs_are_found_here(aws: World, request_of: Request, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("roles: {web: {trst: ec2}}\n", "utf-8")
    workers = Workers()
    with pytest.raises(RefusedError, match="the specs have errors"):
        make_plan(request_of, ports(workers))
    assert workers.tasks == []


@pytest.mark.parametrize(
    "error",
    [
        AwsError("iam:GetRole", "AccessDenied", "no", status=403, request_id="r", hint="ask"),
        InstanceEndedError("ec2:x", "y", "z", is_uncertain=True, was_not_sent=True),
        RefusedError(
            "no",
            ExitCode.UNDECIDED,
            (Diagnostic("error", "c", "m", Location("f", 1, 2)),),
            {"f": "t"},
            ("d",),
        ),
    ],
)
def test_errors_travel(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def intended(actions: list[str], before: Any = None, after: Any = None) -> dict[str, Any]:
    return {"actions": actions, "before": before, "after": after}


MADE = intended(["create"], None, {"path": "/", "description": "a"})
UPDATED = intended(["update"], {"description": "b"}, {"description": "a"})
MADE_ANEW = intended(["delete", "create"], {"path": "/x/"}, {"path": "/"})


@pytest.mark.parametrize(
    ("change", "approved", "is_part"),
    [
        (UPDATED, UPDATED, True),
        (UPDATED, MADE, True),  # what died had made it, and not yet all of it
        (UPDATED, MADE_ANEW, True),
        (MADE, MADE_ANEW, True),
        (intended(["update"], {"path": "/x/"}, {"path": "/"}), UPDATED, False),
        (MADE_ANEW, UPDATED, False),
        (MADE_ANEW, MADE, False),
        (intended(["delete"], {"path": "/"}), MADE, False),
        (intended(["delete"], {"path": "/"}), UPDATED, False),
    ],
)
def test_what_is_a_part_of_what_was_approved(
    change: dict[str, Any], approved: dict[str, Any], is_part: bool
) -> None:
    assert worker._is_part(change, approved) is is_part


def test_a_worker_asks_about_what_a_roll_out_watches(aws: World, request_of: Request) -> None:
    """And for evidence of each batch, which is unknown here: nothing runs on the instance."""
    account, workers = ACCOUNTS["t1"], Workers()
    assert applied(request_of, ports(workers)).exit_code == 0
    aws.alarms[account, "us-east-1", "errors"] = Alarm("OK")
    role = f"arn:aws:iam::{account}:role/ci"
    sts: Any = boto3.client("sts", region_name="us-east-1")
    keys = sts.assume_role(RoleArn=role, RoleSessionName="somebody")["Credentials"]
    ec2: Any = boto3.client(
        "ec2",
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "web"}
    )
    more = "checks: {alarms: [errors]}, verify: {source: [cloudtrail], timeout: 1s}"
    text = SPEC.replace("{role: web}", f"{{role: other, cutover: {{{more}}}}}")
    (Path(request_of.path) / "a.yaml").write_text(text, "utf-8")
    made = applied(replace(request_of, targets=("t1",)), ports(workers))
    (outcome,) = [o for o in made.result.outcomes if o.what == "cut-over"]
    assert (outcome.status, made.exit_code) == ("applied", 0), outcome.reason
    assert "CloudTrail shows no call" in outcome.unproved[0]
