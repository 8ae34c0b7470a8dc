"""Where profile, region, endpoint and credentials came from, for whoever has to correct them.

Values may come from a flag, a variable, the settings or the AWS configuration, and the error of AWS
or botocore names none of these. No secret is read or told: of an endpoint or a proxy, what stands
before an ``@`` is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import botocore.session

from reconciler.diagnostics import nearest
from reconciler.ports import Credentials

PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
"""In the order in which botocore asks."""
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)
MISSING = frozenset({"NoCredentialsError", "PartialCredentialsError"})
UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException"})
UNSIGNED = "SignatureDoesNotMatch"
INVALID = "InvalidConfiguration"
UNKNOWN_REGION = "UnknownRegion"
"""Our own code for a region that botocore does not know and that does not answer."""
REFUSED_TOKEN = frozenset({"IDPCommunicationError", "IDPRejectedClaim", "InvalidIdentityToken"})
UNREACHABLE = frozenset({"ConnectTimeoutError", "EndpointConnectionError"})
NO_TLS, NO_PROXY = "SSLError", "ProxyConnectionError"
ADVISED = (
    *(MISSING | EXPIRED | UNKNOWN | REFUSED_TOKEN | UNREACHABLE),
    *(UNSIGNED, INVALID, NO_TLS, NO_PROXY),
)
"""Codes that ``Origins.advice`` has words for."""
_OWN_ENDPOINT = {
    **dict.fromkeys(UNREACHABLE, "check the network, HTTPS_PROXY and NO_PROXY"),
    NO_TLS: "check AWS_CA_BUNDLE, HTTPS_PROXY and NO_PROXY",
}
"""The advice where the endpoint is AWS's own."""


@cache
def known_regions() -> frozenset[str]:
    """Of all partitions, as botocore's own data has them: newer ones may exist."""
    # Its function for that reads the whole model of EC2 too, 6 MB, for the name of the service.
    parts = botocore.session.Session().get_data("endpoints")["partitions"]
    return frozenset(
        name
        for part in parts
        for name in part["services"].get("ec2", {}).get("endpoints", {})
        if name in part["regions"]
    )


def masked(url: str) -> str:
    """Without user, password, query and fragment; a host without a scheme is one too."""
    if "://" not in url:
        return re.split("[?#]", url.rpartition("@")[2], maxsplit=1)[0]
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class Origins:
    """What was given: by flags (``profile``, ``regions``, ``endpoint_url``), by the settings, and
    in the AWS configuration, as botocore reads it for this session."""

    profile: str | None
    regions: Collection[str]
    endpoint_url: str | None
    settings_regions: Collection[str]
    profiles: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, str]

    @property
    def profile_name(self) -> str:
        return self.profile or self._variable(PROFILE_VARIABLES)[1] or "default"

    def no_profile(self) -> str:
        """The message for a profile that does not exist."""
        name, known = self.profile_name, sorted(self.profiles)
        origin = "--profile" if self.profile else self._variable(PROFILE_VARIABLES)[0]
        meant = nearest(name, known)
        hint = f"; did you mean {meant}?" if meant else ";"
        told = ", ".join(known) if known else "none"
        where = " and ".join(self._files())
        return f"there is no AWS profile {name!r} ({origin}){hint} known in {where}: {told}"

    def no_region(self, region: str) -> str:
        """The message for a region that botocore does not know and that does not answer."""
        meant = nearest(region, sorted(known_regions()))
        hint = f"; did you mean {meant}?" if meant else ""
        return f"there is no region {region!r} ({self._of_region(region)}){hint}"

    def _of_region(self, region: str) -> str:
        if region in self.regions:
            return "--region"
        for name in REGION_VARIABLES:
            if self.environment.get(name) == region:
                return name
        if region in self.settings_regions:
            return "regions in reconciler.yaml"
        if self.profiles.get(self.profile_name, {}).get("region") == region:
            return f"profile {self.profile_name} of the AWS configuration"
        return "in the specs"

    def _variable(self, names: Collection[str]) -> tuple[str, str | None]:
        return next(((n, v) for n in names if (v := self.environment.get(n))), ("", None))

    def _files(self) -> list[str]:
        given = self.environment.get
        config = given("AWS_CONFIG_FILE") or "~/.aws/config"
        return [config, given("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"]

    def of_credentials(self, method: str, *, has_token: bool, role: str | None) -> Credentials:
        """``method`` is botocore's name of what gave them, ``role`` the one that was assumed."""
        name = self.profile_name
        config, shared = self._files()
        given = f"profile {name}{self._of_profile()}"
        words = {
            "env": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            "shared-credentials-file": f"{given} in {shared}",
            "config-file": f"{given} in {config}",
            "assume-role": f"the role of {given} in {config}",
            "assume-role-with-web-identity": f"a web identity token: {self._web_token()}",
            "sso": f"{given} in {config}, by IAM Identity Center",
            "login": f"{given} in {config}, by aws login",
            "custom-process": f"credential_process of {given} in {config}",
            "iam-role": "the role of this EC2 instance",
            "container-role": "the role of this container",
        }
        origin = f"assuming {role}" if role else words.get(method, method)
        is_of_host = role is None and method in ("iam-role", "container-role")
        return Credentials(origin, self._lasts(method, role, has_token=has_token), is_of_host)

    def _of_profile(self) -> str:
        variable = self._variable(PROFILE_VARIABLES)[0]
        origin = "--profile" if self.profile else variable
        return f" ({origin})" if origin else ""

    def _lasts(self, method: str, role: str | None, *, has_token: bool) -> str:
        if not has_token:
            return "they do not expire"
        keys = ("env", "shared-credentials-file", "config-file")
        if method not in keys or role is not None:
            return "they are renewed before they expire"
        known = self.environment.get("AWS_CREDENTIAL_EXPIRATION") if method == "env" else None
        return f"they expire at {known}" if known else "when they expire is not known"

    def of_endpoint(self, service: str) -> str | None:
        """What set the endpoint of the service (``iam``, ``ec2``, ``sts``); ``None`` if it is
        AWS's own."""
        if self.endpoint_url:
            return "--endpoint-url"
        if self.environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
            return None
        name, value = self._variable((f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"))
        if value:
            return name
        own = self.profiles.get(self.profile_name, {})
        if "endpoint_url" in own or "services" in own:
            return f"profile {self.profile_name} of the AWS configuration"
        return None

    def advice(self, service: str, code: str) -> str | None:
        """What to do about an error, in a line; ``None`` if it is not about what was given."""
        if code in MISSING:
            return self._to_sign_in()
        if code in EXPIRED:
            return self._to_renew()
        if code in UNKNOWN:
            return f"AWS does not know the keys, which are from {self._source()}"
        if code == UNSIGNED:
            return (
                f"the secret key, from {self._source()}, does not belong to its access key, or the "
                "clock of this machine is wrong"
            )
        if code in REFUSED_TOKEN:
            return f"AWS does not accept the token: {self._web_token()}, and the trust of its role"
        if code == NO_PROXY:
            return "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        if code in UNREACHABLE or code in (INVALID, NO_TLS):
            if (origin := self.of_endpoint(service)) is not None:
                return f"the endpoint is from {origin}"
            return _OWN_ENDPOINT.get(code)
        return None

    @property
    def _has_keys(self) -> bool:
        """In the environment; botocore passes them over for a profile that a flag names."""
        return self.profile is None and "AWS_ACCESS_KEY_ID" in self.environment

    @property
    def _has_token_file(self) -> bool:
        return self.profile is None and "AWS_WEB_IDENTITY_TOKEN_FILE" in self.environment

    def _web_token(self) -> str:
        if self._has_token_file:
            return "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN"
        return f"web_identity_token_file of profile {self.profile_name}"

    def _source(self) -> str:
        name = self.profile_name
        if self._has_keys:
            return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        return f"profile {name} of the AWS configuration" if name in self.profiles else "this host"

    def _to_sign_in(self) -> str:
        """Where no credentials were found."""
        environment = self.environment
        if "GITHUB_ACTIONS" in environment:
            return (
                "in GitHub Actions: aws-actions/configure-aws-credentials with role-to-assume, in "
                "a job with permissions: {id-token: write}"
            )
        if "GITLAB_CI" in environment:
            return "in GitLab CI: id_tokens, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE"
        if self._has_keys or self._has_token_file:
            needs = "AWS_SECRET_ACCESS_KEY" if self._has_keys else "AWS_ROLE_ARN"
            has = "AWS_ACCESS_KEY_ID" if self._has_keys else "AWS_WEB_IDENTITY_TOKEN_FILE"
            return f"{has} is set; set {needs} too"
        name = self.profile_name
        if name in self.profiles and _is_sso(self.profiles.get(name, {})):
            return f"run aws sso login{_of(name)}"
        if self.profiles:
            known = ", ".join(sorted(self.profiles))
            return f"choose a profile with --profile or AWS_PROFILE; known: {known}"
        return "run aws configure sso, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

    def _to_renew(self) -> str:
        """Where they have expired."""
        if self._has_keys:
            if "GITHUB_ACTIONS" in self.environment:
                return (
                    "the session of this job is over: raise role-duration-seconds of "
                    "aws-actions/configure-aws-credentials, or pass --max-time"
                )
            return (
                "set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; those of "
                "the environment have expired"
            )
        if self._has_token_file:
            return f"have the job issue a new token: {self._web_token()}"
        return self._to_renew_profile(self.profile_name, depth=0)

    def _to_renew_profile(self, name: str, depth: int) -> str:
        own = self.profiles.get(name, {})
        if _is_sso(own):
            return f"run aws sso login{_of(name)}"
        if "login_session" in own:
            return f"run aws login{_of(name)}"
        source = own.get("source_profile")
        if "role_arn" in own and source and source != name and depth < len(self.profiles):
            how = self._to_renew_profile(source, depth + 1)
            return f"profile {name} assumes its role with profile {source}: {how}"
        if "web_identity_token_file" in own:
            return f"get a new token: {self._web_token()}"
        if "credential_process" in own:
            return f"credential_process of profile {name} gives expired credentials"
        if name in self.profiles:
            return f"renew the keys of profile {name} in {' or '.join(self._files())}"
        return "they are from this host's role (EC2, ECS or EKS), which renews them: try again"


def _is_sso(profile: Mapping[str, Any]) -> bool:
    return "sso_session" in profile or "sso_start_url" in profile


def _of(name: str) -> str:
    return "" if name == "default" else f" --profile {name}"
