"""Plan, apply, drift: from ports to values. Usable as a library; nothing here prints."""
