"""What went wrong, in a line of help, and the exit code that says so."""

from __future__ import annotations

from reconciler.cli.console import Console
from reconciler.commands.request import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.ports import DENIED, AwsError
from reconciler.render.styled_text import data, line
from reconciler.render.text.diagnostics import count, full

_HELP = {
    "NoCredentialsError": "`aws sts get-caller-identity` tells whether there are any",
    "EndpointConnectionError": "is the endpoint right, and is something listening there?",
    "ConnectTimeoutError": "is the network up, and the endpoint right?",
    "MfaRequired": "sign in first and hand the session's keys over in the environment, or use a "
    "profile without mfa_serial",
}


def refused(error: RefusedError, console: Console) -> ExitCode:
    if error.diagnostics:
        console.err(*full(error.diagnostics, error.sources))
        console.error(f"{error.message}: {count(error.diagnostics)}")
    else:
        console.error(error.message)
    console.err(*(line("  ", data(detail)) for detail in error.details))
    return error.exit_code


def aws_failed(error: AwsError, console: Console) -> ExitCode:
    request = f" (request {error.request_id})" if error.request_id else ""
    console.error(f"{error.call}: {error.code}: {error.message}{request}", _hint(error))
    return ExitCode.ERROR


def _hint(error: AwsError) -> str | None:
    if error.code in DENIED:
        return f"whoever runs this needs permission for {error.call}"
    return _HELP.get(error.code)
