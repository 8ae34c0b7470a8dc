"""Least IAM policies: statements from specs or from a plan, by the table of what each call needs,
packed into documents that IAM takes. How they are printed is in ``render``."""
