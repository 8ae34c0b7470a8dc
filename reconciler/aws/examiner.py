"""What a check-up asks: credentials, endpoints, clocks and single reads. AWS's simulator of
policies is in ``simulator.py``. Reads only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from time import time as now
from typing import Any

from botocore import exceptions as boto

from reconciler.aws.origins import masked
from reconciler.aws.session import Clients
from reconciler.aws.simulator import Simulator, verdict_of
from reconciler.errors import AwsError
from reconciler.model.resources import Identity
from reconciler.plan.authorization import READS, Question, Simulated, Verdict
from reconciler.plan.impact import Usage
from reconciler.ports import NOT_SIMULATED, Credentials, Endpoint
from reconciler.threads import interruptible

_KNOCKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sts": ("get_caller_identity", {}),
    "iam": ("list_account_aliases", {"MaxItems": 1}),
    "ec2": ("describe_regions", {}),
}
"""What each service is asked in nobody's name."""
_CLIENTS = {"tag": "resourcegroupstaggingapi"}
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_NO_PROXY = ("NO_PROXY", "no_proxy")
_SESSION = re.compile(r"arn:[\w-]+:sts::[0-9]+:assumed-role/(?P<role>[^/]+)/.+")
_USER = re.compile(r"arn:[\w-]+:iam::[0-9]+:user/.+")


class AwsExaminer:
    """An ``Examiner`` over boto3. The clients of the simulator are ``patient``: AWS throttles it
    early."""

    def __init__(self, clients: Clients, patient: Clients) -> None:
        self._clients = clients
        self._simulator = Simulator(patient)
        self._session = clients.session

    @interruptible
    def credentials(self) -> Credentials:
        with self._session.asking("session:credentials"):
            found = self._session.boto.get_credentials()
            if found is None:
                raise boto.NoCredentialsError
            found.get_frozen_credentials()
        return self._session.origins().of_credentials(
            found.method, has_token=bool(found.token), role=self._session.login.role_arn
        )

    @interruptible
    def endpoint(self, service: str, region: str | None = None) -> Endpoint:
        url = str(self._client(service, region).meta.endpoint_url)
        return Endpoint(masked(url), self._session.origins().of_endpoint(service))

    def proxies(self) -> Mapping[str, str]:
        environment = self._session.origins().environment
        found = {name: masked(environment[name]) for name in _PROXIES if environment.get(name)}
        hosts = {name: environment[name] for name in _NO_PROXY if environment.get(name)}
        return {**found, **hosts}

    @interruptible
    def ahead(self, service: str) -> float | None:
        client = self._session.client(service, None, 1, as_nobody=True)
        method, params = _KNOCKS[service]
        began = now()
        try:
            with self._session.calling(f"{service}:reach"):
                try:
                    answer: Any = getattr(client, method)(**params)
                except boto.ClientError as error:  # any answer will do
                    answer = error.response
        except AwsError as error:
            error.call = ""
            raise
        told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        try:
            at = parsedate_to_datetime(str(told)).timestamp()
        except ValueError:
            return None
        # A date leaves out parts of a second.
        return at + 0.5 - (began + now()) / 2

    @interruptible
    def ask(self, call: str, region: str | None = None, **params: Any) -> Mapping[str, Any]:
        if call not in READS:
            raise AssertionError(f"an examiner does not call {call}")
        service, _, operation = call.partition(":")
        method = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()
        client = self._client(_CLIENTS.get(service, service), region)
        with self._session.calling(call, region):
            answer: Mapping[str, Any] = getattr(client, method)(**params)
            return answer

    def principal(self, identity: Identity) -> str:
        if _USER.fullmatch(identity.arn):
            return identity.arn
        if (session := _SESSION.fullmatch(identity.arn)) is None:
            message = f"the simulator takes users and roles, not {identity.arn}"
            raise AwsError("", NOT_SIMULATED, message)
        # The ARN of a session leaves out the path of its role.
        role = self.ask("iam:GetRole", RoleName=session["role"])["Role"]
        return str(role["Arn"])

    def simulate(self, principal: str, question: Question) -> tuple[Verdict, ...]:
        return tuple(verdict_of(one) for one in self.simulate_role(principal, question))

    def simulate_role(self, role: str, question: Question) -> tuple[Simulated, ...]:
        return self._simulator.of_principal(role, question)

    def simulate_documents(
        self, documents: Sequence[Any], boundary: Any, question: Question
    ) -> tuple[Simulated, ...]:
        return self._simulator.of_documents(documents, boundary, question)

    def begin_report(self, role: str) -> str:
        return self._simulator.begin_report(role)

    def report(self, job: str) -> Usage | None:
        return self._simulator.report(job)

    def _client(self, service: str, region: str | None) -> Any:
        return self._clients.get(service, region)
