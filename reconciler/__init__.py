"""Sync YAML specs of IAM roles, EC2 instance profiles, tags and associations to AWS."""

__version__ = "0.1.0"
