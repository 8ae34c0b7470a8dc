"""The commands as their users run them: in a process, in a pipe, without a terminal."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import pytest

from reconciler.render.json.schemas import schema_of
from tests import zygote
from tests.program import Program
from tests.sampling import sampled

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""
SETTINGS = "owner: tests\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: {}\n"


@dataclass
class Shell(Program):
    """The program in a folder with specs of a role that changes."""

    def write(self, role: str = "v1", propagation: str = "0s") -> None:
        specs = self.folder / "specs"
        specs.mkdir(exist_ok=True)
        (specs / "reconciler.yaml").write_text(SETTINGS.format(propagation))
        (specs / "web.yaml").write_text(SPEC.format(role=role))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A sandbox that stays up for the module, with three instances."""
    made = Shell(tmp_path_factory.mktemp("sandbox"))
    with made.sandbox("instances:\n  - {count: 3, tags: {app: web}}\n"):
        yield made


def test_plan_apply_role_change_and_drift(sandbox: Shell) -> None:
    """Plan, apply, plan again; swap the role; drift."""
    sandbox.write("v1")
    planned = sandbox.run("plan", "--detailed-exitcode")
    assert planned.returncode == 2, planned.stderr
    assert "Plan: 0 to adopt, 6 to add, 0 to change, 0 to destroy." in planned.stdout
    assert "\x1b" not in planned.stdout + planned.stderr
    applied = sandbox.run("apply", "--auto-approve")
    assert applied.returncode == 0, applied.stderr
    assert "Apply complete! Resources: 6 added, 0 changed, 0 destroyed." in applied.stdout
    assert sandbox.run("plan", "--detailed-exitcode").returncode == 0
    sandbox.write("v2")
    drifted = sandbox.run("drift", "--json")
    assert drifted.returncode == 2
    statuses = [f["status"] for f in json.loads(drifted.stdout)["findings"]]
    assert statuses == ["stale", "stale", "stale", "modified"]
    swapped = sandbox.run("apply", "--auto-approve")
    assert "3 instances cut over" in swapped.stdout, swapped.stderr
    assert sandbox.run("drift").returncode == 0


def test_plan_json_is_reproducible(sandbox: Shell) -> None:
    sandbox.write("v1")
    saved = sandbox.folder / "plan.json"
    one = json.loads(sandbox.run("plan", "--json", "--out", str(saved)).stdout)
    two = json.loads(saved.read_text())
    three = json.loads(sandbox.run("plan", "--json").stdout)
    for document in (one, two, three):
        document.pop("created_at")
    assert json.dumps(one) == json.dumps(two) == json.dumps(three)
    assert one["format_version"] == "1.0"
    assert one["digest"].startswith("sha256:")
    assert set(one["targets"][0]) >= {"changes", "steps", "kept", "ignored", "conflicts", "guards"}


def test_apply_json_lines(sandbox: Shell) -> None:
    sandbox.write("v2")
    assert sandbox.run("apply", "--auto-approve").returncode == 0
    # A wait that lasts, however fast the sandbox is.
    sandbox.write("v1", "1s")
    applied = sandbox.run("apply", "--auto-approve", "--json")
    lines = [json.loads(line) for line in applied.stdout.splitlines()]
    check = jsonschema.Draft202012Validator(schema_of("apply"))
    for line in lines:
        check.validate(line)
    kinds = {line["type"] for line in lines}
    assert kinds >= {"version", "planned_change", "change_summary", "apply_start"}
    assert kinds >= {"apply_progress", "apply_complete", "apply_summary"}
    assert lines[0]["type"] == "version"
    last = {k: lines[-1][k] for k in ("type", "failed", "skipped", "remaining")}
    assert last == {"type": "apply_summary", "failed": 0, "skipped": 0, "remaining": 0}


def test_apply_json_blocked_by_a_guard(sandbox: Shell) -> None:
    """What stops it, and the flag that lifts it, is said where the plan is; so it ends as ever."""
    sandbox.write("v1")
    assert sandbox.run("apply", "--auto-approve").returncode == 0
    check = jsonschema.Draft202012Validator(schema_of("apply"))
    given = sandbox.run("destroy", "--auto-approve", "--json", "--owner", "tests")
    assert given.returncode == 4, given.stderr
    last = json.loads(given.stdout.splitlines()[-1])
    check.validate(last)
    assert (last["type"], last["applied"]) == ("apply_summary", 0)
    assert last["remaining"] > 0
    guard = "3 running instances would be left without instance-profile/web"
    assert f"{guard}; --allow consumers=instance-profile/web" in last["advice"]
    sandbox.write("v2")
    unasked = sandbox.run("apply", "--json")
    assert unasked.returncode == 1
    last = json.loads(unasked.stdout.splitlines()[-1])
    assert (last["type"], last["remaining"], last["advice"]) == ("apply_summary", 4, [])


def test_apply_without_approval_is_refused(sandbox: Shell) -> None:
    sandbox.write("v1")
    sandbox.run("apply", "--auto-approve")
    sandbox.write("v2")
    for flags in ((), ("--no-input",), ("--json",)):
        refused = sandbox.run("apply", *flags)
        assert refused.returncode == 1, flags
        assert "--auto-approve" in refused.stderr, flags


@pytest.mark.slow
def test_sigterm_during_a_cut_over(sandbox: Shell) -> None:
    """Whoever is in flight gets the profile back; the next run ends the work."""
    sandbox.write("v1", "0s")
    sandbox.run("apply", "--auto-approve")
    sandbox.write("v2", "30s")
    process = sandbox.start("apply", "--auto-approve")
    assert process.stderr is not None
    for line in process.stderr:
        if "waiting for EC2 to see" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Interrupted" in out
    sandbox.write("v2", "0s")
    assert sandbox.run("apply", "--auto-approve").returncode == 0


@pytest.mark.parametrize("arguments", sampled([["schema"]], [["plan", "--json"]]))
def test_a_closed_pipe_on_stdout(sandbox: Shell, arguments: list[str]) -> None:
    sandbox.write("v1")
    command = " ".join(sandbox.command(*arguments))
    result = subprocess.run(
        ["/bin/sh", "-c", f"{command} | head -n 1"],
        cwd=sandbox.folder,
        env=sandbox.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "{\n"
    assert "Traceback" not in result.stderr


USAGE = {
    "unknown command": ("aply",),
    "unknown flag": ("plan", "--jsn"),
    "flag without value": ("plan", "--out"),
    "two paths": ("plan", "a", "b"),
    "no number": ("plan", "--parallelism", "many"),
    "number out of range": ("plan", "--parallelism", "0"),
    "allow of nothing": ("plan", "--allow", "everything"),
    "allow without number": ("plan", "--allow", "delete=all"),
    "allow with what looks like a number": ("plan", "--allow", "delete=²"),
    "allow with too long a number": ("plan", "--allow", f"delete={'9' * 5000}"),
    "variable without value": ("plan", "--var", "x"),
    "format": ("validate", "--format", "xml"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_64(shell: Shell, case: str) -> None:
    shell.write()
    result = shell.run(*USAGE[case])
    assert result.returncode == 64, result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stdout == ""


def test_validate(shell: Shell) -> None:
    shell.write()
    assert shell.run("validate").returncode == 0
    text = "roles:\n  web:\n    trst: ec2\n  other: {trust: ec2}\n"
    (shell.folder / "specs" / "web.yaml").write_text(text)
    result = shell.run("validate")
    assert result.returncode == 1
    assert result.stdout.splitlines()[:3] == [
        "specs/web.yaml:3:5: error[unknown-key]: unknown key 'trst'",
        "  3 |     trst: ec2",
        "    |     ^^^^",
    ]
    assert "did you mean 'trust'?" in result.stdout
    found = json.loads(shell.run("validate", "--format", "json").stdout)
    assert [(f["code"], f["line"], f["column"]) for f in found] == [("unknown-key", 3, 5)]
    concise = shell.run("validate", "--format", "concise").stdout
    assert concise.startswith("specs/web.yaml:3:5: error[unknown-key]")


@pytest.mark.parametrize("name", ["sarif", "gitlab"])
@pytest.mark.parametrize("has_repository", [True, False])
def test_places_are_relative_to_the_repository(
    shell: Shell, name: str, has_repository: bool
) -> None:
    """Also if the specs are given by an absolute path, and from another folder."""
    shell.write()
    (shell.folder / "specs" / "web.yaml").write_text("roles: {web: {trst: ec2}}\n")
    elsewhere = shell.folder / "elsewhere"
    elsewhere.mkdir()
    if has_repository:
        (shell.folder / ".git").mkdir()
    specs = str(shell.folder / "specs")
    moved = Shell(elsewhere)
    told = json.loads(moved.run("validate", specs, "--format", name).stdout)
    if name == "sarif":
        places = [result["locations"][0] for result in told["runs"][0]["results"]]
        paths = {place["physicalLocation"]["artifactLocation"]["uri"] for place in places}
    else:
        paths = {one["location"]["path"] for one in told}
    root = "specs/" if has_repository else ""
    assert f"{root}web.yaml" in paths
    assert paths <= {f"{root}web.yaml", f"{root}reconciler.yaml"}


def test_validate_needs_neither_credentials_nor_home(shell: Shell) -> None:
    shell.write()
    result = zygote.run_there(["validate"], shell.folder, {"PATH": os.environ["PATH"]})
    assert result.returncode == 0


NO_AWS = {
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
        "credentials",
    ),
    "no such profile": ({"AWS_PROFILE": "nobody"}, "profile"),
    "no URL": ({"AWS_ENDPOINT_URL": "sandbox"}, "sandbox"),
    "nothing listens": (
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
        "endpoint",
    ),
}


@pytest.mark.parametrize("case", sampled(list(NO_AWS)[:3], list(NO_AWS)[3:]))
def test_aws_that_cannot_be_reached(shell: Shell, case: str) -> None:
    shell.write()
    environment, said = NO_AWS[case]
    result = shell.run("plan", **environment)
    assert result.returncode == 1, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_what_a_run_waits_for_without_a_network(shell: Shell) -> None:
    """The endpoint may be wrong: a person need not wait for the minute to find out."""
    shell.write()
    dead = replace(shell, endpoint="http://127.0.0.1:9")
    with dead.start("plan") as run:
        assert run.stderr is not None
        waits = run.stderr.readline()
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=20) == 130
    wanted = "AWS: waiting for the connection (http://127.0.0.1:9/ cannot be reached)"
    assert waits.partition(" ")[2].startswith(wanted)


def test_what_does_not_exist_is_told_once(sandbox: Shell) -> None:
    sandbox.write("v1")
    missing = "arn:aws:iam::aws:policy/Nothing"
    specs = sandbox.folder / "specs" / "more.yaml"
    # The other role is new, so that there is something to apply, whichever tests came first.
    new = f"  new-{time.time_ns()}: {{trust: ec2}}\n"
    other = f"  other:\n    trust: ec2\n    managed_policies: [{missing}]\n"
    specs.write_text(f"roles:\n{other}{new}")
    formats = ("text", "markdown", "html", "aws-cli")
    reports = [word for name in formats for word in ("--report", f"{name}=told.{name}")]
    result = sandbox.run("plan", *reports)
    assert result.returncode == 1
    assert f"error[no-such-policy]: AWS has no policy {missing}" in result.stderr
    assert "! role/other is left out: no-such-policy  specs/more.yaml:4:24" in result.stdout
    assert "has no policy" not in result.stdout
    # A file is read without what stderr said.
    told = {name: (sandbox.folder / f"told.{name}").read_text("utf-8") for name in formats}
    where = "  specs/more.yaml:4:24"
    assert f"! role/other is left out: AWS has no policy {missing}{where}" in told["text"]
    assert f"- **Error:** AWS has no policy {missing} " in told["markdown"]
    assert f'class="stop">specs/more.yaml:4: AWS has no policy {missing}' in told["html"]
    applied = sandbox.run("apply", "--auto-approve", "--report", "json=applied.json")
    specs.unlink()
    outcome = json.loads((sandbox.folder / "applied.json").read_text("utf-8"))["outcome"]
    assert (applied.returncode, outcome["left"]) == (3, ["role/other"])
    assert f"# Left out: role/other: AWS has no policy {missing}\n" in told["aws-cli"]


@pytest.mark.parametrize(
    "command", ["plan", "apply --auto-approve", "drift", "destroy --auto-approve"]
)
def test_mistakes_in_specs_are_annotations_of_the_job(shell: Shell, command: str) -> None:
    shell.write()
    (shell.folder / "specs" / "more.yaml").write_text("roles: {other: {trust: ecz2}}\n")
    result = shell.run(*command.split(), "--report", "github=-")
    assert result.returncode == 1
    assert result.stdout.startswith("::error title=trust,file=specs/more.yaml,line=1,col=24::")
    assert result.stderr.count("ecz2") == 2, "the message, and the line of the specs"


def test_a_plan_that_cannot_be_saved(sandbox: Shell) -> None:
    sandbox.write("v1")
    result = sandbox.run("plan", "--out", "/nowhere/plan.json")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


CLOSED = ("plan >&-", "plan 2>&-", "validate >&- 2>&-", "drift --json 2>&-")


@pytest.mark.parametrize("command", sampled(CLOSED[2:3], [*CLOSED[:2], *CLOSED[3:]]))
def test_closed_streams(sandbox: Shell, command: str) -> None:
    sandbox.write("v1")
    words = " ".join(sandbox.command(*command.split()))
    result = subprocess.run(
        ["/bin/sh", "-c", words],
        cwd=sandbox.folder,
        env=sandbox.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode in (0, 2), result.stderr
    assert "Traceback" not in result.stderr


SEEDS = {
    "no YAML": ("a: [", "yaml-syntax"),
    "another form": (
        "instances: [{count: many}]",
        "seed.yaml:1:21: error[invalid-value]: count: must be a whole number, not 'many'",
    ),
    "unknown key": ("instances: [{cuont: 1}]", "did you mean 'count'?"),
    "no such role": ("instance_profiles: {web: {role: wbe}}", "seed.yaml:1:21: error"),
    "no such profile": ("instances: [{instance_profile: web}]", "seed.yaml:1:32: error"),
    "no such policy": ("roles: {web: {managed_policies: [nope]}}", "seed.yaml:1:9: error"),
}


@pytest.mark.parametrize("case", SEEDS)
def test_an_invalid_sandbox_seed(shell: Shell, case: str) -> None:
    text, said = SEEDS[case]
    (shell.folder / "seed.yaml").write_text(text)
    result = shell.run("sandbox", "--port", "0", "--seed", "seed.yaml")
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_sandbox_port_in_use(sandbox: Shell) -> None:
    assert sandbox.endpoint is not None
    port = sandbox.endpoint.rpartition(":")[2]
    result = sandbox.run("sandbox", "--port", port)
    assert result.returncode == 1
    assert port in result.stderr


def test_version(shell: Shell) -> None:
    for arguments in (("version",), ("--version",)):
        result = shell.run(*arguments)
        assert result.returncode == 0
        assert result.stdout.startswith("reconciler 0.1.0\n")
    assert json.loads(shell.run("version", "--json").stdout)["reconciler"] == "0.1.0"


def test_help_of_every_command(shell: Shell) -> None:
    commands = ("validate", "plan", "apply", "drift", "schema", "sandbox", "demo", "version")
    listing = shell.run("--help").stdout
    for name in commands:
        assert name in listing
        result = shell.run(name, "--help")
        assert result.returncode == 0
        assert len(result.stdout.splitlines()) > 5


ANSI_TERM, NO_COLOR = {"TERM": "xterm-256color"}, {"NO_COLOR": "1"}
COLORS = list(
    itertools.product(["always", "auto", "never"], [{}, {"TERM": "dumb"}, ANSI_TERM, NO_COLOR])
)
SAMPLE = [("always", {}), ("always", NO_COLOR), ("auto", ANSI_TERM), ("never", ANSI_TERM)]


@pytest.mark.parametrize(
    ("flag", "environment"), sampled(SAMPLE, [one for one in COLORS if one not in SAMPLE])
)
def test_color_flag(sandbox: Shell, flag: str, environment: dict[str, str]) -> None:
    """Colors in a file do not make it a terminal: nothing moves a cursor there."""
    sandbox.write("v1")
    made = sandbox.run("plan", "--color", flag, **environment)
    assert ("\x1b[" in made.stdout) is (flag == "always")
    assert not re.search(r"\x1b\[[^m]*[A-LN-Za-ln-z]", made.stdout + made.stderr)
    assert "reading account" in made.stderr


def test_ascii_terminals(sandbox: Shell) -> None:
    sandbox.write("v1")
    sandbox.run("apply", "--auto-approve")
    sandbox.write("v2")
    out = sandbox.run("plan", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C").stdout
    assert "R association/" in out


def test_the_demo(shell: Shell) -> None:
    began = time.monotonic()
    result = shell.run("demo")
    assert result.returncode == 0, result.stderr
    assert "the instances still have" in result.stdout
    assert "Its clock runs faster" in result.stdout
    bare = r"Killed\n\n.*:\n    eu-west-1  i-\w+  no role\n(    us-east-1  i-\w+  web-v1\n){2}"
    assert re.search(bare, result.stdout)
    assert "3 instances cut over" in result.stdout
    assert "No drift." in result.stdout
    assert "rolled back, the profile has the old role again" in result.stdout
    back = r"never touched:\n(    \S+  i-\w+  web-v2\n){3}"
    assert re.search(back, result.stdout)
    explained = result.stdout.partition("$ reconciler explain i-")[2]
    assert "holds the credentials of role/web-v2" in explained
    assert "to role/web-v3 failed and was rolled back" in explained
    assert "    reconciler apply --allow retry=instance-profile/web\n" in explained
    assert time.monotonic() - began < 60


def test_a_saved_plan(sandbox: Shell) -> None:
    """Asks no question; a second time it no longer matches."""
    sandbox.write("v1")
    sandbox.run("apply", "--auto-approve")
    sandbox.write("v2")
    planned = sandbox.run("plan", "--out", "plan.json", "--json")
    digest = json.loads(planned.stdout)["digest"]
    assert sandbox.run("apply", "plan.json", "--prune").returncode == 64
    assert sandbox.run("apply", "--expect", "sha256:" + "0" * 64, "--auto-approve").returncode == 5
    applied = sandbox.run("apply", "plan.json", "--expect", digest)
    assert applied.returncode == 0, applied.stderr
    again = sandbox.run("apply", "plan.json")
    assert again.returncode == 5
    assert "instance-profile/web" in again.stderr
