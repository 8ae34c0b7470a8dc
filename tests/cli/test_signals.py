"""What the machines that run it do to it: signals, streams that close, no network, no terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.cli.app import run
from reconciler.cli.signals import MEANT_SECONDS
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.state import World
from tests.cli.test_commands import Shell
from tests.program import ROOT
from tests.rig import HOME
from tests.sampling import sampled
from tests.test_pipelines import Job, loaded

SEED = "instances:\n  - {count: 1, tags: {app: web}}\n"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def slow(shell: Shell) -> Iterator[Shell]:
    """An instance holds v1, and the specs want v2; a profile takes its time to come and go."""
    shell.write("v1")
    with shell.sandbox(SEED, "--disassociating", "4", "--associating", "2"):
        assert shell.run("apply", "--auto-approve").returncode == 0
        shell.write("v2")
        yield shell


def profiles(shell: Shell) -> list[str]:
    """Of all instances, those that are on their way off left out."""
    client = boto3.client(
        "ec2",
        region_name=HOME,
        endpoint_url=shell.endpoint,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    rows = client.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    return [
        row["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        for row in rows
        if row["State"] != "disassociating"
    ]


def until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


@pytest.mark.slow
def test_a_cancelled_github_job_restores_the_instances(slow: Shell) -> None:
    """The runner signals the shell of the action's own script alone, and kills all in the end.
    Source: github.com/actions/runner, src/Runner.Sdk/ProcessInvoker.cs"""
    action = loaded("action.yml")
    given = {name.upper(): str(i["default"]) for name, i in action["inputs"].items()}
    given |= {"COMMAND": "apply", "FLAGS": ""}
    given.pop("TOKEN")
    script = slow.folder / "step.sh"
    script.write_text(action["runs"]["steps"][-1]["run"])
    folder = slow.folder / ".bin"
    slow.put(folder / "reconciler", f'exec {" ".join(slow.command())} "$@"')
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    step = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
        cwd=slow.folder,
        env={**slow.environment, **Job(slow).environment, **given, **path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(step, "disassociate the profile")
    step.send_signal(signal.SIGINT)
    time.sleep(7.5)
    step.send_signal(signal.SIGTERM)
    time.sleep(2.5)
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.killpg(step.pid, signal.SIGKILL)
    step.communicate()
    assert profiles(slow) == ["web"]
    assert slow.run("apply", "--auto-approve").returncode == 0


def test_the_action_returns_the_exit_code_after_a_signal(shell: Shell) -> None:
    """The signal is handed on, and does not hide the exit code."""
    action = loaded("action.yml")
    script = action["runs"]["steps"][-1]["run"]
    folder = shell.folder / ".bin"
    shell.put(folder / "reconciler", 'trap "exit 130" TERM; echo ready >&2; sleep 20 & wait')
    given = {"COMMAND": "apply", "SPECS": "specs", "EXPECT": "", "FLAGS": ""}
    job = Job(shell)
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    step = subprocess.Popen(
        ["bash", "-e", "-c", script],
        cwd=shell.folder,
        env={**shell.environment, **job.environment, **given, **path},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(step, "ready")
    step.send_signal(signal.SIGINT)
    try:
        step.communicate(timeout=7.5)
    except subprocess.TimeoutExpired:
        # A signal in the instant before `wait` is seen when that ends. A runner sends two.
        step.send_signal(signal.SIGTERM)
        step.communicate(timeout=30)
    assert step.returncode == 130
    assert job.outputs == {"exit_code": "130"}


@pytest.mark.parametrize("name", sampled(["SIGTERM"], ["SIGHUP"]))
def test_a_signal_restores_the_instances(slow: Shell, name: str) -> None:
    process = slow.start("apply", "--auto-approve")
    until(process, "disassociate the profile")
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Interrupted" in out
    assert profiles(slow) == ["web"]


def test_a_second_interrupt_stops_at_once(slow: Shell) -> None:
    """It stops at once, so nothing can be looked at any more; but not without a word."""
    process = slow.start("apply", "--auto-approve")
    until(process, "disassociate the profile")
    process.send_signal(signal.SIGINT)
    until(process, "Stopping")
    time.sleep(MEANT_SECONDS)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    last = err.splitlines()[-1]
    assert "instances may be without their profile" in last
    assert "apply again" in last
    assert slow.run("apply", "--auto-approve").returncode == 0
    assert profiles(slow) == ["web"]


@pytest.mark.slow
def test_an_apply_under_nohup(slow: Shell) -> None:
    process = subprocess.Popen(
        ["nohup", *slow.command("apply", "--auto-approve")],
        cwd=slow.folder,
        env=slow.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(process, "disassociate the profile")
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


@pytest.mark.parametrize(
    ("flags", "stream"),
    sampled(
        [(("--json",), "both")],
        [
            ((), "stdout"),
            ((), "stderr"),
            ((), "both"),
            (("--json",), "stdout"),
            (("--json",), "stderr"),
        ],
    ),
)
def test_apply_continues_after_its_output_is_closed(
    slow: Shell, stream: str, flags: tuple[str, ...]
) -> None:
    """The instance is brought to its end all the same, and a report is written."""
    report = slow.folder / "report.json"
    process = slow.start("apply", "--auto-approve", "--report", f"json={report}", *flags)
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stdout if flags else process.stderr
    for line in said:
        if "disassociate the profile" in line:
            break
    if stream in ("stdout", "both"):
        process.stdout.close()
    if stream in ("stderr", "both"):
        process.stderr.close()
    rest = "".join(one.read() for one in (process.stdout, process.stderr) if not one.closed)
    assert process.wait(60) == (0 if stream == "stderr" else 1), rest
    process.stdout.close()
    process.stderr.close()
    assert "Traceback" not in rest
    assert "Exception ignored" not in rest
    assert json.loads(report.read_text())["outcome"]["exit_code"] == 0
    assert slow.run("plan", "--detailed-exitcode").returncode == 0


def test_a_network_outage(shell: Shell) -> None:
    shell.write("v1")
    with shell.sandbox(SEED, "--outage", "DisassociateIamInstanceProfile:4"):
        assert shell.run("apply", "--auto-approve").returncode == 0
        shell.write("v2")
        began = time.monotonic()
        applied = shell.run("apply", "--auto-approve")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        assert time.monotonic() - began > 4
        assert profiles(shell) == ["web"]
        assert shell.run("drift").returncode == 0


MFA = """
[profile home]
aws_access_key_id = x
aws_secret_access_key = x
[profile admin]
role_arn = arn:aws:iam::123456789012:role/admin
source_profile = home
mfa_serial = arn:aws:iam::123456789012:mfa/me
"""


@pytest.mark.parametrize("name", sampled(["SIGTERM"], ["SIGINT", "SIGHUP"]))
def test_a_signal_while_aws_is_read(name: str, tmp_path: Path) -> None:
    """Nothing is planned yet: it ends at once, and says so."""
    (tmp_path / "spec.yaml").write_text("roles: {a: {trust: ec2}}\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = Shell(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        process = asked.start("plan", "spec.yaml")
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.Signals[name])
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "Error: interrupted" in err


DENIED = (
    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
)


def test_nohup(tmp_path: Path) -> None:
    """It goes on when its terminal goes, and ends with the response that it waited for."""
    (tmp_path / "spec.yaml").write_text("roles: {a: {trust: ec2}}\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = Shell(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        process = subprocess.Popen(
            ["nohup", *asked.command("plan", "spec.yaml")],
            cwd=tmp_path,
            env=asked.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGHUP)
            head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(DENIED)}\r\n\r\n"
            connection.sendall(head.encode() + DENIED)
            _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "AccessDenied" in err


IDENTITY = b"""<GetCallerIdentityResponse><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/x</Arn><UserId>x</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


@contextlib.contextmanager
def aws_that_hangs() -> Iterator[tuple[str, threading.Event]]:
    """Says who is asking, and responds to nothing else. The event is set when it was asked."""
    asked = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if b"GetCallerIdentity" not in body:
                asked.set()
                self.rfile.read(1)  # until the other end is gone
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(IDENTITY)))
            self.end_headers()
            self.wfile.write(IDENTITY)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize(
    ("name", "arguments"),
    sampled(
        [("SIGINT", ("plan", "spec.yaml"))],
        [
            ("SIGTERM", ("apply", "spec.yaml", "--auto-approve")),
            ("SIGHUP", ("drift", "spec.yaml", "--json")),
            ("SIGINT", ("import", "--all", "--out", "made", "--region", HOME)),
        ],
    ),
)
def test_a_signal_while_reads_hang(name: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """The reads run in threads of their own, which botocore gives up after eight minutes."""
    (tmp_path / "spec.yaml").write_text("roles: {a: {trust: ec2}}\n")
    with aws_that_hangs() as (url, asked):
        process = Shell(tmp_path, url).start(*arguments)
        try:
            assert asked.wait(30)
            process.send_signal(signal.Signals[name])
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "Error: interrupted" in err


LATE = """
import atexit, os, signal, sys
from reconciler.cli.app import main
atexit.register(os.kill, os.getpid(), signal.{name})
sys.argv = ["reconciler", "version"]
main()
"""


@pytest.mark.parametrize("name", sampled(["SIGINT"], ["SIGTERM", "SIGHUP"]))
def test_a_signal_during_shutdown_changes_nothing(name: str) -> None:
    """Python takes a moment to end: the exit code is that of the work, and nothing is added."""
    command = [sys.executable, "-c", LATE.format(name=name)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


TWICE = """
import os, signal, sys
from reconciler.cli import app
from reconciler.cli.console import Console

def aws():
    os.kill(os.getpid(), signal.{first})

def error(self, text, hint=""):
    os.kill(os.getpid(), signal.{second})
    print("Error:", text, file=sys.stderr)

Console.error, sys.argv = error, ["reconciler", "aws"]
app.app.command()(aws)
app.main()
"""


@pytest.mark.parametrize("first", sampled(["SIGTERM"], ["SIGINT"]))
@pytest.mark.parametrize("second", sampled(["SIGTERM"], ["SIGINT", "SIGHUP"]))
def test_a_second_signal_on_the_way_out_changes_nothing(first: str, second: str) -> None:
    """GNU timeout sends SIGTERM twice at once, systemd SIGTERM and SIGHUP."""
    command = [sys.executable, "-c", TWICE.format(first=first, second=second)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "Error: interrupted\n")


@pytest.mark.parametrize("flags", [("plan",), ("apply", "--no-input"), ("drift", "--json")])
def test_mfa_without_a_terminal(shell: Shell, flags: tuple[str, ...]) -> None:
    shell.write()
    (shell.folder / "config").write_text(MFA)
    told = shell.run(*flags, "--profile", "admin", AWS_CONFIG_FILE=str(shell.folder / "config"))
    assert told.returncode == 1
    assert "profile 'admin' needs an MFA code" in told.stderr
    assert "sign in first" in told.stderr
    assert "GetPassWarning" not in told.stderr
    assert "Enter MFA" not in told.stdout + told.stderr


def test_unknown_expiry_of_credentials_is_a_warning(slow: Shell) -> None:
    """It is told where a cut-over is planned, and only there."""
    told = slow.run("plan", AWS_SESSION_TOKEN="token")
    assert told.returncode == 0
    assert "warning[credentials-expire]" in told.stderr
    assert "--max-time" in told.stderr
    assert "credentials-expire" not in slow.run("plan").stderr
    slow.write("v1")
    assert "credentials-expire" not in slow.run("plan", AWS_SESSION_TOKEN="token").stderr


def test_an_apply_has_one_run_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The mark in AWS names the run that the user agent of every request names."""
    shell = Shell(tmp_path)
    monkeypatch.chdir(tmp_path)
    with embedded(World(regions=(HOME,))) as world:
        shell.write("v1")
        ec2: Any = boto3.client("ec2", region_name=HOME)
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": "web"}]}]
        ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=tags)
        assert run(["apply", "--auto-approve"]) == 0
        shell.write("v2")
        world.log.clear()
        assert run(["apply", "--auto-approve"]) == 0
    marks = [
        tag["Value"].rpartition("/")[2]
        for logged in world.log
        if logged.operation == "TagInstanceProfile"
        for tag in logged.params["Tags"]
        if tag["Value"].startswith("pending/")
    ]
    agents = {re.findall(r"run/(\w+)", logged.user_agent)[0] for logged in world.log}
    assert marks
    assert set(marks) == agents
    assert len(agents) == 1
    capfd.readouterr()


def test_a_drift_has_one_run_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What it keeps and sends has the run of what it read."""
    shell = Shell(tmp_path)
    monkeypatch.chdir(tmp_path)
    agents: dict[str, str] = {}

    def note(request: Any, **_: Any) -> None:
        agents[request.url.partition(".")[0]] = str(request.headers["User-Agent"])

    real = boto3.Session

    def session(*given: Any, **more: Any) -> Any:
        made = real(*given, **more)
        made.events.register("before-send.*.*", note)
        return made

    with embedded(World(regions=(HOME,))):
        shell.write("v1")
        boto3.client("s3", region_name=HOME).create_bucket(Bucket="kept")
        monkeypatch.setattr(boto3, "Session", session)
        assert run(["drift", "--baseline", "s3://kept/drift.json"]) == 2
    assert {"https://kept", "https://iam"} <= agents.keys()
    runs = {name: re.findall(r"run/(\w+)", str(agent)) for name, agent in agents.items()}
    assert len({tuple(found) for found in runs.values()}) == 1, runs
    capfd.readouterr()


def test_examples_of_an_apply_replace_their_shell() -> None:
    """A shell does not hand signals on."""
    found = 0
    for path in (ROOT / "examples").rglob("*"):
        if path.suffix not in (".yaml", ".yml", ".service"):
            continue
        for line in path.read_text().splitlines():
            if re.search(r"\breconciler (apply|destroy)\b", line):
                found += 1
                assert re.search(r"(exec |ExecStart=\S*)reconciler", line), (path, line)
    assert found >= 3
