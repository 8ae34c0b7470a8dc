"""From what botocore raises to ``AwsError``, in one table."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from botocore import credentials, parsers
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from reconciler.aws.origins import masked
from reconciler.errors import THROTTLED, AwsError

_NOT_SENT = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.CredentialRetrievalError,
    boto.MetadataRetrievalError,
)
"""Classes for a call that was not sent: no connection (refused, unknown host, no response, a proxy
that makes none), or no credentials to sign it with (renewal failed, and may succeed next time).

"""
_UNCERTAIN = (boto.HTTPClientError, boto.IncompleteReadError, boto.SSLError)
"""Classes for a call that may have been sent: its effect is not known. ``HTTPClientError`` includes
connections that end in the middle, and whatever botocore has no name for."""

CUT_OFF = frozenset({"ResponseParserError", "IncompleteReadError", "ResponseStreamingError"})
"""Codes of a response that arrived in part."""
_WORDS = {
    "NoCredentialsError": "no AWS credentials were found",
    "PartialCredentialsError": "the AWS credentials are incomplete",
    "NoRegionError": "no region is set; give --region, or set AWS_REGION",
    "UnauthorizedSSOTokenError": "the SSO session has expired",
    "SSOTokenLoadError": "there is no SSO session",
    "TokenRetrievalError": "the SSO session has expired",
    "EndpointConnectionError": "{endpoint_url} cannot be reached",
    "ConnectTimeoutError": "{endpoint_url} does not answer",
    "ProxyConnectionError": "the proxy {proxy_url} cannot be reached",
}
"""Messages for botocore's own exceptions; what stands in braces is of the exception."""
_NO_TUNNEL = "Tunnel connection failed: "
"""So Python begins what it says of a proxy that answers, and refuses; the status line follows."""
_EXPIRED = "the credentials have expired; sign in again"


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Everything that botocore raises inside, as ``AwsError``."""
    try:
        yield
    except boto.ClientError as error:
        raise _client_error(call, error) from error
    except ResponseParserError as error:
        message = "the response is not from AWS, or was cut off"
        raise AwsError(call, "ResponseParserError", message, is_uncertain=True) from error
    except KeyError as error:
        # XML that is nothing of AWS's: botocore looks for members without a doubt.
        if not _was_raised_in(parsers, error):
            raise
        message = "the response is not from AWS, or was cut off"
        raise AwsError(call, "ResponseParserError", message, is_uncertain=True) from error
    except (boto.BotoCoreError, boto.HTTPClientError) as error:
        code = type(error).__name__
        was_not_sent = isinstance(error, _NOT_SENT) or _in_handshake(error)
        is_uncertain = not was_not_sent and isinstance(error, _UNCERTAIN)
        message = _message(code, error)
        raise AwsError(
            call, code, message, is_uncertain=is_uncertain, was_not_sent=was_not_sent
        ) from error
    except RuntimeError as error:
        # So botocore says that credentials that it renewed have expired all the same: those of the
        # environment or of a process. It has no exception of its own for that.
        if not _was_raised_in(credentials, error):
            raise
        raise AwsError(call, "ExpiredToken", _EXPIRED) from error
    except OSError as error:
        # botocore names all failures of the network. What is left is a file or a program that the
        # credentials come from, and that is gone when they are renewed.
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        message = f"the credentials cannot be read: {what}"
        raise AwsError(call, "CredentialRetrievalError", message, was_not_sent=True) from error
    except ValueError as error:
        # botocore has no exception of its own for an endpoint that is no URL.
        raise AwsError(call, "InvalidConfiguration", str(error)) from error


def _was_raised_in(module: ModuleType, error: Exception) -> bool:
    *_, (raised_in, _) = traceback.walk_tb(error.__traceback__)
    return raised_in.f_globals is vars(module)


def _client_error(call: str, error: boto.ClientError) -> AwsError:
    answer: Any = error.response
    code = str(answer.get("Error", {}).get("Code", "Unknown"))
    metadata = answer.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    return AwsError(
        call,
        code,
        str(answer.get("Error", {}).get("Message", "")),
        status=status,
        request_id=str(metadata.get("RequestId", "")),
        is_uncertain=status >= 500 and code not in THROTTLED,
    )


def _message(code: str, error: Exception) -> str:
    """``str(error)`` of a failed connection has what the system said, after the URL."""
    if code not in _WORDS:
        return str(error)
    given = getattr(error, "kwargs", {})
    urls = {name: masked(str(given.get(name, ""))) for name in ("endpoint_url", "proxy_url")}
    _, refused, answer = str(given.get("error", "")).partition(_NO_TUNNEL)
    if refused:
        status = answer.rstrip("')")
        return f"the proxy {urls['proxy_url']} made no connection, and answered {status}"
    return _WORDS[code].format(**urls)


def _in_handshake(error: BaseException) -> bool:
    """Whether it failed during the TLS handshake. botocore and urllib3 use the same classes for
    that and for a failure in the middle of a response."""
    handshake = ssl.SSLSocket.do_handshake.__code__
    todo, seen = [error], set[int]()
    while todo:
        cause = todo.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        trace = traceback.walk_tb(cause.__traceback__)
        if any(frame.f_code is handshake for frame, _ in trace):
            return True
        inner = (cause.__cause__, cause.__context__, getattr(cause, "kwargs", {}).get("error"))
        todo += [one for one in inner if isinstance(one, BaseException)]
    return False
