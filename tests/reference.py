"""``docs/reference.md``, from the code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from reconciler.cli.app import app
from reconciler.cli.examples import EXAMPLES
from reconciler.cli.help import default_of, value_name
from reconciler.exit_codes import ExitCode
from reconciler.plan.authorization import PAGES, READS, WRITES, Need
from reconciler.planner.options import ALLOW
from reconciler.render.json.schemas import PRINTED, schema_of
from reconciler.spec.schema import json_schema

HEAD = """# Reference

Made from the code by `make docs`. What it is for and how it hangs together is in [concepts](concepts.md), [the spec format](spec.md)
and [commands](commands.md).
"""


def reference() -> str:
    parts = [HEAD, *_commands(), *_exit_codes(), *_guards(), *_permissions(), *_spec(), *_json()]
    return "\n".join(parts).rstrip() + "\n"


def _commands() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        arguments = [p for p in command.params if not p.opts[0].startswith("-")]
        named = "".join(f" {_argument(p)}" for p in arguments)
        yield f"## `reconciler {name}{named}`\n\n{' '.join(command.help.split())}\n"
        yield "| flag | meaning | default |\n|---|---|---|"
        for parameter in command.params:
            if parameter not in arguments:
                yield _flag(parameter)
        for argument in arguments:
            default = f"`{argument.default}`" if argument.default else ""
            value = _escaped(value_name(argument))
            yield f"| `{value}`{_variable(argument)} | {argument.help} | {default} |"
        yield "\n```bash"
        yield from (f"# {what}\n{example}" for example, what in EXAMPLES[name])
        yield "```\n"


def _argument(argument: Any) -> str:
    value = value_name(argument)
    many = f"{value}..." if argument.nargs != 1 else value
    return many if argument.required else f"[{many}]"


def _flag(parameter: Any) -> str:
    shown = "`, `".join((*parameter.opts, *parameter.secondary_opts))
    more = (
        " (repeat for more)"
        if parameter.multiple and "repeat" not in parameter.help.lower()
        else ""
    )
    default = default_of(parameter)
    value = "" if default is None else f"`{default}`"
    taken = value_name(parameter)
    name = f"`{shown}{f' {_escaped(taken)}' if taken else ''}`{_variable(parameter)}"
    return f"| {name} | {parameter.help}{more} | {value} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _variable(parameter: Any) -> str:
    given = parameter.envvar
    names = [given] if isinstance(given, str) else given or []
    return "".join(f" or `{name}`" for name in names)


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n\n| code | meaning |\n|---|---|"
    yield from (f"| {int(code)} | {code.meaning} |" for code in ExitCode)
    yield ""


def _guards() -> Iterator[str]:
    yield "## Guards\n\nWhat stops `apply` and `destroy`, and never `plan`. The plan names the flag that lifts each.\n"
    yield "| `--allow` | lifts |\n|---|---|"
    for key, meaning in ALLOW.items():
        value = "N" if key in ("delete", "change") else "ADDR"
        yield f"| `{key}={value}` | {meaning} |"
    yield ""


def _permissions() -> Iterator[str]:
    yield "## Permissions\n\nWhat AWS checks of each call, from the table that `reconciler permissions` prints policies by.\n[Least permissions](permissions.md) is about using it.\n"
    yield "| call that reads | needs | on | condition keys | for | why |\n|---|---|---|---|---|---|"
    for call, read in READS.items():
        needs = read.needs or (Need("nothing", "*"),)
        purposes = ", ".join(f"`{purpose}`" for purpose in read.purposes) or "a flag or setting"
        yield f"| `{call}` | {_needed(needs)} | {purposes} | {read.why} |"
    yield ""
    yield "| call of apply, destroy and forget | needs | on | condition keys |\n|---|---|---|---|"
    yield from (f"| `{call}` | {_needed(needs)} |" for call, needs in WRITES.items())
    yield ""
    pages = ", ".join(f"[`{name}`](https://{page})" for name, page in PAGES.items())
    yield f"Source, by the prefix of the actions: {pages}.\n"


def _needed(needs: tuple[Need, ...]) -> str:
    actions = ", ".join(f"`{n.action}`" if ":" in n.action else n.action for n in needs)
    on = ", ".join(dict.fromkeys("all" if n.on == "*" else n.on for n in needs))
    keys = ", ".join(dict.fromkeys(f"`{key}`" for n in needs for key in n.keys))
    return f"{actions} | {on} | {keys}"


def _spec() -> Iterator[str]:
    schema = json_schema()["definitions"]
    for name, title in SHAPES.items():
        model = schema[name]
        yield f"## {title}\n\n{model.get('description', '')}\n"
        yield "| key | type | default | meaning |\n|---|---|---|---|"
        needed = model.get("required", [])
        for key, value in model["properties"].items():
            default = "must be given" if key in needed else _default(value)
            yield f"| `{key}` | {_type(value)} | {default} | {value.get('description', '')} |"
        yield ""


SHAPES = {
    "FileSpec": "Spec file",
    "Defaults": "`defaults`",
    "PolicySpec": "`policies.NAME`",
    "RoleSpec": "`roles.NAME`",
    "InstanceProfileSpec": "`instance_profiles.NAME`",
    "CutOverSpec": "`instance_profiles.NAME.cutover`",
    "AssociationSpec": "`associations.NAME`",
    "Settings": "Settings: `reconciler.yaml`",
    "Guards": "`guards`",
    "Quotas": "`quotas`",
    "IgnoreRule": "`ignore[]`",
    "Allow": "`allow[]`",
    "TargetSpec": "`targets.NAME`",
    "FromOrganizations": "`targets_from.organizations`",
}


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    return f"`{default}`" if not isinstance(default, bool) else f"`{str(default).lower()}`"


def _type(value: dict[str, Any]) -> str:
    if "enum" in value or "const" in value:
        listed = dict.fromkeys(str(v) for v in value.get("enum", [value.get("const")]))
        return "\\|".join(f"`{v}`" for v in listed)
    if "$ref" in value:
        return "mapping"
    if "anyOf" in value or "allOf" in value:
        parts = (_type(v) for v in value.get("anyOf", value.get("allOf", [])))
        return " or ".join(dict.fromkeys(p for p in parts if p != "null"))
    kind = value.get("type", "")
    if kind == "array":
        return f"list of {_type(value.get('items', {}))}"
    names = {
        "object": "mapping",
        "string": "text",
        "integer": "number",
        "boolean": "`true`\\|`false`",
    }
    # Text that may look like a number or a switch is text; a duration is either.
    kinds = [kind] if isinstance(kind, str) else [k for k in kind if k in ("string", "integer")]
    return " or ".join(names.get(k, k) for k in kinds)


def _json() -> Iterator[str]:
    yield "## JSON\n\nEach has a JSON Schema, by which the program is tested: `reconciler schema --of NAME`.\n"
    yield "| name | what |\n|---|---|"
    yield from (f"| `{name}` | {schema_of(name)['title']} |" for name in PRINTED)
    for name in ("plan", "drift"):
        for title, shape in sorted(schema_of(name)["$defs"].items()):
            if name == "drift" and title not in ("DriftShape", "FindingShape", "ActorShape"):
                continue
            yield f"\n### {title.removesuffix('Shape')}\n\n{shape.get('description', '')}\n"
            yield "| member | type | meaning |\n|---|---|---|"
            for key, value in shape["properties"].items():
                yield f"| `{key}` | {_type(value)} | {value.get('description', '')} |"
