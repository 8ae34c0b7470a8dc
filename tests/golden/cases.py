"""Everything that a user or a program sees, as files: `--help`, JSON Schemas, plans, drifts, reports
and results. ``python -m tests.golden`` writes them; read what it changes before you commit it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import typer
from moto.moto_api._internal import mock_random
from typer.testing import CliRunner

import reconciler
from reconciler.cli.app import app
from reconciler.commands.apply import Applied
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned
from reconciler.commands.verify import VerifyRequest, verify, verify_planned
from reconciler.drift.evidence import with_evidence
from reconciler.drift.findings import drift_of
from reconciler.explain.graph import make_graph
from reconciler.model.evidence import SOURCES
from reconciler.render import formats
from reconciler.render.graph.formats import FORMATS as GRAPHS
from reconciler.render.json.apply import outcome_json
from reconciler.render.json.explain import explain_json
from reconciler.render.json.record import record_json
from reconciler.render.json.schemas import PRINTED, schema_of
from reconciler.render.json.verify import verify_json
from reconciler.render.record import record_markdown
from reconciler.render.styled_text import plain, wrapped
from reconciler.render.text.apply import result_lines, stranded_lines
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from reconciler.render.text.verify import verify_lines
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.state import Alarm, App
from tests.behaviour.explaining import World, in_the_middle
from tests.behaviour.faults import refusing
from tests.render.situations import (
    FIRST,
    NOW,
    SECOND,
    SETTINGS,
    drift_report,
    in_trouble,
    plan_report,
)
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig

ROOT = Path(reconciler.__file__).parent.parent
FILES = Path(__file__).parent / "files"
SETS = ("specs", "examples/terminal/specs", "examples/cutover/specs", "examples/adopt/specs")
HOP = "cutover: {strategy: hop}"
RESTART = "cutover: {strategy: restart, max_unavailable: 50%}"


@contextmanager
def seeded(seed: int = 7) -> Iterator[Rig]:
    """A sandbox that invents the same ids each time."""
    mock_random.seed(seed)
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), Lags(30.0, 5.0, 5.0)) as aws:
        yield aws


_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00| UTC)?")
_EPOCH = re.compile(r"(?<![\w-])1[789]\d{8}(?![\w-])")
_FOLDER = re.compile(re.escape(tempfile.gettempdir()) + r"/\w+")


_ID = re.compile(r"\b(AROA|AIPA|ANPA)[A-Z0-9]{16,}\b|\b(iip-assoc-)[0-9a-f]{8,}\b")
_FILE_DIGEST = re.compile(r'("file_digest": "sha256:)[0-9a-f]+')


def scrubbed(text: str) -> str:
    """Without times, without the name of the folder that it was made in, and with ids numbered as
    they come: a retried call makes the sandbox invent others."""
    numbers: dict[str, str] = {}

    def numbered(found: re.Match[str]) -> str:
        kind = found[1] or found[2]
        return numbers.setdefault(found[0], f"{kind}{len(numbers) + 1}")

    text = _FILE_DIGEST.sub(r"\1DIGEST", _ID.sub(numbered, text))
    text = _FOLDER.sub("FOLDER", text.replace(str(ROOT), "ROOT"))
    return _EPOCH.sub("EPOCH", _TIME.sub("TIME", text)).replace(reconciler.__version__, "VERSION")


def helped() -> Iterator[tuple[str, str]]:
    names = getattr(typer.main.get_command(app), "commands", {})
    asked = (("--help",), *((name, "--help") for name in names))
    pages = (f"$ reconciler {' '.join(arguments)}\n{_output(*arguments)}" for arguments in asked)
    yield "help.txt", "\n".join(pages)


def _output(*arguments: str) -> str:
    environment = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    return CliRunner().invoke(app, arguments, env=environment).output


def schemas() -> Iterator[tuple[str, str]]:
    for name in PRINTED:
        yield f"schema-{name}.json", _json(schema_of(name))


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _counted(aws: Rig) -> Rig:
    """From here on calls are counted: how many reads an apply shares depends on its threads."""
    aws.opened.clear()
    return aws


def of_plan(
    name: str, planned: Planned, forms: Iterable[str] = ("text", "json")
) -> Iterator[tuple[str, str]]:
    report = plan_report(planned)
    for form in forms:
        made = formats.PLAN[form]
        yield f"{name}.plan.{form}.txt", made(report)


def of_drift(name: str, planned: Planned) -> Iterator[tuple[str, str]]:
    report = drift_report(drift_of(planned))
    for form, made in formats.DRIFT.items():
        yield f"{name}.drift.{form}.txt", made(report)


def of_apply(name: str, aws: Rig, applied: Applied) -> Iterator[tuple[str, str]]:
    # By resource: which of two goes first, when neither needs the other, is a matter of threads.
    told = "\n".join(sorted(aws.progress.told, key=lambda text: text.partition(": ")[0]))
    lines = plain([*result_lines(applied), *stranded_lines(applied)])
    document = _json(outcome_json(applied, applied.exit_code))
    yield f"{name}.apply.txt", f"{told}\n\n{lines}\n\n{document}"
    # Each once, in the order in which they came first: how often one is retried is a matter of time.
    calls = dict.fromkeys(f"{c.operation} {c.region or '-'}" for c in aws.writes())
    yield f"{name}.writes.txt", "\n".join(calls) + "\n"


def example(folder: str) -> Iterator[tuple[str, str]]:
    """A set of specs in an empty account with a few instances, then applied."""
    name = folder.replace("/", "-")
    with seeded() as aws:
        for tags in ({"app": "web"}, {"app": "fleet"}, {"app": "legacy"}):
            aws.launch(2, tags=tags)
        path = ROOT / folder
        planned = aws.plan(path=str(path))
        yield from of_plan(name, planned)
        if not planned.plan.conflicts:
            yield from of_apply(name, aws, aws.apply(path=str(path), parallelism=1))


def in_every_trouble() -> Iterator[tuple[str, str]]:
    with seeded() as aws:
        in_trouble(aws, parallelism=1)
        with refusing(aws, "ListPolicyTags", "AccessDenied"):
            stopped = _counted(aws).plan(adopt=True)
        yield from of_plan("trouble-stopped", stopped, formats.PLAN)
        yield from of_drift("trouble", _counted(aws).plan())
        decided = _counted(aws).plan(adopt=True, take_over=True, prune=True)
        yield from of_plan("trouble-decided", decided, formats.PLAN)


def swaps() -> Iterator[tuple[str, str]]:
    """A role swap by each strategy, here and in another region."""
    for strategy, block in (("reassociate", ""), ("hop", HOP), ("restart", RESTART)):
        with seeded() as aws:
            aws.launch(3, tags={"app": "web"})
            aws.launch(1, region=AWAY, tags={"app": "web"})
            aws.write(FIRST, SETTINGS)
            aws.settle(parallelism=1)
            swapped = FIRST.replace("web: {role: v1}", f"web: {{role: v2, {block}}}")
            aws.write(swapped.replace(", }", "}"), SETTINGS)
            yield from of_plan(f"swap-{strategy}", _counted(aws).plan())
            aws.progress.told.clear()
            yield from of_apply(f"swap-{strategy}", aws, aws.apply(parallelism=1))


def roll_outs() -> Iterator[tuple[str, str]]:
    """One that ends at a checkpoint, and one that an alarm and an application turn back."""
    with seeded() as aws:
        aws.launch(3, tags={"app": "web"})
        aws.write(FIRST, SETTINGS)
        aws.settle(parallelism=1)
        aws.write(FIRST.replace("web: {role: v1}", f"web: {{role: v2, {WATCHED}}}"), SETTINGS)
        aws.aws.alarms[ACCOUNT, HOME, "web-errors"] = Alarm("OK")
        yield from _rolled_out("roll-out-checkpoint", aws)
        yield from of_plan("roll-out-goes-on", aws.plan())
        yield from of_drift("roll-out-goes-on", aws.plan(for_drift=True))
    with seeded() as aws:
        aws.launch(3, tags={"app": "web"})
        aws.write(FIRST, SETTINGS)
        aws.settle(parallelism=1)
        aws.aws.apps.append(App("sqs:SendMessage", "*", aws.clock.now() + 30.0, 60.0))
        aws.write(FIRST.replace("web: {role: v1}", f"web: {{role: v2, {WATCHED}}}"), SETTINGS)
        aws.aws.alarms[ACCOUNT, HOME, "web-errors"] = Alarm("ALARM", role="v2")
        yield from _rolled_out("roll-out-turned-back", aws)


WATCHED = (
    "cutover: {bake: 10m, pause: 1m, checkpoints: [50%], checks: {alarms: [web-errors], "
    "denied: {max: 1, window: 5m}}}"
)


def _rolled_out(name: str, aws: Rig) -> Iterator[tuple[str, str]]:
    yield from of_plan(name, _counted(aws).plan())
    aws.progress.told.clear()
    applied = aws.apply(parallelism=1)
    yield from of_apply(name, aws, applied)
    record = record_json(applied, applied.exit_code, "run", NOW)
    yield f"{name}.record.json.txt", _json(record)
    yield f"{name}.record.md.txt", record_markdown(record)


def removals() -> Iterator[tuple[str, str]]:
    with seeded() as aws:
        aws.launch(1, tags={"app": "web"})
        aws.write(FIRST, SETTINGS)
        aws.settle(parallelism=1)
        yield from of_plan("destroy", _counted(aws).plan(destroy=True))
        aws.write(SECOND, SETTINGS)
        yield from of_plan("prune", _counted(aws).plan(prune=True))


POLICIES = """
policies:
  read: {document: {Version: 2012-10-17, Statement: [
    {Sid: Read, Effect: Allow, Action: ['s3:GetObject', 's3:ListBucket'], Resource: '*'}]}}
  same: {document: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Action: ['sqs:SendMessage', 'sqs:ReceiveMessage'], Resource: '*'}]}}
roles:
  web: {trust: ec2, managed_policies: [read], permissions_boundary: read}
  ci: {trust_policy: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Principal: {AWS: "${account_id}"}, Action: "sts:AssumeRole"}]}}
instance_profiles: {web: {role: web}}
"""
CHANGED_POLICIES = """
policies:
  read: {document: {Version: 2012-10-17, Statement: [
    {Sid: Read, Effect: Allow, Action: ['s3:GetObject', 's3:PutObject'], Resource: '*'},
    {Effect: Allow, Action: 'iam:PassRole', Resource: '*'}]}}
  same: {document: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Action: 'sqs:SendMessage', Resource: '*'},
    {Effect: Allow, Action: 'sqs:ReceiveMessage', Resource: '*'}]}}
roles:
  web: {trust: ec2, managed_policies: [read, AdministratorAccess], permissions_boundary: null}
  ci: {trust_policy: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Principal: {AWS: ["${account_id}", "222222222222"]},
     Action: 'sts:AssumeRole'}]}}
  new: {trust: ec2, inline_policies: {all: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Action: '*', Resource: '*'}]}}}
instance_profiles: {web: {role: web}}
"""


def policies() -> Iterator[tuple[str, str]]:
    """What changes in policies and trusts, and what of it widens; then the same as a drift."""
    with seeded() as aws:
        aws.write(POLICIES, SETTINGS)
        aws.settle(parallelism=1)
        aws.clock.sleep(60)
        mock_random.seed(8)
        aws.launch(2, profile="web", tags={"Name": "web"})
        aws.write(CHANGED_POLICIES, SETTINGS)
        planned = _counted(aws).plan()
        yield from of_plan("policies", planned, ("text", "json", "markdown", "github", "html"))
        report = drift_report(drift_of(_counted(aws).plan(for_drift=True)))
        for form in ("text", "markdown"):
            yield f"policies.drift.{form}.txt", formats.DRIFT[form](report)


def explained() -> Iterator[tuple[str, str]]:
    """An instance that is about to be cut over, and one whose group starts it with something
    else."""
    with seeded() as aws:
        world = in_the_middle(aws)
        for name, asked in (("instance", world.solo), ("member", world.member)):
            yield f"explain-{name}.text.txt", _explained(world, asked)
        yield "explain-profile.text.txt", _explained(world, "instance-profile/web")
        yield "explain-role.text.txt", _explained(world, "role/web-v2")
        yield "explain-member.json.txt", _json(explain_json(world.explain(world.member), NOW))


def _explained(world: World, asked: str) -> str:
    return plain(explain_lines(world.explain(asked), Look())) + "\n"


GRAPH = """
policies:
  read: {document: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Action: ACTION, Resource: '*'}]}}
roles:
  web-v1: {trust: ec2}
  web-v2: {trust: ec2}
  batch: {trust: ec2, managed_policies: [read]}
  quiet: {trust: ec2}
instance_profiles:
  web: {role: WEB}
  batch: {role: batch}
  quiet: {role: quiet}
associations:
  web-fleet: {instance_profile: web, select: {tags: {app: web}}}
  batch-fleet: {instance_profile: batch, select: {tags: {app: batch}}}
"""


@contextmanager
def to_be_drawn() -> Iterator[Rig]:
    """A role swap for a fleet in two regions, a policy that changes, and what does not change."""
    with seeded() as aws:
        aws.launch(14, tags={"app": "web", "Name": "web"})
        aws.launch(3, region=AWAY, tags={"app": "web", "Name": "web"})
        aws.launch(2, tags={"app": "batch", "Name": "batch"})
        aws.launch(1, tags={"app": "other"})
        aws.write(GRAPH.replace("WEB", "web-v1").replace("ACTION", "'s3:GetObject'"), SETTINGS)
        aws.settle(parallelism=1)
        aws.write(GRAPH.replace("WEB", "web-v2").replace("ACTION", "'s3:*'"), SETTINGS)
        yield aws


def drawn() -> Iterator[tuple[str, str]]:
    with to_be_drawn() as aws:
        for every, name in ((False, "graph"), (True, "graph-all")):
            _counted(aws)
            graph = make_graph(aws.request(), aws.commands(), every=every)
            for form, make in GRAPHS.items():
                if not every or form in ("mermaid", "json"):
                    yield f"{name}.{form}.txt", make(graph, NOW)


VERIFIED = """
roles: {v1: {trust: ec2}, v2: {trust: ec2}, quiet: {trust: ec2}}
instance_profiles: {web: {role: ROLE}, batch: {role: quiet}}
"""


def verified() -> Iterator[tuple[str, str]]:
    """After a cut-over: instances that are proved to have the new role, an old process, one that
    was associated again while EC2 saw the old role, and some that nothing is known of."""
    with seeded() as aws:
        aws.write(VERIFIED.replace("ROLE", "v1"))
        aws.settle(parallelism=1)
        aws.clock.sleep(60)
        mock_random.seed(7)
        ids = sorted(aws.launch(16, profile="web", tags={"Name": "web"}))
        aws.launch(1, profile="batch", region=AWAY)
        (stopped,) = aws.launch(1, profile="batch")
        aws.ec2().stop_instances(InstanceIds=[stopped])
        aws.clock.sleep(3600)
        aws.write(VERIFIED.replace("ROLE", "v2"))
        aws.settle(parallelism=1)
        aws.clock.sleep(600)
        _late(aws, ids[0])
        old, *others = ids[1:]
        _use(aws, old, earlier=1)
        for instance in others:
            _use(aws, instance)
        question = VerifyRequest(sources=SOURCES)
        made = verify(question, _counted(aws).request(), aws.commands())
        for width in (100, 60):
            shown = [part for one in verify_lines(made, Look()) for part in wrapped(one, width)]
            yield f"verify.{width}.txt", plain(shown) + "\n"
        yield "verify.full.txt", plain(verify_lines(made, Look(is_full=True))) + "\n"
        yield "verify.json.txt", _json(verify_json(made, NOW))
        aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset({"cloudtrail:LookupEvents"}))
        made = verify(VerifyRequest(), aws.request(), aws.commands())
        yield "verify-denied.txt", plain(verify_lines(made, Look())) + "\n"
        planned = make_plan(aws.request(for_drift=True), aws.commands(), keeps_context=True)
        aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset())
        evidence = verify_planned(VerifyRequest(), planned, aws.commands())
        report = drift_report(with_evidence(drift_of(planned), evidence))
        for form in ("text", "markdown", "json"):
            yield f"verify.drift.{form}.txt", formats.DRIFT[form](report)


def _use(aws: Rig, instance: str, earlier: int = 0) -> None:
    aws.served(instance)
    key = (ACCOUNT, HOME, instance)
    aws.aws.sessions.use(key, "s3:ListBuckets", aws.clock.now(), earlier=earlier)


def _late(aws: Rig, instance: str) -> None:
    """EC2 serves the role that was in the profile an hour ago."""
    (row,) = aws.ec2().describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [instance]}]
    )["IamInstanceProfileAssociations"]
    lags = aws.aws.lags
    aws.aws.lags = replace(lags, ec2_sees_iam=3600.0)
    aws.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    aws.clock.sleep(30)
    aws.ec2().associate_iam_instance_profile(
        InstanceId=instance, IamInstanceProfile={"Arn": row["IamInstanceProfile"]["Arn"]}
    )
    aws.clock.sleep(60)
    _use(aws, instance)
    aws.aws.lags = lags


MAKERS: Mapping[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "help": helped,
    "schemas": schemas,
    **{folder: partial(example, folder) for folder in SETS},
    "trouble": in_every_trouble,
    "swaps": swaps,
    "roll-outs": roll_outs,
    "removals": removals,
    "policies": policies,
    "explain": explained,
    "graph": drawn,
    "verify": verified,
}


def made(name: str) -> dict[str, str]:
    return {file: scrubbed(text) for file, text in MAKERS[name]()}
