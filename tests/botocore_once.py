"""What botocore knows of AWS, read once for a process. It reads a model, of EC2 one of 6 MB, once for
each session, and moto, boto3 and the program have several each."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import JSONFileLoader


@functools.cache
def _read(path: str) -> Any:
    return JSONFileLoader().load_file(path)


class Once(JSONFileLoader):
    """In place of ``Loader.FILE_LOADER_CLASS``."""

    def load_file(self, file_path: str) -> Any:
        return _read(file_path)
