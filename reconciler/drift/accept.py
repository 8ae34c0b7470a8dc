"""``drift --accept``: edits the specs so that they match AWS."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.diagnostics import has_errors
from reconciler.drift.findings import Drift, Finding
from reconciler.errors import NotWritableError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.address import Address
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import DEFAULT_SESSION_SECONDS
from reconciler.plan.changes import Difference
from reconciler.spec.build.variables import escaped
from reconciler.spec.desired import Desired, DesiredProfile
from reconciler.spec.files import display_name
from reconciler.spec.format.dump import as_spec, trust_as_spec
from reconciler.spec.format.edit import Editing, Keys
from reconciler.spec.loader import read, validated
from reconciler.spec.yaml.policy_documents import place_of_inline

_SECTIONS = {"role": "roles", "policy": "policies", "instance-profile": "instance_profiles"}
_DEFAULTS = {"description": "", "path": "/", "max_session_duration": DEFAULT_SESSION_SECONDS}


@dataclass
class Accepted:
    """``files`` are the new texts by file name; ``refused`` are the reasons, by address or pattern,
    why a finding was not accepted; ``addresses`` are those that were, each with its file."""

    files: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    addresses: list[tuple[Address, str]] = field(default_factory=list)


def accept(planned: Planned, drift: Drift, patterns: Iterable[str]) -> Accepted:
    """The spec files with edits that resolve the findings whose address matches a pattern.

    Raises ``RefusedError`` if the specs would not be valid with them."""
    made = Accepted()
    wanted = list(patterns)
    matched: set[str] = set()
    for finding in drift.findings:
        fitting = [p for p in wanted if finding.address.matches(p)]
        matched.update(fitting)
        if fitting:
            _accept(finding, planned, made)
    for pattern in wanted:
        if pattern not in matched:
            made.refused[pattern] = "no finding matches"
    _refuse_broken(planned, made)
    return made


def patch(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """The lines of a patch for `git apply` or `patch -p1`."""
    for name in sorted(after):
        old, new = before[name].splitlines(True), after[name].splitlines(True)
        for diff in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"):
            yield diff if diff.endswith("\n") else f"{diff}\n\\ No newline at end of file\n"


def _refuse_broken(planned: Planned, made: Accepted) -> None:
    """Raises ``RefusedError`` if the edited specs are invalid: a removed resource may be referenced
    elsewhere."""
    if not made.files:
        return
    root = os.path.abspath(planned.root)  # noqa: PTH100 - as names of files were made
    is_folder = Path(root).is_dir()
    base = root if is_folder else str(Path(root).parent)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**planned.sources, **made.files}.items():
            copy = Path(folder) / os.path.relpath(name, base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, "utf-8")
        spec = validated(read(folder), dict(planned.request.variables))
    if has_errors(spec.diagnostics):
        message = "the specs would not be valid afterwards, so nothing is accepted"
        # Locations name the copies; name the originals instead.
        found = tuple(
            replace(d, location=replace(d.location, file=_named(d.location.file, folder, base)))
            for d in spec.diagnostics
        )
        sources = {_named(name, folder, base): text for name, text in spec.sources.items()}
        raise RefusedError(message, ExitCode.ERROR, found, sources)


def _named(name: str, folder: str, base: str) -> str:
    return display_name(Path(base) / os.path.relpath(name, folder))


def _accept(finding: Finding, planned: Planned, made: Accepted) -> None:
    target = next(t for t in planned.targets if t.plan.target == finding.target)
    desired = target.spec.desired
    by_address = {entity.resource.address: entity for entity in desired.entities()}
    entity = by_address.get(finding.address)
    try:
        if finding.status not in ("modified", "missing") or entity is None:
            raise NotWritableError(_why(finding))
        edit = _Edit(entity, target, made, planned.sources)
        if finding.status == "missing":
            edit.gone()
        else:
            for difference in finding.differences:
                edit.take(difference)
        made.files[edit.name] = edit.text
        made.addresses.append((finding.address, edit.name))
    except NotWritableError as error:
        made.refused[str(finding.address)] = str(error)


def _why(finding: Finding) -> str:
    match finding.status:
        case "left" | "unmanaged" | "unadopted":
            return "it is in no spec; `reconciler import` writes one"
        case "stale" | "in_progress" | "unknown":
            return f"it is {finding.status.replace('_', ' ')}, which cannot be written to a spec"
        case _:
            return "its instances follow from a rule, or from a list of ids"


class _Edit:
    """Edits one resource in the text of its file. Methods raise ``NotWritableError``."""

    def __init__(
        self,
        entity: Desired,
        target: PlannedTarget,
        made: Accepted,
        sources: Mapping[str, str],
    ) -> None:
        place = entity.place.here
        kind, name = entity.resource.address.kind, entity.resource.name
        self.entity, self.target, self.name = entity, target, place.file
        self.text = made.files.get(place.file, sources.get(place.file, ""))
        self.keys: Keys = (_SECTIONS[kind], name)
        if isinstance(entity, DesiredProfile) and not Editing(self.text).has(self.keys):
            raise NotWritableError("it comes from `instance_profile: true`; write it out first")

    @property
    def editing(self) -> Editing:
        return Editing(self.text)

    def gone(self) -> None:
        self.text = self.editing.remove(self.keys)

    def take(self, difference: Difference) -> None:
        """Sets one attribute to the value in AWS, which is ``before``."""
        attribute, _, key = difference.path.partition(".")
        live = difference.before
        match attribute:
            case "tags":
                keys = (*self.keys, "tags", key)
                if live is None and not self.editing.has(keys):
                    raise NotWritableError(f"the tag {key} comes from `defaults` of its file")
                self._put(keys, None if live is None else escaped(live))
            case "managed_policies":
                self._policy(difference)
            case "inline_policies":
                within = place_of_inline(self.entity.place.tree, self.keys[1], key)
                self._put((*self.keys, *within), as_spec(live) if live else None)
            case "trust_policy":
                ((name, value),) = trust_as_spec(PolicyDocument.of(live)).items()
                other = "trust" if name == "trust_policy" else "trust_policy"
                self.text = self.editing.set((*self.keys, name), value)
                self._put((*self.keys, other), None)
            case "document":
                self._put((*self.keys, "document"), as_spec(live))
            case "max_session_duration" | "description" | "path" | "permissions_boundary" | "role":
                self._attribute(attribute, live)
            case _:
                raise NotWritableError(f"{attribute} is not an attribute of the spec format")

    def _put(self, keys: Keys, value: Any) -> None:
        """``None`` removes the entry."""
        if value is not None:
            self.text = self.editing.set(keys, value)
        elif self.editing.has(keys):
            self.text = self.editing.remove(keys)

    def _attribute(self, name: str, live: Any) -> None:
        value = escaped(live) if isinstance(live, str) else live
        if name == "role":
            self.text = self.editing.set((*self.keys, name), value)
        elif live is None or live == _DEFAULTS.get(name):
            self._put((*self.keys, name), None)
        else:
            self._put((*self.keys, name), value)

    def _policy(self, difference: Difference) -> None:
        name = difference.path.partition(".")[2]
        keys = (*self.keys, "managed_policies")
        if self.editing.has((*keys, "exclusive")):
            keys = (*keys, "policies")  # the list is one level deeper
        arn = difference.before or difference.after
        if difference.before is not None:
            known = self.target.spec.desired.policy(name)
            is_aws = ":iam::aws:policy/" in arn and arn.endswith(f":policy/{name}")
            self.text = self.editing.append(keys, name if known or is_aws else arn)
            return
        for number, written in enumerate(self.editing.names(keys)):
            if written in (name, arn) or written.endswith(f"/{name}"):
                self.text = self.editing.discard(keys, number)
                return
        raise NotWritableError(f"the list in the spec has no entry {name}")
