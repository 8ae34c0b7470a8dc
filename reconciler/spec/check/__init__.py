"""What is wrong with a desired state though its form is right; AWS's limits are one table."""
