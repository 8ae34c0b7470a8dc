"""The order in which keys are written: as the format has them, and AWS its documents."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from reconciler.spec import models
from reconciler.spec.settings import Allow, Guards, IgnoreRule, Quotas, Settings, TargetSpec
from reconciler.spec.yaml.policy_documents import Path, is_document

_DOCUMENT = ("Version", "Id", "Statement")
_STATEMENT = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


def _fields(*made: type[BaseModel]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for model in made for name in model.model_fields))


_ROOT = _fields(models.FileSpec, Settings)
_MODELS: dict[tuple[str, ...], tuple[str, ...]] = {
    (): ("version", "x-", *(name for name in _ROOT if name != "version")),
    ("defaults",): _fields(models.Defaults),
    ("policies", "*"): _fields(models.PolicySpec),
    ("roles", "*"): _fields(models.RoleSpec),
    ("roles", "*", "managed_policies"): _fields(models.ManagedPolicies),
    ("instance_profiles", "*"): _fields(models.InstanceProfileSpec),
    ("instance_profiles", "*", "cutover"): _fields(models.CutOverSpec),
    ("instance_profiles", "*", "cutover", "checks"): _fields(models.ChecksSpec),
    ("instance_profiles", "*", "cutover", "checks", "denied"): _fields(models.DeniedSpec),
    ("instance_profiles", "*", "cutover", "verify"): _fields(models.VerifySpec),
    ("associations", "*"): _fields(models.AssociationSpec),
    ("guards",): _fields(Guards),
    ("quotas",): _fields(Quotas),
    ("ignore", "*"): _fields(IgnoreRule),
    ("allow", "*"): _fields(Allow),
    ("targets", "*"): _fields(TargetSpec),
}


def rank(path: Path, name: str) -> int:
    """The position of a key; unknown keys come after the known ones."""
    if name == "<<":
        return -1
    known = _known(path)
    wanted = "x-" if not path and name.startswith("x-") else name
    return known.index(wanted) if wanted in known else len(known)


def _known(path: Path) -> Sequence[str]:
    for pattern, known in _MODELS.items():
        pairs = zip(pattern, path, strict=False)
        if len(pattern) == len(path) and all(part in ("*", name) for part, name in pairs):
            return known
    if is_document(path):
        return _DOCUMENT
    if is_document(path[:-1]) and path[-1] == "Statement":
        return _STATEMENT
    return _STATEMENT if is_document(path[:-2]) and path[-2:] == ("Statement", "*") else ()
