"""The documents of shards as one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.cli.files import plan_or_drift, saved_plan
from reconciler.commands.planfile import saved_from
from reconciler.notify.pr_comments import bodies
from reconciler.render.formats import as_text
from reconciler.render.json.merge import is_drift
from reconciler.render.json.planfile import sealed
from tests.behaviour.test_fleet import account, four, refusing_in, roles_in
from tests.behaviour.test_shards import FLAGS, SHARDS
from tests.rig import Rig

__all__ = ["four"]


@pytest.fixture
def parts(four: Rig) -> Path:
    """Where the documents lie."""
    folder = four.folder.parent / "parts"
    folder.mkdir(exist_ok=True)
    return folder


def planned(four: Rig, parts: Path, *flags: str) -> list[str]:
    files = []
    for shard in SHARDS:
        files.append(str(parts / f"{shard[0]}.json"))
        made = ["plan", str(four.folder), "--shard", shard, "--out", files[-1], *FLAGS, *flags]
        assert run(made) == 0
    return files


def drifted(four: Rig, parts: Path) -> list[str]:
    files = []
    for shard in SHARDS:
        files.append(str(parts / f"{shard[0]}.json"))
        report = f"json={files[-1]}"
        run(["drift", str(four.folder), "--shard", shard, "--report", report, *FLAGS])
    return files


def whole(four: Rig, command: str) -> dict[str, Any]:
    file = four.folder.parent / "whole.json"
    out = ["--out", str(file)] if command == "plan" else ["--report", f"json={file}"]
    run([command, str(four.folder), *out, *FLAGS])
    made: dict[str, Any] = json.loads(file.read_text())
    return made


def merged(files: list[str]) -> dict[str, Any]:
    out = Path(files[0]).parent / "merged"
    assert run(["merge", *files, "--out", str(out)]) == 0
    made: dict[str, Any] = json.loads(out.read_text())
    return made


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """Nor the name of the session, which has the id of the run."""
    targets = [{**target, "caller": None} for target in document["targets"]]
    kept = {name: value for name, value in document.items() if name not in names}
    return {**kept, "targets": targets}


def test_plans_of_shards_are_the_plan_of_all_targets(four: Rig, parts: Path) -> None:
    """Also its digest, whatever the order of the files."""
    files = planned(four, parts)
    one, other = merged(files), whole(four, "plan")
    own = ("created_at", "file_digest", "api_calls", "seconds")
    assert without(one, *own) == without(other, *own)
    assert sum(one["api_calls"].values()) == sum(other["api_calls"].values())
    assert merged(files[::-1]) == one


def test_a_merged_plan_can_be_applied(four: Rig, parts: Path) -> None:
    file = parts / "plan.json"
    assert run(["merge", *planned(four, parts), "--out", str(file)]) == 0
    assert saved_from(saved_plan(file), "plan.json").request.shard is None
    assert run(["apply", str(file)]) == 0
    assert roles_in(four) == [account(n) for n in range(1, 5)]
    assert run(["apply", str(file)]) == 5


def test_drifts_of_shards_are_the_drift_of_all_targets(four: Rig, parts: Path) -> None:
    files = drifted(four, parts)
    one, other = merged(files), whole(four, "drift")
    own = ("created_at", "api_calls")
    assert without(one, *own) == without(other, *own)
    assert len(one["findings"]) == one["summary"]["missing"] == 4
    assert merged(files[::-1]) == one


def test_results_of_applies(four: Rig, parts: Path) -> None:
    """A run of one target does not name it: the merged one does."""
    files = []
    with refusing_in(four, "CreateRole", 2):
        for shard in SHARDS:
            files.append(str(parts / f"{shard[0]}.json"))
            flags = ["--shard", shard, "--auto-approve", "--report", f"json={files[-1]}"]
            run(["apply", str(four.folder), *flags, *FLAGS])
    outcome = merged(files)["outcome"]
    assert (outcome["exit_code"], outcome["applied"], outcome["failed"]) == (3, 3, 1)
    assert [(f["target"], f["address"]) for f in outcome["failures"]] == [("t2", "role/web")]
    assert outcome["left"] == ["role/web"]


def test_plans_of_targets_one_by_one(four: Rig, parts: Path) -> None:
    files = []
    for name in ("t3", "t1"):
        files.append(str(parts / name))
        assert run(["plan", str(four.folder), "--target", name, "--out", files[-1], *FLAGS]) == 0
    made = merged(files)
    assert [t["target"] for t in made["targets"]] == ["t1", "t3"]
    assert made["request"]["targets"] == ["t1", "t3"]
    flags = ["--target", "t1", "--target", "t3"]
    file = parts / "both.json"
    assert run(["plan", str(four.folder), *flags, "--out", str(file), *FLAGS]) == 0
    assert json.loads(file.read_text())["digest"] == made["digest"]


def test_without_out_the_document_is_printed(
    four: Rig, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = planned(four, parts)
    capsys.readouterr()
    assert run(["merge", *files]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["format_version"] == "1.0"
    assert "Merged 3 files: 4 targets." in shown.err


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (planned, ("json", "markdown", "comment", "github", "gitlab", "html")),
        (drifted, ("json", "markdown", "comment", "github", "gitlab", "html", "junit")),
    ],
)
def test_reports_are_those_of_the_document(
    four: Rig, parts: Path, make: Callable[..., list[str]], names: tuple[str, ...]
) -> None:
    files, to = make(four, parts), parts / "report"
    for name in names:
        assert run(["merge", *files, "--report", f"{name}={to}"]) == 0
        text = to.read_text("utf-8")
        assert text if name in ("github", "gitlab") else "web" in text
    for name in ("aws-cli", "text"):
        assert run(["merge", *files, "--report", f"{name}={to}"]) == 64


def test_a_job_of_github_gets_its_summary_and_outputs(
    four: Rig, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(parts / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(parts / "output"))
    files = drifted(four, parts)
    assert run(["merge", *files, "--report", f"github={parts / 'log'}"]) == 0
    assert "4 missing" in (parts / "summary").read_text()
    assert "has_drift" in (parts / "output").read_text()


def edited(file: str, change: Callable[[Any], object], *, seal: bool = True) -> None:
    """A document that was changed, with a digest as whoever can write the file can make."""
    document = json.loads(Path(file).read_text())
    change(document)
    if seal and "file_digest" in document:
        document = sealed(document)
    Path(file).write_text(as_text(document))


def refused(files: list[str], capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    capsys.readouterr()
    assert run(["merge", *files]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def test_a_missing_shard_is_an_error(
    four: Rig, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = planned(four, parts)
    assert "1 shard is missing: 2/3" in refused([files[0], files[2]], capsys)
    assert "2 shards are missing: 2/3, 3/3" in refused(files[:1], capsys)
    assert f"{files[0]} and {files[0]} are both shard 1/3" in refused([*files, files[0]], capsys)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update(owner="others"), "different owners: "),
        (lambda d: d.update(reconciler="9.9.9"), "different versions of reconciler: "),
        (lambda d: d["request"].pop("shard"), "different divisions: "),
        (lambda d: d["request"].update(shard="2/4"), "shards of 3"),
        (lambda d: d["request"].update(shard="9/3"), "numbered from 1/3 to 3/3, not 9/3"),
        (lambda d: d.update(specs_digest="sha256:" + "0" * 64), "are of different specs"),
        (lambda d: d["request"].update(adopt=True), "were made with different flags: adopt"),
        (lambda d: d["request"].update(targets=["t1"]), "with different flags: targets"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    four: Rig,
    parts: Path,
    change: Callable[[Any], object],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = planned(four, parts)
    edited(files[1], lambda d: (change(d), d.update(digest=_digest(d))))
    assert told in refused(files, capsys)


def _digest(document: Any) -> str:
    from reconciler.commands.planfile import intended_of  # noqa: PLC0415
    from reconciler.plan.plan import digest_of_intended  # noqa: PLC0415

    return digest_of_intended(intended_of(document))


def test_a_plan_and_a_drift_are_refused(
    four: Rig, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = planned(four, parts)
    (parts / "drifts").mkdir()
    drifts = drifted(four, parts / "drifts")
    told = refused([files[0], drifts[1]], capsys)
    assert f"different kinds: {files[0]} has a plan, {drifts[1]} has a drift" in told


def test_one_target_in_two_documents_is_refused(
    four: Rig, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for number, names in enumerate((["t1", "t2"], ["t2", "t3"])):
        files.append(str(parts / str(number)))
        flags = [flag for name in names for flag in ("--target", name)]
        assert run(["plan", str(four.folder), *flags, "--out", files[-1], *FLAGS]) == 0
    assert f"{files[0]} and {files[1]} both have the target t2" in refused(files, capsys)


def test_one_account_in_two_targets_is_refused(
    four: Rig, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each would take the resources of the other for its own."""
    files = drifted(four, parts)
    for file in files:
        edited(file, lambda d: [t.update(account_id="1" * 12) for t in d["targets"]])
    assert "are both account 111111111111" in refused(files, capsys)


HOSTILE = {
    "empty": "",
    "text": "no JSON",
    "list": "[]",
    "other": '{"a": 1}',
    "deep": "[" * 100_000,
    "latin": "\udcff",
    "half": '{"format_version": "1.0", "findings": [',
    "number": '{"findings": 1e999}',
    "escape": '{"findings": "\\u001b[31m##[group]"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_none_is_one_error(
    four: Rig, parts: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = planned(four, parts)
    Path(files[1]).write_text(HOSTILE[name], "utf-8", errors="surrogateescape")
    told = refused(files, capsys)
    assert told.count("Error") == 1 and files[1] in told
    assert "Traceback" not in told and "\x1b[31m" not in told


def test_every_broken_file_is_named(
    four: Rig, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = planned(four, parts)
    Path(files[0]).write_text("no JSON")
    Path(files[1]).unlink()
    (parts / "folder").mkdir()
    told = refused([*files, str(parts / "folder")], capsys)
    assert all(name in told for name in (files[0], files[1], str(parts / "folder")))


def test_a_plan_that_was_changed_is_refused(
    four: Rig, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = planned(four, parts)
    edited(files[1], lambda d: d.update(owner="evil"), seal=False)
    assert "its digest does not match its content" in refused(files, capsys, 5)
    files = planned(four, parts)
    edited(files[1], lambda d: d.update(owner="evil"))
    assert "its digest does not match its content" in refused(files, capsys, 5)


def test_one_comment_for_all_targets(four: Rig, parts: Path) -> None:
    file = parts / "merged.json"
    for make, kind in ((planned, "plan"), (drifted, "drift")):
        assert run(["merge", *make(four, parts), "--out", str(file)]) == 0
        document = plan_or_drift(file)
        assert is_drift(document) is (kind == "drift")
        assert len(bodies(document)) == 4
        ((key, body),) = bodies(document, together=True).items()
        assert key == f"{kind} all/tests"
        assert body.startswith(f"<!-- reconciler:{kind} v=1 key=all/tests")
        assert all(f"t{n}" in body for n in range(1, 5))


def test_a_shard_with_a_target_that_cannot_be_read(four: Rig, parts: Path) -> None:
    """It is what most needs a reader, in the document of all and in the comment."""
    files = []
    with refusing_in(four, "GetCallerIdentity", 2):
        for shard in SHARDS:
            files.append(str(parts / f"{shard[0]}.json"))
            run(["plan", str(four.folder), "--shard", shard, "--out", files[-1], *FLAGS])
    unread = {t["target"]: len(t["unread"]) for t in merged(files)["targets"]}
    assert unread == {"t1": 0, "t2": 1, "t3": 0, "t4": 0}
    ((_, body),) = bodies(plan_or_drift(parts / "merged"), together=True).items()
    assert "cannot be read: sts:GetCallerIdentity: AccessDenied" in body
