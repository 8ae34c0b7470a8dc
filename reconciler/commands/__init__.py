"""The public library: what each command does, from a request and ports to values. Nothing here
prints, and nothing here imports boto3."""
