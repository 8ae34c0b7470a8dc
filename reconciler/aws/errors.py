"""From what botocore raises to ``AwsError``, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from reconciler.ports import THROTTLED, AwsError

_UNCERTAIN = (
    boto.ReadTimeoutError,
    boto.ConnectionClosedError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
)
"""The request left; whether it took effect is not known."""

HINTS = {
    "NoCredentialsError": "no AWS credentials were found; set AWS_PROFILE, or give --profile",
    "PartialCredentialsError": "the AWS credentials are incomplete",
    "ProfileNotFound": "there is no such profile in the AWS configuration",
    "NoRegionError": "no region is set; give --region, or set AWS_REGION",
    "ExpiredToken": "the credentials have expired; sign in again",
    "ExpiredTokenException": "the credentials have expired; sign in again",
    "RequestExpired": "the credentials have expired, or this machine's clock is wrong",
    "InvalidClientTokenId": "AWS does not know these credentials",
    "SignatureDoesNotMatch": "the secret key is wrong, or this machine's clock is",
    "UnauthorizedSSOTokenError": "the SSO session has expired; run aws sso login",
    "SSOTokenLoadError": "there is no SSO session; run aws sso login",
    "TokenRetrievalError": "the SSO session has expired; run aws sso login",
    "EndpointConnectionError": "the endpoint cannot be reached",
}


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Everything that botocore raises inside, as ``AwsError``."""
    try:
        yield
    except boto.ClientError as error:
        raise _client_error(call, error) from error
    except ResponseParserError as error:
        message = "what answered is not AWS, or its answer was cut off"
        raise AwsError(call, "ResponseParserError", message, is_uncertain=True) from error
    except (boto.BotoCoreError, boto.HTTPClientError) as error:
        raise _other(call, error) from error
    except RuntimeError as error:
        # So botocore says that credentials of the environment or of a process expired.
        raise AwsError(call, "ExpiredToken", HINTS["ExpiredToken"]) from error
    except ValueError as error:
        # botocore has no exception of its own for an endpoint that is no URL.
        raise AwsError(call, "InvalidConfiguration", str(error)) from error


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


def _other(call: str, error: Exception) -> AwsError:
    code = type(error).__name__
    message = HINTS.get(code, str(error))
    return AwsError(call, code, message, is_uncertain=isinstance(error, _UNCERTAIN))
