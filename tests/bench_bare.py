"""What a script of boto3 calls does without any safety: no plan, no marks, no checks, no retries of
its own, no way back. Run by ``tests/bench_against.py`` as a process of its own.

``python -m tests.bench_bare URL FILE SCENARIO``; the file has, as JSON, the names of roles, profiles
and instances, and which profiles get another role.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
WORKERS = 16


class Bare:
    def __init__(self, url: str, wanted: dict[str, Any]) -> None:
        config = Config(max_pool_connections=WORKERS)
        region = "us-east-1"
        self.iam: Any = boto3.client("iam", region_name=region, endpoint_url=url, config=config)
        self.ec2: Any = boto3.client("ec2", region_name=region, endpoint_url=url, config=config)
        self.wanted = wanted
        self.pool = ThreadPoolExecutor(WORKERS)

    def each(self, of: Callable[[Any], Any], items: list[Any]) -> None:
        list(self.pool.map(of, items))

    def create(self) -> None:
        names = [*self.wanted["roles"], *self.wanted["others"]]
        self.each(
            lambda name: self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST), names
        )
        self.each(self._profile, self.wanted["profiles"])
        self._associated()

    def _profile(self, one: dict[str, str]) -> None:
        name = one["name"]
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=one["role"])
        self._associate(one)

    def _associate(self, one: dict[str, str]) -> None:
        self.ec2.associate_iam_instance_profile(
            IamInstanceProfile={"Name": one["name"]}, InstanceId=one["instance"]
        )

    def _rows(self) -> dict[str, tuple[str, str]]:
        pages = self.ec2.get_paginator("describe_iam_instance_profile_associations").paginate()
        return {
            row["InstanceId"]: (row["AssociationId"], row["State"])
            for page in pages
            for row in page["IamInstanceProfileAssociations"]
        }

    def _associated(self) -> None:
        while any(state != "associated" for _, state in self._rows().values()):
            time.sleep(0.2)

    def noop(self) -> None:
        """Compares role and profile of each instance, one call for each profile."""
        pages = self.iam.get_paginator("get_account_authorization_details").paginate()
        found = {role["RoleName"] for page in pages for role in page["RoleDetailList"]}
        self._rows()

        def check(one: dict[str, str]) -> None:
            answer = self.iam.get_instance_profile(InstanceProfileName=one["name"])
            assert answer["InstanceProfile"]["Roles"][0]["RoleName"] in found

        self.each(check, self.wanted["profiles"])

    def drift(self) -> None:
        """Puts back five descriptions."""
        self.noop()
        self.each(
            lambda name: self.iam.update_role(
                RoleName=name, Description="", MaxSessionDuration=3600
            ),
            self.wanted["roles"][:5],
        )

    def swap(self) -> None:
        """The role, and the association of the one instance, all at a time."""
        rows = self._rows()
        swapped = self.wanted["profiles"][: self.wanted["swapped"]]

        def swap(one: dict[str, str]) -> None:
            name, other = one["name"], one["other"]
            self.iam.remove_role_from_instance_profile(
                InstanceProfileName=name, RoleName=one["role"]
            )
            self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=other)
            self.ec2.disassociate_iam_instance_profile(AssociationId=rows[one["instance"]][0])

        self.each(swap, swapped)
        while self._rows().keys() & {one["instance"] for one in swapped}:
            time.sleep(0.2)
        self.each(self._associate, swapped)
        self._associated()


def main() -> None:
    url, path, scenario = sys.argv[1:]
    getattr(Bare(url, json.loads(Path(path).read_text("utf-8"))), scenario)()


if __name__ == "__main__":
    main()
