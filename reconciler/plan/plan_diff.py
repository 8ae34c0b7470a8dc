"""The difference between two plans: for each address the intent then and now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_Intended = Mapping[str, Any]
LONGEST = 80


def differences(before: _Intended, after: _Intended) -> Iterator[str]:
    """A line for each address whose intended change differs or is gone; ``before`` is the reviewed
    plan."""
    left, right = _by_address(before), _by_address(after)
    for name in sorted(left.keys() | right.keys()):
        planned, now = left.get(name), right.get(name)
        if planned != now:
            yield f"{name}: {_moved(planned, now)}"
    yield from _other_settings(_settings(before), _settings(after))


def in_short(intended: _Intended) -> Iterator[str]:
    """A line for each address that would change, and one for the settings: with the digest alone
    it is not known which of them moved."""
    changes = [(n, c) for n, c in sorted(_by_address(intended).items()) if "rule" not in c]
    if not changes:
        yield "no changes"
    for name, change in changes:
        yield f"{name}: {_told(change)}"
    for of, settings in sorted(_settings(intended).items()):
        yield f"{of}settings: {', '.join(f'{k}: {_text(v)}' for k, v in sorted(settings.items()))}"


def _settings(intended: _Intended) -> dict[str, _Intended]:
    """By their prefix: the target, if there are several."""
    targets = intended["targets"]
    return {f"{t['target']}: " if len(targets) > 1 else "": t["settings"] for t in targets}


def _other_settings(
    before: Mapping[str, _Intended], after: Mapping[str, _Intended]
) -> Iterator[str]:
    for of in sorted(before.keys() & after.keys()):
        left, right = before[of], after[of]
        for name in sorted(left.keys() | right.keys()):
            then, today = left.get(name), right.get(name)
            if then != today:
                yield f"{of}{name} was {_text(then)}, is now {_text(today)}"


def _by_address(intended: _Intended) -> dict[str, _Intended]:
    found: dict[str, _Intended] = {}
    for target in intended["targets"]:
        of = f"{target['target']}: " if len(intended["targets"]) > 1 else ""
        for change in target["changes"]:
            where = f" ({change['region']})" if change["region"] else ""
            found[f"{of}{change['address']}{where}"] = change
        for rule in target["rules"]:
            found[f"{of}the rule of {rule['association']!r}"] = {"rule": rule}
    return found


def _moved(planned: _Intended | None, now: _Intended | None) -> str:
    if "rule" in (planned or now or {}):
        if planned and now:
            return "the rule has changed"
        return "the rule was removed" if planned else "a new rule"
    if planned is None:
        assert now is not None
        return f"was not planned; is now {_told(now)}"
    if now is None:
        return f"was planned as {_told(planned)}; has no changes now"
    if planned["actions"] != now["actions"]:
        return f"was planned as {_told(planned)}; is now {_told(now)}"
    return "; ".join(_attributes(planned, now)) or "its limits have changed"


def _told(change: _Intended) -> str:
    """``update (description)``."""
    before, after = change["before"] or {}, change["after"] or {}
    names = list(dict.fromkeys([*after, *before]))
    is_whole = change["before"] is None or change["after"] is None
    what = f" ({', '.join(names)})" if names and not is_whole else ""
    return f"{' and '.join(change['actions'])}{what}"


_ABSENT = object()
"""In the place of a tag or an inline policy that is not there."""
_BY_NAME = ("tags", "inline_policies")
"""Attributes that are compared name by name: the one that moved is told, not all of them."""


def _attributes(planned: _Intended, now: _Intended) -> Iterator[str]:
    left, right = _by_path(planned), _by_path(now)
    for path in sorted(left.keys() | right.keys()):
        then, today = left.get(path), right.get(path)
        if then == today:
            continue
        live = ["as in the specs" if p is None else _shown(p[0]) for p in (then, today)]
        if live[0] != live[1]:
            yield f"{path} was {live[0]}, is now {live[1]}"
        if then and today and then[1] != today[1]:
            yield f"{path} was planned as {_shown(then[1])}, is now planned as {_shown(today[1])}"


def _by_path(change: _Intended) -> dict[str, tuple[Any, Any]]:
    """Live value and wanted one, where they differ."""
    before, after = change["before"] or {}, change["after"] or {}
    found: dict[str, tuple[Any, Any]] = {}
    for name in before.keys() | after.keys():
        pair = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if name not in _BY_NAME or not all(isinstance(one, Mapping) for one in pair):
            found[name] = pair
            continue
        for key in pair[0].keys() | pair[1].keys():
            found[f"{name}.{key}"] = pair[0].get(key, _ABSENT), pair[1].get(key, _ABSENT)
    return {path: pair for path, pair in found.items() if pair[0] != pair[1]}


def _shown(value: Any) -> str:
    return "unset" if value is _ABSENT else _text(value)


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
