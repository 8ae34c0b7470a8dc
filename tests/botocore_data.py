"""What botocore knows of AWS, made lighter for the tests: they run on it for minutes.

It is read once for the process. And of an instance only that is written and read which the program,
the sandbox or a test looks at, in place of sixty members; the tests that start a program of their
own, and ``test_moto_as_it_is``, have all of them.
"""

from __future__ import annotations

from typing import Any

from botocore.loaders import Loader

from tests.botocore_once import Once

LOOKED_AT = frozenset(
    {
        *("IamInstanceProfile", "ImageId", "InstanceId", "InstanceLifecycle", "InstanceType"),
        *("LaunchTime", "Operator", "Placement", "RootDeviceType", "State", "StateReason"),
        *("StateTransitionReason", "Tags"),
    }
)


class _Lighter(Once):
    def load_file(self, file_path: str) -> Any:
        data = super().load_file(file_path)
        if data is not None and file_path.endswith("service-2") and "/ec2/" in file_path:
            instance = data["shapes"]["Instance"]["members"]
            for name in instance.keys() - LOOKED_AT:
                del instance[name]
        return data


Loader.FILE_LOADER_CLASS = _Lighter
