"""Services that may be trusted, as far as they are known: hosts of the form ``NAME.amazonaws.com``.

AWS refuses a service that it does not have, and has no call that lists them. A name that is not
here may be newer than this list, so on its own it is never refused.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html and the
pages of the services on service-linked roles.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files


@cache
def known() -> tuple[str, ...]:
    """Their hosts without ``.amazonaws.com``."""
    listed = files(__package__).joinpath("service_principals.txt")
    return tuple(listed.read_text("utf-8").split())


_SUFFIX = ".amazonaws.com"
_LIKELY = 0.75
"""How alike a misspelt name is to the one that was meant, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class UnknownService:
    """``likely`` is the service that was probably meant, spelled as the unknown one was."""

    message: str
    likely: str | None

    @property
    def hint(self) -> str | None:
        return None if self.likely is None else f"did you mean {self.likely!r}?"


@lru_cache(1024)
def unknown(service: str) -> UnknownService | None:
    """``None`` for a known service, and for hosts of another form. ``service`` is a name or
    ``NAME.amazonaws.com``."""
    name = service.removesuffix(_SUFFIX)
    if "." in name or name in known():
        return None
    found = difflib.get_close_matches(name, known(), n=1, cutoff=_LIKELY)
    likely = found[0] + service[len(name) :] if found else None
    return UnknownService(f"there is no service {service!r} that is known", likely)
