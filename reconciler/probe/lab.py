"""The instance under probe and the profiles that are made for it: the hands of the experiments.

Whatever an experiment leaves behind, ``have`` makes of it what the next one begins with, and
``restore`` what was there before the first. Both look first and decide then, so that they also end
well after a run that was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.aws.paging import has_no_answer
from reconciler.errors import THROTTLED, AwsError, StoppedError
from reconciler.executor.interrupt import Interrupt
from reconciler.model.evidence import Silence
from reconciler.plan.calls import ASSOCIATION_SECONDS, ApiCall
from reconciler.ports import Clock, EvidenceReader
from reconciler.probe.findings import (
    ACCEPTED,
    UNKNOWN,
    Kind,
    Mask,
    ObservedChange,
    ProbeObservation,
    Reply,
)
from reconciler.probe.guard import INSTANCE_TAG, ORIGINAL_TAG, PATH, PROBE_TAG, START, WriteGuard
from reconciler.probe.subject import Subject, original_tag, tags_of

Label = Literal["one", "two", "young", "empty"]
"""Of a profile of this run; its name has the id of the run in it."""
TEMPORARY = "temporary"
_GONE = frozenset({"NoSuchEntity", "InvalidAssociationID.NotFound"})
_ATTEMPTS = 6
NO_ANSWER = "NoAnswer"
"""In the place of a code: an emulator does not have the call."""


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """Seconds after which something is taken not to happen, and between two looks."""

    association: float = ASSOCIATION_SECONDS
    iam: float = 120.0
    index: float = 120.0
    watch: float = 120.0
    """How long is looked what is served once a role was swapped in a profile."""
    restart: float = 600.0
    settle: float = 30.0
    """For which a young profile is left alone where its youth is not what is asked about."""
    trail: float = 1200.0
    look: float = 1.0
    slow_look: float = 15.0


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """An association of the instance. ``profile`` is a label, or ``original``, or ``other``."""

    id: str
    state: str
    profile: str
    name: str
    profile_id: str


class ProbeClock:
    """Its sleep ends with ``StoppedError`` once the run is asked to stop, unless it is closing.
    ``beat`` is called again and again during a sleep."""

    def __init__(
        self, clock: Clock, stop: Interrupt, beat: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._beat = beat
        self.is_closing = False

    def now(self) -> float:
        return self._clock.now()

    def check(self) -> None:
        if self._stop.is_set() and not self.is_closing:
            raise StoppedError

    def sleep(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        while (left := until - self._clock.now()) > 0:
            self.check()
            self._clock.sleep(min(left, 0.5))
            self._beat()
        self.check()


@dataclass
class Lab:
    """``evidence`` asks the metadata service of the instance; ``ids`` are the ids of profiles as
    they were made, by label, and ``names`` all that were asked for: a list may lack young ones."""

    subject: Subject
    guard: WriteGuard
    clock: ProbeClock
    evidence: EvidenceReader
    run: str
    limits: ProbeLimits = field(default_factory=ProbeLimits)
    ids: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    silence: str = ""
    """Why the metadata service cannot be asked, once that is known."""

    # Calls.

    @property
    def region(self) -> str:
        return self.subject.region

    @property
    def mask(self) -> Mask:
        a, b = self.subject.roles
        names = {a.name: "ROLE-A", b.name: "ROLE-B", START + self.run: "PROFILE"}
        return Mask(names | ({self.subject.original: "ORIGINAL"} if self.subject.original else {}))

    def reply(self, name: str, **params: Any) -> Reply:
        """What AWS answers. Throttled calls are repeated, so are reads without an answer; raises
        ``AwsError`` if AWS gave none."""
        service, _, operation = name.partition(":")
        region = {"iam": None, "tag": self.subject.home}.get(service, self.region)
        call = ApiCall(service, operation, params, region)
        is_read = operation.startswith(("Get", "List", "Describe"))
        for attempt in range(1, _ATTEMPTS + 1):
            self.clock.check()
            try:
                return Reply(ACCEPTED, answer=dict(self.guard.send(call)))
            except AwsError as error:
                if has_no_answer(error) and (attempt > 1 or not is_read):
                    return Reply(NO_ANSWER, self.mask(error.message))
                lost = error.was_not_sent or (is_read and error.is_uncertain)
                if attempt == _ATTEMPTS or not (lost or error.code in THROTTLED):
                    if error.status == 0:
                        raise
                    return Reply.of(error, self.mask)
            self.clock.sleep(2.0**attempt)
        raise AssertionError

    def read(self, name: str, **params: Any) -> Mapping[str, Any]:
        """The answer. Raises ``AwsError`` for a refusal, too."""
        found = self.reply(name, **params)
        if not found.is_accepted:
            raise AwsError(name, found.outcome, found.words)
        return found.answer

    def paged(self, name: str, key: str, **params: Any) -> Iterator[Any]:
        """Items of a listing of IAM."""
        token: dict[str, str] = {}
        while True:
            answer = self.read(name, **params, **token)
            yield from answer.get(key, ())
            if not answer.get("IsTruncated"):
                return
            token = {"Marker": answer["Marker"]}

    # Looks.

    def until(
        self, looks: Mapping[str, Callable[[], bool]], limit: float, since: float | None = None
    ) -> dict[str, tuple[float | None, int]]:
        """By name, after how many seconds and looks each held first. What holds at the first look
        has taken no time; ``None`` is what has not held within ``limit``."""
        began = self.clock.now() if since is None else since
        found: dict[str, tuple[float | None, int]] = {}
        for number in range(1, 1_000_000):
            for name in (name for name in looks if name not in found):
                at = self.clock.now() - began
                if looks[name]():
                    found[name] = (0.0 if number == 1 and since is None else round(at, 1), number)
            if len(found) == len(looks):
                break
            if self.clock.now() - began >= limit:
                return {**dict.fromkeys(looks, (None, number)), **found}
            self.clock.sleep(self.limits.look)
        return found

    def seconds(self, name: str, asks: str, found: tuple[float | None, int]) -> ProbeObservation:
        value, looks = found
        why = "" if value is not None else "not within the time that it was looked for"
        return ProbeObservation(name, "seconds", asks, value, why, looks)

    def watch(
        self,
        name: str,
        asks: str,
        look: Callable[[], str],
        enough: Callable[[str], bool],
        limit: float,
    ) -> ProbeObservation:
        """What was seen one after the other, until ``enough`` of it or the limit."""
        began = self.clock.now()
        changes: list[ObservedChange] = []
        looks = 0
        while True:
            at = self.clock.now() - began
            seen, looks = look(), looks + 1
            if not changes or changes[-1].value != seen:
                changes.append(ObservedChange(round(at, 1), seen))
            if enough(seen) or at >= limit:
                values = tuple(dict.fromkeys(one.value for one in changes))
                return ProbeObservation(name, "states", asks, values, "", looks, tuple(changes))
            self.clock.sleep(self.limits.look)

    def outcome(self, name: str, asks: str, found: Reply) -> ProbeObservation:
        return ProbeObservation(name, "outcome", asks, found.outcome, found.words)

    def fact(self, name: str, asks: str, value: str | None, why: str = "") -> ProbeObservation:
        kind: Kind = "fact"
        return ProbeObservation(name, kind, asks, value, why)

    def rows(self) -> list[ProbeRow]:
        filters = [{"Name": "instance-id", "Values": [self.subject.instance]}]
        answer = self.read("ec2:DescribeIamInstanceProfileAssociations", Filters=filters)
        found = []
        for row in answer.get("IamInstanceProfileAssociations", ()):
            # Emulators may ignore the filter.
            if row["InstanceId"] == self.subject.instance:
                arn, profile_id = row["IamInstanceProfile"]["Arn"], row["IamInstanceProfile"]["Id"]
                label = self.label(arn)
                name = arn.rpartition("/")[2]
                found.append(ProbeRow(row["AssociationId"], row["State"], label, name, profile_id))
        return sorted(found, key=lambda one: (one.state == "disassociating", one.id))

    def states(self) -> str:
        """Of all rows, such as ``one associated``."""
        return ", ".join(f"{row.profile} {row.state}" for row in self.rows()) or "none"

    def instance(self) -> Mapping[str, Any]:
        answer = self.read("ec2:DescribeInstances", InstanceIds=[self.subject.instance])
        found: Mapping[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found

    def shown(self) -> str:
        """The profile that ``DescribeInstances`` shows."""
        profile = self.instance().get("IamInstanceProfile")
        return self.label(profile["Arn"]) if profile else "none"

    def label(self, arn: str) -> str:
        name = arn.rpartition("/")[2]
        if name.startswith(START + self.run):
            return name.rpartition("-")[2]
        return "original" if name == self.subject.original else "other"

    def served(self) -> str | None:
        """The role that the metadata service offers, ``no role``; ``None`` if it cannot be asked.
        Once it could not be asked, it is not asked again: each time may take two minutes."""
        if self.silence:
            return None
        name = self.subject.instance
        try:
            found = self.evidence.metadata(self.region, [name], self.clock.check)[name]
        except AwsError as error:
            self.silence = f"Systems Manager: {error.code}"
            return None
        if isinstance(found, Silence):
            self.silence = self.mask(found.because)
            return None
        a, b = self.subject.roles
        return {a.name: "role A", b.name: "role B", None: "no role"}.get(found.role, "another role")

    def serving(self) -> str:
        return self.served() or UNKNOWN

    # Hands.

    def name(self, label: Label) -> str:
        return f"{START}{self.run}-{label}"

    def create(self, label: Label) -> Reply:
        made = self.create_named(self.name(label))
        if made.is_accepted:
            profile: Any = made.answer["InstanceProfile"]
            self.ids[label] = profile["InstanceProfileId"]
        return made

    def create_named(self, name: str, path: str = PATH) -> Reply:
        tags = [{"Key": key, "Value": value} for key, value in self.marks.items()]
        # Also where the answer is lost: then it may exist.
        self.names.add(name)
        call = "iam:CreateInstanceProfile"
        return self.reply(call, InstanceProfileName=name, Path=path, Tags=tags)

    @property
    def marks(self) -> dict[str, str]:
        """Tags of a temporary profile, by which it is known."""
        return {PROBE_TAG: TEMPORARY, INSTANCE_TAG: f"{self.region}/{self.subject.instance}"}

    def put(self, label: Label, role: str) -> Reply:
        name = self.name(label)
        return self.reply("iam:AddRoleToInstanceProfile", InstanceProfileName=name, RoleName=role)

    def take(self, label: Label, role: str) -> Reply:
        return self.reply(
            "iam:RemoveRoleFromInstanceProfile",
            InstanceProfileName=self.name(label),
            RoleName=role,
        )

    def make(self, label: Label, role: str | None) -> None:
        """A profile that is there, with that role in it, whatever was there before."""
        name = self.name(label)
        if not self.exists(label):
            self._must(lambda: self.create(label), {"EntityAlreadyExists"})
            self.until({"": lambda: self.exists(label)}, self.limits.iam)
        found = self.read("iam:GetInstanceProfile", InstanceProfileName=name)["InstanceProfile"]
        self.ids[label] = found["InstanceProfileId"]
        has = [one["RoleName"] for one in found["Roles"]]
        if has != ([role] if role else []):
            for one in has:
                self._must(lambda one=one: self.take(label, one), _GONE)  # type: ignore[misc]
            if role:
                self._must(lambda: self.put(label, role), {"LimitExceeded"})

    def exists(self, label: Label) -> bool:
        name = self.name(label)
        return self.reply("iam:GetInstanceProfile", InstanceProfileName=name).is_accepted

    def _must(self, do: Callable[[], Reply], fine: set[str] | frozenset[str]) -> None:
        """Repeats what IAM does not take yet."""
        until = self.clock.now() + self.limits.iam
        while not (found := do()).is_accepted and found.outcome not in fine:
            if self.clock.now() >= until or found.outcome not in ("NoSuchEntity", "DeleteConflict"):
                raise AwsError("", found.outcome, found.words)
            self.clock.sleep(self.limits.look)

    def associate(self, label: Label) -> Reply:
        return self._associate(self.name(label))

    def _associate(self, name: str) -> Reply:
        call, mine = "ec2:AssociateIamInstanceProfile", self.subject.instance
        return self.reply(call, InstanceId=mine, IamInstanceProfile={"Name": name})

    def disassociate(self, association: str) -> Reply:
        return self.reply("ec2:DisassociateIamInstanceProfile", AssociationId=association)

    def replace(self, association: str, label: Label) -> Reply:
        return self._replace(association, self.name(label))

    def _replace(self, association: str, name: str) -> Reply:
        call, new = "ec2:ReplaceIamInstanceProfileAssociation", {"Name": name}
        return self.reply(call, AssociationId=association, IamInstanceProfile=new)

    def have(self, profile: str | None) -> ProbeRow | None:
        """The instance with the profile of that name and nothing else, in effect; ``None`` for
        without one. By a replacement where that is possible: agents on the instance sleep once it
        was without a role. Raises ``AwsError`` if that is not so in time."""
        wanted_id, until = self._id_of(profile), self.clock.now() + self.limits.association
        last, may_replace = "", True
        while True:
            rows = self.rows()
            good = [r for r in rows if profile == r.name and r.profile_id == wanted_id]
            if profile is None and not rows:
                return None
            if rows == good and len(rows) == 1 and good[0].state == "associated":
                return good[0]
            wrong = [r for r in rows if r.state != "disassociating" and r not in good]
            found = None
            if profile is not None and not rows:
                found = self._associate(profile)
            elif may_replace and profile is not None and len(rows) == 1 and wrong:
                # What was made again under its old name is the same to EC2.
                found = self._replace(wrong[0].id, profile) if wrong[0].name != profile else None
                may_replace = False
            else:
                for row in wrong:
                    found = self.disassociate(row.id)
            if found is not None and not found.is_accepted:
                last = f"{found.outcome}: {found.words}"
            if self.clock.now() >= until:
                why = f"the instance does not get what it shall have: {last or self.states()}"
                raise AwsError("", "", why)
            self.clock.sleep(self.limits.look)

    def _id_of(self, profile: str | None) -> str | None:
        if profile is None:
            return None
        found = self.read("iam:GetInstanceProfile", InstanceProfileName=profile)
        made: str = found["InstanceProfile"]["InstanceProfileId"]
        return made

    def has(self, label: Label) -> ProbeRow:
        found = self.have(self.name(label))
        assert found is not None
        return found

    # Beginning and end.

    def begin(self) -> None:
        """Notes what the instance has, before anything changes: who comes after a run that was
        killed reads it. What such a run has left is put right."""
        if self.subject.is_resumed:
            self.start()
            self.have(self.subject.original)
        else:
            self._tag("ec2:CreateTags", Value=original_tag(self.subject.original))
        self.remove_profiles()

    def restore(self) -> None:
        """Gives the instance back what it had, checks it, and takes everything else away. Raises
        ``AwsError``; then the note of what it had stays."""
        self.start()
        self.have(self.subject.original)
        self.remove_profiles()
        self._tag("ec2:DeleteTags")

    def power(self) -> str:
        return str(self.instance()["State"]["Name"])

    def start(self) -> None:
        """It ran when it was first probed, and an experiment may have stopped it."""
        until = self.clock.now() + self.limits.restart
        while (state := self.power()) != "running":
            if self.clock.now() >= until:
                raise AwsError("", "", f"the instance does not run: it is {state}")
            if state == "stopped":
                self.read("ec2:StartInstances", InstanceIds=[self.subject.instance])
            self.clock.sleep(self.limits.look)

    def _tag(self, call: str, **value: str) -> None:
        tags = [{"Key": ORIGINAL_TAG, **value}]
        self.read(call, Resources=[self.subject.instance], Tags=tags)

    def remove_profiles(self) -> tuple[str, ...]:
        """Of this run, and those that earlier ones have left for this instance."""
        return tuple(self._removed(name) for name in sorted({*self.leftovers(), *self.names}))

    def leftovers(self) -> Iterator[str]:
        for one in self.paged("iam:ListInstanceProfiles", "InstanceProfiles", PathPrefix=PATH):
            name, path = str(one["InstanceProfileName"]), str(one["Path"])
            # Emulators may ignore the prefix.
            is_one = name.casefold().startswith(START) and path.startswith(PATH)
            if is_one and self.marks.items() <= self.tags(name).items():
                yield name

    def tags(self, name: str) -> dict[str, str]:
        """Of the profile of that name; none if it is gone."""
        listed = self.reply("iam:ListInstanceProfileTags", InstanceProfileName=name)
        if not listed.is_accepted:  # an emulator may not have the call
            got: Any = self.reply("iam:GetInstanceProfile", InstanceProfileName=name).answer
            return tags_of(got.get("InstanceProfile", {}).get("Tags"))
        answer: Any = listed.answer
        return tags_of(answer.get("Tags"))

    def remove_label(self, label: Label) -> None:
        self._removed(self.name(label))

    def _removed(self, name: str) -> str:
        found = self.reply("iam:GetInstanceProfile", InstanceProfileName=name)
        profile: Any = found.answer.get("InstanceProfile", {})
        for role in profile.get("Roles", ()):
            params = {"InstanceProfileName": name, "RoleName": role["RoleName"]}
            self._must(lambda p=params: self.reply("iam:RemoveRoleFromInstanceProfile", **p), _GONE)  # type: ignore[misc]
        self._must(lambda: self.reply("iam:DeleteInstanceProfile", InstanceProfileName=name), _GONE)
        return name
