"""YAML text with places: a tree to read values from, and one that keeps every character."""
