"""What is said while a run goes on: with the time, often enough, and each reason once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from reconciler.cli.app import run
from reconciler.cli.console import Console
from reconciler.cli.live import MOST_ROWS, Live
from reconciler.cli.progress import Lines, Quiet
from reconciler.commands.apply import Applied, Apply
from reconciler.executor.interrupt import Interrupt
from reconciler.model.address import PROFILE, Address, instance_address
from reconciler.ports import Within
from tests.behaviour.faults import refusing
from tests.rig import Rig

Capture = pytest.CaptureFixture[str]
STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\S.*)")
WEB = Address(PROFILE, "web")
SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{pause: 70s}}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""
SETTINGS = "owner: tests\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 60s\n"
REASON = "refused by the test"


@dataclass
class Hand:
    """A clock that somebody sets."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.seconds, UTC)


@pytest.fixture
def fleet(aws: Rig) -> Rig:
    """Two instances with role v1; the specs want v2."""
    aws.launch(2, tags={"app": "web"})
    aws.write(SPEC.format(role="v1"), SETTINGS)
    aws.settle(regions=())
    aws.write(SPEC.format(role="v2"), SETTINGS)
    return aws


def lines_of(aws: Rig) -> Lines:
    """On the clock of the sandbox, which jumps over each sleep."""
    console = Console(now=lambda: datetime.fromtimestamp(aws.clock.now(), UTC))
    return Lines(console, aws.clock.now)


def applied(aws: Rig, progress: Lines, stop: Interrupt | None = None) -> Applied:
    planned = aws.plan(regions=())
    try:
        ports = replace(aws.commands(), progress=progress)
        return Apply(planned, ports, stop or Interrupt()).execute()
    finally:
        progress.stop()


def stamped(stderr: str) -> list[tuple[float, str]]:
    found = [STAMPED.fullmatch(text) for text in stderr.splitlines()]
    assert all(found), stderr
    return [(datetime.fromisoformat(f[1]).timestamp(), f[2]) for f in found if f]


def test_every_wait_says_what_is_left_of_it_twice_a_minute(fleet: Rig, capsys: Capture) -> None:
    assert applied(fleet, lines_of(fleet)).exit_code == 0
    told = stamped(capsys.readouterr().err)
    times = [at for at, _ in told]
    assert max(b - a for a, b in pairwise(times)) <= 30
    texts = [text for _, text in told]
    for left in (60, 40, 20):
        wanted = f"instance-profile/web: waiting for EC2 to see role/v2: {left} s of 60 s left"
        assert wanted in texts
    assert any("the pause between batches: 50 s of 70 s left" in text for text in texts)
    assert "instance-profile/web: cut-over ..." in texts
    assert any(text.startswith("instance-profile/web: cut-over done after") for text in texts)


@dataclass
class Stopping(Lines):
    """Somebody presses Ctrl-C in the middle of the wait for EC2."""

    interrupt: Interrupt = field(default_factory=Interrupt)
    aws: Rig | None = None
    at: float | None = None

    def waiting(self, address: Address, what: str, seconds: float, of: float | None = None) -> None:
        super().waiting(address, what, seconds, of)
        if what.startswith("EC2 to see") and seconds >= 30 and self.at is None:
            self.interrupt.set()
            self.at = self.clock()


def test_a_fixed_wait_ends_when_somebody_asks_and_nothing_is_called_failed(
    fleet: Rig, capsys: Capture
) -> None:
    stop = Interrupt()
    lines = lines_of(fleet)
    stopping = Stopping(lines.console, lines.clock, interrupt=stop)
    result = applied(fleet, stopping, stop).result
    assert stopping.at is not None
    assert fleet.clock.now() - stopping.at < 5
    assert [outcome.status for outcome in result.outcomes] == ["skipped"]
    err = capsys.readouterr().err
    assert "instance-profile/web: cut-over skipped: interrupted" in err
    assert "failed" not in err


def test_what_hangs_is_named(capsys: Capture) -> None:
    hand = Hand()
    lines = Lines(Console(now=hand.today), hand)
    lines.reading("account 1")
    lines.beat()
    hand.seconds = 25
    lines.beat()
    hand.seconds = 30
    lines.beat()
    lines.started(Address("role", "web"), "iam:CreateRole")
    lines.started(instance_address("i-1"), "stop the instance", Within(WEB, "us-east-1"))
    lines.done(Address("role", "web"), "iam:CreateRole", 1.0)
    hand.seconds = 60
    lines.beat()
    lines.done(WEB, "cut-over", 1.0)
    lines.stop()
    hand.seconds = 1_000
    lines.beat()
    texts = [text for _, text in stamped(capsys.readouterr().err)]
    assert [text for text in texts if "so far" in text] == [
        "reading account 1 ... 25 s so far",
        "association/i-1: stop the instance ... 30 s so far, and 1 more",
    ]


def test_a_wait_is_not_told_twice(capsys: Capture) -> None:
    hand = Hand()
    lines = Lines(Console(now=hand.today), hand)
    address = instance_address("i-1")
    lines.started(address, "wait for the association to complete")
    for second in range(46):
        hand.seconds = float(second)
        lines.beat()
        lines.waiting(address, "the association to complete", hand.seconds)
    lines.stop()
    assert [text.partition(": ")[2] for _, text in stamped(capsys.readouterr().err)] == [
        "wait for the association to complete ...",
        "waiting for the association to complete (20 s)",
        "waiting for the association to complete (40 s)",
    ]


def test_what_hangs_is_what_was_told_last(capsys: Capture) -> None:
    hand = Hand()
    lines = Lines(Console(now=hand.today), hand)
    instance = instance_address("i-1")
    lines.started(WEB, "cut-over")
    lines.started(instance, "associate the profile again", Within(WEB, "us-east-1"))
    lines.done(instance, "refresh to role/v2", 1.0)
    lines.waiting(WEB, "the pause between batches", 0.0, 90.0)
    hand.seconds = 60
    lines.beat()
    lines.stop()
    told = [text for _, text in stamped(capsys.readouterr().err)]
    assert told[-1] == "instance-profile/web: waiting for the pause between batches ... 60 s so far"


def test_only_failures_are_printed_if_quiet(capsys: Capture) -> None:
    progress = Quiet(Console(now=Hand().today, quiet=True))
    progress.started(WEB, "cut-over")
    progress.failed(WEB, "cut-over", "AccessDenied: no")
    told = stamped(capsys.readouterr().err)
    assert [text for _, text in told] == ["failed instance-profile/web cut-over: AccessDenied: no"]


def rendered(live: Live, width: int = 100) -> list[str]:
    screen = RichConsole(width=width, file=None, record=True, quiet=False)
    with screen.capture() as made:
        screen.print(live.render())
    return [text.rstrip() for text in made.get().splitlines()]


@pytest.fixture
def live() -> Iterator[tuple[Live, Hand]]:
    hand = Hand()
    made = Live(Console(), hand)
    yield made, hand
    made.stop()


def test_a_terminal_shows_what_is_left_and_a_table_of_the_instances(
    live: tuple[Live, Hand],
) -> None:
    shown, hand = live
    shown.started(WEB, "cut-over")
    shown.waiting(WEB, "EC2 to see role/v2", 25.0, 60.0)
    assert "EC2 to see role/v2: 35 s of 60 s left" in rendered(shown)[-1]
    within = Within(WEB, "eu-west-1")
    for number in range(MOST_ROWS + 3):
        shown.started(instance_address(f"i-{number}"), "disassociate the profile", within)
    hand.seconds = 7.0
    head, first, *_, more, status = rendered(shown)
    assert head.split() == ["instance", "region", "state", "seconds"]
    assert first.split() == ["i-0", "eu-west-1", "disassociate", "the", "profile", "7"]
    assert more.split() == ["and", "3", "more"]
    assert "i-14: disassociate the profile" in status
    assert len(rendered(shown)) == MOST_ROWS + 3
    shown.done(instance_address("i-0"), "refresh", 7.0)
    assert rendered(shown)[1].split()[0] == "i-1"
    shown.failed(WEB, "cut-over", "no")
    assert len(rendered(shown)) == 1


def test_on_a_narrow_terminal_ids_and_what_is_left_stay_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    live = Live(Console(), Hand())
    live.started(WEB, "cut-over")
    within = Within(WEB, "ap-southeast-2")
    name = "i-0123456789abcdef0"
    live.started(instance_address(name), "waiting for the disassociation", within)
    live.waiting(WEB, "the pause between batches", 26.0, 60.0)
    head, row, status = rendered(live, 60)
    assert head.split() == ["instance", "region", "state", "seconds"]
    assert row.startswith(f"  {name}  ap-southeast-2  waiting")
    assert "…" in row
    assert status.endswith("waiting for the pause between batches: 34 s of 60 s left")
    why = "the connection (https://sts.eu-central-1.amazonaws.com/ cannot be reached)"
    live.waiting(Address("AWS"), why, 9.0, 60.0)
    _, _, status = rendered(live, 60)
    assert "waiting for the" in status
    assert len(status) <= 60 - len("^C")
    assert status.endswith("51 s of 60 s left and 1 more")
    live.stop()


def stated(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(aws.folder)
    (aws.folder / "specs").mkdir()
    aws.folder = aws.folder / "specs"
    aws.write("roles: {web: {trust: ec2}}", SETTINGS)


def test_a_reason_is_told_once_and_a_report_has_it_too(
    aws: Rig, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    stated(aws, monkeypatch)
    monkeypatch.setattr(Console, "shows_stderr", True)
    with refusing(aws, "CreateRole", "AccessDenied"):
        assert run(["apply", "--auto-approve", "--report", "text=result.txt"]) == 3
    out, err = capsys.readouterr()
    assert err.count(REASON) == 1
    assert REASON not in out
    assert re.search(
        r"failed role/web iam:CreateRole: AccessDenied \(request \S+\)\n  at specs", out
    )
    assert REASON in Path("result.txt").read_text()


def test_who_reads_stdout_alone_reads_the_reason(
    aws: Rig, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    stated(aws, monkeypatch)
    with refusing(aws, "CreateRole", "AccessDenied"):
        assert run(["apply", "--auto-approve"]) == 3
    assert REASON in capsys.readouterr().out


def test_who_reads_stdout_reads_stderr_where_they_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shows(stdout: Path, stderr: Path) -> bool:
        with stdout.open("w") as out, stderr.open("w") as err:
            monkeypatch.setattr("sys.stdout", out)
            monkeypatch.setattr("sys.stderr", err)
            console = Console()
            console.event("said")
            return console.shows_stderr

    log, other = tmp_path / "log", tmp_path / "other"
    assert shows(log, log)
    assert not shows(log, other)
    assert not shows(Path("/dev/null"), Path("/dev/null"))
    assert not shows(Path("/dev/full"), Path("/dev/full"))


def test_a_rolled_back_cut_over_tells_its_reason_once(fleet: Rig, capsys: Capture) -> None:
    progress = lines_of(fleet)
    with refusing(fleet, "AssociateIamInstanceProfile", "InvalidParameterCombination", 1):
        result = applied(fleet, progress).result
    (outcome,) = result.outcomes
    assert outcome.status == "failed"
    assert REASON in outcome.reason
    assert progress.told.has(outcome)
    failures = [text for _, text in stamped(capsys.readouterr().err) if text.startswith("failed ")]
    assert [REASON in text for text in failures] == [True, False, False], failures
    assert failures[0].startswith("failed association/i-")
    assert "rolling back" in failures[1]
    assert "rolled back, the profile has the old role again" in failures[2]


def test_a_cut_over_that_cannot_begin_tells_its_reason(fleet: Rig, capsys: Capture) -> None:
    with refusing(fleet, "RemoveRoleFromInstanceProfile", "AccessDenied"):
        (outcome,) = applied(fleet, lines_of(fleet)).result.outcomes
    failures = [text for _, text in stamped(capsys.readouterr().err) if text.startswith("failed ")]
    assert len(failures) == 1
    assert outcome.reason in failures[0]
    assert REASON in failures[0]
