"""What AWS does on an account of one's own, beside what the sandbox does."""
