"""The plan as commands of the AWS CLI, for a person to read or a shell to run.

Everything is quoted for a POSIX shell. Parameters go in as JSON wherever the CLI could read them as
something else: a structure, a text that it would take for a file or an option.
Source: docs.aws.amazon.com/cli/latest/userguide/cli-usage-parameters-types.html
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.address import PROFILE, Address
from reconciler.plan.calls import BEGAN, NOW, RUN, ApiCall, Joined, Ref, Wait, refs_in
from reconciler.plan.changes import CutOverInstance, Restore
from reconciler.plan.plan import Plan, Step, TargetPlan
from reconciler.render.escape import printable as spoken
from reconciler.render.json.encode import json_text

_HEAD = """\
#!/bin/sh
# The plan as AWS CLI commands. Equivalent to an apply that succeeds: the script does not retry,
# does not resume after a failure, and does not check what has changed since the plan.
set -eu
export AWS_PAGER=
"""
_HARMLESS = re.compile(r"[A-Za-z0-9][\w:/.@+-]*", re.ASCII)
_TAKEN_FOR_ELSE = re.compile(r"(-|file://|fileb://|https?://|@)")


def aws_cli(plan: Plan) -> str:
    blocks = [_HEAD, *(_target(target) for target in plan.targets)]
    return "\n".join(blocks)


def _target(target: TargetPlan) -> str:
    lines = [f"# Account {target.identity.account_id}, target {spoken(target.target)}"]
    lines.extend(f"# {spoken(said)}" for said in _left_out(target))
    lines.append(_own_account(target, "exit 1"))
    known: set[Ref] = set()
    for step in target.steps:
        lines.extend(_assigned(step, known))
        lines.extend(_step(step))
    return "\n".join(lines) + "\n"


def _left_out(target: TargetPlan) -> Iterator[str]:
    """Why the script is not the whole plan, or should not be run yet."""
    for guard in target.guards:
        yield f"Apply is blocked: {guard.reason}"
    for conflict in target.conflicts:
        yield f"Left out: {conflict.address} {conflict.reason}"
    for unmet in target.unmet:
        yield f"Left out: {unmet.needed_by or unmet.address}: {unmet.found.message}"
    for unread in target.unread:
        yield f"Left out: {unread.what} cannot be read ({unread.reason})"


def _own_account(target: TargetPlan, otherwise: str) -> str:
    """``otherwise`` is done with the credentials of another account."""
    account = target.identity.account_id
    return (
        f'[ "$(aws sts get-caller-identity --query Account --output text)" = {account} ] || '
        f"{{ echo 'these are not the credentials of {account}' >&2; {otherwise}; }}"
    )


def _assigned(step: Step, known: set[Ref]) -> Iterator[str]:
    """The variables that the step needs and that are not ``known`` yet."""
    if isinstance(step.action, ApiCall):
        for ref in refs_in(step.action.params):
            if ref not in known:
                yield f"{_variable(ref)}={_asked(ref, step.action.region)}"
                # An instance's association is another one each time.
                known |= set() if ref.address.is_instance else {ref}


def commands_for(target: TargetPlan, address: Address) -> list[str]:
    """One change as lines to paste into a shell, waits included. Each line but the last ends with
    ``&&``, so that nothing runs after a failure and the shell stays open.

    The lines of a profile are its whole cut-over, with every instance; an instance that is part of
    one has none of its own."""
    if part_of(target, address) is not None:
        return []
    instances = (change.address for change in target.changes if change.address.is_instance)
    own = {address, *(one for one in instances if part_of(target, one) == address)}
    known: set[Ref] = set()
    lines: list[str] = []
    for step in target.steps:
        if step.address in own:
            lines.extend(_assigned(step, known))
            lines.extend(_pasted(step))
    if not lines:
        return []
    start = ["export AWS_PAGER=", f"{{ {_own_account(target, 'false')}; }}"]
    return [*(f"{line} &&" for line in [*start, *lines[:-1]]), lines[-1]]


def _pasted(step: Step) -> Iterator[str]:
    match step.action:
        case Wait():
            yield from _wait(step.action)
        case ApiCall() if step.refusal:
            if not _is_for_apply_alone(step.action):
                yield f'! said="$({_call(step.action)} 2>&1)"'
                yield f"""printf '%s' "$said" | grep {shlex.quote(step.refusal)}"""
        case ApiCall():
            yield _call(step.action)


def part_of(target: TargetPlan, address: Address) -> Address | None:
    """The profile whose cut-over an instance is part of; ``None`` for every other address."""
    if not address.is_instance:
        return None
    here = [change for change in target.changes if change.address == address]
    if not here or not isinstance(here[0], CutOverInstance | Restore):
        return None
    for change in target.changes:
        if change.address.kind == PROFILE and address.name in change.consumers:
            return change.address
    return None


def by_hand(call: ApiCall) -> str:
    """One call, for a person to run: structures in the CLI's short form where that is safe."""
    words = ["aws", call.service, kebab(call.operation)]
    if call.region is not None:
        words += ["--region", shlex.quote(call.region)]
    for name, value in call.params.items():
        words += [f"--{kebab(name)}", shlex.quote(_short(value))]
    return " ".join(words)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        listed = value if isinstance(value, list | tuple) else [value]
        pairs = [("", inner) for inner in listed]
    if not all(_HARMLESS.fullmatch(str(inner)) for _, inner in pairs):
        return value if isinstance(value, str) else json_text(value, None)
    return (",".join if isinstance(value, Mapping) else " ".join)(
        f"{key}={inner}" if key else str(inner) for key, inner in pairs
    )


def _step(step: Step) -> Iterator[str]:
    note = f": {spoken(step.note)}" if step.note else ""
    yield f"# {step.id}. {spoken(step.address)}{note}"
    match step.action:
        case Wait():
            yield from _wait(step.action)
        case ApiCall() if step.refusal:
            yield from _refused(step.action, step.refusal)
        case ApiCall():
            yield _call(step.action)


def _is_for_apply_alone(call: ApiCall) -> bool:
    """Whether it is a question that the AWS CLI cannot ask."""
    return call.is_dry_run and call.operation.endswith(("InstanceProfile", "ProfileAssociation"))


def _refused(call: ApiCall, code: str) -> Iterator[str]:
    """A question, whose answer is a refusal with this code."""
    if _is_for_apply_alone(call):
        yield "# only apply can check this: the AWS CLI has no --dry-run for it"
        return
    wrong = f"echo 'this must be refused with {code}' >&2; exit 1"
    yield f'said="$({_call(call)} 2>&1)" && {{ {wrong}; }}'
    other = """printf '%s\\n' "$said" >&2; exit 1"""
    yield f'case "$said" in *{code}*) ;; *) {other} ;; esac'


def _call(call: ApiCall) -> str:
    words = ["aws", call.service, kebab(call.operation)]
    if call.region is not None:
        words += ["--region", shlex.quote(call.region)]
    if all(_is_plain(value) for value in call.params.values()):
        for name, value in call.params.items():
            words += [f"--{kebab(name)}", _quoted(value)]
    else:
        words += ["--cli-input-json", _quoted(_json(call.params))]
    return " ".join(words)


def _is_plain(value: Any) -> bool:
    match value:
        case Ref() | Joined() | int():
            return not isinstance(value, bool)
        case str():
            # What a terminal or a log would act on is written as an escape, which JSON has.
            return bool(value) and not _TAKEN_FOR_ELSE.match(value) and spoken(value) == value
        case _:
            return False


def _json(value: Any) -> Joined:
    """JSON text in which values that AWS invents have their places."""
    marks: dict[str, Ref] = {}

    def marked(inner: Any) -> Any:
        match inner:
            case Ref():
                marks[mark := f"\u0001{len(marks)}\u0001"] = inner
                return mark
            case Joined(parts):
                return "".join(marked(p) if isinstance(p, Ref) else p for p in parts)
            case Mapping():
                return {k: marked(v) for k, v in inner.items()}
            case list() | tuple():
                return [marked(v) for v in inner]
            case _:
                return inner

    text = json_text(marked(value), None).replace("\\u0001", "\u0001")
    parts = re.split("(\u0001\\d+\u0001)", text)
    return Joined(tuple(marks.get(part, part) for part in parts if part))


def _quoted(value: Any) -> str:
    match value:
        case Ref():
            return f'"${_variable(value)}"'
        case Joined(parts):
            return "".join(_quoted(part) for part in parts)
        case _:
            return shlex.quote(str(value))


def _variable(ref: Ref) -> str:
    """A name for a shell variable, unique for each value: characters that are not letters are
    spelled out."""
    text = f"{ref.address}.{ref.attribute}"
    return "aws_" + "".join(c if c.isalnum() and c.isascii() else f"_{ord(c):x}_" for c in text)


def _asked(ref: Ref, region: str | None) -> str:
    """A command that answers with the value."""
    if ref == NOW:
        return '"$(date +%s)"'
    if ref == BEGAN:
        return '"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'
    if ref == RUN:
        return '"shell$$"'
    kind, name = ref.address.kind, ref.address.name
    if kind == "association":
        return f'"$({_rows(name, region, "AssociationId")})"'
    noun = "role" if kind == "role" else "instance-profile"
    shape = "Role" if kind == "role" else "InstanceProfile"
    member = "Arn" if ref.attribute == "arn" else f"{shape}Id"
    get = f"get-{noun} --{noun}-name {shlex.quote(name)}"
    return f'"$(aws iam {get} --query {shape}.{member} --output text)"'


def _rows(instance: str, region: str | None, member: str) -> str:
    """A member of each association that is listed for the instance."""
    where = f" --region {shlex.quote(region)}" if region else ""
    return (
        f"aws ec2 describe-iam-instance-profile-associations{where} --filters "
        f"Name=instance-id,Values={shlex.quote(instance)} "
        f"--query 'IamInstanceProfileAssociations[].{member}' --output text"
    )


def _wait(wait: Wait) -> Iterator[str]:
    if wait.condition in ("propagated", "baked"):
        yield f"sleep {wait.seconds:g}"
        return
    if wait.condition == "verified":
        told = f"reconciler verify instance-profile/{wait.profile} says which role each is served"
        yield f": {shlex.quote(told)}"
        return
    region = f" --region {shlex.quote(wait.region)}" if wait.region else ""
    instance = shlex.quote(wait.instance or "")
    listed = _rows(wait.instance or "", wait.region, "State")
    match wait.condition:
        case "gone":
            yield f'until [ -z "$({listed})" ]; do sleep 2; done'
        case "associated":
            yield f'until [ "$({listed})" = associated ]; do sleep 2; done'
        case "stopped" | "running":
            yield f"aws ec2 wait instance-{wait.condition}{region} --instance-ids {instance}"
        case "stable":
            state = (
                f"aws ec2 describe-instances{region} --instance-ids {instance} "
                "--query 'Reservations[].Instances[].State.Name' --output text"
            )
            settled = f'[ "$({state})" = running ] || [ "$({state})" = stopped ]'
            yield f"until {settled}; do sleep 2; done"


def kebab(name: str) -> str:
    """As the AWS CLI spells ``RoleName``: ``role-name``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
