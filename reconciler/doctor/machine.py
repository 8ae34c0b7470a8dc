"""Checks of this machine: what it has, whom it reaches, and with which credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from reconciler.commands.selection import ADJUSTABLE
from reconciler.diagnostics import in_order
from reconciler.doctor.checks import NETWORK, Check, CheckName, in_short, not_asked
from reconciler.errors import AwsError
from reconciler.ports import Credentials, Examiner
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import ParsedSet

Service = Literal["sts", "iam", "ec2"]
SERVICES: tuple[Service, ...] = ("sts", "iam", "ec2")
SLOW_SECONDS, MOST_SECONDS = 60.0, 300.0
"""AWS refuses requests that are signed five minutes before or after its own time.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html"""
_PRECISE = 1.0
_METADATA = "169.254.169.254"
_ENDPOINTS: Mapping[Service, CheckName] = {
    "sts": "sts-endpoint",
    "iam": "iam-endpoint",
    "ec2": "ec2-endpoint",
}


def versions(known: Mapping[str, str]) -> Check:
    shown = {"python": "Python"}
    words = ", ".join(f"{shown.get(name, name)} {number}" for name, number in known.items())
    return Check("versions", "ok", words, data=dict(known))


def specs(path: str, parsed: ParsedSet, sets: Iterable[SpecSet]) -> Check:
    """``sets`` are those of the targets."""
    told = in_order((*parsed.diagnostics, *(d for one in sets for d in one.diagnostics)))
    found = [d for d in told if d.severity == "error" and d.code not in ADJUSTABLE]
    if [d.code for d in found] == ["no-such-path"] and not parsed.files:
        message = f"there are no specs at {path}: only the general is checked"
        fix = "run reconciler init, or pass the folder of the specs"
        return Check("specs", "warning", message, fix, {"errors": 0})
    if found:
        first = found[0]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        message = f"{first.location}: {first.message}{more}"
        fix = f"run reconciler validate {path}"
        return Check("specs", "failure", message, fix, {"errors": len(found)})
    settings = parsed.settings
    targets = len(settings.targets)
    of_targets = f", {targets} target{'' if targets == 1 else 's'}" if targets else ""
    files = len(parsed.files)
    message = f"{files} file{'' if files == 1 else 's'} of owner {settings.owner}{of_targets}"
    return Check("specs", "ok", message, data={"errors": 0, "targets": sorted(settings.targets)})


@dataclass(frozen=True, slots=True)
class Reached:
    """Which services answer, and how far the clock of each is ahead."""

    checks: tuple[Check, ...]
    services: frozenset[Service]
    ahead: tuple[float, ...]


def endpoints(examiner: Examiner) -> Reached:
    """Asks in nobody's name: who is there refuses."""
    checks, services, ahead = [], [], []
    for service in SERVICES:
        name = _ENDPOINTS[service]
        try:
            where = examiner.endpoint(service)
            origin = f"from {where.origin}" if where.origin else "AWS's own"
            data = {"url": where.url, "origin": where.origin}
        except AwsError as error:
            checks.append(Check(name, "failure", in_short(error), error.hint or NETWORK))
            continue
        try:
            seconds = examiner.ahead(service)
        except AwsError as error:
            message = f"{in_short(error)} ({origin})"
            own = error.hint or NETWORK
            fix = f"correct or remove {where.origin}" if where.origin else own
            checks.append(Check(name, "failure", message, fix, data))
            continue
        services.append(service)
        ahead += [] if seconds is None else [seconds]
        if _is_open(where.url):
            message = f"{where.url} ({origin}) is not encrypted"
            checks.append(Check(name, "warning", message, "use https", data))
        else:
            checks.append(Check(name, "ok", f"{where.url} ({origin})", data=data))
    return Reached(tuple(checks), frozenset(services), tuple(ahead))


def _is_open(url: str) -> bool:
    """Whether others on the way can read what is sent."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost" or host.endswith(".localhost")
    return parts.scheme == "http" and not is_here


def clock(ahead: tuple[float, ...]) -> Check:
    if not ahead:
        return not_asked("clock", "no service told its time", NETWORK)
    # Of several answers the one that was least on the way.
    seconds = min(ahead, key=abs)
    data = {"seconds": round(seconds, 1)}
    side, off = "ahead of" if seconds > 0 else "behind", abs(seconds)
    lasting = f"{off:.0f} s" if off < 2 * SLOW_SECONDS else f"{off / 60:.0f} min"
    message = f"AWS's clock is {lasting} {side} this machine's"
    if abs(seconds) <= _PRECISE:
        message = "AWS's clock and this machine's agree to a second"
    if abs(seconds) < SLOW_SECONDS:
        return Check("clock", "ok", message, data=data)
    fix = "set this machine's clock, with chrony, systemd-timesyncd or w32tm"
    if abs(seconds) < MOST_SECONDS:
        return Check("clock", "warning", f"{message}; it refuses five minutes", fix, data)
    return Check("clock", "failure", f"{message}: it refuses what is signed now", fix, data)


def proxies(examiner: Examiner, credentials: Credentials | None) -> Check:
    found = examiner.proxies()
    if not found:
        return Check("proxies", "ok", "none", data={})
    words = ", ".join(f"{name}={value}" for name, value in found.items())
    spared = " ".join(value for name, value in found.items() if name.upper() == "NO_PROXY")
    has_proxy = any(name.upper() != "NO_PROXY" for name in found)
    is_in_the_way = has_proxy and _METADATA not in spared and "*" not in spared
    if is_in_the_way and credentials is not None and credentials.is_of_host:
        message = f"{words}; this host's credentials come from {_METADATA}"
        return Check("proxies", "warning", message, f"add {_METADATA} to NO_PROXY", dict(found))
    return Check("proxies", "ok", words, data=dict(found))


def credentials(examiner: Examiner) -> tuple[Check, Credentials | None]:
    try:
        found = examiner.credentials()
    except AwsError as error:
        return no_credentials(error), None
    data = {"origin": found.origin, "lasts": found.lasts}
    return Check("credentials", "ok", f"from {found.origin}; {found.lasts}", data=data), found


def no_credentials(error: AwsError) -> Check:
    fix = error.hint or "run aws sts get-caller-identity to see what the AWS CLI makes of it"
    return Check("credentials", "failure", in_short(error), fix)
