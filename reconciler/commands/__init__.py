"""The public library: ``plan`` and ``apply`` as functions from a request and ports to values. It
neither prints nor imports boto3."""
