"""A local AWS, and the program in a process that is killed at its n-th write."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.loaders import JSONFileLoader
from moto.ec2.exceptions import EC2ClientError
from moto.iam.exceptions import IAMException

from reconciler.cli.app import run
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.server import credentials, serving
from reconciler.sandbox.state import Logged, World
from tests.behaviour.test_ownership import TRUST
from tests.crash_sweep.scenarios import HOME, OTHERS, Scenario
from tests.rig import ACCOUNT

ROOT = Path(__file__).parent.parent.parent
SETTINGS = """
owner: OWNER
regions: [us-east-1]
consumer_regions: [us-east-1, eu-west-1]
propagation: 0s
guards: {max_delete: 100%, max_change: 100%}
"""
KEYS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}
LAGS = Lags(associating=0.05, disassociating=0.05, restarting=0.05)


class Killed(IAMException):  # type: ignore[misc]
    """Nobody hears this answer."""

    code = "ServiceFailure"


_load = cache(JSONFileLoader().load_file)


def _loaded(_self: JSONFileLoader, file_path: str) -> Any:
    return _load(file_path)


# Every command makes its clients anew, and reads the model of EC2 for each: half of a sweep's time.
setattr(JSONFileLoader, "load_file", _loaded)  # noqa: B010 - mypy refuses to assign a method


@dataclass(frozen=True)
class Strike:
    """``is_after`` is once the write took effect."""

    do: Callable[[Stage], None]
    is_after: bool


def kill(stage: Stage) -> None:
    stage.signal(signal.SIGKILL)
    raise Killed("it is dead")


def interrupt(stage: Stage) -> None:
    stage.signal(signal.SIGINT)


def terminate(stage: Stage) -> None:
    stage.signal(signal.SIGTERM)


def start_another(stage: Stage) -> None:
    """Somebody else applies the same specs."""
    stage.beside.append(stage.start(*stage.scenario.flags))


def start_another_commit(stage: Stage) -> None:
    """Somebody else applies other specs of the same owner."""
    stage.beside.append(stage.start(*stage.scenario.flags, specs="commit"))


def start_others(stage: Stage) -> None:
    """Another owner applies specs of its own."""
    stage.beside.append(stage.start(specs="others"))


@dataclass
class Stage:
    """One scenario, once."""

    scenario: Scenario
    folder: Path
    world: World
    endpoint: str
    fleet: list[str] = field(default_factory=list)
    running: set[tuple[str, str]] = field(default_factory=set)
    others: str = ""
    """An instance of another owner's."""
    theirs: dict[str, Any] = field(default_factory=dict)
    """A role that is nobody's business."""
    writes: int = 0
    strikes: dict[int, Strike] = field(default_factory=dict)
    """What is done to the program at which of its writes."""
    victim: int | None = None
    beside: list[subprocess.Popen[str]] = field(default_factory=list)
    runs: dict[int, str] = field(default_factory=dict)
    """The user agent, which names the run, of each victim."""
    bare_since: dict[tuple[str, str], float] = field(default_factory=dict)
    longest: float = 0.0
    denied: set[str] = field(default_factory=set)
    """Regions that EC2 does not show to the program while it is struck."""
    began: float = 0.0
    """When the world was as the scenario begins with, in seconds of the epoch."""
    elsewhere: str = ""
    """An instance that the specs have nothing to do with."""

    def client(self, service: str, region: str) -> Any:
        made: Any = boto3.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )
        return made

    def ec2(self, region: str) -> Any:
        return self.client("ec2", region)

    @property
    def iam(self) -> Any:
        return self.client("iam", HOME)

    def launch(self, region: str, **more: Any) -> str:
        profile = {"IamInstanceProfile": {"Name": more["profile"]}} if "profile" in more else {}
        tags = [{"Key": k, "Value": v} for k, v in more.get("tags", {}).items()]
        named = {"TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]} if tags else {}
        answer = self.ec2(region).run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **profile, **named
        )
        return str(answer["Instances"][0]["InstanceId"])

    def write(self, spec: str, specs: str = "specs") -> None:
        folder = self.folder / specs
        folder.mkdir(exist_ok=True)
        owner = "others" if specs == "others" else "sweep"
        (folder / "reconciler.yaml").write_text(SETTINGS.replace("OWNER", owner))
        (folder / "spec.yaml").write_text(spec)

    def apply_struck(self, *flags: str) -> tuple[int, str]:
        """In a process of its own, to which the strikes come. The exit code is negative where it
        was killed."""
        self.writes = 0
        process = self.start(*flags)
        self.victim = process.pid
        told = _ended(process)
        self.victim = None
        return process.returncode, told

    def start(self, *flags: str, specs: str = "specs") -> subprocess.Popen[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        environment |= {"HOME": str(self.folder), **KEYS}
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler", *self._apply(flags, specs), *self._where],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def signal(self, number: int) -> None:
        if self.victim is not None:
            os.kill(self.victim, number)

    def wait_for_others(self) -> list[tuple[int, str]]:
        """How those ended that ran beside."""
        ended = []
        for process in self.beside:
            told = _ended(process)
            ended.append((process.returncode, told))
        self.beside.clear()
        return ended

    def apply(self, *flags: str, command: str | None = None) -> tuple[int, str]:
        """In this process, which is quicker; ``command`` where it is not that of the scenario."""
        if command == "apply":
            return self.run("apply", "specs", "--auto-approve", "--quiet")
        return self.run(*self._apply(flags))

    def run(self, *arguments: str) -> tuple[int, str]:
        told = io.StringIO()
        os.environ.update(KEYS)
        both = contextlib.redirect_stdout(told), contextlib.redirect_stderr(told)
        with contextlib.chdir(self.folder), both[0], both[1]:
            code = run([*arguments, *self._where])
        return code, told.getvalue()

    @property
    def _where(self) -> tuple[str, str]:
        return "--endpoint-url", self.endpoint

    def _apply(self, flags: tuple[str, ...], specs: str = "specs") -> list[str]:
        command = self.scenario.command if specs == "specs" else "apply"
        if command == "rotate":
            where = ["rotate", "instance-profile/web", "--specs", specs]
            return [*where, "--auto-approve", "--quiet", *flags]
        return [command, specs, "--auto-approve", "--quiet", *flags]

    def before(self, logged: Logged) -> None:
        self._watch()
        if self.victim is not None and logged.service == "ec2" and logged.region in self.denied:
            raise EC2ClientError("UnauthorizedOperation", "not in this region")
        if self._is_victims(logged):
            self.writes += 1
            self._strike(is_after=False)

    def after(self, logged: Logged) -> None:
        self._watch()
        if self._is_victims(logged):
            self._strike(is_after=True)

    def _is_victims(self, logged: Logged) -> bool:
        """The first apply's; those that run beside it have a run of their own."""
        if logged.is_read or "reconciler/" not in logged.user_agent or self.victim is None:
            return False
        self.runs.setdefault(self.victim, logged.user_agent)
        return self.runs[self.victim] == logged.user_agent

    def _strike(self, *, is_after: bool) -> None:
        strike = self.strikes.get(self.writes)
        if strike is not None and strike.is_after == is_after:
            del self.strikes[self.writes]
            strike.do(self)

    def _watch(self) -> None:
        """For how long some instance that ran is without credentials: its own, or any."""
        now = time.monotonic()
        for key in self.running:
            if self.world.served.get((ACCOUNT, *key)) is None:
                self.bare_since.setdefault(key, now)
            elif key in self.bare_since:
                self.longest = max(self.longest, now - self.bare_since.pop(key))

    def served(self) -> dict[str, str | None]:
        for region in self.world.regions:
            self.ec2(region).describe_iam_instance_profile_associations()
        return {str(c["instance"]): c["role"] for c in credentials(self.world)}

    def sessions(self) -> dict[str, float]:
        """When the session of each running instance was issued."""
        self.served()
        found = {key: self.world.sessions.now((ACCOUNT, *key)) for key in self.running}
        return {key[1]: one.issued_at for key, one in found.items() if one is not None}

    def look(self) -> None:
        """Who runs and has a profile, before anything is done."""
        for row in self.world.rows:
            found = self.ec2(row.region).describe_instances(InstanceIds=[row.instance])
            state = found["Reservations"][0]["Instances"][0]["State"]["Name"]
            if state == "running":
                self.running.add((row.region, row.instance))


def _ended(process: subprocess.Popen[str]) -> str:
    """What it said until it ended."""
    try:
        return process.communicate(timeout=120)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


@contextmanager
def staged(scenario: Scenario, folder: Path) -> Iterator[Stage]:
    world = World(lags=LAGS, regions=("us-east-1", "eu-west-1"))
    with serving(world, 0) as endpoint:
        requests.post(f"{endpoint}/moto-api/reset", timeout=30)
        stage = Stage(scenario, folder, world, endpoint)
        stage.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
        stage.theirs = stage.iam.get_role(RoleName="theirs")["Role"]
        stage.others = stage.launch(HOME, tags={"app": "others"})
        stage.write(OTHERS, "others")
        stage.fleet = [stage.launch(HOME, tags={"app": "web"}) for _ in range(2)]
        if scenario.before is not None:
            stage.write(scenario.before)
            code, told = stage.run("apply", "specs", "--auto-approve", "--quiet")
            assert code == 0, told
        scenario.arrange(stage)
        stage.look()
        stage.write(scenario.after)
        if scenario.other_commit is not None:
            stage.write(scenario.other_commit, "commit")
        stage.began = time.time()
        world.before.append(stage.before)
        world.after.append(stage.after)
        yield stage
