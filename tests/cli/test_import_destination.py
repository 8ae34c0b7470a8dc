"""What is imported becomes a part of the set that it is written into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.importer.terraform_states import SECRET, iam, resource, stored
from tests.program import Program

SETTINGS = "owner: mine\ntag_prefix: 'acme:iam/'\nregions: [us-east-1]\npropagation: 0s\n"
SPEC = "roles: {prefixed: {trust: ec2, tags: {a: b}}}\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A role that a set with a prefix of its own has made, and one that nobody has."""
    made = Program(tmp_path_factory.mktemp("import"))
    with made.sandbox("instances: []"):
        for name, owner, prefix in (("first", "mine", "acme:iam/"), ("second", "x", "other:")):
            specs = made.folder / name
            specs.mkdir()
            text = SETTINGS.replace("mine", owner).replace("acme:iam/", prefix)
            (specs / "reconciler.yaml").write_text(text)
            (specs / "a.yaml").write_text(SPEC.replace("prefixed", f"of-{name}"))
            done = made.run("apply", name, "--auto-approve")
            assert done.returncode == 0, done.stdout + done.stderr
        yield made


def settings(program: Program, folder: str, text: str = SETTINGS) -> None:
    (program.folder / folder).mkdir()
    (program.folder / folder / "reconciler.yaml").write_text(text)


def test_import_uses_the_settings_of_the_destination(program: Program) -> None:
    """Its owner and its prefix: the owner's tag is ours and no user's."""
    settings(program, "one")
    done = program.run("import", "--role", "of-first", "--out", "one/imported")
    assert done.returncode == 0, done.stderr
    written = [p.name for p in (program.folder / "one/imported").iterdir()]
    assert written == ["of-first.yaml"]
    text = (program.folder / "one/imported/of-first.yaml").read_text()
    assert "acme" not in text
    assert "a: b" in text
    plan = program.run("plan", "one", "--detailed-exitcode")
    assert plan.returncode == 0, plan.stdout + plan.stderr


def test_resources_of_another_owner_are_skipped(program: Program) -> None:
    settings(program, "two", SETTINGS.replace("owner: mine", "owner: somebody"))
    done = program.run("import", "--all", "--out", "two")
    assert done.returncode == 0, done.stderr
    assert "skipped, with another owner:\n    role/of-first is managed" in done.stdout
    assert not (program.folder / "two/of-first.yaml").exists()


def test_import_into_a_new_set_uses_default_settings(program: Program) -> None:
    done = program.run("import", "--role", "of-second", "--out", "new", AWS_REGION="us-east-1")
    assert done.returncode == 0, done.stderr
    assert "owner: default" in (program.folder / "new/reconciler.yaml").read_text()


def test_resources_already_in_the_specs_are_skipped(program: Program) -> None:
    done = program.run("import", "--all", "--out", "first/more")
    assert done.returncode == 0, done.stderr
    assert "already in the specs" in done.stdout
    assert program.run("validate", "first").returncode == 0


def test_import_refuses_a_wrong_account_and_invalid_settings(program: Program) -> None:
    settings(program, "three", 'account_id: "999999999999"\nregions: [us-east-1]\n')
    done = program.run("import", "--all", "--out", "three")
    assert done.returncode == 4
    assert "nothing was read" in done.stderr
    settings(program, "four", "ownr: x\n")
    done = program.run("import", "--all", "--out", "four")
    assert done.returncode == 1
    assert "unknown-key" in done.stderr


def test_import_refuses_a_link_out_of_the_repository(program: Program) -> None:
    (program.folder / "repo/.git").mkdir(parents=True)
    (program.folder / "elsewhere").mkdir()
    (program.folder / "repo/specs").symlink_to(program.folder / "elsewhere")
    for out in ("repo/specs", "repo/specs/deeper"):
        done = program.run("import", "--all", "--out", out, AWS_REGION="us-east-1")
        assert done.returncode == 1
        assert "link-outside" in done.stderr
    assert list((program.folder / "elsewhere").iterdir()) == []


def test_what_another_tool_manages_stays_secret(program: Program) -> None:
    """Neither a state that is broken nor one that is read gives away what is in it."""
    web = resource("aws_iam_role", "web", iam("role", "of-second", "123456789012"))
    gone = resource("aws_iam_role", "gone", iam("role", "gone", "123456789012"))
    (program.folder / "web.tfstate").write_text(stored(web))
    (program.folder / "gone.tfstate").write_text(stored(gone))
    (program.folder / "cut.tfstate").write_text(stored(web)[:-20])
    shared = ("--region", "us-east-1", "-vv", "--log-file", "log.jsonl")
    removed = ("--removed-blocks", "removed.tf")
    took = program.run(
        "import", "--from-tfstate", "web.tfstate", "--out", "state", *shared, *removed
    )
    assert took.returncode == 0, took.stderr
    assert "from = aws_iam_role.web" in (program.folder / "removed.tf").read_text()
    lost = program.run("import", "--from-tfstate", "gone.tfstate", "--out", "gone", *shared)
    assert lost.returncode == 1
    assert "role/gone: aws_iam_role.gone" in lost.stderr
    cut = program.run("import", "--from-tfstate", "cut.tfstate", "--out", "cut", *shared)
    assert cut.returncode == 1
    assert "cut.tfstate:" in cut.stderr
    written = [path.read_text() for path in (program.folder / "state").iterdir()]
    log = (program.folder / "log.jsonl").read_text()
    told = [one for done in (took, lost, cut) for one in (done.stdout, done.stderr)]
    assert all(SECRET not in text for text in (*told, *written, log))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--out", "x"), "choose what to import: "),
        (("--from-tfstate", "a", "--all", "--out", "x"), "it takes no other selection"),
        (("--from-tfstate", "-", "--from-tfstate", "-", "--out", "x"), "one standard input"),
        (("--all", "--removed-blocks", "r.tf", "--out", "x"), "what comes from --from-tfstate"),
        (("--from-tfstate", "a", "--seed", "x"), "takes neither --out nor a selection"),
    ],
)
def test_flags_that_do_not_go_together(program: Program, flags: tuple[str, ...], said: str) -> None:
    done = program.run("import", *flags)
    assert done.returncode == 64
    assert said in " ".join(done.stderr.split())
