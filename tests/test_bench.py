"""The account of prepared answers that benchmarks run on is what its specs say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench_growth import calls_of, served
from tests.bench_server import Size, write_specs
from tests.program import Program

SIZE = Size(12, 24, ("us-east-1", "eu-west-1"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(SIZE) as url:
        yield url


def planned(folder: Path, url: str, *flags: str) -> dict[str, int]:
    ended = Program(folder, url).run("plan", "--json", *flags, str(folder))
    assert ended.returncode == 0, ended.stderr
    summary: dict[str, int] = json.loads(ended.stdout)["summary"]
    return {name: count for name, count in summary.items() if count}


def test_it_is_as_the_specs_want_it(tmp_path: Path, url: str) -> None:
    write_specs(tmp_path, SIZE)
    calls_of(url)
    assert planned(tmp_path, url) == {}
    assert calls_of(url) == {
        "GetCallerIdentity": 1,
        "ListAccountAliases": 1,
        "GetAccountAuthorizationDetails": 1,
        "ListRoles": 1,
        "ListInstanceProfiles": 1,
        "GetResources": 1,
        "DescribeInstances": 2,
        "DescribeIamInstanceProfileAssociations": 2,
    }


def test_another_role_cuts_all_of_it_over(tmp_path: Path, url: str) -> None:
    write_specs(tmp_path, SIZE, swapped=True)
    assert planned(tmp_path, url) == {"add": 1, "change": 12, "cutover": 48}


def test_an_assumed_role_is_in_its_account(tmp_path: Path, url: str) -> None:
    targets = "".join(
        f"  t{n}: {{role_arn: 'arn:aws:iam::{n:012d}:role/ci'}}\n" for n in (111, 222)
    )
    write_specs(tmp_path, SIZE, settings=f"targets:\n{targets}")
    calls_of(url)
    assert planned(tmp_path, url) == {}
    assert calls_of(url)["AssumeRole"] == 2
