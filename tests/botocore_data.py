"""What botocore knows of AWS, made lighter for the tests: they run on it for minutes.

A model, of EC2 one of 6 MB, is read once for each session, and moto, boto3 and the program have
several each: here it is read once for the process. And of an instance only that is written and read
which the program, the sandbox or a test looks at, in place of sixty members; the tests that start a
program of their own, and ``test_moto_as_it_is``, have all of them.
"""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

LOOKED_AT = frozenset(
    {
        *("IamInstanceProfile", "ImageId", "InstanceId", "InstanceLifecycle", "InstanceType"),
        *("LaunchTime", "Operator", "Placement", "RootDeviceType", "State", "StateReason"),
        *("StateTransitionReason", "Tags"),
    }
)


@functools.cache
def _read(path: str) -> Any:
    data = JSONFileLoader().load_file(path)
    if data is not None and path.endswith("service-2") and "/ec2/" in path:
        instance = data["shapes"]["Instance"]["members"]
        for name in instance.keys() - LOOKED_AT:
            del instance[name]
    return data


class _Once(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        return _read(file_path)


Loader.FILE_LOADER_CLASS = _Once
