"""AWS's reports of what a role has used, which moto lacks: a job that takes some time, and
then the services that the role may use, with the last use of each.

Source: docs.aws.amazon.com/IAM/latest/APIReference/API_GetServiceLastAccessedDetails.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.model.policy_effect import Pattern, rules
from reconciler.sandbox.faults import refused
from reconciler.sandbox.simulator import policies_of, principal_of
from reconciler.sandbox.state import Job, RoleUse, World

KEPT_SECONDS = 400 * 86_400
"""An earlier use is forgotten."""


def begin(world: World, backend: Any, account: str, arn: str, level: str) -> str:
    """The id of a new job. Raises the error for an ARN of nothing."""
    if ":policy/" not in arn:
        principal_of(backend, arn)
    elif arn not in backend.managed_policies:
        raise refused("iam", "NoSuchEntity", f"{arn} cannot be found.", 404)
    made = world.new_id("", 32)
    job = "-".join((made[:8], made[8:12], made[12:16], made[16:20], made[20:]))
    world.jobs[job] = Job(account, arn, world.clock.now(), level == "ACTION_LEVEL")
    return job


def report(
    world: World, backend: Any, account: str, job: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The answer without its services, and the services. Raises the error for no job."""
    made = world.jobs.get(job)
    if made is None or made.account != account:
        raise refused("iam", "NoSuchEntity", f"The job {job} cannot be found.", 404)
    answer: dict[str, Any] = {
        "JobStatus": "IN_PROGRESS",
        "JobType": "ACTION_LEVEL" if made.has_actions else "SERVICE_LEVEL",
        "JobCreationDate": _moment(made.made_at),
    }
    done = made.made_at + world.lags.reports
    if world.clock.now() < done:
        return answer, []
    answer |= {"JobStatus": "COMPLETED", "JobCompletionDate": _moment(done)}
    return answer, list(_services(world, made, backend))


def _services(world: World, job: Job, backend: Any) -> Iterator[dict[str, Any]]:
    """Those that its permissions policies allow now; a boundary does not count."""
    if ":role/" not in job.arn:
        return
    role = principal_of(backend, job.arn)
    allowed = [
        rule
        for document in policies_of(role, backend)
        for rule in rules(document)
        if rule.effect == "Allow"
    ]
    since = world.clock.now() - KEPT_SECONDS
    used = {
        w: use for w, use in world.used.get((job.account, role.id), {}).items() if use.at > since
    }
    written = {a.text for rule in allowed for a in rule.actions if not a.is_exclusion}
    names = {what.partition(":")[0] for what in (*used, *written)}
    for service in sorted(name for name in names if name and "*" not in name):
        if any(_is_of(pattern, service) for rule in allowed for pattern in rule.actions):
            yield _service(service, used, written, job)


def _is_of(pattern: Pattern, service: str) -> bool:
    """Whether it is about something of the service."""
    is_written = not pattern.is_exclusion and pattern.key.startswith(f"{service}:")
    return is_written or pattern.matches(f"{service}:-")


def _service(
    service: str, used: Mapping[str, RoleUse], written: set[str], job: Job
) -> dict[str, Any]:
    start = f"{service}:"
    of_service = {w: u for w, u in used.items() if w == service or w.startswith(start)}
    made: dict[str, Any] = {
        "ServiceName": service.upper(),
        "ServiceNamespace": service,
        "TotalAuthenticatedEntities": 0,
    }
    if of_service:
        last = max(of_service.values(), key=lambda use: use.at)
        made |= {
            "LastAuthenticated": _moment(last.at),
            "LastAuthenticatedEntity": job.arn,
            "LastAuthenticatedRegion": last.region,
            "TotalAuthenticatedEntities": 1,
        }
    if not job.has_actions or service in used:
        return made
    plain = {w for w in written if w.startswith(start) and "*" not in w and "?" not in w}
    actions = {*plain, *of_service}
    if actions:
        made["TrackedActionsLastAccessed"] = [
            _action(action.removeprefix(start), of_service.get(action), job.arn)
            for action in sorted(actions)
        ]
    return made


def _action(name: str, use: RoleUse | None, arn: str) -> dict[str, Any]:
    if use is None:
        return {"ActionName": name}
    return {
        "ActionName": name,
        "LastAccessedEntity": arn,
        "LastAccessedTime": _moment(use.at),
        "LastAccessedRegion": use.region,
    }


def _moment(at: float) -> datetime:
    """As moto keeps its dates."""
    return datetime.fromtimestamp(at, tz=UTC).replace(tzinfo=None)
