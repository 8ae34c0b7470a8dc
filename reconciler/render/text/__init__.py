"""For a terminal: plans, results, drifts and findings as styled lines."""
