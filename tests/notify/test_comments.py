"""One comment for each account, edited in place, on GitHub and on GitLab."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import DeliveryError
from reconciler.exit_codes import ExitCode
from reconciler.notify.code_hosts import GitHub, GitLab
from reconciler.notify.pr_comments import Hoster, bodies, key_of, post
from reconciler.notify.webhook import Web
from reconciler.render.json.apply import outcome_json
from tests.notify.hosting import TOKEN, Hosted
from tests.program import Program
from tests.receiver import receiver
from tests.render.situations import change, drift_report, everything, plan_document, plan_report

KEY = "plan 123456789012/tests"


@pytest.fixture(params=["github", "gitlab"])
def hosted(request: pytest.FixtureRequest) -> Iterator[tuple[Hosted, Hoster]]:
    made = Hosted(request.param)
    with receiver(made) as there:
        kind = GitHub if request.param == "github" else GitLab
        yield made, kind(there.url, "o/r", 7, TOKEN, Web(lambda _: None))


def body(*changes: Any, digest: str = "0") -> str:
    document = {**plan_document(*changes), "digest": "sha256:" + digest * 64}
    return bodies(document)[KEY]  # type: ignore[arg-type]  # a plan document


def test_a_comment_is_created_once_and_then_edited(hosted: tuple[Hosted, Hoster]) -> None:
    there, hoster = hosted
    there.write("LGTM")
    assert post(hoster, KEY, body(change())) == "created"
    assert post(hoster, KEY, body(change())) == "unchanged"
    assert post(hoster, KEY, body(digest="1")) == "edited"
    assert there.bodies == ["LGTM", body(digest="1")]
    assert "key=123456789012/tests digest=sha256:1111" in there.bodies[1]


def test_a_comment_is_found_on_a_later_page(hosted: tuple[Hosted, Hoster]) -> None:
    there, hoster = hosted
    for number in range(230):
        there.write(f"comment {number}", system=number % 2 == 0)
    post(hoster, KEY, body())
    for number in range(150):
        there.write(f"later {number}")
    assert post(hoster, KEY, body(change())) == "edited"
    assert len(there.comments) == 381


def test_the_comment_of_another_account_is_kept(hosted: tuple[Hosted, Hoster]) -> None:
    there, hoster = hosted
    other = body().replace("123456789012", "210987654321")
    there.write(other)
    assert post(hoster, KEY, body()) == "created"
    assert there.bodies[0] == other


def test_a_marker_copied_by_another_user_is_skipped(hosted: tuple[Hosted, Hoster]) -> None:
    there, hoster = hosted
    there.theirs.add(there.write(body(digest="6")))
    assert post(hoster, KEY, body()) == "created"
    assert post(hoster, KEY, body(change())) == "edited"
    assert there.bodies == [body(digest="6"), body(change())]


def test_concurrent_jobs_leave_one_comment(hosted: tuple[Hosted, Hoster]) -> None:
    there, hoster = hosted
    there.write(body())
    there.write(body())
    assert post(hoster, KEY, body(change())) == "edited"
    assert there.bodies == [body(change())]


def test_a_wrong_token(hosted: tuple[Hosted, Hoster]) -> None:
    _, hoster = hosted
    kind, api = type(hoster), hoster.api  # type: ignore[attr-defined]  # both have it
    with pytest.raises(DeliveryError, match="Bad credentials") as caught:
        post(kind(api, "o/r", 7, "wrong"), KEY, body())  # type: ignore[call-arg]  # both take it
    assert caught.value.status == 401
    assert "wrong" not in repr(kind(api, "o/r", 7, "wrong"))  # type: ignore[call-arg]  # as above


def test_a_comment_for_each_account() -> None:
    document = plan_document(change())
    other = {**document["targets"][0], "target": "prod --> x", "account_id": "210987654321"}
    document["targets"].append({**other, "changes": []})
    made = bodies(document)
    assert list(made) == [KEY, "plan 210987654321/tests/prod%20--%3E%20x"]
    assert all(key_of(text) == key for key, text in made.items())
    assert "1 to change" in made[KEY]
    assert "no changes" in made["plan 210987654321/tests/prod%20--%3E%20x"]


def test_each_kind_has_a_comment_of_its_own(hosted: tuple[Hosted, Hoster]) -> None:
    """The result of an apply does not overwrite the plan that was reviewed."""
    there, hoster = hosted
    planned, _, drift = everything()
    plan = plan_report(planned).document
    applied = {**plan, "outcome": outcome_json(None, ExitCode.UNDECIDED)}
    found = drift_report(drift).document
    documents: list[Any] = [plan, applied, found, applied, found]
    for document in documents:
        ((key, text),) = bodies(document).items()
        post(hoster, key, text)
    titles = [text.splitlines()[2].split(" · ")[0] for text in there.bodies]
    assert titles == ["### reconciler plan", "### reconciler apply", "### reconciler drift"]
    assert [key_of(text) for text in there.bodies] == [
        f"{kind} 123456789012/tests" for kind in ("plan", "apply", "drift")
    ]


def test_a_comment_tells_of_its_own_account_only() -> None:
    document: Any = copy.deepcopy(drift_report(everything()[2]).document)
    other = {**document["targets"][0], "target": "prod", "account_id": "210987654321"}
    document["targets"].append(other)
    theirs = {**document["findings"][0], "target": "prod", "address": "role/elsewhere"}
    document["findings"].append(theirs)
    own, prod = bodies(document).values()
    assert "elsewhere" not in own
    assert f"1 {theirs['status']}" in prod.splitlines()[2]
    assert "`role/elsewhere`" in prod
    assert len(re.findall(r"^\| (?!Status|---)", prod, re.M)) == 1

    plan = plan_document(change())
    failures: list[Any] = [
        {"target": name, "address": f"role/{name}", "what": "iam:CreateRole", "status": "failed",
         "reason": "refused", "request_id": "", "remaining": [], "source": None}
        for name in ("default", "prod")
    ]  # fmt: skip
    plan["targets"].append({**plan["targets"][0], "target": "prod"})
    plan["outcome"] = {**outcome_json(None, ExitCode.PARTLY_APPLIED), "failures": failures}
    own, prod = bodies(plan).values()
    assert ("role/default" in own, "role/prod" in own) == (True, False)
    assert ("role/default" in prod, "role/prod" in prod) == (False, True)


def test_the_largest_plan_fits(hosted: tuple[Hosted, Hoster]) -> None:
    there, hoster = hosted
    many = [change(f"role/r{n}", reason="ü" * 300) for n in range(2_000)]
    assert post(hoster, KEY, body(*many)) == "created"
    assert len(there.bodies[0]) < 65_536
    assert "2000 to change" in there.bodies[0]


def test_the_comment_command_in_a_github_job(tmp_path: Path) -> None:
    """What the job knows is taken from its variables; the token is never said."""
    saved = tmp_path / "plan.json"
    saved.write_text(json.dumps(plan_report(everything()[0]).document))
    there = Hosted("github")
    job = {"GITHUB_REPOSITORY": "o/r", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_SHA": "abc"}
    job |= {"GITHUB_SERVER_URL": "https://git.example", "GITHUB_WORKSPACE": str(Path.cwd())}
    with receiver(there) as server:
        job["GITHUB_API_URL"] = server.url
        program = Program(tmp_path)
        done = program.run("comment", "github", "plan.json", **job, GITHUB_TOKEN=TOKEN)
        assert done.returncode == 0, done.stderr
        assert "plan 123456789012/tests: created" in done.stderr
        refused = program.run("comment", "github", "plan.json", **job, GITHUB_TOKEN="wr0ng")
    assert len(there.comments) == 1
    assert refused.returncode == 1
    assert "pull-requests: write" in refused.stderr
    assert "wr0ng" not in refused.stderr
    assert program.run("comment", "github", "plan.json", **job).returncode == 1
    lonely = program.run("comment", "gitlab", "plan.json", GITLAB_TOKEN=TOKEN)
    assert lonely.returncode == 64
    saved.write_text("{}")
    assert program.run("comment", "github", "plan.json", **job).returncode == 1
