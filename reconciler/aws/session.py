"""Sessions and clients: whose credentials, which endpoint, and our name on every request."""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import exceptions as boto
from botocore.config import Config
from botocore.credentials import CredentialProvider, EnvProvider, RefreshableCredentials
from botocore.utils import parse_timestamp

from reconciler import __version__
from reconciler.aws import models
from reconciler.aws.call_log import PREFIXES, Tap
from reconciler.aws.errors import CUT_OFF, translated
from reconciler.aws.hooks import lean_session
from reconciler.aws.origins import (
    ADVISED,
    UNKNOWN_REGION,
    UNREACHABLE,
    Origins,
    known_regions,
)
from reconciler.errors import AwsError
from reconciler.model.resources import Identity
from reconciler.ports import CallLog
from reconciler.threads import interruptible

POOL = 50
"""Connections of a client, and the most that ``--parallelism`` takes."""
_NO_SUCH_REGION = UNREACHABLE | {"InvalidRegionError"}
READ_ATTEMPTS = 8
_NOBODY = "nobody"
"""In place of keys: no key of AWS is as short."""


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach AWS. All that is ``None`` is left to botocore and its variables."""

    run: str
    profile: str | None = None
    region: str | None = None
    regions: tuple[str, ...] = ()
    """All that flags give."""
    settings_regions: tuple[str, ...] = ()
    """For clients, the first one counts where neither a flag nor the environment names any: IAM and
    STS have an endpoint for each partition, which follows from a region of it."""
    endpoint_url: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    may_ask: bool = False
    """Whether there is a terminal to prompt for an MFA code."""


_WITH_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z")


def _make_fast(session: Any) -> None:
    """botocore reads its models of services once for each session, and takes times apart for any
    form there is."""
    path = session.get_config_variable("data_path")
    session.register_component("data_loader", models.shared(path))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)


def _moment(value: Any) -> datetime:
    """A time of a response, as botocore reads it. IAM and EC2 send ``2026-01-01T00:00:00Z``, for
    which its own parser takes a quarter of the time of a response."""
    if isinstance(value, str) and _WITH_ZONE.fullmatch(value):
        return datetime.fromisoformat(value)
    found: datetime = parse_timestamp(value)
    return found


@dataclass
class Session:
    """One boto3 session for a target, its role assumed once; clients of all kinds share it.
    ``log`` is told of every attempt of a call. ``caller`` is the session without a role that those
    of several targets share: the caller's credentials are found once, and a prompt comes once."""

    login: Login
    enabled: set[str] = field(default_factory=set)
    """Regions that AWS has listed: they exist, also those that botocore does not know yet."""
    log: CallLog | None = None
    most_calls: int = POOL
    """How many calls may be in flight at a time."""
    caller: Session | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _boto: Any = None
    _own: Any = None
    made: list[dict[Any, Any]] = field(default_factory=list)
    """Where clients of this session are kept."""
    _assuming: _Assumed | None = None
    _assuming_in: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free = threading.Semaphore(self.most_calls)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Once one more call may be in flight."""
        with self._free:
            yield

    @contextmanager
    def calling(self, call: str, region: str | None = None) -> Iterator[None]:
        """As ``asking``, of a call that is counted among those in flight."""
        with self.in_flight(), self.asking(call, region):
            yield

    def client(
        self, service: str, region: str | None, attempts: int, *, as_nobody: bool = False
    ) -> Any:
        """One that calls as nobody needs no credentials: the service refuses it, which shows that
        it is there. It does not wait long."""
        with self._lock, self.asking(f"{service}:client"):
            name = region or self.boto.region_name or self._fallback
            # A name that is none takes botocore half a minute to find out with all its attempts.
            most = attempts if self._exists(name) else min(attempts, 2)
            config, keys = self._config(most), {}
            if as_nobody:
                config = config.merge(Config(connect_timeout=5, read_timeout=10))
                keys = {"aws_access_key_id": _NOBODY, "aws_secret_access_key": _NOBODY}
            return self.boto.client(
                service,
                region_name=name,
                endpoint_url=self.login.endpoint_url,
                config=config,
                **keys,
            )

    def release(self) -> None:
        """Lets go of clients and their connections, which are made again when they are asked for;
        the role's credentials stay. A process may have few files open, and a thousand targets take
        seven connections each."""
        with self._lock:
            closed = [client for kept in self.made for client in kept.values()]
            for kept in self.made:
                kept.clear()
            if self.login.role_arn:
                self._boto = None
        for client in closed:
            client.close()

    @contextmanager
    def asking(self, call: str, region: str | None = None) -> Iterator[None]:
        """Everything that botocore raises inside, as ``AwsError`` with what to do about it.
        ``region`` is the one that is asked, ``None`` for the session's."""
        try:
            with translated(call):
                yield
        except AwsError as error:
            # An emulator has all regions, and answers for one that is none with something else.
            is_none = error.code in _NO_SUCH_REGION or (region and error.code in CUT_OFF)
            known = self._boto or (self.caller or self)._own
            name = region or (known and known.region_name) or self._fallback
            if is_none and not self._exists(name):
                message = self.origins().no_region(name)
                raise AwsError("", UNKNOWN_REGION, message) from error
            if error.hint is None and error.code in ADVISED:
                error.hint = self.origins().advice(call.partition(":")[0], error.code)
            raise

    def _exists(self, region: str) -> bool:
        return region in known_regions() or region in self.enabled

    def origins(self) -> Origins:
        """Where what this session works with came from."""
        login = self.login
        return Origins(
            login.profile,
            login.regions,
            login.endpoint_url,
            login.settings_regions,
            self._profiles,
            os.environ,
        )

    @cached_property
    def _profiles(self) -> Mapping[str, Any]:
        """Those of the configuration. Read once: an outage asks for them with each call."""
        try:
            found: Mapping[str, Any] = botocore.session.Session().full_config.get("profiles", {})
        except boto.BotoCoreError:  # the configuration cannot be parsed
            return {}
        return found

    @property
    @interruptible
    def region(self) -> str | None:
        with self._lock, self.asking("session"):
            name: str | None = self._of_caller().region_name
            return name

    @property
    def boto(self) -> Any:
        if self._boto is None:
            self._boto = self._assumed() if self.login.role_arn else self._of_caller()
        return self._boto

    def _of_caller(self) -> Any:
        """With the caller's own credentials."""
        if self.caller is not None:
            with self.caller._lock:
                return self.caller._of_caller()
        if self._own is None:
            # botocore reads AWS_DEFAULT_REGION alone; AWS's other tools read this one first.
            region = self.login.region or os.environ.get("AWS_REGION") or None
            inner = self._tapped(botocore.session.get_session())
            try:
                session = boto3.Session(
                    botocore_session=inner, profile_name=self.login.profile, region_name=region
                )
            except boto.ProfileNotFound as error:
                message = self.origins().no_profile()
                raise AwsError("", "ProfileNotFound", message) from error
            _make_fast(inner)
            self._adjust(inner.get_component("credential_provider"), session.profile_name)
            self._own = session
        return self._own

    def _tapped(self, inner: Any) -> Any:
        if self.log is not None:
            Tap(self.log, self.login.run).attach(inner)
        return inner

    def _adjust(self, chain: Any, profile: str) -> None:
        """botocore's credential providers, with two exceptions: an invalid expiry in the
        environment is ignored, and without a terminal there is no prompt."""
        if self.login.profile is None and EXPIRATION in os.environ:
            # With a time that botocore can compare, or with none.
            environment = dict(os.environ)
            at = _expiration(environment.pop(EXPIRATION))
            if at is not None:
                environment[EXPIRATION] = at.isoformat()
            chain.insert_before(EnvProvider.METHOD, EnvProvider(environment))
        if not self.login.may_ask:
            # botocore takes it as an argument where it makes the provider, and nowhere else.
            chain.get_provider("assume-role")._prompter = _refusing(profile)

    @property
    def _fallback(self) -> str:
        return next(iter(self.login.settings_regions), "us-east-1")

    def _config(self, attempts: int) -> Config:
        return Config(
            user_agent_extra=f"reconciler/{__version__} run/{self.login.run}",
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=POOL,
            connect_timeout=10,
            read_timeout=60,
        )

    @interruptible
    def outlives(self, seconds: float) -> bool:
        """Whether the credentials are valid for ``seconds`` more; they are renewed first if
        possible. True for keys that do not expire, and for those with an unknown expiry: see
        ``doubts``."""
        with self._lock, self.asking("session:credentials"):
            credentials = self.boto.get_credentials()
            if not isinstance(credentials, RefreshableCredentials):
                return True
            credentials.get_frozen_credentials()
            return not credentials.refresh_needed(refresh_in=int(seconds))

    @interruptible
    def is_remote(self) -> bool:
        """Whether EC2's endpoint is another machine, whatever names it: a flag, the environment or
        the configuration."""
        host = urlsplit(self.client("ec2", None, 1).meta.endpoint_url).hostname or ""
        try:
            return not ip_address(host).is_loopback
        except ValueError:
            return host != "localhost" and not host.endswith(".localhost")

    @interruptible
    def doubts(self) -> tuple[str, ...]:
        """Why it is not known how long the credentials last, though they do not last for ever.
        Source: docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html"""
        with self._lock, translated("session:credentials"):
            credentials = self.boto.get_credentials()
        if isinstance(credentials, RefreshableCredentials) or not getattr(
            credentials, "token", None
        ):
            return ()
        given = os.environ.get(EXPIRATION)
        if credentials.method == EnvProvider.METHOD and given and _expiration(given) is None:
            return (f"{EXPIRATION} is {given!r}, which is not an ISO 8601 time",)
        return ("the credentials have a session token, and their expiry is not known",)

    def _sts(self, region: str) -> Any:
        """What assumes roles with the caller's credentials, for all targets alike."""
        with self._lock:
            if region not in self._assuming_in:
                self._assuming_in[region] = self._of_caller().client(
                    "sts",
                    region_name=region,
                    endpoint_url=self.login.endpoint_url,
                    config=self._config(READ_ATTEMPTS),
                )
            return self._assuming_in[region]

    def _assumed(self) -> Any:
        """The session of the target's role, which is assumed again before its hour is over."""
        session = self._of_caller()
        if self._assuming is None:
            client = (self.caller or self)._sts(session.region_name or self._fallback)
            params = {
                "RoleArn": self.login.role_arn or "",
                "RoleSessionName": f"reconciler-{self.login.run}",
            }
            if self.login.external_id:
                params["ExternalId"] = self.login.external_id
            self._assuming = _Assumed(client, params)
        inner = self._tapped(lean_session())
        _make_fast(inner)
        inner.get_component("credential_provider").providers.insert(0, self._assuming)
        return boto3.Session(botocore_session=inner, region_name=session.region_name)


EXPIRATION = EnvProvider.EXPIRY_TIME


def _expiration(text: str) -> datetime | None:
    """``None`` if it is not a time; AWS's own times are in UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _refusing(profile: str) -> Callable[[str], NoReturn]:
    """In the place of a prompt."""

    def refuse(_prompt: str) -> NoReturn:
        message = (
            f"profile {profile!r} needs an MFA code, and there is no terminal to prompt for it"
        )
        hint = (
            "sign in first and pass the session's keys in the environment, or use a profile "
            "without mfa_serial"
        )
        raise AwsError("sts:AssumeRole", "MfaRequired", message, hint=hint)

    return refuse


class _Assumed(CredentialProvider):
    """Credentials of one role, for botocore to ask for and to renew."""

    METHOD = "reconciler-target"

    def __init__(self, client: Any, params: Mapping[str, str]) -> None:
        super().__init__()
        self._client = client
        self._params = params
        self._loaded: RefreshableCredentials | None = None

    def load(self) -> RefreshableCredentials:
        if self._loaded is None:
            self._loaded = RefreshableCredentials.create_from_metadata(
                self._given(), refresh_using=self._given, method=self.METHOD
            )
        return self._loaded

    def _given(self) -> dict[str, str]:
        with translated("sts:AssumeRole"):
            given = self._client.assume_role(**self._params)["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }


@dataclass
class Clients:
    """Clients by service and region, made once. ``attempts`` is how often botocore sends a
    request: a reader may repeat itself, a writer sends once."""

    session: Session
    attempts: int
    counts: Counter[str] = field(default_factory=Counter)
    _made: dict[tuple[str, str | None], Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.session.made.append(self._made)

    def get(self, service: str, region: str | None = None) -> Any:
        with self._lock:
            key = (service, region)
            if key not in self._made:
                client = self.session.client(service, region, self.attempts)
                client.meta.events.register("before-send", self._counted(service))
                self._made[key] = client
            return self._made[key]

    def _counted(self, service: str) -> Callable[..., None]:
        prefix = PREFIXES.get(service, service)

        def count(event_name: str = "", **_: object) -> None:
            with self._lock:
                self.counts[f"{prefix}:{event_name.rpartition('.')[2]}"] += 1

        return count


def reading(session: Session) -> Clients:
    return Clients(session, READ_ATTEMPTS)


def writing(session: Session) -> Clients:
    return Clients(session, 1)


def examining(session: Session) -> Clients:
    """For one who would rather know that there is no answer than wait for it."""
    return Clients(session, 2)


@interruptible
def identity_of(clients: Clients) -> Identity:
    with clients.session.asking("sts:GetCallerIdentity"):
        answer = clients.get("sts").get_caller_identity()
    arn = str(answer["Arn"])
    return Identity(str(answer["Account"]), arn.split(":")[1], arn)
