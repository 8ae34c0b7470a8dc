"""``rehearse --as-policy``, as its users type it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from reconciler.exit_codes import ExitCode
from reconciler.render.json.rehearsal_types import RehearsalShape
from tests.program import Program

SETTINGS = "version: 1\nowner: ci\naccount_id: '123456789012'\nregions: [us-east-1]\n"
SPEC = "roles: {web: {trust: ec2}}\ninstance_profiles: {web: {role: web}}\n"
READ_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["iam:Get*", "iam:List*", "ec2:Describe*", "tag:GetResources"],
            "Resource": "*",
        }
    ],
}


def test_policies_from_a_file_and_from_permissions(tmp_path: Path) -> None:
    program = Program(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/reconciler.yaml").write_text(SETTINGS, "utf-8")
    (tmp_path / "specs/web.yaml").write_text(SPEC, "utf-8")
    (tmp_path / "read.json").write_text(json.dumps(READ_ONLY), "utf-8")
    (tmp_path / "bad.json").write_text('{"Statement": 1}', "utf-8")
    with program.sandbox("{}"):
        enough = program.shell(
            "reconciler permissions --for apply | reconciler rehearse --as-policy -"
        )
        assert enough.returncode == ExitCode.OK, enough.stderr
        assert "with the policies of standard input" in enough.stdout

        made = program.run("rehearse", "--as-policy", "read.json", "--json")
        assert made.returncode == ExitCode.PARTLY_APPLIED, made.stderr
        document = json.loads(made.stdout)
        TypeAdapter(RehearsalShape).validate_python(document, strict=True)
        (target,) = document["targets"]
        needed = [one["action"] for one in target["access"]["denied"] if one["needed"]]
        assert needed[0] == "iam:CreateRole"
        assert {
            "iam:CreateInstanceProfile",
            "iam:PassRole",
            "iam:TagRole",
            "iam:TagInstanceProfile",
        } <= {*needed}

        bad = program.run("rehearse", "--as-policy", "bad.json")
        assert bad.returncode == ExitCode.ERROR
        assert "bad.json:1:15" in bad.stderr
        twice = program.run("rehearse", "--as-policy", "-", "--as-policy", "-")
        assert twice.returncode == ExitCode.USAGE
        missing = program.run("rehearse", "--as-policy", "nobody.json")
        assert missing.returncode == ExitCode.ERROR
        assert "nobody.json: No such file" in missing.stderr
