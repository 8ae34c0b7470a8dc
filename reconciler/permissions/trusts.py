"""Trust policies of the two roles of a pipeline: one that reads, one that writes.

Source: docs.github.com/en/actions/reference/security/oidc, docs.gitlab.com/ci/cloud_services/aws,
docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

AUDIENCE = "sts.amazonaws.com"
GITHUB = "token.actions.githubusercontent.com"
_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}")
_PROJECT = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+")
_HOST = re.compile(r"[a-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._/-]+)?")
_BRANCH = re.compile(r"[A-Za-z0-9._/-]+")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9._ /-]{1,255}")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Who may take the two roles: ``subjects`` of tokens of ``issuer``, without its scheme."""

    issuer: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @staticmethod
    def github(repository: str, branch: str, environment: str) -> Pipeline:
        """Pull requests read, and the branch, for drift; the environment writes. Raises
        ``ValueError``."""
        _check(_REPOSITORY, repository, "a repository, such as ORG/REPO")
        _check(_BRANCH, branch, "a branch")
        _check(_ENVIRONMENT, environment, "an environment")
        start = f"repo:{repository}"
        reads = (f"{start}:pull_request", f"{start}:ref:refs/heads/{branch}")
        return Pipeline(GITHUB, reads, (f"{start}:environment:{environment}",))

    @staticmethod
    def gitlab(project: str, branch: str, host: str) -> Pipeline:
        """Every branch of the project reads, since merge requests run on theirs; the branch writes.
        Raises ``ValueError``."""
        _check(_PROJECT, project, "a project, such as GROUP/PROJECT")
        _check(_BRANCH, branch, "a branch")
        _check(_HOST, host, "a host, such as gitlab.com")
        start = f"project_path:{project}:ref_type:branch:ref"
        return Pipeline(host, (f"{start}:*",), (f"{start}:{branch}",))

    def trust(self, partition: str, account_id: str, *, writes: bool) -> dict[str, Any]:
        """The trust policy of one of the roles. The account must have the issuer as a provider."""
        subjects = self.writes if writes else self.reads
        provider = f"arn:{partition}:iam::{account_id}:oidc-provider/{self.issuer}"
        audience = {f"{self.issuer}:aud": AUDIENCE}
        named = {f"{self.issuer}:sub": subjects[0] if len(subjects) == 1 else list(subjects)}
        has_pattern = any("*" in subject for subject in subjects)
        condition: dict[str, Any] = (
            {"StringEquals": audience, "StringLike": named}
            if has_pattern
            else {"StringEquals": {**audience, **named}}
        )
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": provider},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": condition,
                }
            ],
        }


def _check(pattern: re.Pattern[str], text: str, what: str) -> None:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not {what}")
