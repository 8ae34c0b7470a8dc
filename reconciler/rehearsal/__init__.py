"""Rehearsals: a plan is applied to a copy of the account in the embedded sandbox, and killed there.
What is measured and how it is told is here; the sandbox itself, and the copy of an account as a
file, are not."""
