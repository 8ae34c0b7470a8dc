"""One file for each kind of resource: what its changes are made of, as values."""
