"""Plans, events, baselines and metrics that are not what they should be: one clear error each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.render.json.encode import json_text
from tests.program import Program
from tests.render.situations import everything, plan_report
from tests.sampling import sampled

SPEC = """
roles: {v1: {trust: ec2}, v2: {trust: ec2}}
instance_profiles: {web: {role: v1}}
"""
SETTINGS = """
owner: tests
regions: [us-east-1]
propagation: 0s
guards: {protected: ["instance-profile/*"]}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """v1 is applied, v2 in the specs, and its plan saved."""
    made = Program(tmp_path_factory.mktemp("others"))
    (made.folder / "specs").mkdir()
    settings = made.folder / "specs" / "reconciler.yaml"
    settings.write_text(SETTINGS.replace("instance-profile/*", "nothing"))
    (made.folder / "specs" / "web.yaml").write_text(SPEC)
    with made.sandbox("instances: []"):
        done = made.run("apply", "--auto-approve")
        assert done.returncode == 0, done.stdout + done.stderr
        settings.write_text(SETTINGS)
        text = SPEC.replace("role: v1", "role: v2")
        (made.folder / "specs" / "web.yaml").write_text(text)
        assert made.run("plan", "--out", "plan.json").returncode == 0
        yield made


def one_error(told: Any, code: int, said: str) -> None:
    assert told.returncode == code, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    assert said in told.stderr
    assert told.stderr.count("Error: ") == 1


EDITED: dict[str, Callable[[Any], object]] = {
    "a guard is lifted": lambda d: d["request"].update(allow=["protected=instance-profile/web"]),
    "prune": lambda d: d["request"].update(prune=True),
    "consumers": lambda d: d["targets"][0]["changes"][0]["consumers"].append("i-1"),
    "no guard": lambda d: d["targets"][0]["guards"].clear(),
    "a step": lambda d: d["targets"][0]["steps"].pop(),
    "another version": lambda d: d.update(reconciler="9"),
    "an outcome": lambda d: d.update(
        outcome=dict.fromkeys(("exit_code", "applied", "failed", "skipped"), 0)
        | {"interrupted": False, "failures": [], "left": None, "stranded": [], "advice": []}
    ),
}


@pytest.mark.parametrize("case", sampled(list(EDITED)[:3], list(EDITED)[3:]))
def test_an_edited_plan_file_is_refused(program: Program, case: str) -> None:
    document = json.loads((program.folder / "plan.json").read_text())
    EDITED[case](document)
    (program.folder / "edited.json").write_text(json.dumps(document))
    for flags in ((), ("--expect", document["digest"])):
        one_error(program.run("apply", "edited.json", *flags), 5, "changed after it was saved")
    job = {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "o/r", "GITHUB_REF": "refs/pull/7/merge"}
    one_error(
        program.run("comment", "github", "edited.json", **job), 5, "changed after it was saved"
    )


def test_a_plan_file_may_be_moved_and_reformatted(program: Program) -> None:
    """The file may be moved, formatted anew, and name another checkout; nothing else counts."""
    document = json.loads((program.folder / "plan.json").read_text())
    specs = program.folder / "specs"
    other = program.folder / "other" / "checkout"
    other.mkdir(parents=True)
    for path in specs.iterdir():
        (other / path.name).write_text(path.read_text())
    document["request"]["path"] = str(other)
    document["targets"][0]["changes"][0]["source"]["file"] = "x.yaml"
    (other.parent / "moved.json").write_text(json.dumps(document))
    for digest in (document["digest"], document["file_digest"]):
        told = program.run("apply", "other/moved.json", "--expect", digest)
        assert told.returncode == 4, told.stderr
        assert "protected" in told.stdout + told.stderr
    one_error(
        program.run("apply", "other/moved.json", "--expect", "sha256:" + "0" * 64),
        5,
        "differs from the approved one",
    )
    (other / "web.yaml").write_text(SPEC)
    one_error(program.run("apply", "other/moved.json"), 5, "the specs have changed")


@pytest.mark.parametrize("text", ["sha256:abc", "abc", "sha256:" + "G" * 64, "sha256:" + "²" * 64])
def test_an_invalid_digest_is_wrong_usage(program: Program, text: str) -> None:
    for path in ("specs", "plan.json"):
        one_error(program.run("apply", path, "--expect", text), 64, "--expect takes sha256:")


def test_environment_variables_do_not_change_a_saved_plan(program: Program) -> None:
    """They were set for the plan, and the plan holds what they said."""
    job = {
        "RECONCILER_OWNER": "elsewhere",
        "RECONCILER_TARGET": "prod",
        "RECONCILER_PARALLELISM": "3",
    }
    told = program.run("apply", "plan.json", **job)
    assert told.returncode == 4, told.stderr
    assert "protected" in told.stdout + told.stderr
    one_error(program.run("apply", "plan.json", "--owner", "tests"), 64, "planning flags cannot be")
    one_error(
        program.run("apply", "plan.json", "--target", "x", **job), 64, "planning flags cannot be"
    )
    one_error(
        program.run("apply", "plan.json", "--allow", "delete=1"), 64, "planning flags cannot be"
    )
    assert program.run("apply", RECONCILER_SPECS="plan.json", **job).returncode == 4


NO_PLANS = {
    "wrong types": json.dumps({"request": {"path": 5, "variables": [1], "regions": [1]}}).encode(),
    "brackets": b"[" * 100_000,
    "not UTF-8": b'{"a": "\xff"}',
    "nothing": b"",
    "binary": bytes(range(256)),
    "half": b'{"format_version": "1.0", ',
}


@pytest.mark.parametrize("case", NO_PLANS)
def test_an_invalid_plan_file(program: Program, case: str) -> None:
    (program.folder / "no.json").write_bytes(NO_PLANS[case])
    job = {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "o/r", "GITHUB_REF": "refs/pull/7/merge"}
    one_error(program.run("apply", "no.json"), 1, "no.json is not a plan ")
    one_error(program.run("comment", "github", "no.json", **job), 1, "no.json is not a plan ")


EVENTS = {
    "a list": b"[1]",
    "a number": b'{"pull_request": 5}',
    "a text for a number": b'{"pull_request": {"number": "7"}}',
    "below zero": b'{"issue": {"number": -7}}',
    "no JSON": b"{not json",
    "brackets": b"[" * 100_000,
    "not UTF-8": b"\xff\xfe",
    "null": b"null",
}


@pytest.mark.parametrize("case", sampled(list(EVENTS)[:3], list(EVENTS)[3:]))
def test_an_invalid_github_event(tmp_path: Path, case: str) -> None:
    program = Program(tmp_path)
    (tmp_path / "plan.json").write_text(json_text(plan_report(everything()[0]).document))
    (tmp_path / "event.json").write_bytes(EVENTS[case])
    job = {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "o/r", "GITHUB_EVENT_PATH": "event.json"}
    told = program.run("comment", "github", "plan.json", **job)
    one_error(told, 1, "GITHUB_EVENT_PATH: event.json is not a GitHub event")


@pytest.mark.parametrize("text", ["{}", '{"pull_request": null}', '{"ref": "x"}'])
def test_an_event_without_a_pull_request(tmp_path: Path, text: str) -> None:
    program = Program(tmp_path)
    (tmp_path / "plan.json").write_text(json_text(plan_report(everything()[0]).document))
    (tmp_path / "event.json").write_text(text)
    job = {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "o/r", "GITHUB_EVENT_PATH": "event.json"}
    one_error(program.run("comment", "github", "plan.json", **job), 64, "--number is needed")
    lab = {"GITLAB_TOKEN": "x", "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "²"}
    one_error(program.run("comment", "gitlab", "plan.json", **lab), 64, "--number is needed")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[" * 100_000, b"[]", b"{}", b'{"findings": 5}'])
def test_an_invalid_baseline(program: Program, data: bytes) -> None:
    (program.folder / "last.json").write_bytes(data)
    told = program.run("drift", "--baseline", "last.json")
    one_error(told, 1, "last.json is not a baseline written by drift")
    assert (program.folder / "last.json").read_bytes() == data


def test_an_invalid_metrics_file_is_not_overwritten(program: Program) -> None:
    """It is somebody's picture: not written over. Findings are told all the same."""
    (program.folder / "picture").write_bytes(b"\xff\xd8")
    told = program.run("drift", "--metrics", "prometheus=picture")
    one_error(told, 1, "picture")
    assert "instance-profile/web" in told.stdout
    assert (program.folder / "picture").read_bytes() == b"\xff\xd8"
    last = "reconciler_last_success_timestamp_seconds"
    for value in ("..", "1e999", "²", "9" * 5_000):
        (program.folder / "odd").write_text(f"{last} {value}\n")
        assert program.run("drift", "--metrics", "prometheus=odd").returncode == 2
        assert last in (program.folder / "odd").read_text()


@pytest.mark.parametrize(
    "value", ["delete=²", "delete=" + "9" * 5_000, "change=٣", "delete=-1", "delete=1.0"]
)
def test_allow_rejects_invalid_numbers(program: Program, value: str) -> None:
    for command in ("plan", "apply", "destroy"):
        told = program.run(command, "--allow", value)
        one_error(told, 64, "takes a number")
        assert len(told.stderr) < 500


@pytest.mark.parametrize(
    "command", ["plan --json", "drift --json", "plan --out saved.json -q", "apply --json"]
)
def test_output_contains_no_runner_commands(program: Program, command: str) -> None:
    """GitHub's runner obeys ``##[…]`` anywhere in a line."""
    evil = "##[set-output name=digest;]sha256:evil ##vso[x]y"
    spec = program.folder / "specs" / "web.yaml"
    before = spec.read_text()
    spec.write_text(
        before.replace("v1: {trust: ec2}", f"v1: {{trust: ec2, description: '{evil}'}}")
    )
    try:
        told = program.run(*command.split())
        said = told.stdout + told.stderr
        if "--out" in command:
            said += (program.folder / "saved.json").read_text()
        assert "set-output" in said
        assert "##[" not in said
        assert "##vso[" not in said
    finally:
        spec.write_text(before)


@pytest.mark.parametrize(
    "command", ["validate", "validate --format concise", "fmt --check", "plan"]
)
def test_a_file_name_that_is_a_runner_command(tmp_path: Path, command: str) -> None:
    """A pull request names files as it likes, and GitHub's runner obeys a line that begins so."""
    program = Program(tmp_path)
    (tmp_path / "::add-mask::x.yaml").write_text("roles: {a:   {trst: ec2}}\n")
    name, *flags = command.split()
    told = program.run(name, *flags, ".")
    assert told.returncode == 1
    said = (told.stdout + told.stderr).splitlines()
    assert [line for line in said if "add-mask" in line]
    assert not [line for line in said if line.strip().startswith("::")]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, device, Path.mkdir])
def test_input_files_must_be_regular_files(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe that nobody writes to would be waited for without end."""
    program = Program(tmp_path)
    make(tmp_path / "odd.json")
    (tmp_path / "plan.json").write_text(json_text(plan_report(everything()[0]).document))
    job = {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "o/r"}
    told = program.run("comment", "github", "odd.json", **job, GITHUB_REF="refs/pull/7/merge")
    one_error(told, 1, "odd.json")
    told = program.run("comment", "github", "plan.json", **job, GITHUB_EVENT_PATH="odd.json")
    one_error(told, 1, "odd.json")
    (tmp_path / "a.yaml").write_text("roles: {a: {trust: ec2}}\n")
    one_error(program.run("drift", "a.yaml", "--baseline", "odd.json"), 1, "odd.json")
