"""What leaves for other systems: messages, metrics, comments on pull requests."""
