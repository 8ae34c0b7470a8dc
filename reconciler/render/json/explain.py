"""An explanation as JSON, in the shapes of ``explain_types.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from reconciler import __version__
from reconciler.explain.explanation import (
    AssociationPart,
    Explained,
    Explanation,
    MarkInWords,
    NewInstances,
    Part,
    PolicyOfRole,
    PolicyPart,
    RolePart,
)
from reconciler.explain.stops import Stop
from reconciler.model.launch_sources import Origin
from reconciler.model.live import LiveInstance
from reconciler.planner.served import Served
from reconciler.render.json import explain_types as types
from reconciler.render.json.plan import (
    apart_json,
    change_json,
    conflict_json,
    consumers_json,
    guard_json,
    kept_json,
    origin_json,
    source_json,
    target_header,
    time_as_text,
    unmet_json,
    unread_json,
)


def explain_json(explained: Explained, created_at: str) -> types.ExplainShape:
    """``created_at`` is as ``now_as_text`` has it."""
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "owner": explained.owner,
        "asked": explained.asked,
        "answers": [_answer(one, explained) for one in explained.answers],
        "api_calls": dict(explained.api_calls),
    }


def _answer(one: Explanation, explained: Explained) -> types.AnswerShape:
    return {
        **target_header(one.plan),
        "address": str(one.address),
        "instance": _instance(one.instance, one.origin) if one.instance is not None else None,
        "served": served_json(one.served) if one.served is not None else None,
        "association": _association(one.association) if one.association is not None else None,
        "instance_profiles": [
            {**_part(part), "role": part.role, "wanted_role": part.wanted_role}
            for part in one.profiles
        ],
        "roles": [_role(part) for part in one.roles],
        "policies": [_policy(part) for part in one.policies],
        "consumers": [consumers_json(group) for group in one.consumers],
        "apart": apart_json(one.apart),
        "searched_regions": list(one.searched),
        "next": _next(one, explained.command(one.next)),
        "new_instances": [_new(new) for new in one.new_instances],
        "not_read": [{"what": n.what, "reason": n.reason} for n in one.not_read],
    }


def moment(seconds: float | None) -> str | None:
    return time_as_text(seconds) if seconds else None


def _instance(instance: LiveInstance, origin: Origin | None) -> types.InstanceShape:
    return {
        "id": instance.key.instance,
        "region": instance.key.region,
        "name": instance.tags.get("Name"),
        "state": instance.state,
        "launched_at": moment(instance.launched_at),
        "started_by": origin_json(origin),
        "managed_by": instance.operator,
    }


def served_json(served: Served) -> types.ServedShape:
    return {
        "status": served.status,
        "role": served.role,
        "how": served.how,
        "because": served.because,
        "candidates": list(served.candidates),
        "until": moment(served.until),
    }


def _marks(marks: Iterable[MarkInWords]) -> list[types.MarkShape]:
    return [{"key": m.key, "value": m.value, "meaning": m.meaning} for m in marks]


def _association(part: AssociationPart) -> types.AssociationPartShape:
    row = part.row
    return {
        "id": row.id if row is not None else None,
        "state": row.state if row is not None else None,
        "instance_profile": row.profile_name if row is not None else None,
        "wanted": part.wanted,
        "named": part.named,
        "selected": part.is_selected,
        "rival": part.rival,
        "elsewhere": [
            {
                "named": one.association,
                "selected": one.is_selected,
                "regions": list(one.regions),
            }
            for one in part.elsewhere
        ],
        "marks": _marks(part.marks),
        "source": source_json(part.source),
    }


def _part(part: Part) -> types.PartShape:
    return {
        "address": str(part.address),
        "arn": part.arn,
        "in_aws": part.in_aws,
        "ownership": part.ownership,
        "differences": [
            {"path": d.path, "before": d.before, "after": d.after} for d in part.differences
        ],
        "marks": _marks(part.marks),
        "why": part.why,
        "unread": part.unread,
        "source": source_json(part.source),
    }


def _role(part: RolePart) -> types.RolePartShape:
    return {
        **_part(part),
        "policies": [_policy_of_role(policy) for policy in part.policies],
        "instance_profiles": [str(address) for address in part.profiles],
        "trusts_ec2": part.trusts_ec2,
    }


def _policy_of_role(policy: PolicyOfRole) -> types.PolicyOfRoleShape:
    return {
        "kind": policy.kind,
        "name": policy.name,
        "arn": policy.arn,
        "held": policy.held,
        "document": policy.document,
        "unread": policy.unread,
        "differs": policy.differs,
        "source": source_json(policy.source),
    }


def _policy(part: PolicyPart) -> types.PolicyPartShape:
    return {
        **_part(part),
        "roles": [str(address) for address in part.roles],
        "boundary_of": [str(address) for address in part.boundary_of],
        "others": part.others,
        "document": part.document,
    }


def _next(one: Explanation, command: str | None) -> types.NextShape:
    following = one.next
    return {
        "changes": [
            change_json(change, one.plan.blast_radius.get(change.address))
            for change in following.changes
        ],
        "conflicts": [conflict_json(conflict) for conflict in following.conflicts],
        "guards": [guard_json(guard) for guard in following.guards],
        "kept": [kept_json(kept) for kept in following.kept],
        "unread": [unread_json(unread) for unread in following.unread],
        "unmet": [unmet_json(unmet) for unmet in following.unmet],
        "blocked": following.is_blocked,
        "elsewhere": stops_json(following.elsewhere),
        "stops": stops_json(following.stops),
        "command": command,
        "untouched": following.untouched,
        "then": [
            change_json(change, following.reached.get(change.address)) for change in following.then
        ],
    }


def stops_json(stops: Iterable[Stop]) -> list[types.StopShape]:
    return [
        {
            "target": stop.target,
            "key": stop.key,
            "reason": stop.reason,
            "lift": stop.lift,
            "addresses": [str(address) for address in stop.addresses],
            "brings": stop.brings,
            "later": stop.is_later,
        }
        for stop in stops
    ]


def _new(new: NewInstances) -> types.NewInstancesShape:
    launch = new.launch
    source, template = launch.source, launch.template
    return {
        "kind": cast("Any", launch.kind),
        "name": launch.name,
        "region": launch.region,
        "relation": new.relation,
        "auto_scaling_group": source.group if source is not None else None,
        "launch_template": template.name if template is not None else None,
        "launch_template_id": template.id if template is not None else None,
        "version": launch.version,
        "version_number": launch.number,
        "launch_configuration": launch.configuration,
        "instance_profile": launch.profile,
        "role": new.role,
        "role_after": new.role_after,
        "unknown": launch.unknown,
        "replaces": source.replaces if source is not None else False,
        "missing": new.is_missing,
        "wanted": new.wanted,
        "differs": new.differs,
        "instances": new.instances,
    }
