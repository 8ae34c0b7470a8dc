"""The examples of pipelines and cron jobs: each is parsed, its commands are taken out and run."""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import boto3
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from reconciler.cli.app import COMMANDS
from tests.notify.hosting import TOKEN, Hosted
from tests.program import ROOT, Program
from tests.receiver import receiver
from tests.rig import HOME

EXAMPLES = ROOT / "examples"
SETTINGS = "owner: pipe\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 0s\n"
SPEC = "roles:\n  app: {trust: ec2, instance_profile: true}\n"
SCHEMAS = [
    ("github-actions", "action.yml"),
    ("github-workflows", "examples/github/iam.yaml"),
    ("github-workflows", "examples/github/drift.yaml"),
    ("github-workflows", "examples/fleet/fleet.yaml"),
    ("github-workflows", ".github/workflows/test.yml"),
    ("github-workflows", ".github/workflows/release.yml"),
    ("github-issue-forms", ".github/ISSUE_TEMPLATE/bug.yml"),
    ("github-issue-forms", ".github/ISSUE_TEMPLATE/feature.yml"),
    ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
    ("dependabot", ".github/dependabot.yml"),
    ("gitlab-ci", "examples/gitlab/.gitlab-ci.yml"),
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = Program(tmp_path_factory.mktemp("pipelines"))
    with made.sandbox("instances: []\n"):
        yield made


@pytest.fixture
def program(sandbox: Program, tmp_path: Path) -> Program:
    """A repository with specs, and an account in which there is nothing of them."""
    made = Program(tmp_path, sandbox.endpoint)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "reconciler.yaml").write_text(SETTINGS)
    (tmp_path / "specs" / "app.yaml").write_text(SPEC)
    assert made.run("destroy", "--auto-approve", "--allow", "release=*", "-q").returncode == 0
    return made


def loaded(path: str) -> Any:
    return YAML(typ="safe", pure=True).load(ROOT / path)


def describe(program: Program, text: str) -> None:
    """As somebody does by hand."""
    iam = boto3.client(
        "iam",
        region_name=HOME,
        endpoint_url=program.endpoint,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    iam.update_role(RoleName="app", Description=text, MaxSessionDuration=3600)


@pytest.mark.parametrize(("schema", "path"), SCHEMAS, ids=lambda v: str(v).rpartition("/")[2])
def test_of_the_form_that_the_hoster_takes(schema: str, path: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, str(ROOT / path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def scripts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("run", "script") and isinstance(inner, str):
                yield inner
            else:
                yield from scripts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from scripts(inner)


@pytest.mark.parametrize(("schema", "path"), SCHEMAS, ids=lambda v: str(v).rpartition("/")[2])
def test_inputs_reach_shells_through_the_environment_only(schema: str, path: str) -> None:
    """``${{ … }}`` inside a script would be read as a part of it."""
    assert not [text for text in scripts(loaded(path)) if "${{" in text]


class Job:
    """What a job of GitHub's finds: files for its summary, outputs and environment, and a server
    for comments."""

    def __init__(self, program: Program, api: str = "") -> None:
        self.program = program
        self.files = {
            n: program.folder / n.lower()
            for n in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV")
        }
        self.environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(program.folder),
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_SERVER_URL": "https://git.example",
            "GITHUB_SHA": "abc",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_API_URL": api,
            "GITHUB_TOKEN": TOKEN,
            **{name: str(path) for name, path in self.files.items()},
        }
        for path in self.files.values():
            path.write_text("")

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.program.shell(script, **{**self.environment, **more})

    @property
    def summary(self) -> str:
        return self.files["GITHUB_STEP_SUMMARY"].read_text()

    @property
    def outputs(self) -> dict[str, str]:
        """As the runner reads them: ``name=value``, and values between marks."""
        found: dict[str, str] = {}
        lines = iter(self.files["GITHUB_OUTPUT"].read_text().splitlines())
        for line in lines:
            name, mark = re.split(r"<<|=", line, maxsplit=1)
            if "<<" not in line:
                found[name] = mark
                continue
            value = []
            while (inner := next(lines)) != mark:
                value.append(inner)
            found[name] = "\n".join(value)
        return found

    def play(self, path: str, name: str) -> dict[str, subprocess.CompletedProcess[str]]:
        """The steps of a job, but for what comes from the network, as the runner would run them:
        after a failure only those whose condition says so. By the first line of each."""
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        for step in loaded(path)["jobs"][name]["steps"]:
            failed = any(one.returncode for one in done.values())
            if "run" not in step or step["run"].startswith("pip install"):
                continue
            if self.runs(step.get("if", "success()"), failed):
                done[step.get("name", step["run"])] = self.run(step["run"])
        return done

    def runs(self, condition: str, failed: bool) -> bool:
        """The conditions that the examples use."""
        parts = condition.removeprefix("${{").removesuffix("}}").strip().split(" && ")
        if not any(part in ("!cancelled()", "success()") for part in parts):
            parts.append("success()")
        for part in parts:
            files = re.fullmatch(r"hashFiles\('([\w.]+)'\) != ''", part)
            assert files or part in ("!cancelled()", "success()"), part
            if files and not (self.program.folder / files[1]).exists():
                return False
            if part == "success()" and failed:
                return False
        return True


def steps_of(path: str, job: str) -> list[str]:
    """What the workflow runs, but for what it takes from the network."""
    runs = [step["run"] for step in loaded(path)["jobs"][job]["steps"] if "run" in step]
    return [run for run in runs if not run.startswith("pip install")]


def committed(program: Program) -> None:
    """The folder as a repository of git."""
    ignored = ".*\n*.json\n*.txt\n/digest\n/github_*\n"
    (program.folder / ".gitignore").write_text(ignored)
    git = "git init -q; git config user.email x@example.com; git config user.name x; "
    assert program.shell(f"{git} git add .; git commit -qm specs").returncode == 0


def test_a_pull_request_and_its_merge(program: Program) -> None:
    """The plan is said once and the comment edited; the digest goes to the merge under the name of
    the tree, and the merge comments what came of it."""
    folder, there = program.folder, Hosted("github")
    committed(program)
    with receiver(there) as server:
        job = Job(program, server.url)
        for _ in range(2):
            for run, done in job.play("examples/github/iam.yaml", "plan").items():
                assert done.returncode == 0, (run, done.stderr)
    assert len(there.comments) == 1
    assert "https://git.example/o/r/blob/abc/specs/app.yaml#L2" in there.bodies[0]
    assert "2 to add" in job.summary
    assert job.outputs["has_changes"] == "true"
    tree = job.files["GITHUB_ENV"].read_text().split()[0].removeprefix("TREE=")
    digest = (folder / "digest").read_text()
    assert digest.strip() == job.outputs["digest"]
    (folder / "digest").unlink()
    fetched = (
        f'case "$*" in "run download --name plan-{tree}") echo {digest.strip()} > digest ;; '
        '"api repos/o/r/commits/abc/pulls --jq"*) echo 7 ;; *) exit 1 ;; esac'
    )
    program.put(folder / ".bin" / "gh", fetched)
    with receiver(there) as server:
        job = Job(program, server.url)
        for run, done in job.play("examples/github/iam.yaml", "apply").items():
            assert done.returncode == 0, (run, done.stderr)
        assert "### reconciler apply" in job.summary
        assert len(there.comments) == 2
        assert "### reconciler apply" in there.bodies[1]
        describe(program, "x")
        played = job.play("examples/github/iam.yaml", "apply")
    stale = played["Apply exactly that"]
    assert stale.returncode == 5
    assert "role/app: update (description)" in stale.stderr


def test_a_plan_that_stops_is_commented_and_cannot_be_applied(program: Program) -> None:
    """A conflict (4) is what most needs a reader, and its digest must not reach the merge."""
    committed(program)
    assert program.run("apply", "--auto-approve").returncode == 0
    mine = program.folder / "specs" / "reconciler.yaml"
    mine.write_text(mine.read_text().replace("owner: pipe", "owner: other"))
    there = Hosted("github")
    with receiver(there) as server:
        job = Job(program, server.url)
        played = job.play("examples/github/iam.yaml", "plan")
    assert [(name, done.returncode) for name, done in played.items()] == [
        ("reconciler validate specs --report github=-", 0),
        ("Plan", 4),
        ("Comment", 0),
    ]
    assert "role/app" in there.bodies[0]
    assert not (program.folder / "digest").exists()
    mine.write_text(mine.read_text().replace("owner: other", "owner: pipe"))


def workflows() -> list[str]:
    return ["examples/github/iam.yaml", "examples/github/drift.yaml"]


def minutes(text: str) -> int:
    found = re.search(r"--max-time (\d+)m", text)
    assert found is not None
    return int(found[1])


OWN = [".github/workflows/test.yml", ".github/workflows/release.yml"]


@pytest.mark.parametrize("path", [*workflows(), "examples/fleet/fleet.yaml", "action.yml", *OWN])
def test_actions_are_pinned_by_commit(path: str) -> None:
    """A tag can be moved to other code, which would then hold the credentials."""
    lines = [line for line in (ROOT / path).read_text().splitlines() if "uses:" in line]
    assert lines
    for line in (line for line in lines if "uses: ./" not in line):
        assert re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_images_are_pinned_by_digest() -> None:
    image = loaded("examples/gitlab/.gitlab-ci.yml")["default"]["image"]
    for name in (image, *(dict(stage)["FROM"].split()[0] for stage in docker_stages())):
        assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", name)


@pytest.mark.parametrize("path", workflows())
def test_a_job_ends_before_its_session(path: str) -> None:
    """And its checkout leaves no token behind, and installs nothing by name alone."""
    for job in loaded(path)["jobs"].values():
        steps = {str(step.get("uses", "")).partition("@")[0]: step for step in job["steps"]}
        assert steps["actions/checkout"]["with"]["persist-credentials"] is False
        lasts = steps["aws-actions/configure-aws-credentials"]["with"]["role-duration-seconds"]
        installs = [step["run"] for step in job["steps"] if "pip install" in step.get("run", "")]
        assert ["--require-hashes" in one or "--no-deps" in one for one in installs] == [True, True]
        applies = [step["run"] for step in job["steps"] if " apply " in step.get("run", "")]
        for run in applies:
            assert minutes(run) * 60 <= lasts - 600
            assert minutes(run) + 10 <= job["timeout-minutes"]
        assert applies or job["timeout-minutes"] * 60 <= lasts


@pytest.mark.parametrize("path", OWN)
def test_jobs_of_this_repository_have_the_least(path: str) -> None:
    """Each has a time limit and what it needs, only the one that publishes may ask PyPI for a token,
    and none runs the code of the project with anything to steal."""
    made = loaded(path)
    assert made["permissions"] == {}
    for name, job in made["jobs"].items():
        rights = dict(job["permissions"])
        writes = {right for right, level in rights.items() if level == "write"}
        assert writes <= {"attest": {"id-token", "attestations"}, "page": {"contents"}}.get(
            name, {"id-token"} if name == "pypi" else set()
        )
        if "steps" not in job:  # another workflow, whose jobs have limits
            continue
        assert job["timeout-minutes"] <= 40
        steps = {str(step.get("uses", "")).partition("@")[0]: step for step in job["steps"]}
        if checkout := steps.get("actions/checkout"):
            assert checkout["with"]["persist-credentials"] is False
            assert not writes


def test_a_release_points_to_the_repository_that_made_it(tmp_path: Path) -> None:
    """pyproject.toml has no address: nobody knows it before."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert "urls" not in tomllib.loads(text)["project"]
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    steps = loaded(".github/workflows/release.yml")["jobs"]["build"]["steps"]
    scripts = {step["name"]: step["run"] for step in steps if "name" in step}
    version = tomllib.loads(text)["project"]["version"]
    given = {
        "GITHUB_SERVER_URL": "https://git.example",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_REF_NAME": f"v{version}",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def run(name: str, **more: str) -> int:
        command = ["bash", "-e", "-c", scripts[name]]
        return subprocess.run(command, cwd=tmp_path, env={**given, **more}, check=False).returncode

    assert run("The tag is of this version") == 0
    assert run("The tag is of this version", GITHUB_REF_NAME="v9.9.9") == 1
    assert run("Add the addresses of this repository") == 0
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"]["Repository"] == "https://git.example/o/r"
    assert project["urls"]["Changelog"].endswith(f"/blob/v{version}/CHANGELOG.md")
    assert project["version"] == version


def test_releases_run_on_each_python_that_is_promised() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "classifiers"
    ]
    promised = {c.rpartition(" ")[2] for c in classifiers if re.search(r":: 3\.\d+$", c)}
    unit = loaded(".github/workflows/test.yml")["jobs"]["unit"]
    assert set(unit["strategy"]["matrix"]["python"]) == promised


INSTALLS = [p for p in EXAMPLES.rglob("*.y*ml") if "pip install" in p.read_text("utf-8")]


@pytest.mark.parametrize("path", INSTALLS, ids=lambda p: p.name)
def test_nothing_is_installed_by_a_name_that_somebody_else_has(path: Path) -> None:
    """`reconciler` on PyPI is another project, so the release page of this one is named."""
    wheel = r"https://github\.com/ORG/reconciler/releases/download/v[\d.]+/reconciler-[\d.]+-py3-none-any\.whl"
    for line in path.read_text("utf-8").splitlines():
        if "pip install" in line and "--require-hashes" not in line:
            assert re.search(rf"--no-deps --only-binary :all: {wheel}", line), line


def needed(name: str, seen: set[str]) -> set[str]:
    """The distributions that one needs to run on Linux, itself included."""
    if name in seen:
        return seen
    seen.add(name)
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(canonicalize_name(requirement.name), seen)
    return seen


def test_everything_that_is_installed_has_a_hash() -> None:
    """The versions are those that the tests run with."""
    blocks = (EXAMPLES / "github" / "requirements.txt").read_text().replace("\\\n", "").splitlines()
    listed = {}
    for block in (line for line in blocks if line and not line.startswith("#")):
        name, version = block.split()[0].split("==")
        listed[canonicalize_name(name)] = version
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block)
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    assert needed("reconciler", set()) - {"reconciler"} <= listed.keys()
    assert {name: pinned[name] for name in listed} == listed


GH = """
cd "$(dirname "$0")/.."; echo "$*" >> calls
case "$1 $2" in
  "issue list") [ -f issue ] && cat number || true ;;
  "issue create") echo 5 > number; while [ $# -gt 1 ]; do [ "$1" = --body-file ] && cp "$2" issue; shift; done ;;
  "issue edit") [ "$3" = 5 ] && cp "$5" issue ;;
  "issue close") [ "$3" = 5 ] && rm issue ;;
  "label create") ;;
  *) exit 1 ;;
esac
"""


def test_one_issue_that_closes_itself(program: Program) -> None:
    look, tell = steps_of("examples/github/drift.yaml", "drift")
    program.put(program.folder / ".bin" / "gh", GH)
    issue, calls = program.folder / "issue", program.folder / "calls"

    def day() -> list[str]:
        calls.write_text("")
        job = Job(program)
        done = job.run(look)
        assert done.returncode == 0, done.stderr
        done = job.run(tell, HAS_DRIFT=job.outputs["has_drift"])
        assert done.returncode == 0, done.stderr
        return [" ".join(line.split()[:2]) for line in calls.read_text().splitlines()]

    assert day() == ["issue list", "label create", "issue create"]
    assert "role/app" in issue.read_text()
    program.run("apply", "--auto-approve")
    describe(program, "by hand")
    assert day() == ["issue list", "issue edit"]
    assert "UpdateRole by" in issue.read_text()
    describe(program, "")
    assert day() == ["issue list", "issue close"]
    assert day() == ["issue list"]
    (program.folder / "specs" / "app.yaml").write_text("roles: {app: {}}")
    assert Job(program).run(look).returncode != 0


def test_the_action(program: Program) -> None:
    """What the inputs hold stays text, whatever it is."""
    action = loaded("action.yml")
    script = action["runs"]["steps"][-1]["run"]
    there = Hosted("github")
    with receiver(there) as server:

        def acts(command: str, **more: str) -> tuple[int, dict[str, str], str]:
            job = Job(program, server.url)
            given = {name.upper(): str(i["default"]) for name, i in action["inputs"].items()}
            given |= {"COMMAND": command, **more}
            done = job.run(script, **{k: v for k, v in given.items() if k != "TOKEN"})
            return done.returncode, job.outputs, done.stdout + done.stderr

        for name, output in action["outputs"].items():
            assert output["value"] == f"${{{{ steps.run.outputs.{name} }}}}"
        assert acts("validate")[0] == 0
        code, outputs, _ = acts("plan")
        written = {*outputs}
        assert (code, outputs["has_changes"], outputs["add"]) == (0, "true", "2")
        assert len(there.comments) == 1
        assert acts("apply", EXPECT="sha256:" + "0" * 64)[:2] == (5, {"exit_code": "5"})
        code, applied, _ = acts("apply", EXPECT=outputs["digest"])
        assert (code, applied["exit_code"]) == (0, "0")
        describe(program, "x")
        code, outputs, _ = acts("drift", FLAGS="--json\n--only\nrole/*")
        assert (code, outputs["exit_code"], outputs["has_drift"]) == (0, "2", "true")
        assert written | applied.keys() | outputs.keys() == action["outputs"].keys()
        code, _, _ = acts("plan", SPECS="$(touch pwned); `touch pwned`", COMMENT="false")
        assert code == 1
        assert acts("$(touch pwned)")[0] == 64
    assert not (program.folder / "pwned").exists()


def test_on_gitlab(program: Program) -> None:
    pipeline = loaded("examples/gitlab/.gitlab-ci.yml")
    there = Hosted("gitlab")
    with receiver(there) as server:
        job = {"CI_API_V4_URL": server.url, "CI_PROJECT_ID": "o/r", "GITLAB_TOKEN": TOKEN}
        job |= {"CI_PROJECT_DIR": str(program.folder), "AWS_TOKEN": "t", "CI_JOB_TOKEN": TOKEN}
        registry = pipeline[".aws"]["variables"]["PLANS"]
        job["PLANS"] = registry.replace("$CI_API_V4_URL", server.url).replace(
            "$CI_PROJECT_ID", "o%2Fr"
        )

        def run(name: str, **more: str) -> int:
            lines = [
                line.replace("/tmp/aws-token", str(program.folder / "token"))
                for line in pipeline[name]["script"]
            ]
            return program.shell("\n".join(lines), **{**job, **more}).returncode

        assert run("validate") == 0
        assert json.loads((program.folder / "codequality.json").read_text()) == []
        assert run("plan", CI_MERGE_REQUEST_IID="7") == 0
        assert json.loads((program.folder / "tfplan.json").read_text()) == {
            "create": 2,
            "update": 0,
            "delete": 0,
        }
        assert len(there.comments) == 1
        assert [*there.packages.values()] == [
            json.loads((program.folder / "plan.json").read_text())["digest"] + "\n"
        ]
        reviewed = there.packages.copy()
        there.packages.clear()
        assert run("plan") == 0
        assert run("apply") == 22  # curl: nobody has reviewed a plan of these specs
        there.packages.update(dict.fromkeys(reviewed, f"sha256:{'0' * 64}\n"))
        assert run("apply") == 5
        there.packages.update(reviewed)
        assert run("apply") == 0
        assert run("drift") == 0
        describe(program, "x")
        assert run("drift") in pipeline["drift"]["allow_failure"]["exit_codes"]
        assert "<failure" in (program.folder / "drift.xml").read_text()
        assert run("apply") == 5
        mine = program.folder / "specs" / "reconciler.yaml"
        mine.write_text(mine.read_text().replace("owner: pipe", "owner: other"))
        assert run("plan", CI_MERGE_REQUEST_IID="7") == 4
        assert "Not ours" in there.bodies[1]
        assert there.packages == reviewed
        mine.write_text(mine.read_text().replace("owner: other", "owner: pipe"))
    for name in ("plan", "drift"):
        for kind, file in pipeline[name]["artifacts"]["reports"].items():
            assert kind in ("terraform", "junit")
            assert (program.folder / file).exists()


def test_with_atlantis(program: Program) -> None:
    """Atlantis names the file that a plan is kept in."""
    steps = loaded("examples/atlantis/repos.yaml")["workflows"]["reconciler"]
    plan, apply = (steps[name]["steps"][0]["run"] for name in ("plan", "apply"))
    kept = {"PLANFILE": str(program.folder / "default.tfplan")}
    planned = program.shell(plan, **kept)
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.startswith("### reconciler plan")
    assert program.shell(apply, **kept).returncode == 0
    describe(program, "x")
    assert program.shell(apply, **kept).returncode == 5
    workflow = loaded("examples/atlantis/atlantis.yaml")["projects"][0]["workflow"]
    assert workflow in loaded("examples/atlantis/repos.yaml")["workflows"]


def entries(program: Program) -> list[str]:
    page = (EXAMPLES / "cron" / "README.md").read_text()
    found = re.findall(r"^(?:\S+ ){4}\*  (.*)$", page, re.M)
    assert len(found) == 2
    return [line.replace("/srv/iam", str(program.folder)) for line in found]


def test_cron(program: Program) -> None:
    """Mail goes out where there is drift, and only there; with a baseline, for errors alone."""
    plain, with_baseline = entries(program)
    mail = program.folder / "mail.txt"
    program.put(program.folder / ".bin" / "mail", "cat > mail.txt")
    assert program.shell(plain).returncode == 0
    assert "role/app" in mail.read_text()
    mail.unlink()
    held = f"cd {program.folder}; flock .lock bash -c {json.dumps(plain)}"
    assert program.shell(held).returncode == 0
    assert not mail.exists()
    with receiver() as there:
        (program.folder / "secrets").write_text(f"export SLACK_WEBHOOK={there.url}/T0/x\n")
        for _ in range(2):
            assert program.shell(with_baseline).returncode == 0
        assert len(there.received) == 1
    assert not mail.exists()
    assert program.run("apply", "--auto-approve").returncode == 0
    assert program.shell(plain).returncode == 0
    assert not mail.exists()
    (program.folder / "specs" / "app.yaml").write_text("roles: {app: {}}")
    assert program.shell(with_baseline).returncode == 0
    assert mail.exists()


def test_systemd(program: Program) -> None:
    """Drift is no failure of the service; an error is."""
    unit, timer = configparser.ConfigParser(interpolation=None), configparser.ConfigParser()
    unit.optionxform = timer.optionxform = str  # type: ignore[assignment,method-assign]  # as units are read
    unit.read(EXAMPLES / "cron" / "reconciler-drift.service")
    timer.read(EXAMPLES / "cron" / "reconciler-drift.timer")
    assert timer["Timer"]["OnCalendar"].endswith("UTC")
    command = unit["Service"]["ExecStart"].replace("/usr/local/bin/", "")
    with receiver() as there:
        given = {"STATE_DIRECTORY": str(program.folder), "SLACK_WEBHOOK": f"{there.url}/T0/x"}
        done = program.shell(command, **given)
        assert done.returncode == int(unit["Service"]["SuccessExitStatus"]), done.stderr
        assert len(there.received) == 1
        metrics = (program.folder / "reconciler.prom").read_text()
        assert "\nreconciler_last_success_timestamp_seconds 1" in metrics
        (program.folder / "specs" / "app.yaml").write_text("roles: {app: {}}")
        assert program.shell(command, **given).returncode == 1


def bucket(program: Program, name: str) -> Any:
    s3 = boto3.client(
        "s3",
        region_name=HOME,
        endpoint_url=program.endpoint,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    s3.create_bucket(Bucket=name)
    return s3


def test_kubernetes(program: Program) -> None:
    job = loaded("examples/cron/cronjob.yaml")["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["timeZone"] == "Etc/UTC"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["command"] == ["sh", "-c"]
    script = container["args"][0].replace("/specs", "specs")
    s3 = bucket(program, "acme-iam")
    with receiver() as there:
        given = {"BUCKET": "acme-iam", "SLACK_WEBHOOK": f"{there.url}/x", "AWS_REGION": HOME}
        for _ in range(2):
            done = program.shell(script, **given)
            assert done.returncode == 0, done.stderr
        assert len(there.received) == 1
    assert s3.get_object(Bucket="acme-iam", Key="drift/last.json")["Body"].read()
    (program.folder / "specs" / "app.yaml").write_text("roles: {app: {}}")
    assert program.shell(script, **given).returncode == 1


def test_lambda(
    program: Program, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The handler is called as Lambda calls it: in a process that lives on."""
    path = EXAMPLES / "cron" / "lambda" / "handler.py"
    spec = importlib.util.spec_from_file_location("drift_handler", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bucket(program, "lambda-drift")
    with receiver() as there:
        for name, value in {
            **program.environment,
            "SPECS": str(program.folder / "specs"),
            "BASELINE": "s3://lambda-drift/last.json",
            "NOTIFY": f"webhook={there.url}/x",
        }.items():
            monkeypatch.setenv(name, value)
        assert module.handler({}, None) == {"exit_code": 2, "has_drift": True}
        assert module.handler({"flags": ["--only", "role/*"]}, None)["has_drift"]
        assert len(there.received) == 1
        assert program.run("apply", "--auto-approve").returncode == 0
        assert module.handler({}, None) == {"exit_code": 0, "has_drift": False}
        assert len(there.received) == 2
        (program.folder / "specs" / "app.yaml").write_text("roles: {app: {}}")
        with pytest.raises(RuntimeError, match="ended with 1"):
            module.handler({}, None)
    template = (path.parent / "template.yaml").read_text()
    assert "Handler: handler.handler" in template
    assert "MaximumRetryAttempts: 0" in template
    capfd.readouterr()


def test_the_action_lints_on_request(program: Program) -> None:
    """And installs what that takes."""
    action = loaded("action.yml")
    install, script = (step["run"] for step in action["runs"]["steps"][-2:])
    given = {name.upper(): str(i["default"]) for name, i in action["inputs"].items()}
    del given["TOKEN"]
    statement = "{Effect: Allow, Action: s3:GetObjekt, Resource: '*'}"
    (program.folder / "specs" / "app.yaml").write_text(
        f"roles: {{app: {{trust: ec2, inline_policies: {{p: {{Statement: [{statement}]}}}}}}}}"
    )
    program.put(program.folder / ".bin" / "python", '#!/bin/sh\necho "$@"\n')
    for wanted, extra in (("false", ""), ("true", "[lint]")):
        switched = {**given, "COMMAND": "validate", "LINT": wanted}
        done = Job(program).run(script, **switched)
        assert done.returncode == 0, done.stderr
        assert ("s3:GetObject" in done.stdout) is bool(extra)
        done = Job(program).run(install, ACTION_PATH="/the action", **switched)
        assert done.stdout.strip().endswith(f" /the action{extra}")


def test_pre_commit_hooks(program: Program) -> None:
    known = set(chain(*COMMANDS.values()))
    for hook in loaded(".pre-commit-hooks.yaml"):
        name, command, *flags = hook["entry"].split()
        assert name == "reconciler"
        assert command in known
        # A part of its own that is installed only if the hook says so.
        needs = [".[lint]"] if "--lint" in flags else []
        assert hook.get("additional_dependencies", []) == needs
        assert hook["language"] == "python"
        files = ["specs/app.yaml"] if hook.get("pass_filenames", True) else []
        assert re.match(hook["files"], "specs/app.yaml")
        assert program.shell(" ".join([hook["entry"], *files])).returncode == 0


def docker_stages() -> list[list[tuple[str, str]]]:
    """Instructions and what they say, by stage."""
    stages: list[list[tuple[str, str]]] = []
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, rest))
    return stages


def test_the_image_is_small_and_without_root() -> None:
    last = dict(docker_stages()[-1])
    assert "-slim@" in last["FROM"]
    assert last["USER"] == "10001"
    assert last["ENTRYPOINT"] == '["reconciler"]'
    kept = (ROOT / ".dockerignore").read_text().split()
    assert kept[0] == "*"
    for _, rest in (step for step in docker_stages()[0] if step[0] == "COPY"):
        for name in rest.split()[:-1]:
            assert f"!{name}" in kept


@pytest.mark.slow
def test_the_steps_of_the_image(tmp_path: Path) -> None:
    """No engine is at hand: they run in an empty prefix, and the program there works."""
    prefix = tmp_path / "image"
    for name, rest in docker_stages()[0]:
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copied = prefix / target.lstrip("/") / ("" if len(sources) == 1 else source)
                copied.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, copied)
        if name == "RUN":
            command = rest.replace("/opt/", f"{prefix}/opt/").replace("/src", f"{prefix}/src")
            command = command.replace("python -m venv", f"{sys.executable} -m venv")
            environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
            done = subprocess.run(
                ["sh", "-ec", command], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (command, done.stderr)
    program = prefix / "opt/reconciler/bin/reconciler"
    valid = subprocess.run([program, "validate", ROOT / "specs"], capture_output=True, check=False)
    assert valid.returncode == 0
    missing = subprocess.run([program, "sandbox"], capture_output=True, text=True, check=False)
    assert missing.returncode != 0
