"""A sandbox, and the program's commands on it: what behaviour tests are written with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
from moto.iam.models import iam_backends

from reconciler.aws.access_analyzer import AwsPolicyAnalyzer
from reconciler.aws.cloudtrail import AwsTrail
from reconciler.aws.evidence import AwsEvidence
from reconciler.aws.examiner import AwsExaminer
from reconciler.aws.gates import AwsGates
from reconciler.aws.organizations import AwsOrganization
from reconciler.aws.reader import AwsReader
from reconciler.aws.session import Clients, Login, Session, reading, writing
from reconciler.aws.writer import AwsWriter
from reconciler.commands.apply import Applied, Apply
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned
from reconciler.commands.recorder import Silent
from reconciler.commands.request import Connection, Request
from reconciler.commands.request import RunPorts as Commands
from reconciler.drift.findings import Drift, drift_of
from reconciler.executor.interrupt import Interrupt
from reconciler.model.address import Address
from reconciler.plan.authorization import READS, WRITES
from reconciler.plan.plan import Plan
from reconciler.ports import Clock, Within
from reconciler.render.formats import as_text
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.sandbox.embedded import JumpingClock, embedded
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.state import Logged, World
from reconciler.spec.settings import Settings, TargetSpec

ACCOUNT = "123456789012"
HOME = "us-east-1"
AWAY = "eu-west-1"
SETTINGS = "version: 1\nowner: tests\n"
OURS = "reconciler/"
"""In the user agent of every call of the program."""


@dataclass
class Silence(Silent):
    """A progress that keeps what it was told."""

    told: list[str] = field(default_factory=list)

    def started(self, address: Address, what: str, within: Within | None = None) -> None:
        self.told.append(f"{address}: {what}")

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self.told.append(f"{address}: {what} failed: {reason}")


@dataclass
class Rig:
    """Specs in a folder, and an AWS in this process."""

    folder: Path
    aws: World
    clock: JumpingClock
    settings: str = SETTINGS
    runs: int = 0
    progress: Silence = field(default_factory=Silence)
    opened: dict[str, Connection] = field(default_factory=dict)
    expires_at: float | None = None
    """When the credentials of our own runs end."""

    def write(self, spec: str, settings: str | None = None) -> None:
        (self.folder / "reconciler.yaml").write_text(settings or self.settings, "utf-8")
        (self.folder / "spec.yaml").write_text(spec, "utf-8")

    def commands(self) -> Commands:
        self.runs += 1
        run = f"run{self.runs}"

        def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
            name = f"{spec!r} {settings.tag_prefix}"
            if name not in self.opened:
                made = _connection(spec, settings, name, self.clock.sleep)
                self.opened[name] = replace(made, outlives=self._outlives)
            return self.opened[name]

        return Commands(connect, self.clock, self.progress, run)

    def _outlives(self, seconds: float) -> bool:
        return self.expires_at is None or self.clock.now() + seconds < self.expires_at

    def request(self, **flags: Any) -> Request:
        made = Request(path=str(self.folder), regions=(HOME, AWAY))
        return replace(made, **flags)

    def plan(self, **flags: Any) -> Planned:
        return make_plan(self.request(**flags), self.commands())

    def drift(self, **flags: Any) -> Drift:
        return drift_of(self.plan(**{"for_drift": True, **flags}))

    def apply(
        self,
        stop: Interrupt | None = None,
        max_seconds: float | None = None,
        **flags: Any,
    ) -> Applied:
        planned = self.plan(**flags)
        assert not planned.plan.conflicts, planned.plan.conflicts
        made = Apply(planned, self.commands(), stop or Interrupt(), max_seconds)
        return made.execute()

    def settle(self, **flags: Any) -> Plan:
        """Applies, and shows that it held: nothing failed, and the plan that was made again (by
        the apply itself: ``test_remaining_differences_are_reported`` shows that it looks) is empty."""
        applied = self.apply(**flags)
        broken = [o for o in applied.result.outcomes if o.status != "applied"]
        assert not broken, broken
        assert applied.exit_code == 0, applied.left and applied.left.changes
        assert applied.left is not None
        assert applied.left.is_empty
        return applied.planned.plan

    def launch(
        self,
        count: int = 1,
        *,
        region: str = HOME,
        profile: str | None = None,
        tags: dict[str, str] | None = None,
        operator: str | None = None,
    ) -> list[str]:
        given = [{"Key": k, "Value": v} for k, v in (tags or {}).items()]
        more: dict[str, Any] = {"IamInstanceProfile": {"Name": profile}} if profile else {}
        if operator:
            more["Operator"] = {"Principal": operator}
        if given:
            more["TagSpecifications"] = [{"ResourceType": "instance", "Tags": given}]
        answer = self.ec2(region).run_instances(
            ImageId="ami-12c6146b", MinCount=count, MaxCount=count, **more
        )
        # moto numbers at random; sorted, so that what a test says of the first holds.
        return sorted(instance["InstanceId"] for instance in answer["Instances"])

    def ec2(self, region: str = HOME) -> Any:
        return self.client("ec2", region)

    @property
    def iam(self) -> Any:
        return self.client("iam", HOME)

    def client(self, service: str, region: str) -> Any:
        """As somebody else would have it: whoever changes AWS by hand."""
        key = (service, region)
        if key not in _CLIENTS:
            made: Any = boto3.client(service, region_name=region)  # type: ignore[call-overload]
            _CLIENTS[key] = made
        return _CLIENTS[key]

    def served(self, instance: str, region: str = HOME) -> str | None:
        """The role whose credentials the instance is served now."""
        self.associations(region)
        role_id = self.aws.served.get((ACCOUNT, region, instance))
        role = iam_backends[ACCOUNT]["aws"].roles.get(role_id) if role_id else None
        if role_id and role is None:
            return f"gone:{role_id}"
        return role.name if role else None

    def associations(self, region: str = HOME) -> dict[str, list[tuple[str, str]]]:
        """By instance, the profile and state of each row that is listed."""
        found: dict[str, list[tuple[str, str]]] = {}
        paginator = self.ec2(region).get_paginator("describe_iam_instance_profile_associations")
        for page in paginator.paginate():
            for row in page["IamInstanceProfileAssociations"]:
                name = row["IamInstanceProfile"]["Arn"].rpartition("/")[2]
                found.setdefault(row["InstanceId"], []).append((name, row["State"]))
        return found

    def instance_ids(self, region: str = HOME) -> list[str]:
        """Instances, whatever they have."""
        pages = self.ec2(region).get_paginator("describe_instances").paginate()
        return [i["InstanceId"] for p in pages for r in p["Reservations"] for i in r["Instances"]]

    def profile_of(self, instance: str, region: str = HOME) -> str | None:
        rows = [r for r in self.associations(region).get(instance, []) if r[1] != "disassociating"]
        return rows[0][0] if rows else None

    def profile_tags(self, name: str) -> dict[str, str]:
        tags = self.iam.list_instance_profile_tags(InstanceProfileName=name)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def role_tags(self, name: str) -> dict[str, str]:
        return {t["Key"]: t["Value"] for t in self.iam.list_role_tags(RoleName=name)["Tags"]}

    def instance_tags(self, instance: str, region: str = HOME) -> dict[str, str]:
        filters = [{"Name": "resource-id", "Values": [instance]}]
        tags = self.ec2(region).describe_tags(Filters=filters)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def role_id(self, name: str) -> str:
        found: str = self.iam.get_role(RoleName=name)["Role"]["RoleId"]
        return found

    def role_in(self, profile: str) -> str | None:
        roles = self.iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"][
            "Roles"
        ]
        return roles[0]["RoleName"] if roles else None

    def names(self) -> dict[str, list[str]]:
        iam = self.iam
        return {
            "roles": sorted(r["RoleName"] for r in iam.list_roles()["Roles"]),
            "profiles": sorted(
                p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]
            ),
            "policies": sorted(
                p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]
            ),
        }

    def writes(self) -> list[Logged]:
        """Calls that could change something, in order."""
        return [logged for logged in self.aws.log if not logged.is_read]


def save(planned: Planned, path: Path) -> None:
    """As ``plan --out`` does."""
    path.write_text(as_text(plan_json(planned, now_as_text())), "utf-8")


_CLIENTS: dict[tuple[str, str], Any] = {}
_OPENED: dict[str, tuple[Clients, Clients]] = {}
_EVIDENCE: dict[str, Clients] = {}
"""A client takes a quarter of a second to make, so all tests of a process share them; only what was
assumed in one sandbox is unknown in the next."""


def _of_evidence(name: str, session: Session) -> Clients:
    """Its calls are counted apart from those of the reader."""
    found = _EVIDENCE.setdefault(name, reading(session))
    found.counts.clear()
    return found


def _connection(
    spec: TargetSpec | None, settings: Settings, name: str, sleep: Callable[[float], None]
) -> Connection:
    login = Login(
        run="test",
        region=HOME,
        role_arn=spec.role_arn if spec else None,
        external_id=spec.external_id if spec else None,
    )
    if name not in _OPENED:
        session = Session(login)
        made = (reading(session), writing(session))
        if login.role_arn is None:
            _OPENED[name] = made
    else:
        made = _OPENED[name]
    for clients in made:
        clients.counts.clear()
    reader = AwsReader(made[0], settings.tag_prefix, sleep=sleep)
    writer = AwsWriter(made[1])

    def trail(clock: Clock) -> AwsTrail:
        return AwsTrail(made[0], clock)

    return Connection(
        reader,
        lambda: writer,
        HOME,
        lambda _seconds: True,
        trail,
        lambda clock: AwsEvidence(_of_evidence(name, made[0].session), clock),
        lambda: AwsExaminer(made[0], made[0]),
        lambda region: AwsPolicyAnalyzer(made[0], region),
        members=AwsOrganization(made[0]).members,
        gates=lambda clock: AwsGates(made[0], clock),
    )


@contextmanager
def rig(folder: Path, lags: Lags | None = None, seed: int = 0) -> Iterator[Rig]:
    clock = JumpingClock()
    world = World(
        clock=clock,
        lags=lags or Lags(ec2_sees_iam=30.0, associating=0.2, disassociating=0.2),
        regions=(HOME, AWAY),
        seed=seed,
    )
    # botocore's pauses between its own tries pass on the same clock.
    pauses = mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=clock.sleep))
    with embedded(world), pauses:
        yield Rig(folder, world, clock)
    sent = {logged.name for logged in world.log if OURS in logged.user_agent}
    assert sent <= READS.keys() | WRITES.keys(), "a call that `permissions` does not know"
