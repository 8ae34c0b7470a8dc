"""A local AWS: moto, with what it lacks for this job put in front of it (``docs/sandbox.md``)."""
