"""A picture as JSON, in the shapes of ``graph_types.py``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reconciler import __version__
from reconciler.explain.graph import Graph, PicturedTarget
from reconciler.plan.changes import Mark
from reconciler.render.json import graph_types as types
from reconciler.render.json.explain import stops_json
from reconciler.render.json.plan import target_header

_MARKS: Mapping[Mark, types.Mark] = MappingProxyType(
    {
        "same": "unchanged",
        "comes": "added",
        "goes": "removed",
        "fresh": "cutover",
        "changes": "changed",
    }
)


def graph_json(graph: Graph, created_at: str) -> types.GraphShape:
    """``created_at`` is as ``now_as_text`` has it."""
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "owner": graph.planned.plan.owner,
        "digest": graph.planned.plan.digest,
        "all": graph.has_all,
        "stops": stops_json(graph.stops),
        "targets": [_target(target) for target in graph.targets],
        "api_calls": dict(graph.api_calls),
    }


def _target(target: PicturedTarget) -> types.GraphTargetShape:
    return {
        **target_header(target.plan),
        "nodes": [
            {
                "address": str(node.address),
                "mark": _MARKS[node.mark],
                "region": node.region,
                "label": node.label,
                "reason": node.reason,
            }
            for node in target.picture.nodes
        ],
        "links": [
            {"before": str(link.before), "after": str(link.after), "mark": _MARKS[link.mark]}
            for link in target.picture.links
        ],
        "not_read": [{"what": n.what, "reason": n.reason} for n in target.not_read],
    }
