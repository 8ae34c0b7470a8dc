"""What there is: resources as the specs and as AWS have them, their addresses, and our tags on
them. Frozen values. Nothing here reads a file, calls AWS or decides anything."""
