"""The only package that imports boto3: sessions, reads in few calls, writes, errors. Nothing here
knows specs or plans."""
