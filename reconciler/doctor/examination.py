"""All checks, in the order in which each needs those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.commands.members import with_members
from reconciler.commands.request import Connection, Request, RunPorts
from reconciler.commands.selection import ADJUSTABLE, interpreted_offline, targets_of
from reconciler.diagnostics import has_errors
from reconciler.doctor import account, machine
from reconciler.doctor.account import Patient
from reconciler.doctor.changes import changes
from reconciler.doctor.checks import Check, CheckName, in_short, not_asked
from reconciler.errors import AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.resources import Identity
from reconciler.plan.authorization import Reading
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import ParsedSet, for_target, read
from reconciler.spec.settings import TargetSpec
from reconciler.threads import each

_OF_ACCOUNT: tuple[CheckName, ...] = (
    "identity",
    "account",
    "regions",
    "reads",
    "changes",
    "quotas",
    "cloudtrail",
    "ssm",
)


@dataclass(frozen=True, slots=True)
class Examination:
    """What is examined: ``purpose`` is the command whose permissions count, ``versions`` those of
    the program."""

    request: Request
    purpose: Reading
    versions: Mapping[str, str]

    def checks(self, ports: RunPorts) -> tuple[Check, ...]:
        """Raises ``RefusedError`` (``USAGE``) for an unknown target, and nothing else."""
        parsed = read(self.request.path)
        source = parsed.settings.targets_from
        # Members of an organization have no names before AWS is asked.
        named = self.request if source is None else replace(self.request, targets=())
        targets: Mapping[str, TargetSpec | None] = targets_of(named, parsed.settings)
        sets = [_spec(parsed, target, self.request) for target in targets.values()]
        told = [machine.versions(self.versions), machine.specs(self.request.path, parsed, sets)]
        try:
            connection = ports.connect(None, parsed.settings)
        except AwsError as error:
            return (*told, *self._without_configuration(error))
        examiner = connection.examiner()
        credentials, found = machine.credentials(examiner)
        reached = machine.endpoints(examiner)
        told += [machine.proxies(examiner, found), *reached.checks]
        told += [machine.clock(reached.ahead), credentials]
        obstacle = None if "sts" in reached.services else "STS cannot be reached"
        if credentials.status == "failure":
            obstacle = "there are no credentials"
        if obstacle is not None:
            return (*told, *(not_asked(name, obstacle) for name in self._names()))
        if source is not None:
            parsed, members = _with_members(parsed, self.request, ports)
            told.append(members)
            if members.status == "ok":
                targets = targets_of(self.request, parsed.settings)
            else:
                targets = parsed.settings.targets
        return (*told, *self._of_targets(parsed, targets, ports))

    def _without_configuration(self, error: AwsError) -> Iterator[Check]:
        """The AWS configuration names something that is not there: nobody can be asked."""
        why = "the AWS configuration is not right"
        others: tuple[CheckName, ...] = ("proxies", "sts-endpoint", "iam-endpoint", "ec2-endpoint")
        yield from (not_asked(name, why) for name in (*others, "clock"))
        yield machine.no_credentials(error)
        yield from (not_asked(name, why) for name in self._names())

    def _names(self) -> Iterator[CheckName]:
        yield from (n for n in _OF_ACCOUNT if n != "changes" or self.purpose == "apply")

    def _of_targets(
        self, parsed: ParsedSet, targets: Mapping[str, TargetSpec | None], ports: RunPorts
    ) -> tuple[Check, ...]:
        is_named = bool(parsed.settings.targets)

        def of_target(name: str) -> list[Check]:
            ports.progress.reading(f"target {name}" if is_named else "the account")
            target = targets[name]
            spec = _spec(parsed, target, self.request)
            try:
                connection = ports.connect(target, parsed.settings)
            except AwsError as error:
                fix = error.hint or "correct the AWS configuration"
                found = [Check("identity", "failure", in_short(error), fix)]
            else:
                patient = _patient(parsed, target, spec, connection, self.request)
                found = list(self._of_account(patient))
            named, why = {check.name for check in found}, "AWS does not say who is asking"
            if found[-1].name == "account":
                why = "this is another account"
            found += [not_asked(n, why) for n in self._names() if n not in named]
            return [replace(check, target=name if is_named else None) for check in found]

        listed = each(of_target, targets, ports.target_parallelism)
        return tuple(check for checks in listed for check in checks)

    def _of_account(self, patient: Patient) -> Iterator[Check]:
        told, found = account.identity(patient)
        yield told
        if found is None:
            return
        told, is_wanted = account.account(patient, found)
        yield told
        if is_wanted:
            yield from self._inside(patient, found)

    def _inside(self, patient: Patient, found: Identity) -> Iterator[Check]:
        yield account.regions(patient)
        yield account.reads(patient, self.purpose, found)
        if self.purpose == "apply":
            yield changes(patient, self.request, found)
        yield account.quotas(patient)
        yield account.cloudtrail(patient, self.purpose)
        yield account.ssm(patient)


def _spec(parsed: ParsedSet, target: TargetSpec | None, request: Request) -> SpecSet:
    return interpreted_offline(for_target(parsed, target), request, target).spec


def _patient(
    parsed: ParsedSet,
    target: TargetSpec | None,
    spec: SpecSet,
    connection: Connection,
    request: Request,
) -> Patient:
    own = request.regions or (target.regions if target else None) or parsed.settings.regions
    default = connection.default_region
    regions = tuple(sorted(set(own or (() if default is None else (default,)))))
    found = [d for d in spec.diagnostics if d.code not in ADJUSTABLE]
    valid = None if has_errors(found) else spec
    return Patient(target, parsed.settings, valid, connection, connection.examiner(), regions)


def _with_members(parsed: ParsedSet, request: Request, ports: RunPorts) -> tuple[ParsedSet, Check]:
    try:
        found = with_members(parsed, request, ports)
    except AwsError as error:
        fix = error.hint or "check the credentials: the organization is read with those above"
        return parsed, Check("organization", "failure", in_short(error), fix)
    except RefusedError as error:
        told = error.diagnostics[0].message if error.diagnostics else error.message
        fix = "correct targets_from in reconciler.yaml"
        return parsed, Check("organization", "failure", told, fix)
    number = len(found.settings.targets)
    message = f"{number} target{'' if number == 1 else 's'}, with the accounts of the organization"
    return found, Check("organization", "ok", message, data={"targets": number})


def exit_code(checks: tuple[Check, ...]) -> ExitCode:
    """What could not be asked is no failure."""
    has_failed = any(check.status == "failure" for check in checks)
    return ExitCode.ERROR if has_failed else ExitCode.OK
