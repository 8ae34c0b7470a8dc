"""Asks the metadata service of instances by a command of Systems Manager that is run on them.

The command takes a token of IMDSv2 and asks for two things: which profile the instance has, and the
name of the role. It never asks for the document behind that name, which holds the credentials.

Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html and
docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from reconciler.aws.errors import translated
from reconciler.aws.parse import epoch_of
from reconciler.aws.session import Clients
from reconciler.errors import AwsError
from reconciler.model.evidence import Metadata, Silence
from reconciler.plan.authorization import COMMANDS
from reconciler.ports import Clock
from reconciler.threads import interruptible

Platform = Literal["shell", "powershell"]
DOCUMENTS: Final[Mapping[Platform, str]] = dict(zip(("shell", "powershell"), COMMANDS, strict=True))
_BASE = "http://169.254.169.254/latest"
_TOKEN, _TTL = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"
SCRIPTS: Final[Mapping[Platform, Sequence[str]]] = {
    "shell": (
        f"t=$(curl -sf -m 5 -X PUT -H '{_TTL}: 60' {_BASE}/api/token"
        f" || wget -q -T 5 -O - --method=PUT --header='{_TTL}: 60' {_BASE}/api/token)",
        "if [ -z \"$t\" ]; then echo 'reconciler off'; exit 0; fi",
        f'get() {{ curl -s -m 5 -H "{_TOKEN}: $t" {_BASE}/meta-data/iam/$1'
        f' || wget -q -T 5 -O - --header="{_TOKEN}: $t" {_BASE}/meta-data/iam/$1; }}',
        "echo \"reconciler info $(get info | tr -d '\\r\\n')\"",
        'echo "reconciler role $(get security-credentials/ | head -n 1)"',
    ),
    "powershell": (
        "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'",
        f"try {{ $t = Invoke-RestMethod -TimeoutSec 5 -Method PUT -Headers @{{'{_TTL}'='60'}}"
        f" -Uri {_BASE}/api/token }} catch {{ Write-Output 'reconciler off'; exit 0 }}",
        "function Get-It($p) { try { (Invoke-WebRequest -UseBasicParsing -TimeoutSec 5"
        f" -Headers @{{'{_TOKEN}'=$t}} -Uri \"{_BASE}/meta-data/iam/$p\").Content"
        " } catch { '' + [int]$_.Exception.Response.StatusCode } }",
        "Write-Output ('reconciler info ' + ((Get-It 'info') -replace '[\\r\\n]',''))",
        "Write-Output ('reconciler role '"
        " + ((Get-It 'security-credentials/') -split '[\\r\\n]')[0])",
    ),
}
"""What is run. Each line that it prints begins with ``reconciler``."""
AT_ONCE = 50
"""Instances of one command, and items of a page."""
DELIVERY_SECONDS = 60
"""Until a command that no agent has taken is given up; AWS takes no less than 30."""
RUN_SECONDS = 30
POLL_SECONDS = 2.0
LATE_SECONDS = 30.0
"""How much longer than both an answer is waited for."""
_ENDED = frozenset({"Success", "Cancelled", "TimedOut", "Failed"})
_ROLE = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_INFORMATION = "ssm:DescribeInstanceInformation"
_SEND = "ssm:SendCommand"
_INVOCATIONS = "ssm:ListCommandInvocations"
_NOT_VALID = "InvalidInstanceId"
_NOTHING_THERE = "404"
"""What the metadata service answers if the instance has no profile."""


class RunCommand:
    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock

    def metadata(
        self, region: str, instances: Collection[str], told: Callable[[], None]
    ) -> Mapping[str, Metadata | Silence]:
        """As ``EvidenceReader.metadata``."""
        found: dict[str, Metadata | Silence] = {}
        online = self._online(region, instances)
        for name in instances:
            if name not in online:
                found[name] = _silent("no-agent", "it does not answer to Systems Manager")
        sent: dict[str, list[str]] = {}
        for platform in DOCUMENTS:
            names = sorted(name for name, has in online.items() if has == platform)
            for start in range(0, len(names), AT_ONCE):
                part = names[start : start + AT_ONCE]
                sent.update(self._sent(region, platform, part, found))
        for command, asked in sent.items():
            found.update(self._answers(region, command, asked, told))
        return found

    def _online(self, region: str, instances: Collection[str]) -> dict[str, Platform]:
        """Those whose agent has answered lately, and what it runs on."""
        found: dict[str, Platform] = {}
        listed = sorted(instances)
        for start in range(0, len(listed), AT_ONCE):
            part = listed[start : start + AT_ONCE]
            token: dict[str, str] = {}
            while True:
                answer = self._call(
                    region,
                    _INFORMATION,
                    Filters=[{"Key": "InstanceIds", "Values": part}],
                    MaxResults=AT_ONCE,
                    **token,
                )
                for one in answer.get("InstanceInformationList", ()):
                    if one.get("PingStatus") == "Online":
                        is_windows = one.get("PlatformType") == "Windows"
                        found[one["InstanceId"]] = "powershell" if is_windows else "shell"
                if not answer.get("NextToken"):
                    break
                token = {"NextToken": answer["NextToken"]}
        return found

    def _sent(
        self,
        region: str,
        platform: Platform,
        names: list[str],
        found: dict[str, Metadata | Silence],
    ) -> Iterator[tuple[str, list[str]]]:
        """Ids of commands, and of whom each asks. One that the service does not take is looked for
        by halves: it refuses all of a command for it."""
        try:
            answer = self._call(
                region,
                _SEND,
                DocumentName=DOCUMENTS[platform],
                InstanceIds=names,
                Parameters={
                    "commands": list(SCRIPTS[platform]),
                    "executionTimeout": [str(RUN_SECONDS)],
                },
                TimeoutSeconds=DELIVERY_SECONDS,
                Comment="reconciler: which role is served",
            )
        except AwsError as error:
            if error.code != _NOT_VALID:
                raise
            if len(names) == 1:
                why = "it does not take commands of Systems Manager"
                found[names[0]] = _silent("no-agent", why)
                return
            middle = len(names) // 2
            yield from self._sent(region, platform, names[:middle], found)
            yield from self._sent(region, platform, names[middle:], found)
        else:
            yield str(answer["Command"]["CommandId"]), names

    def _answers(
        self, region: str, command: str, asked: list[str], told: Callable[[], None]
    ) -> dict[str, Metadata | Silence]:
        found: dict[str, Metadata | Silence] = {}
        until = self._clock.now() + DELIVERY_SECONDS + RUN_SECONDS + LATE_SECONDS
        while True:
            for one in self._invocations(region, command):
                if one.get("Status") in _ENDED:
                    found[one["InstanceId"]] = self._answer(one)
            told()
            missing = [name for name in asked if name not in found]
            if not missing:
                return found
            if self._clock.now() >= until:
                late = _silent("no-answer", "its agent has not run the command in time")
                return {**found, **dict.fromkeys(missing, late)}
            self._clock.sleep(POLL_SECONDS)

    def _invocations(self, region: str, command: str) -> Iterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        while True:
            answer = self._call(
                region,
                _INVOCATIONS,
                CommandId=command,
                Details=True,
                MaxResults=AT_ONCE,
                **token,
            )
            yield from answer.get("CommandInvocations", ())
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    def _answer(self, invocation: Mapping[str, Any]) -> Metadata | Silence:
        status = str(invocation.get("Status"))
        if status != "Success":
            detail = str(invocation.get("StatusDetails") or status)
            return _silent("no-answer", f"its agent has not run the command ({detail})")
        plugins = invocation.get("CommandPlugins") or ()
        return said("\n".join(str(p.get("Output") or "") for p in plugins), self._clock.now())

    @interruptible
    def _call(self, region: str, call: str, **params: Any) -> dict[str, Any]:
        client = self._clients.get("ssm", region)
        operation = call.partition(":")[2]
        method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
        with translated(call):
            answer: dict[str, Any] = getattr(client, method)(**params)
            return answer


def said(output: str, now: float) -> Metadata | Silence:
    """What the command has printed. The instance may print anything: what has not the form is
    nothing."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "reconciler":
            name, _, value = rest.partition(" ")
            found[name] = value
    if "off" in found:
        return _silent("no-answer", "its metadata service is switched off, or gives no token")
    told, role = found.get("info", "").strip(), found.get("role", "").strip()
    if _NOTHING_THERE in told and not told.startswith("{"):
        return Metadata(now, None, code=_NOTHING_THERE)
    try:
        info = json.loads(told)
        code, profile = str(info["Code"]), info.get("InstanceProfileId")
    except (ValueError, TypeError, KeyError):
        return _silent("no-answer", "the command printed nothing that can be read")
    if code == "Success" and not _ROLE.fullmatch(role):
        return _silent("no-answer", "the command printed the name of no role")
    return Metadata(
        now,
        role if _ROLE.fullmatch(role) else None,
        str(profile)[:128] if profile else None,
        epoch_of(info.get("LastUpdated")),
        code[:64],
    )


def _silent(how: Literal["no-agent", "no-answer"], because: str) -> Silence:
    return Silence("imds", how, because)
