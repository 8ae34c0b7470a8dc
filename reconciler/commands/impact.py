"""What roles in use would lose by a plan: asks AWS what they have used, and what they will be
allowed. What is asked, and what the answers mean, is decided in ``impact/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.commands.asking import AT_A_TIME
from reconciler.commands.request import Connection, RunPorts
from reconciler.diagnostics import Diagnostic, Location, in_order
from reconciler.errors import AwsError
from reconciler.impact.questions import Answers, losses, questions, suspects
from reconciler.impact.reduction import LimitedPolicies, reduction
from reconciler.impact.services import service_losses
from reconciler.impact.takings import Permissions, Taking, takings
from reconciler.model.address import Address, name_key, role_address
from reconciler.plan.authorization import Question, Simulated
from reconciler.plan.changes import Guard
from reconciler.plan.impact import Impact, Loss, Usage
from reconciler.plan.plan import TargetPlan
from reconciler.planner.context import PlanContext
from reconciler.ports import NO_REPORT, Clock, Examiner, Progress, Reader
from reconciler.threads import each

MOST_SECONDS = 180.0
"""How long a report is waited for; AWS takes some seconds, seldom more than a minute."""
TOLD_SECONDS = 10.0
_PAUSES = (0.5, 1.0, 2.0, 3.0)
"""Seconds between two looks at a report; the last one from then on."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """``clock`` waits for reports."""

    reader: Reader
    examiner: Examiner
    clock: Clock
    progress: Progress
    answered: dict[Question | tuple[str, Question], Any] = field(default_factory=dict)


def with_impact(
    plan: TargetPlan,
    context: PlanContext,
    connection: Connection,
    ports: RunPorts,
    place: Location,
) -> TargetPlan:
    """The plan with what it takes from roles in use, if that was asked for: a warning for each
    loss, and with ``impact: guard`` a guard for each change. What is not known, because AWS refuses
    or has no answer in time, counts as a loss. ``place`` is that of warnings about what the specs
    do not name."""
    is_off = context.options.impact_mode == "off" or context.options.destroy
    found = () if is_off else takings(plan.changes, context)
    if not found:
        return plan
    asking = _Asking(connection.reader, connection.examiner(), ports.clock, ports.progress)
    fetched, refused = _documents({a for t in found for a in _to_fetch(t)}, asking)
    made: list[tuple[Taking, Impact]] = []
    asked: list[_Asked] = []
    for taking in found:
        if lacking := sorted({why for arn in _to_fetch(taking) if (why := refused.get(arn))}):
            made.append((taking, _unknown(taking, lacking)))
            continue
        before = LimitedPolicies.of(taking.before, fetched)
        after = LimitedPolicies.of(taking.after, fetched)
        if reduction(before, after).taken:
            asked.append(_Asked(taking, before, after))
    usages = _usages([one.taking.before for one in asked], asking)
    made.extend(
        zip(
            (one.taking for one in asked),
            each(lambda one: _impact(one, usages, asking), asked, AT_A_TIME),
            strict=True,
        )
    )
    return _told(plan, made, context, place)


@dataclass(frozen=True, slots=True)
class _Asked:
    taking: Taking
    before: LimitedPolicies
    after: LimitedPolicies


def _to_fetch(taking: Taking) -> frozenset[str]:
    return taking.before.unknown | taking.after.unknown


def _documents(arns: Iterable[str], asking: _Asking) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """By ARN, and why those that are not known are not. AWS's own policies do not differ from one
    account to the next, but each account says whether it has them."""
    listed = sorted(arns)
    if listed:
        noun = "policy" if len(listed) == 1 else "policies"
        asking.progress.reading(f"{len(listed)} {noun} of AWS")

    def document(arn: str) -> Any:
        try:
            facts = asking.reader.policy(arn)
        except AwsError as error:
            return error
        return facts.document if facts is not None else {"Statement": []}

    answers = dict(zip(listed, each(document, listed, AT_A_TIME), strict=True))
    refused = {
        arn: _reason(f"the document of {arn}", answer)
        for arn, answer in answers.items()
        if isinstance(answer, AwsError)
    }
    return {arn: found for arn, found in answers.items() if arn not in refused}, refused


def _reason(what: str, error: AwsError) -> str:
    return f"{what} cannot be found out ({error.call}: {error.code})"


def _unknown(taking: Taking, reasons: Sequence[str]) -> Impact:
    return Impact(taking.before.role, taking.after.role, (), tuple(reasons))


def _usages(roles: Iterable[Permissions], asking: _Asking) -> Mapping[str, Usage | str]:
    """What each role has used, by its ARN, or why that is not known. The reports are made at the
    same time; a permission that is lacking for one is not tried for the next."""
    by_arn = {role.arn: role_address(role.role) for role in roles if role.arn is not None}
    jobs: dict[str, str] = {}
    for arn, role in sorted(by_arn.items()):
        asking.progress.reading(f"what {role} has used")
        try:
            jobs[arn] = asking.examiner.begin_report(arn)
        except AwsError as error:
            return dict.fromkeys(by_arn, _reason("what roles have used", error))
    found: dict[str, Usage | str] = {}
    for waited in _waits(asking, lambda: [str(by_arn[arn]) for arn in jobs]):
        for arn, job in list(jobs.items()):
            try:
                answer = asking.examiner.report(job)
            except AwsError as error:
                found[arn] = _reason(f"what {by_arn[arn]} has used", error)
            else:
                if answer is None:
                    continue
                found[arn] = answer
            del jobs[arn]
        if not jobs or waited >= MOST_SECONDS:
            break
    late = f"(no report within {MOST_SECONDS:.0f} s)"
    return found | {arn: f"what {by_arn[arn]} has used cannot be found out {late}" for arn in jobs}


def _waits(asking: _Asking, left: Callable[[], Sequence[str]]) -> Iterator[float]:
    """Seconds waited so far, each time after a pause; what is left is told now and then."""
    waited, told, pauses = 0.0, 0.0, iter(_PAUSES)
    while True:
        yield waited
        if waited - told >= TOLD_SECONDS:
            told = waited
            rest = f"{waited:.0f} s, at most {MOST_SECONDS - waited:.0f} s more"
            asking.progress.reading(f"what {', '.join(left())} used: AWS makes the report ({rest})")
        pause = next(pauses, _PAUSES[-1])
        asking.clock.sleep(pause)
        waited += pause


def _impact(asked: _Asked, usages: Mapping[str, Usage | str], asking: _Asking) -> Impact:
    taking, before, after = asked.taking, asked.before, asked.after
    usage = usages[taking.before.arn or ""]
    if isinstance(usage, str):
        return _unknown(taking, [usage])
    found: list[Loss] = []
    named = suspects(usage, before, after)
    try:
        was = _answers(taking.before, before, questions(named), asking)
        will = _answers(taking.after, after, questions(named), asking)
    except AwsError as error:
        what = f"what {role_address(taking.after.role)} will be allowed"
        return _unknown(taking, [_reason(what, error)])
    found += losses(named, usage, (before, was), (after, will))
    found += service_losses(usage, before, after)
    return Impact(taking.before.role, taking.after.role, tuple(found))


def _answers(
    of: Permissions, documents: LimitedPolicies, asked: Sequence[Question], asking: _Asking
) -> Answers:
    """A role that AWS has exactly so is asked for itself, so that a policy of the organization
    counts too."""
    found: list[Simulated] = []
    for question in asked:
        if of.arn is not None:
            key = (of.arn, question)
            if key not in asking.answered:
                asking.answered[key] = asking.examiner.simulate_role(of.arn, question)
            found += asking.answered[key]
        else:
            policies, boundary = documents.policies, documents.boundary
            found += asking.examiner.simulate_documents(policies, boundary, question)
    made = {(name_key(one.action), one.resource): one for one in found}
    for question in asked:
        for action in question.actions:
            for resource in question.resources:
                if (name_key(action), resource) not in made:
                    message = f"no answer about {action} on {resource}"
                    raise AwsError("iam:SimulateCustomPolicy", NO_REPORT, message)
    return made


def _told(
    plan: TargetPlan,
    made: Sequence[tuple[Taking, Impact]],
    context: PlanContext,
    place: Location,
) -> TargetPlan:
    impacts: dict[Address, tuple[Impact, ...]] = {}
    warnings: dict[str, Diagnostic] = {}
    for taking, found_out in made:
        impact = replace(found_out, now=context.options.now)
        if not impact.losses and not impact.unknown:
            continue
        for change in taking.changes:
            impacts[change.address] = (*impacts.get(change.address, ()), impact)
        where = taking.changes[0].source or place
        for found in _warnings(impact, where):
            warnings.setdefault(found.message, found)
    guards = tuple(_guards(impacts, context)) if context.options.impact_mode == "guard" else ()
    return replace(
        plan,
        impact=impacts,
        diagnostics=in_order((*plan.diagnostics, *warnings.values())),
        guards=tuple(sorted((*plan.guards, *guards), key=lambda g: (g.key, g.addresses))),
    )


def _warnings(impact: Impact, place: Location) -> Iterator[Diagnostic]:
    for loss in impact.losses:
        hint = f"allow it in {role_address(impact.after)}, unless nothing needs it any more"
        yield Diagnostic("warning", "used-permission-lost", impact.told(loss), place, hint)
    for reason in impact.unknown:
        message = f"what is used may be lost: {reason}"
        hint = "`reconciler permissions --for plan` prints what the caller needs"
        yield Diagnostic("warning", "impact-unknown", message, place, hint)


def _guards(impacts: Mapping[Address, Sequence[Impact]], context: PlanContext) -> Iterator[Guard]:
    for address, found in sorted(impacts.items()):
        if context.options.allows("impact", address):
            continue
        named = [loss.what for impact in found for loss in impact.losses]
        unknown = [reason for impact in found for reason in impact.unknown]
        if named:
            before = ", ".join(sorted({f"role/{i.before}" for i in found if i.losses}))
            once = tuple(dict.fromkeys(named))
            more = f" and {len(once) - FEW} more" if len(once) > FEW else ""
            lost = f"{', '.join(once[:FEW])}{more}"
            reason = f"{address} takes away what {before} has used: {lost}"
        else:
            reason = f"{address} may take away what is used: {unknown[0]}"
        yield Guard("impact", reason, f"--allow impact={address}", (address,))


FEW = 5
