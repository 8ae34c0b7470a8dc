"""A flag is declared once: the command line, the request, the planner and a saved plan have it by
its name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from typer.main import get_command

from reconciler.cli.app import app
from reconciler.cli.arguments import CommonArguments
from reconciler.cli.commands.schema import Of
from reconciler.cli.given import OF_REQUEST, request_of
from reconciler.commands.request import Request
from reconciler.planner.options import Options, PlanFlags
from reconciler.render.json.schemas import PRINTED
from reconciler.render.json.types import RequestShape

OF_A_DRIFT = {"for_drift", "unmanaged"}
OF_A_COMMAND = {"path", "destroy", "forget", "rotate", "rotation"}


def names(of: type[CommonArguments | PlanFlags]) -> set[str]:
    return {field.name for field in fields(of)}


def test_every_request_field_has_a_flag_or_a_command() -> None:
    assert names(Request) - OF_REQUEST == OF_A_DRIFT | OF_A_COMMAND


def test_a_saved_plan_stores_every_request_field() -> None:
    assert set(RequestShape.__annotations__) == names(Request) - OF_A_DRIFT


def test_defaults_of_flags_and_request_agree() -> None:
    assert request_of(CommonArguments(), "specs") == Request()


def test_every_planning_flag_reaches_the_planner() -> None:
    asked = Request(only=("role/*",), refresh_adopted=True, unmanaged=True, destroy=True).asked()
    assert asked.keys() == names(PlanFlags) <= names(Options)
    assert {name for name, value in asked.items() if value} == {
        "only",
        "refresh_adopted",
        "unmanaged",
        "destroy",
        "rotation",
    }


def test_each_json_has_a_schema_to_print() -> None:
    assert {of.value for of in Of} == {"specs", *PRINTED}


def test_the_flag_of_the_specs_is_declared_once() -> None:
    commands: Any = get_command(app)
    found = {
        option.help
        for command in commands.commands.values()
        for option in command.params
        if "--specs" in option.opts
    }
    assert len(found) == 1
