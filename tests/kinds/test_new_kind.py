"""Each place that a new kind of resource has to be put into, as docs/architecture.md lists them."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from reconciler.drift import accept, attribution
from reconciler.importer import importer
from reconciler.kinds import registry
from reconciler.kinds.registry import kind_of
from reconciler.model.address import ASSOCIATION, POLICY, PROFILE, ROLE, Address
from reconciler.model.live import LiveEntity
from reconciler.model.resources import Resource
from reconciler.planner import planner
from reconciler.render.json.types import ChangeShape
from reconciler.spec.check.aws_limits import USER_TAGS
from reconciler.spec.desired import Desired
from reconciler.spec.format.key_order import _MODELS
from reconciler.spec.models import FileSpec

ENTITIES = {POLICY, ROLE, PROFILE}
KINDS = ENTITIES | {ASSOCIATION}
SECTIONS = {"policies", "roles", "instance_profiles"}


def test_the_planner_asks_each_kind() -> None:
    assert registry._KINDS.keys() == ENTITIES
    for kind in ENTITIES:
        assert kind_of(Address(kind, "x")) is registry._KINDS[kind]
    assert planner._KIND_ORDER.keys() == KINDS


@pytest.mark.parametrize(
    ("union", "count"),
    [(Resource, len(KINDS)), (LiveEntity, len(ENTITIES)), (Desired, len(ENTITIES))],
)
def test_closed_unions(union: object, count: int) -> None:
    """Matched to the end, so mypy names every function that forgets one."""
    assert len(get_args(union)) == count


def test_the_spec_format() -> None:
    assert FileSpec.model_fields.keys() >= SECTIONS | {"associations"}
    assert {path[0] for path in _MODELS if len(path) == 2} >= SECTIONS | {"associations"}
    assert USER_TAGS.keys() == ENTITIES


def test_drift_and_import() -> None:
    assert set(accept._SECTIONS) == ENTITIES
    assert set(accept._SECTIONS.values()) == SECTIONS
    assert set(importer._SECTIONS) == SECTIONS | {"associations"}
    assert {kind for kind, _ in attribution.EVENTS} == KINDS
    assert attribution.GONE.keys() == attribution.MADE.keys() == KINDS


def test_json() -> None:
    assert set(get_args(get_type_hints(ChangeShape)["kind"])) == KINDS
