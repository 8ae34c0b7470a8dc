"""The picture of the page on ``graph``, made by the program."""

from __future__ import annotations

from reconciler.explain.graph import make_graph
from reconciler.render.graph.formats import FORMATS
from tests.golden.cases import to_be_drawn


def picture() -> str:
    with to_be_drawn() as aws:
        return FORMATS["svg"](make_graph(aws.request(), aws.commands(), every=False), "")
