"""Runs a command and writes what it took: ``python -I tests/bench_usage.py FILE COMMAND...``.

A process of its own, and a small one: what the kernel says of the memory of a child begins with that
of the process which started it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path


def main(file: str, command: list[str]) -> int:
    code = subprocess.call(command)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {"cpu": usage.ru_utime + usage.ru_stime, "megabytes": usage.ru_maxrss / 1024}
    Path(file).write_text(json.dumps(found), "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
