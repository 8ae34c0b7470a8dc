"""Specs for what is in an account already."""
