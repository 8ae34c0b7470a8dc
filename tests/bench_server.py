"""An AWS of prepared answers: accounts that are as their specs want them, as large as is asked for,
at next to no cost of the processor. What is measured with it is the program, not a simulation.

``python -m tests.bench_server ROLES INSTANCES [--regions R,R] [--latency SECONDS]`` prints its URL
and answers until its input ends. Every account has so many roles with a profile each, and in each
region so many instances, all associated; which account is asked is in the access key: that of the
role which was assumed. ``GET /calls`` counts the calls since it was asked before, by operation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, quote

HOME = "us-east-1"
ACCOUNT = "123456789012"
OWNER = "bench"
PAGE = 1000
INDEX_PAGE = 100
MADE_AT = "2026-01-01T00:00:00Z"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
INLINE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": "arn:aws:logs:*:*:log-group:/app/*",
        }
    ],
}


def role_id(number: int) -> str:
    return f"AROA{number:017d}"


def profile_id(number: int) -> str:
    return f"AIPA{number:017d}"


def instance_id(region: int, number: int) -> str:
    return f"i-{region:01x}{number:016x}"


@dataclass(frozen=True, slots=True)
class Size:
    """What an account has. ``instances`` is for each region; they take turns with the profiles."""

    roles: int
    instances: int = 0
    regions: tuple[str, ...] = (HOME,)


def write_specs(folder: Path, size: Size, *, settings: str = "", swapped: bool = False) -> None:
    """Specs of such an account, in files of 250 roles: an association for each profile, every other
    one by tags. ``swapped`` gives each profile another role, which all of them share."""
    regions = ", ".join(size.regions)
    head = f"version: 1\nowner: {OWNER}\nregions: [{regions}]\nconsumer_regions: [{regions}]\n"
    (folder / "reconciler.yaml").write_text(head + settings, "utf-8")
    document = json.dumps(INLINE)
    role = f"{{trust: ec2, tags: {{team: web}}, inline_policies: {{logs: {document}}}}}"
    for start in range(0, size.roles, 250):
        numbers = range(start, min(start + 250, size.roles))
        lines = ["roles:", *(f"  r{n}: {role}" for n in numbers)]
        if swapped and start == 0:
            lines.append("  other: {trust: ec2}")
        lines.append("instance_profiles:")
        lines += [f"  p{n}: {{role: {'other' if swapped else f'r{n}'}}}" for n in numbers]
        if size.instances:
            lines.append("associations:")
            lines += [f"  a{n}: {_association(n, size)}" for n in numbers]
        (folder / f"from-{start:05d}.yaml").write_text("\n".join(lines) + "\n", "utf-8")


def _association(number: int, size: Size) -> str:
    if number % 2 or len(size.regions) > 1:
        return f"{{instance_profile: p{number}, select: {{tags: {{app: a{number}}}}}}}"
    ids = (instance_id(0, n) for n in range(number, size.instances, size.roles))
    return f"{{instance_profile: p{number}, instances: [{', '.join(ids)}]}}"


@dataclass
class Answers:
    """Pages by account, made when they are first asked for. With ``is_empty`` there is nothing."""

    size: Size
    is_empty: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    _made: dict[tuple[str, str, int], str] = field(default_factory=dict, repr=False)

    def answer(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        action = asked["Action"]
        self.calls[action] += 1
        marker = asked.get("Marker") or asked.get("NextToken") or asked.get("PaginationToken") or 0
        if action == "AssumeRole":
            account = asked["RoleArn"].split(":")[4]
        if action == "ListInstanceProfileTags":
            marker = asked["InstanceProfileName"].removeprefix("p")
        key = (action, region, int(marker))
        if key not in self._made:
            self._made[key] = self._page(*key)
        return self._made[key].replace(ACCOUNT, account).encode()

    def _page(self, action: str, region: str, start: int) -> str:
        here = self.size.regions.index(region) if region in self.size.regions else None
        instances = self.size.instances if here is not None else 0
        roles = 0 if self.is_empty else self.size.roles
        match action:
            case "GetCallerIdentity":
                return _iam(
                    action,
                    f"<Account>{ACCOUNT}</Account><UserId>A</UserId>"
                    f"<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/ci/bench</Arn>",
                )
            case "AssumeRole":
                return _iam(action, _CREDENTIALS)
            case "ListAccountAliases":
                return _iam(action, "<AccountAliases/><IsTruncated>false</IsTruncated>")
            case "GetAccountAuthorizationDetails":
                return _list(action, "RoleDetailList", _detail, roles, start)
            case "ListRoles":
                return _list(action, "Roles", _role, roles, start)
            case "ListInstanceProfiles":
                return _list(action, "InstanceProfiles", _profile, roles, start)
            case "ListInstanceProfileTags":
                tags = "".join(f"<member>{_pair(k, v)}</member>" for k, v in _marks(start).items())
                return _iam(action, f"<Tags>{tags}</Tags><IsTruncated>false</IsTruncated>")
            case "GetResources":
                end = min(start + INDEX_PAGE, roles)
                found = [_tagged(n) for n in range(start, end)]
                more = str(end) if end < roles else ""
                return json.dumps({"ResourceTagMappingList": found, "PaginationToken": more})
            case "DescribeInstances":
                return self._rows(action, "reservationSet", self._instance, here, instances, start)
            case "DescribeIamInstanceProfileAssociations":
                key = "iamInstanceProfileAssociationSet"
                return self._rows(action, key, self._association, here, instances, start)
            case "DescribeRegions":
                items = (
                    f"<item><regionName>{r}</regionName>"
                    "<optInStatus>opt-in-not-required</optInStatus></item>"
                    for r in self.size.regions
                )
                return _ec2(action, f"<regionInfo>{''.join(items)}</regionInfo>")
            case _:
                what = f"<Code>NotPrepared</Code><Message>{action}</Message>"
                return f"<ErrorResponse><Error>{what}</Error></ErrorResponse>"

    def _rows(
        self,
        action: str,
        key: str,
        row: Callable[[int, int], str],
        here: int | None,
        count: int,
        start: int,
    ) -> str:
        end = min(start + PAGE, count)
        rows = "".join(row(here or 0, n) for n in range(start, end))
        more = f"<nextToken>{end}</nextToken>" if end < count else ""
        return _ec2(action, f"<{key}>{rows}</{key}>{more}")

    def _instance(self, region: int, number: int) -> str:
        name, profile = instance_id(region, number), number % self.size.roles
        tags = {"app": f"a{profile}", "Name": f"web-{number}", "team": "web"}
        if not self.is_empty:
            tags["reconciler:association"] = f"{OWNER}/{name}/{profile_id(profile)}"
        listed = "".join(f"<item><key>{k}</key><value>{v}</value></item>" for k, v in tags.items())
        return (
            f"<item><reservationId>r-{number}</reservationId><ownerId>{ACCOUNT}</ownerId>"
            f"<instancesSet><item><instanceId>{name}</instanceId>{_OF_ANY_INSTANCE}"
            f"<tagSet>{listed}</tagSet></item></instancesSet></item>"
        )

    def _association(self, region: int, number: int) -> str:
        profile = number % self.size.roles
        if self.is_empty:
            return ""
        return (
            f"<item><associationId>iip-assoc-{region:01x}{number:016x}</associationId>"
            f"<instanceId>{instance_id(region, number)}</instanceId><iamInstanceProfile>"
            f"<arn>arn:aws:iam::{ACCOUNT}:instance-profile/p{profile}</arn>"
            f"<id>{profile_id(profile)}</id></iamInstanceProfile><state>associated</state></item>"
        )


_CREDENTIALS = (
    f"<Credentials><AccessKeyId>ASIA{ACCOUNT}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
    "<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
)
_OF_ANY_INSTANCE = (
    "<imageId>ami-12c6146b</imageId><instanceState><code>16</code><name>running</name>"
    "</instanceState><privateDnsName>ip-10-0-0-1.ec2.internal</privateDnsName><dnsName/>"
    "<amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>t3.nano</instanceType>"
    f"<launchTime>{MADE_AT}</launchTime><placement><availabilityZone>us-east-1a</availabilityZone>"
    "<groupName/><tenancy>default</tenancy></placement><monitoring><state>disabled</state>"
    "</monitoring><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId>"
    "<privateIpAddress>10.0.0.1</privateIpAddress><sourceDestCheck>true</sourceDestCheck>"
    "<groupSet><item><groupId>sg-1</groupId><groupName>web</groupName></item></groupSet>"
    "<architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType>"
    "<rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item>"
    "<deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-1</volumeId><status>attached</status>"
    f"<attachTime>{MADE_AT}</attachTime><deleteOnTermination>true</deleteOnTermination></ebs>"
    "</item></blockDeviceMapping><virtualizationType>hvm</virtualizationType>"
    "<hypervisor>xen</hypervisor><ebsOptimized>false</ebsOptimized>"
)
"""AWS says far more of an instance than is used."""


def _iam(action: str, result: str) -> str:
    return (
        f"<{action}Response><{action}Result>{result}</{action}Result>"
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )


def _ec2(action: str, result: str) -> str:
    return f"<{action}Response><requestId>r</requestId>{result}</{action}Response>"


def _list(action: str, key: str, member: Callable[[int], str], count: int, start: int) -> str:
    end = min(start + PAGE, count)
    members = "".join(f"<member>{member(n)}</member>" for n in range(start, end))
    more = f"<Marker>{end}</Marker>" if end < count else ""
    is_more = "true" if more else "false"
    return _iam(action, f"<{key}>{members}</{key}><IsTruncated>{is_more}</IsTruncated>{more}")


def _who(number: int) -> str:
    return (
        f"<Path>/</Path><RoleName>r{number}</RoleName><RoleId>{role_id(number)}</RoleId>"
        f"<Arn>arn:aws:iam::{ACCOUNT}:role/r{number}</Arn><CreateDate>{MADE_AT}</CreateDate>"
        f"<AssumeRolePolicyDocument>{_TRUST}</AssumeRolePolicyDocument>"
    )


_TRUST, _INLINE = (quote(json.dumps(one)) for one in (TRUST, INLINE))


def _detail(number: int) -> str:
    tags = {"team": "web", "reconciler:owner": f"{OWNER}/r{number}"}
    listed = (f"<member>{_pair(k, v)}</member>" for k, v in tags.items())
    return (
        f"{_who(number)}<InstanceProfileList><member>{_profile(number)}</member>"
        "</InstanceProfileList><RolePolicyList><member><PolicyName>logs</PolicyName>"
        f"<PolicyDocument>{_INLINE}</PolicyDocument></member></RolePolicyList>"
        f"<AttachedManagedPolicies/><Tags>{''.join(listed)}</Tags>"
        "<RoleLastUsed/>"
    )


def _role(number: int) -> str:
    return f"{_who(number)}<MaxSessionDuration>3600</MaxSessionDuration>"


def _profile(number: int) -> str:
    return (
        f"<Path>/</Path><InstanceProfileName>p{number}</InstanceProfileName>"
        f"<InstanceProfileId>{profile_id(number)}</InstanceProfileId>"
        f"<Arn>arn:aws:iam::{ACCOUNT}:instance-profile/p{number}</Arn>"
        f"<CreateDate>{MADE_AT}</CreateDate><Roles><member>{_who(number)}</member></Roles>"
    )


def _pair(key: str, value: str) -> str:
    return f"<Key>{key}</Key><Value>{value}</Value>"


def _marks(number: int) -> dict[str, str]:
    """Tags of a profile."""
    return {"reconciler:owner": f"{OWNER}/p{number}", "reconciler:role-id": role_id(number)}


def _tagged(number: int) -> dict[str, object]:
    return {
        "ResourceARN": f"arn:aws:iam::{ACCOUNT}:instance-profile/p{number}",
        "Tags": [{"Key": key, "Value": value} for key, value in _marks(number).items()],
    }


@dataclass
class Connection(asyncio.Protocol):
    """One connection of HTTP/1.1 that stays open."""

    answers: Answers
    latency: float
    _unread: bytearray = field(default_factory=bytearray, repr=False)
    _transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, end, body = bytes(self._unread).partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        if len(body) < int(headers.get("content-length", 0)):
            return
        self._unread.clear()
        if first.startswith("GET /calls"):
            made, latency = json.dumps(dict(sorted(self.answers.calls.items()))).encode(), 0.0
            self.answers.calls.clear()
        else:
            made, latency = self.answers.answer(*_asked(headers, body)), self.latency
        kind = "application/x-amz-json-1.1" if made[:1] == b"{" else "text/xml"
        status = "400 Bad Request" if made.startswith(b"<ErrorResponse>") else "200 OK"
        whole = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(made)}\r\n\r\n"
        ).encode() + made
        assert self._transport is not None
        if latency:
            asyncio.get_running_loop().call_later(latency, self._transport.write, whole)
        else:
            self._transport.write(whole)


def _asked(headers: dict[str, str], body: bytes) -> tuple[str, str, dict[str, str]]:
    """The account, the region and what is asked."""
    key, _, region, *_ = _scope(headers["authorization"])
    account = key.removeprefix("ASIA") if key.startswith("ASIA") else ACCOUNT
    if target := headers.get("x-amz-target"):
        return account, region, {**json.loads(body or b"{}"), "Action": target.rpartition(".")[2]}
    return account, region, {k: v[0] for k, v in parse_qs(body.decode()).items()}


@cache
def _scope(authorization: str) -> list[str]:
    return authorization.partition("Credential=")[2].partition(",")[0].split("/")


async def serve(answers: Answers, latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers, latency), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # Whoever started it holds the other end.
    await loop.run_in_executor(None, sys.stdin.read)


def main(arguments: Iterable[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("roles", type=int)
    parser.add_argument("instances", type=int)
    parser.add_argument("--regions", default=HOME)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--empty", action="store_true", help="instances alone")
    given = parser.parse_args(list(arguments))
    size = Size(given.roles, given.instances, tuple(given.regions.split(",")))
    asyncio.run(serve(Answers(size, given.empty), given.latency))


if __name__ == "__main__":
    main(sys.argv[1:])
