"""The experiments that leave the instance alone: on temporary profiles, and with calls that AWS
refuses. Each yields what it finds as it goes, so that an error takes nothing back.

``facts`` of an experiment are the questions of ``docs/probe.md`` that it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.probe.findings import NO, YES, ProbeObservation
from reconciler.probe.guard import (
    INSTANCE_TAG,
    MALFORMED,
    NO_ASSOCIATION,
    NO_INSTANCE,
    PATH,
    START,
)
from reconciler.probe.lab import Lab
from reconciler.probe.subject import tags_of

Found = Iterator[ProbeObservation]
NOBODY = f"{START}nobody"
"""The name of a profile and of a role that do not exist."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """``does`` says what it does to the account, before it is asked for. With ``asked_for`` it is
    made only if it is."""

    name: str
    does: str
    run: Callable[[Lab], Found]
    asked_for: bool = False


def young(lab: Lab) -> Found:
    """How long IAM takes to know a profile that it has just made."""
    a, _ = lab.subject.roles
    name = lab.name("one")
    made = lab.create("one")
    yield lab.outcome("create", "a profile is made", made)
    arns: list[str] = []

    def get() -> bool:
        found = lab.reply("iam:GetInstanceProfile", InstanceProfileName=name)
        if found.is_accepted:
            profile: Any = found.answer["InstanceProfile"]
            arns.append(profile["Arn"])
        return found.is_accepted

    def listed() -> bool:
        found = lab.paged("iam:ListInstanceProfiles", "InstanceProfiles", PathPrefix=PATH)
        return any(one["InstanceProfileName"] == name for one in found)

    refusals: list[str] = []

    def put() -> bool:
        found = lab.put("one", a.name)
        if not found.is_accepted:
            refusals.append(found.outcome)
        return found.is_accepted

    looks = {"get": get, "list": listed, "put": put}
    found = lab.until(looks, lab.limits.iam)
    yield lab.seconds("get", "until GetInstanceProfile knows it", found["get"])
    yield lab.seconds("list", "until ListInstanceProfiles has it", found["list"])
    yield lab.seconds("put", "until AddRoleToInstanceProfile takes it", found["put"])
    codes = tuple(dict.fromkeys(refusals))
    yield ProbeObservation(
        "put-refusals", "states", "how AddRoleToInstanceProfile refuses it", codes
    )
    is_arn = YES if arns and arns[0].startswith("arn:") else NO
    yield lab.fact("arn", "whether the first answer has an ARN, and not an id in its place", is_arn)

    def holds() -> bool:
        answer = lab.reply("iam:GetInstanceProfile", InstanceProfileName=name).answer
        profile: Any = answer.get("InstanceProfile", {})
        return any(role["RoleName"] == a.name for role in profile.get("Roles", ()))

    seen = lab.until({"role": holds}, lab.limits.iam)["role"]
    yield lab.seconds("role", "until GetInstanceProfile shows the role in it", seen)


def lists(lab: Lab) -> Found:
    """Which answers have tags, and what else they leave out."""
    a, b = lab.subject.roles
    lab.make("one", a.name)
    lab.make("two", b.name)
    name = lab.name("one")
    got = lab.read("iam:GetInstanceProfile", InstanceProfileName=name)["InstanceProfile"]
    yield _has(lab, "get", "GetInstanceProfile has tags of the profile", got, "Tags")
    (role,) = got["Roles"]
    yield _has(lab, "nested", "a role inside a profile has its tags", role, "Tags")
    yield _has(lab, "nested-time", "and its session duration", role, "MaxSessionDuration")
    listed = lab.paged("iam:ListInstanceProfiles", "InstanceProfiles", PathPrefix=PATH)
    yield _named(lab, "list", "ListInstanceProfiles has tags", listed, name)
    of_role = lab.paged("iam:ListInstanceProfilesForRole", "InstanceProfiles", RoleName=a.name)
    yield _named(lab, "list-for-role", "ListInstanceProfilesForRole has tags", of_role, name)
    roles = lab.paged("iam:ListRoles", "Roles")
    found: Any = next((one for one in roles if one["RoleName"] == a.name), {})
    yield _has(lab, "list-roles", "ListRoles has tags of a role", found, "Tags")
    details = lab.paged("iam:GetAccountAuthorizationDetails", "RoleDetailList", Filter=["Role"])
    by_name = {one["RoleName"]: one for one in details}
    mine = by_name.get(a.name, {})
    yield _has(
        lab, "details-role", "GetAccountAuthorizationDetails has tags of a role", mine, "Tags"
    )
    inside = iter(mine.get("InstanceProfileList", ()))
    yield _named(lab, "details-profile", "and tags of the profiles that have it", inside, name)
    yield _boundary(lab, by_name)


def _has(lab: Lab, name: str, asks: str, found: Any, key: str) -> ProbeObservation:
    return lab.fact(name, asks, YES if found.get(key) else NO)


def _named(lab: Lab, name: str, asks: str, listed: Iterator[Any], profile: str) -> ProbeObservation:
    found = next((one for one in listed if one["InstanceProfileName"] == profile), None)
    if found is None:
        return lab.fact(name, asks, None, "the answer lacks the profile")
    return _has(lab, name, asks, found, "Tags")


def _boundary(lab: Lab, by_name: dict[str, Any]) -> ProbeObservation:
    asks = "and the permissions boundary of a role"
    bounded = next((role for role in lab.subject.roles if role.has_boundary), None)
    if bounded is None:
        return lab.fact("details-boundary", asks, None, "neither role has one")
    return _has(lab, "details-boundary", asks, by_name.get(bounded.name, {}), "PermissionsBoundary")


def index(lab: Lab) -> Found:
    """AWS's index of tags: whether it has instance profiles at all, and how late."""
    a, _ = lab.subject.roles
    lab.make("one", a.name)
    name = lab.name("one")
    value = lab.marks[INSTANCE_TAG]

    def tags() -> dict[str, str] | None:
        wanted = [{"Key": INSTANCE_TAG, "Values": [value]}]
        of = ["iam:instance-profile"]
        answer: Any = lab.reply(
            "tag:GetResources", ResourceTypeFilters=of, TagFilters=wanted
        ).answer
        listed = answer.get("ResourceTagMappingList", ())
        found = [one for one in listed if str(one["ResourceARN"]).endswith(f"/{name}")]
        return tags_of(found[0]["Tags"]) if found else None

    first = lab.reply("tag:GetResources", ResourceTypeFilters=["iam:instance-profile"])
    yield lab.outcome("ask", "GetResources is asked for instance profiles", first)
    roles = lab.reply("tag:GetResources", ResourceTypeFilters=["iam:role"])
    yield lab.outcome("ask-roles", "GetResources is asked for roles", roles)
    if not first.is_accepted:
        return
    seen = lab.until({"new": lambda: tags() is not None}, lab.limits.index)["new"]
    yield lab.seconds("new", "until it has a new profile", seen)
    has_all = (tags() or {}).items() >= lab.marks.items()
    yield lab.fact(
        "whole",
        "whether it has all of its tags",
        None if seen[0] is None else YES if has_all else NO,
    )
    if seen[0] is None:
        return
    changed = {"Key": f"{INSTANCE_TAG}-changed", "Value": "yes"}
    lab.read("iam:TagInstanceProfile", InstanceProfileName=name, Tags=[changed])
    late = lab.until({"": lambda: changed["Key"] in (tags() or {})}, lab.limits.index)[""]
    yield lab.seconds("changed", "until it has a tag that was added", late)


def refusals_iam(lab: Lab) -> Found:
    """Which refusal comes first where two apply."""
    a, b = lab.subject.roles
    lab.make("one", a.name)
    lab.make("empty", None)
    name, empty = lab.name("one"), lab.name("empty")

    def put(profile: str, role: str) -> Any:
        call = "iam:AddRoleToInstanceProfile"
        return lab.reply(call, InstanceProfileName=profile, RoleName=role)

    def take(profile: str, role: str) -> Any:
        call = "iam:RemoveRoleFromInstanceProfile"
        return lab.reply(call, InstanceProfileName=profile, RoleName=role)

    yield lab.outcome("put-same", "put a role where it is already", put(name, a.name))
    yield lab.outcome("put-second", "put a role where another one is", put(name, b.name))
    yield lab.outcome("put-nobody-full", "put no existing role where one is", put(name, NOBODY))
    yield lab.outcome(
        "put-nobody", "put no existing role into an empty profile", put(empty, NOBODY)
    )
    yield lab.outcome("put-nowhere", "put a role into no existing profile", put(NOBODY, a.name))
    yield lab.outcome("put-none", "neither the role nor the profile exists", put(NOBODY, NOBODY))
    yield lab.outcome("take-other", "take a role that is in no profile", take(empty, a.name))
    yield lab.outcome("take-none", "take, where neither exists", take(NOBODY, NOBODY))
    again = lab.create_named(name)
    yield lab.outcome("create-again", "make a profile of a name that is taken", again)
    other = lab.create_named(name, f"{PATH}other/")
    yield lab.outcome("create-path", "the same name at another path", other)
    upper = lab.create_named(name.upper())
    yield lab.outcome("create-case", "the same name in capitals", upper)
    full = lab.reply("iam:DeleteInstanceProfile", InstanceProfileName=name)
    yield lab.outcome("delete-full", "delete a profile with a role in it", full)
    gone = lab.reply("iam:DeleteInstanceProfile", InstanceProfileName=NOBODY)
    yield lab.outcome("delete-none", "delete no existing profile", gone)
    wrong = [{"Key": "aws:probe", "Value": "x"}]
    call = "iam:TagInstanceProfile"
    tagged = lab.reply(call, InstanceProfileName=NOBODY, Tags=wrong)
    yield lab.outcome("tag-wrong-none", "a reserved tag on no existing profile", tagged)


def refusals_ec2(lab: Lab) -> Found:
    """The same of EC2, with calls that must be refused."""
    a, b = lab.subject.roles
    lab.make("one", a.name)
    lab.make("two", b.name)
    row = lab.has("one")
    mine = lab.subject.instance
    associate, replace = (
        "ec2:AssociateIamInstanceProfile",
        "ec2:ReplaceIamInstanceProfileAssociation",
    )

    def put(instance: str, profile: str) -> Any:
        return lab.reply(associate, InstanceId=instance, IamInstanceProfile={"Name": profile})

    def swap(association: str, profile: str) -> Any:
        new = {"Name": profile}
        return lab.reply(replace, AssociationId=association, IamInstanceProfile=new)

    one, two = lab.name("one"), lab.name("two")
    yield lab.outcome("again", "associate the profile that it has", put(mine, one))
    yield lab.outcome("second", "associate another profile", put(mine, two))
    yield lab.outcome(
        "second-nobody", "no existing profile, with one associated", put(mine, NOBODY)
    )
    yield lab.outcome("nowhere", "no existing instance", put(NO_INSTANCE, one))
    yield lab.outcome("nowhere-nobody", "neither instance nor profile", put(NO_INSTANCE, NOBODY))
    yield lab.outcome("malformed", "an instance that is no id, no profile", put(MALFORMED, NOBODY))
    yield lab.outcome("replace-nobody", "replace by no existing profile", swap(row.id, NOBODY))
    yield lab.outcome("replace-none", "replace no existing association", swap(NO_ASSOCIATION, one))
    both = swap(NO_ASSOCIATION, NOBODY)
    yield lab.outcome("replace-none-nobody", "neither association nor profile", both)
    yield lab.outcome("replace-malformed", "replace what is no id", swap(MALFORMED, one))
    none = lab.disassociate(NO_ASSOCIATION)
    yield lab.outcome("disassociate-none", "disassociate no existing association", none)
    bad = lab.disassociate(MALFORMED)
    yield lab.outcome("disassociate-malformed", "disassociate what is no id", bad)


def dry_runs(lab: Lab) -> Found:
    """What EC2 answers if it is only asked."""
    a, b = lab.subject.roles
    lab.make("one", a.name)
    lab.make("two", b.name)
    lab.make("empty", None)
    row = lab.has("one")
    mine, none = lab.subject.instance, NO_INSTANCE

    def ask(operation: str, **params: Any) -> Any:
        return lab.reply(f"ec2:{operation}", DryRun=True, **params)

    def put(instance: str, profile: str) -> Any:
        new = {"Name": profile}
        return ask("AssociateIamInstanceProfile", InstanceId=instance, IamInstanceProfile=new)

    def swap(association: str, profile: str) -> Any:
        new = {"Name": profile}
        name = "ReplaceIamInstanceProfileAssociation"
        return ask(name, AssociationId=association, IamInstanceProfile=new)

    def leave(association: str) -> Any:
        return ask("DisassociateIamInstanceProfile", AssociationId=association)

    two = lab.name("two")
    yield lab.outcome("second", "associate, with one associated", put(mine, two))
    yield lab.outcome("empty", "associate a profile without a role", put(mine, lab.name("empty")))
    yield lab.outcome("nobody", "associate no existing profile", put(mine, NOBODY))
    yield lab.outcome("nowhere", "associate at no existing instance", put(none, two))
    yield lab.outcome("replace", "replace", swap(row.id, two))
    yield lab.outcome("replace-none", "replace no existing association", swap(NO_ASSOCIATION, two))
    yield lab.outcome("replace-nobody", "replace by no existing profile", swap(row.id, NOBODY))
    yield lab.outcome("disassociate", "disassociate", leave(row.id))
    gone = leave(NO_ASSOCIATION)
    yield lab.outcome("disassociate-none", "disassociate no existing association", gone)
    listed = ask("DescribeIamInstanceProfileAssociations")
    yield lab.outcome("describe", "list associations", listed)
    after = [r.id for r in lab.rows()]
    yield lab.fact(
        "kept", "the association is as it was afterwards", YES if after == [row.id] else NO
    )


def hidden(lab: Lab) -> Found:
    """Instances that AWS services manage, if there are any. Nothing of theirs is asked for but
    whether they are listed."""

    def ids(**more: Any) -> dict[str, bool]:
        found: dict[str, bool] = {}
        token: dict[str, str] = {}
        while True:
            answer: Any = lab.read("ec2:DescribeInstances", MaxResults=1000, **more, **token)
            for one in (i for r in answer.get("Reservations", ()) for i in r["Instances"]):
                found[one["InstanceId"]] = bool((one.get("Operator") or {}).get("Managed"))
            if not answer.get("NextToken"):
                return found
            token = {"NextToken": answer["NextToken"]}

    every, plain = ids(IncludeManagedResources=True), ids()
    managed = {name for name, is_managed in every.items() if is_managed}
    unasked = "DescribeInstances lists managed instances unasked"
    rows = "associations of managed instances are listed"
    if not managed:
        why = "there is no managed instance in the region"
        yield lab.fact("unasked", unasked, None, why)
        yield lab.fact("rows", rows, None, why)
        return
    yield lab.fact("unasked", unasked, YES if managed & plain.keys() else NO)
    listed: set[str] = set()
    token: dict[str, str] = {}
    while True:
        call = "ec2:DescribeIamInstanceProfileAssociations"
        answer: Any = lab.read(call, MaxResults=1000, **token)
        listed |= {row["InstanceId"] for row in answer["IamInstanceProfileAssociations"]}
        if not answer.get("NextToken"):
            break
        token = {"NextToken": answer["NextToken"]}
    yield lab.fact("rows", rows, YES if listed & managed else NO)
