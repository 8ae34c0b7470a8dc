"""What ``reconciler demo`` does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import typer

from reconciler.cli.arguments import Color
from reconciler.cli.connection import run_ports
from reconciler.cli.console import Console
from reconciler.cli.given import AccessFlags
from reconciler.cli.progress import Quiet, shown
from reconciler.commands.apply import Apply
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned
from reconciler.commands.request import Request, RunPorts
from reconciler.drift.findings import drift_of
from reconciler.exit_codes import ExitCode
from reconciler.explain.reading import explain
from reconciler.rehearsal.watching import Killed, Life, Watch
from reconciler.render.styled_text import Line, Piece, data, line
from reconciler.render.text.apply import result_lines
from reconciler.render.text.drift import drift_lines
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.seed import InstanceSeed, Seed
from reconciler.sandbox.state import Logged
from reconciler.sandbox.state import World as Sandbox
from reconciler.spec.loader import load

SPEC = """\
roles:
  web-v1:
    trust: ec2
    managed_policies: [AmazonSSMManagedInstanceCore]
  web-v2:
    trust: ec2
    managed_policies: [AmazonSSMManagedInstanceCore, CloudWatchAgentServerPolicy]
  web-v3:
    trust: ec2

instance_profiles:
  web:
    role: web-v1
    cutover: {max_unavailable: 1}

associations:
  web-fleet:
    instance_profile: web
    select: {tags: {app: web}}
"""


_T = TypeVar("_T")


REAL_SHARE = 0.01
"""Fraction of the simulated time that passes in reality; a wait takes half a second at most."""


@dataclass
class StoryClock:
    """Simulated time in seconds, which only ``sleep`` advances."""

    seconds: float = field(default_factory=time.time)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += max(seconds, 0.0)
        time.sleep(min(max(seconds, 0.0) * REAL_SHARE, 0.5))


def run(
    color: Color,
) -> None:
    console = Console(color.value)
    try:
        from reconciler.sandbox.embedded import embedded  # noqa: PLC0415 - moto is an extra
    except ImportError as error:
        console.error(
            "the sandbox is not installed", "take its extra, such as: pip install '.[sandbox]'"
        )
        raise typer.Exit(ExitCode.ERROR) from error
    clock = StoryClock()
    lags = Lags(ec2_sees_iam=30.0, associating=4.0, disassociating=4.0)
    aws = Sandbox(clock=clock, lags=lags, regions=("us-east-1", "eu-west-1"))
    with embedded(aws), tempfile.TemporaryDirectory() as folder, chdir(folder):
        raise typer.Exit(Story(console, aws, clock, Path("web.yaml")).tell())


@dataclass
class Story:
    """The chapters of the demo. ``number`` is the last one shown."""

    console: Console
    aws: Sandbox
    clock: StoryClock
    spec: Path
    number: int = 0

    def tell(self) -> int:
        self.beginning()
        codes = [
            self.first_apply(),
            self.others(),
            self.cut_over(),
            self.by_hand(),
            self.bad_role(),
            self.explained(),
        ]
        self.ending()
        return max(codes)

    def beginning(self) -> None:
        from reconciler.sandbox.plant import plant  # noqa: PLC0415 - moto is an extra

        groups = [
            InstanceSeed(count=2, tags={"app": "web"}),
            InstanceSeed(region="eu-west-1", count=1, tags={"app": "web"}),
        ]
        plant(Seed(instances=groups), self.aws)
        self.spec.write_text(SPEC, "utf-8")
        self.say(
            "This runs on an AWS in this process. Its clock runs faster: a minute of waiting takes",
            "half a second. Nothing leaves this machine.",
        )
        self.chapter("Three instances are running; the specs describe their profile and roles")
        self.say(*(Piece(text, "cyan") for text in SPEC.splitlines()))
        self.say("")
        self.command("reconciler validate")
        size = load(str(self.spec)).desired.size
        self.say(Piece(f"Valid: {size} resources.", "bold green"))

    def first_apply(self) -> int:
        self.chapter("Plan, then apply")
        code = self.apply()
        self.credentials("Every instance gets the credentials of its role")
        return code

    def others(self) -> int:
        """Swaps the role in the profile, as other tools do, and back."""
        self.chapter("Other tools swap the role in the profile, and stop there")
        iam = self.somebody_else()
        swap = {"InstanceProfileName": "web"}
        iam.remove_role_from_instance_profile(**swap, RoleName="web-v1")
        iam.add_role_to_instance_profile(**swap, RoleName="web-v2")
        self.clock.sleep(600)
        self.credentials("The profile holds web-v2. Ten minutes later the instances still have")
        self.say("AWS updates them within an hour or so; until then their roles are not known.")
        self.say("Back to web-v1, and the same change with reconciler.")
        iam.remove_role_from_instance_profile(**swap, RoleName="web-v2")
        iam.add_role_to_instance_profile(**swap, RoleName="web-v1")
        self.clock.sleep(60)
        return 0

    def somebody_else(self) -> Any:
        """An IAM client for changes that are made without the program."""
        import boto3  # noqa: PLC0415 - --help must not load boto3

        return boto3.client("iam")

    def cut_over(self) -> int:
        """The run is killed when the first instance has lost its profile; the next one finishes."""
        self.chapter("The specs change: role: web-v2. The plan names the instances to cut over")
        self.spec.write_text(SPEC.replace("role: web-v1", "role: web-v2"), "utf-8")
        ports = self.ports()
        planned = self.planned(ports)
        self.command("reconciler apply --auto-approve")
        life = Life(self.clock)
        watch = Watch(self.aws, ports.run, life, dies_at="DisassociateIamInstanceProfile")
        with suppress(Killed):
            self.quietly(replace(ports, clock=life), lambda ports: Apply(planned, ports).execute())
        watch.life.is_over = True
        self.say(Piece("Killed", "bold red"), "")
        self.credentials("The run died, just when an instance had lost its profile")
        self.chapter("Apply again: it restores the instance, and goes on")
        self.clock.sleep(60)
        code = self.apply()
        self.credentials("One at a time, each instance got the new role")
        return code

    def bad_role(self) -> int:
        self.chapter(
            "A role that EC2 refuses: role: web-v3. The canary fails, and it is rolled back"
        )
        self.spec.write_text(SPEC.replace("role: web-v1", "role: web-v3"), "utf-8")
        with self.refused():
            code = self.apply()
        self.say(Piece(f"(exit code {code})", "dim"), "")
        self.credentials("The old role is back, and two instances were never touched")
        return 0 if code == ExitCode.PARTLY_APPLIED else ExitCode.ERROR

    @contextmanager
    def refused(self) -> Iterator[None]:
        """EC2 gives the profile to no instance, from the time that one has lost it until another
        role is in it. Before that, when it is asked, it does not say so."""
        action = frozenset({"ec2:AssociateIamInstanceProfile"})

        def listen(logged: Logged) -> None:
            chaos = self.aws.chaos
            if logged.operation == "DisassociateIamInstanceProfile" and not logged.is_dry_run:
                self.aws.chaos = replace(chaos, denied=chaos.denied | action)
            elif logged.operation == "AddRoleToInstanceProfile":
                self.aws.chaos = replace(chaos, denied=chaos.denied - action)

        self.aws.after.append(listen)
        try:
            yield
        finally:
            self.aws.after.remove(listen)

    def explained(self) -> int:
        from reconciler.sandbox.server import credentials  # noqa: PLC0415 - moto is an extra

        self.chapter("Whose credentials does an instance hold, and what changes that?")
        instance = str(credentials(self.aws)[0]["instance"])
        self.command(f"reconciler explain {instance}")
        found = self.quietly(self.ports(), lambda ports: explain(instance, self.request(), ports))
        self.console.out(explain_lines(found, Look(self.console.unicode)))
        return 0

    def by_hand(self) -> int:
        self.chapter("AWS is changed by hand, outside of Git")
        iam = self.somebody_else()
        arn = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
        iam.detach_role_policy(RoleName="web-v2", PolicyArn=arn)
        iam.tag_role(RoleName="web-v2", Tags=[{"Key": "owner", "Value": "nobody"}])
        self.command("reconciler drift")
        found = drift_of(self.plan())
        self.console.out(drift_lines(found))
        self.say(Piece(f"(exit code {found.exit_code}, for use in a cron job)", "dim"))
        self.chapter("Apply corrects it")
        code = self.apply()
        self.command("reconciler drift")
        found = drift_of(self.plan())
        self.console.out(drift_lines(found))
        return max(code, found.exit_code)

    def ending(self) -> None:
        self.chapter("Next steps")
        self.say(
            "Run a local AWS:",
            Piece("  reconciler sandbox", "bold"),
            Piece("  export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox", "bold"),
            Piece("  reconciler apply specs --endpoint-url http://127.0.0.1:5000", "bold"),
            "",
            "Plan for your own account, read only:",
            Piece("  AWS_PROFILE=... reconciler plan specs", "bold"),
        )

    def chapter(self, title: str) -> None:
        self.number += 1
        self.console.out([(), line(Piece(f"{self.number}. {title}", "bold blue")), ()])

    def command(self, text: str) -> None:
        self.console.out([line(Piece("$ ", "dim"), Piece(text, "bold"))])

    def say(self, *words: Piece | str) -> None:
        self.console.out([line(word) for word in words])

    def plan(self) -> Planned:
        return self.quietly(self.ports(), lambda ports: make_plan(self.request(), ports))

    def request(self) -> Request:
        return Request(path=str(self.spec), regions=("us-east-1", "eu-west-1"))

    def ports(self) -> RunPorts:
        login = AccessFlags(None, None, ("us-east-1",))
        return run_ports(login, Quiet(self.console), clock=self.clock)

    def quietly(self, ports: RunPorts, work: Callable[[RunPorts], _T]) -> _T:
        with shown(self.console) as progress:
            return work(replace(ports, progress=progress))

    def apply(self) -> int:
        ports = self.ports()
        planned = self.planned(ports)
        self.command("reconciler apply --auto-approve")
        applied = self.quietly(ports, lambda ports: Apply(planned, ports).execute())
        self.console.out(result_lines(applied))
        code: int = applied.exit_code
        return code

    def planned(self, ports: RunPorts) -> Planned:
        """Shows the plan."""
        self.command("reconciler plan")
        planned = self.quietly(ports, lambda ports: make_plan(self.request(), ports))
        self.console.out(plan_lines(planned.plan, Look(self.console.unicode)))
        self.console.out([()])
        return planned

    def credentials(self, title: str) -> None:
        from reconciler.sandbox.server import credentials  # noqa: PLC0415 - moto is an extra

        rows: list[Line] = [line(Piece(f"{title}:", "bold"))]
        rows.extend(
            line(
                "    ",
                data(f"{row['region']:<10} {row['instance']}  "),
                data(row["role"] or "no role", "green" if row["role"] else "red"),
            )
            for row in credentials(self.aws)
        )
        self.console.out(rows)
