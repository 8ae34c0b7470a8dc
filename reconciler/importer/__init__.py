"""Specs for existing resources."""
