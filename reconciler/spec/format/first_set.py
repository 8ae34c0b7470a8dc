"""A first set of specs, with comments, for somebody who has none."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.spec.settings import SETTINGS_FILE

RESOURCES_FILE = "web.yaml"

_SETTINGS = """\
# Settings of this set of specs. Without a comment sign: what you decide now.
version: 1

# Written to a tag of everything that this set manages. Nothing without that tag is ever changed.
owner: {owner}

# Where instances are looked for. A change of a role reaches its instances in all regions.
regions: [{region}]

# Refuse the credentials of any other account.
# account_id: "111111111111"

# Delete what leaves the specs; otherwise only with --prune.
# prune: true

# Differences to pass over.
# ignore:
#   - {{match: "role/*", attributes: [tags.last-scanned], reason: stamped by the scanner}}
"""

_RESOURCES = """\
# A role, the instance profile that holds it, and the instances that use it.
#   reconciler plan       shows what apply would do
#   reconciler apply      does it, after a question
version: 1

# Tags of everything in this file.
defaults:
  tags: {team: web}

roles:
  web-server:
    description: Web servers
    # Who may assume it: EC2, or the instances would never get credentials.
    trust: ec2
    # What is attached and not listed here is detached; the same holds for inline policies.
    managed_policies:
      - AmazonSSMManagedInstanceCore
    inline_policies:
      read-assets:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Action: s3:GetObject
            Resource: arn:${partition}:s3:::assets-${account_id}/*

instance_profiles:
  web:
    # With another role here, apply moves the running instances over to it.
    role: web-server
    cutover:
      # How many instances at once, as a number or a share such as 25%.
      max_unavailable: 1

associations:
  web:
    instance_profile: web
    # Instances by tags (all must match), or by id: instances: [i-0abc1234]
    select: {tags: {app: web}}
"""


def first_set(owner: str, region: str) -> Mapping[str, str]:
    """Text by file name. ``owner`` and ``region`` are valid in settings."""
    settings = _SETTINGS.format(owner=owner, region=region)
    return {SETTINGS_FILE: settings, RESOURCES_FILE: _RESOURCES}
