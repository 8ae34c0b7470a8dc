"""What leaves for other systems: comments, notifications, metrics."""
