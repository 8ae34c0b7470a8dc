"""Pictures of who holds what: as SVG, in a page, for Mermaid and for Graphviz."""
