"""AWS's partitions, each with the suffix of its hosts.

Source: botocore's ``partitions.json``; a test compares.
"""

from __future__ import annotations

from typing import Final

DNS_SUFFIXES: Final = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-us-gov": "amazonaws.com",
}
"""By the name of the partition, as ARNs have it."""
