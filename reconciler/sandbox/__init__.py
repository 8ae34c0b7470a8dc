"""An AWS to try things on: moto, patched to behave as AWS does, with faults on demand."""
