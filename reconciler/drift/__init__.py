"""Drift between specs and AWS: findings, their authors, the baseline, and accepting them."""
