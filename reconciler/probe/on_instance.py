"""The experiments that take the profile of the instance away, and give it others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.errors import AwsError
from reconciler.probe.experiments import (
    Experiment,
    Found,
    dry_runs,
    hidden,
    index,
    lists,
    refusals_ec2,
    refusals_iam,
    young,
)
from reconciler.probe.findings import NO, YES, ProbeObservation, Reply
from reconciler.probe.lab import Lab, ProbeRow


def disassociate(lab: Lab) -> Found:
    row = _with_one(lab)
    lab.make("two", lab.subject.roles[1].name)
    began = lab.clock.now()
    left = lab.disassociate(row.id)
    yield lab.outcome("call", "the profile is taken away", left)
    yield _state(lab, left)
    shown: list[float] = []

    def look() -> str:
        if not shown and lab.shown() == "none":
            shown.append(round(lab.clock.now() - began, 1))
        return lab.states()

    seen = lab.watch("states", "what is listed", look, _is_none, lab.limits.association)
    yield seen
    yield _ended(seen, "gone", "until no association is listed", "none")
    yield ProbeObservation(
        "shown", "seconds", "until DescribeInstances shows none", shown[0] if shown else None
    )
    yield lab.outcome("after", "disassociate it once more", lab.disassociate(row.id))
    row = _with_one(lab)
    lab.disassociate(row.id)
    yield lab.outcome("again", "disassociate twice at once", lab.disassociate(row.id))
    lab.has("one")
    row = _with_one(lab)
    lab.disassociate(row.id)
    yield lab.outcome("associate", "associate while it is on the way out", lab.associate("two"))


def associate(lab: Lab) -> Found:
    a, b = lab.subject.roles
    lab.make("two", b.name)
    lab.have(None)
    lab.remove_label("young")
    lab.make("young", a.name)
    asked = lab.reply(
        "ec2:AssociateIamInstanceProfile",
        DryRun=True,
        InstanceId=lab.subject.instance,
        IamInstanceProfile={"Name": lab.name("young")},
    )
    yield lab.outcome("dry-run", "whether EC2 says of a young profile that it takes it", asked)
    if asked.is_accepted:  # an emulator does it
        lab.have(None)
    replies: list[Reply] = []

    def taken() -> bool:
        replies.append(lab.associate("young"))
        return replies[-1].is_accepted

    found = lab.until({"": taken}, lab.limits.iam)[""]
    yield lab.seconds("accepted", "until EC2 takes a profile that was just made", found)
    codes = tuple(dict.fromkeys(r.outcome for r in replies if not r.is_accepted))
    words = next((r.words for r in replies if not r.is_accepted), "")
    yield ProbeObservation("refusals", "states", "how EC2 refuses it until then", codes, words)
    if not replies[-1].is_accepted:
        return
    yield _state(lab, replies[-1])
    yield from _arriving(lab, "young", "role A")


def replace(lab: Lab) -> Found:
    lab.make("two", lab.subject.roles[1].name)
    row = _with_one(lab)
    same = lab.replace(row.id, "one")
    yield lab.outcome("same", "replace by the profile that it has", same)
    yield _same_id(lab, "same-id", "which keeps the id of the association", same, row)
    new = lab.replace(row.id, "two")
    yield lab.outcome("call", "replace by another profile", new)
    yield _same_id(lab, "id", "which keeps the id of the association", new, row)
    yield _state(lab, new)
    yield from _arriving(lab, "two", "role B")
    if new.is_accepted and _row(new).get("AssociationId") != row.id:
        late = lab.replace(row.id, "one")
        yield lab.outcome("old-id", "replace by the old id", late)


def on_the_way(lab: Lab) -> Found:
    """Calls while an association is not in effect yet."""
    _with_one(lab)
    lab.make("two", lab.subject.roles[1].name)
    lab.have(None)
    made = lab.associate("one")
    yield lab.outcome("call", "associate", made)
    yield lab.outcome("again", "associate another at once", lab.associate("two"))
    identity = str(_row(made).get("AssociationId"))
    if made.is_accepted:
        yield lab.outcome("replace", "replace it at once", lab.replace(identity, "two"))
    rows = [row for row in lab.rows() if row.state != "disassociating"]
    if rows:
        left = lab.disassociate(rows[0].id)
        yield lab.outcome("disassociate", "disassociate at once", left)


def empty(lab: Lab) -> Found:
    """A profile without a role."""
    lab.make("empty", None)
    lab.have(None)
    lab.clock.sleep(lab.limits.settle)
    made = lab.associate("empty")
    yield lab.outcome("call", "associate a profile without a role", made)
    if made.is_accepted:
        limit = min(90.0, lab.limits.association)
        done = "empty associated"
        yield lab.watch("states", "what is listed", lab.states, lambda s: s == done, limit)
        yield _served(lab, "served", "what is served", lab.served())


def swap(lab: Lab) -> Found:
    """A role is put into the profile in the place of another, while the instance has it."""
    a, b = lab.subject.roles
    lab.make("one", a.name)
    lab.make("two", a.name)
    lab.clock.sleep(lab.limits.settle)
    lab.has("one")
    lab.has("two")
    before = lab.served()
    yield _served(lab, "before", "what is served before the swap", before)
    yield lab.outcome("take", "take the role out", lab.take("two", a.name))
    yield lab.outcome("put", "put another one in", lab.put("two", b.name))
    asks = f"what is served within {lab.limits.watch:.0f} s of the swap"
    if before is None:
        yield _served(lab, "after", asks, None)
    else:
        look = lab.serving
        yield lab.watch("after", asks, look, lambda s: s == "role B", lab.limits.watch)
    rows = lab.rows()
    if rows:
        again = lab.replace(rows[0].id, "two")
        yield lab.outcome("replace-same", "replace by the profile that was changed", again)
        yield _same_id(lab, "replace-same-id", "which keeps the association", again, rows[0])
    lab.has("one")
    lab.clock.sleep(lab.limits.settle)
    lab.has("two")
    yield _served(lab, "anew", "what is served once it is associated again", lab.served())


def recreate(lab: Lab) -> Found:
    """The profile is deleted and made again while the instance has it."""
    b = lab.subject.roles[1].name
    lab.make("two", b)
    row = lab.has("two")
    old = lab.ids["two"]
    lab.take("two", b)
    gone = lab.reply("iam:DeleteInstanceProfile", InstanceProfileName=lab.name("two"))
    yield lab.outcome("delete", "delete a profile that an instance has", gone)
    yield lab.fact("deleted", "what is listed then", lab.states())
    lab.until({"": lambda: not lab.exists("two")}, lab.limits.iam)
    lab.make("two", b)
    yield lab.fact("listed", "what is listed once it is made again", lab.states())
    yield _of_which(lab, "listed-id", "the profile's id that is listed", _listed_id(lab), old)
    profile = lab.instance().get("IamInstanceProfile") or {}
    yield _of_which(lab, "shown-id", "and that DescribeInstances shows", profile.get("Id"), old)
    yield _served(lab, "served", "what is served then", lab.served())
    lab.clock.sleep(lab.limits.settle)
    again = lab.replace(row.id, "two")
    yield lab.outcome("replace", "replace by the profile of the same name", again)
    yield _same_id(lab, "replace-id", "which keeps the association", again, row)
    lab.clock.sleep(5.0)
    yield _of_which(
        lab, "replaced-id", "the profile's id that is listed then", _listed_id(lab), old
    )
    try:
        lab.has("two")
        healed = YES
    except AwsError:
        healed = NO
    yield lab.fact("healed", "whether to disassociate and to associate puts it right", healed)


def restart(lab: Lab) -> Found:
    """Calls while the instance stops, is stopped, and starts."""
    lab.make("two", lab.subject.roles[1].name)
    row = _with_one(lab)
    mine = [lab.subject.instance]
    began = lab.clock.now()
    yield lab.outcome("stop", "stop it", lab.reply("ec2:StopInstances", InstanceIds=mine))
    yield lab.fact("stopping", "its state then", lab.power())
    yield lab.outcome("stopping-replace", "replace while it stops", lab.replace(row.id, "two"))
    yield lab.outcome("stopping-leave", "disassociate while it stops", lab.disassociate(row.id))
    yield lab.outcome("stopping-associate", "associate while it stops", lab.associate("two"))
    stopped = lab.until({"": lambda: lab.power() == "stopped"}, lab.limits.restart, began)[""]
    yield lab.seconds("stopped", "until it is stopped", stopped)
    yield lab.fact("stopped-rows", "what is listed then", lab.states())
    for one in lab.rows():
        yield lab.outcome("stopped-replace", "replace while stopped", lab.replace(one.id, "one"))
        left = lab.disassociate(one.id)
        yield lab.outcome("stopped-leave", "disassociate while stopped", left)
        yield _state(lab, left, "stopped-leave-state")
    yield lab.outcome("stopped-associate", "associate while stopped", lab.associate("one"))
    yield lab.fact("stopped-state", "what is listed then", lab.states())
    began = lab.clock.now()
    yield lab.outcome("start", "start it", lab.reply("ec2:StartInstances", InstanceIds=mine))
    yield lab.fact("pending", "its state then", lab.power())
    rows = lab.rows()
    if rows:
        yield lab.outcome(
            "pending-replace", "replace while it starts", lab.replace(rows[0].id, "two")
        )
    yield lab.outcome("pending-associate", "associate while it starts", lab.associate("two"))
    running = lab.until({"": lambda: lab.power() == "running"}, lab.limits.restart, began)[""]
    yield lab.seconds("running", "until it runs", running)
    looks: dict[str, Callable[[], bool]] = {"": lambda: " associated" in lab.states()}
    found = lab.until(looks, lab.limits.association, began)[""]
    yield lab.seconds("associated", "until its association is in effect", found)


def trail(lab: Lab) -> Found:
    """How late CloudTrail tells of the last association."""
    asks = "until CloudTrail tells of the last association"
    _with_one(lab)
    lab.have(None)
    began = lab.clock.now()
    lab.has("one")
    looks = 0
    while True:
        looks += 1
        found = lab.evidence.association(lab.region, lab.subject.instance, began - 5.0)
        at = lab.clock.now() - began
        if found is not None or at >= lab.limits.trail:
            value = None if found is None else 0.0 if looks == 1 else round(at, 1)
            yield lab.seconds("told", asks, (value, looks))
            return
        lab.clock.sleep(lab.limits.slow_look)


def _with_one(lab: Lab) -> ProbeRow:
    lab.make("one", lab.subject.roles[0].name)
    return lab.has("one")


def _is_none(states: str) -> bool:
    return states == "none"


def _row(reply: Reply) -> Any:
    return reply.answer.get("IamInstanceProfileAssociation") or {}


def _state(lab: Lab, reply: Reply, name: str = "state") -> ProbeObservation:
    asks = "the state in its answer"
    return lab.fact(name, asks, _row(reply).get("State"), "" if reply.is_accepted else reply.words)


def _same_id(lab: Lab, name: str, asks: str, reply: Reply, row: ProbeRow) -> ProbeObservation:
    if not reply.is_accepted:
        return lab.fact(name, asks, None, f"it was refused: {reply.outcome}")
    return lab.fact(name, asks, YES if _row(reply).get("AssociationId") == row.id else NO)


def _listed_id(lab: Lab) -> str | None:
    return next((row.profile_id for row in lab.rows() if row.state != "disassociating"), None)


def _of_which(lab: Lab, name: str, asks: str, found: str | None, old: str) -> ProbeObservation:
    known = {None: "none", old: "of the deleted one", lab.ids["two"]: "of the new one"}
    return lab.fact(name, asks, known.get(found, "another"))


def _served(lab: Lab, name: str, asks: str, value: str | None) -> ProbeObservation:
    return lab.fact(name, asks, value, "" if value is not None else lab.silence)


def _ended(seen: ProbeObservation, name: str, asks: str, last: str) -> ProbeObservation:
    at = next((one.seconds for one in seen.timeline if one.value == last), None)
    why = "" if at is not None else "not within the time that it was looked for"
    return ProbeObservation(name, "seconds", asks, at, why, seen.looks)


def _arriving(lab: Lab, label: str, role: str) -> Found:
    """After a call by which the instance gets a profile."""
    began = lab.clock.now()
    shown: list[float] = []

    def look() -> str:
        if not shown and lab.shown() == label:
            shown.append(round(lab.clock.now() - began, 1))
        return lab.states()

    done = f"{label} associated"
    seen = lab.watch("states", "what is listed", look, lambda s: s == done, lab.limits.association)
    yield seen
    yield _ended(seen, "associated", "until it alone is listed, in effect", done)
    asks = "until DescribeInstances shows the profile"
    if not shown:
        found = lab.until({"": lambda: lab.shown() == label}, lab.limits.iam, began)[""]
        yield lab.seconds("shown", asks, found)
    else:
        yield ProbeObservation("shown", "seconds", asks, shown[0])
    if lab.served() is None:
        yield _served(lab, "served", "whether the metadata service offers its role", None)
        return
    found = lab.until({"": lambda: lab.served() in (role, None)}, lab.limits.watch, began)[""]
    yield _served(lab, "served", "what the metadata service offers then", lab.served())
    yield lab.seconds("served-after", "until it offers the role", found)


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("young", "make a profile, and put a role into it at once", young),
    Experiment("lists", "list roles and profiles, and look for tags", lists),
    Experiment("index", "ask AWS's index of tags about a profile", index),
    Experiment("refusals-iam", "send calls that IAM must refuse", refusals_iam),
    Experiment("hidden", "count what AWS services manage in the region; reads only", hidden),
    Experiment(
        "refusals-ec2", "associate a profile, send calls that EC2 must refuse", refusals_ec2
    ),
    Experiment("dry-run", "ask EC2 with DryRun", dry_runs),
    Experiment("replace", "replace one profile by another", replace),
    Experiment("swap", "swap the role in the profile, and look what is served", swap),
    Experiment("recreate", "delete the profile that it has, and make it again", recreate),
    Experiment("disassociate", "take the profile of the instance away, three times", disassociate),
    Experiment("associate", "associate a profile that was just made", associate),
    Experiment("on-the-way", "associate, replace and disassociate at once", on_the_way),
    Experiment("empty", "associate a profile without a role", empty),
    Experiment("restart", "stop the instance and start it", restart, asked_for=True),
    Experiment("trail", "wait until CloudTrail tells of it, up to 20 min", trail, asked_for=True),
)
"""In this order: agents on the instance may sleep for half an hour once it was without a role, so
what asks them comes before that."""
