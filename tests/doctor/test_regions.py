"""A check of instances is of all regions that are used."""

from __future__ import annotations

from typing import Any, cast

import pytest

from reconciler.doctor.account import Patient, ssm
from reconciler.spec.settings import Settings
from tests.rig import AWAY, HOME


@pytest.mark.parametrize(("there", "status"), [(AWAY, "ok"), (HOME, "ok"), ("", "warning")])
def test_systems_manager_is_asked_in_each(there: str, status: str) -> None:
    class Asked:
        def ask(self, _call: str, region: str = "", **_params: Any) -> dict[str, Any]:
            return {"InstanceInformationList": [{}] if region == there else []}

    nobody = cast("Any", None)
    found = ssm(Patient(None, Settings(), None, nobody, cast("Any", Asked()), (HOME, AWAY)))
    assert found.status == status
    if status == "warning":
        assert f"{HOME}, {AWAY}" in found.message
