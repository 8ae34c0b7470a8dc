"""Gathers evidence through the port, in few calls, and has it judged. What a source does not say,
or the caller may not ask, makes an answer ``unknown``: nothing here raises ``AwsError``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from reconciler.errors import DENIED, AwsError, StoppedError
from reconciler.executor.interrupt import Interrupt
from reconciler.model.address import Address
from reconciler.model.evidence import (
    LOOKUP_SECONDS,
    Associated,
    Evidence,
    Expectation,
    Judgement,
    RoleSession,
    Silence,
    Source,
    judge,
)
from reconciler.model.ownership import InstanceKey
from reconciler.ports import TOO_MANY_EVENTS, Clock, EvidenceReader, Progress
from reconciler.threads import each

AT_A_TIME = 50
"""Calls of an instance that are looked through before more are asked for."""
RECENT_SECONDS = 86_400.0
"""Instances whose credentials were issued longer ago are looked into one by one: what was
associated since, in a whole region, would take too many calls."""
LOOK_BACK_SECONDS = 3600.0
"""How long before credentials were issued the call is looked for that made the association."""
_TRAIL, _METADATA = Address("CloudTrail"), Address("IMDS")

_Found = dict[InstanceKey, Evidence]


@dataclass
class Gatherer:
    """``parallelism`` is how many regions are asked at a time. ``stop`` ends it early: what was not
    asked by then is unknown."""

    reader: EvidenceReader
    clock: Clock
    progress: Progress
    parallelism: int = 10
    stop: Interrupt = field(default_factory=Interrupt)

    def judged(
        self, expected: Collection[Expectation], sources: Collection[Source]
    ) -> dict[InstanceKey, Judgement]:
        """By instance. The metadata service is asked first: what it says is of now, and what it
        has proved needs no lookup."""
        found: _Found = {one.key: Evidence() for one in expected}
        left = [one for one in expected if one.obstacle is None]
        if "imds" in sources:
            self._in_regions(left, found, self._metadata)
            left = [one for one in left if self._judgement(one, found).status != "proved"]
        if "cloudtrail" in sources:
            self._in_regions(left, found, self._sessions)
            self._in_regions(left, found, self._associations)
        return {one.key: self._judgement(one, found) for one in expected}

    def _judgement(self, one: Expectation, found: Mapping[InstanceKey, Evidence]) -> Judgement:
        return judge(one, found[one.key], self.clock.now())

    def _in_regions(
        self,
        expected: Collection[Expectation],
        found: _Found,
        ask: Callable[[str, list[Expectation], _Found], _Found],
    ) -> None:
        """Each region by itself: limits are of an account and a region."""
        by_region: dict[str, list[Expectation]] = {}
        for one in expected:
            by_region.setdefault(one.key.region, []).append(one)
        regions = sorted(by_region)
        for answer in each(lambda r: ask(r, by_region[r], found), regions, self.parallelism):
            found.update(answer)

    def _metadata(self, region: str, expected: list[Expectation], found: _Found) -> _Found:
        began, names = self.clock.now(), [one.key.instance for one in expected]
        what = f"the answers of {_counted(expected)} in {region}"

        def told() -> None:
            if self.stop.is_set():
                raise StoppedError
            self.progress.waiting(_METADATA, what, self.clock.now() - began)

        try:
            said = self.reader.metadata(region, names, told)
        except StoppedError:
            return {}
        except AwsError as error:
            silent = Evidence(silences=(silence_of("imds", error),))
            return {one.key: found[one.key] + silent for one in expected}
        answers: _Found = {}
        for one in expected:
            answer = said.get(one.key.instance)
            if isinstance(answer, Silence):
                answers[one.key] = found[one.key] + Evidence(silences=(answer,))
            elif answer is not None:
                answers[one.key] = found[one.key] + Evidence((answer,))
        return answers

    def _sessions(self, region: str, expected: list[Expectation], found: _Found) -> _Found:
        began, answers = self.clock.now(), _Found()
        for number, one in enumerate(expected):
            if self.stop.is_set():
                break
            # Told in the same words each time: so it is one wait, with what is left of it.
            what = f"the calls of {_counted(expected)} in {region}"
            about = LOOKUP_SECONDS * len(expected)
            self.progress.waiting(_TRAIL, what, self.clock.now() - began, about)
            try:
                newest = self._newest(one)
            except AwsError as error:
                # The others of the region would meet the same, each after as many attempts.
                silent = Evidence(silences=(silence_of("cloudtrail", error),))
                rest = {other.key: found[other.key] + silent for other in expected[number:]}
                return {**answers, **rest}
            made = Evidence(silences=(_NO_CALL,)) if newest is None else Evidence((newest,))
            answers[one.key] = found[one.key] + made
        return answers

    def _newest(self, one: Expectation) -> RoleSession | None:
        """The call whose credentials were issued last. A busy process that holds old ones may hide
        it among its own calls, so more of them are read until something is known."""
        calls = iter(self.reader.sessions(one.key.region, one.key.instance))
        newest: RoleSession | None = None
        while listed := list(islice(calls, AT_A_TIME)):
            held = [*listed, *([] if newest is None else [newest])]
            newest = max(held, key=lambda call: (call.issued_at, call.used_at))
            if judge(one, Evidence((newest,)), self.clock.now()).status != "unknown":
                break
        return newest

    def _associations(self, region: str, expected: list[Expectation], found: _Found) -> _Found:
        """When the associations of those began that have made a call. If that cannot be asked, the
        call proves nothing."""
        issued = {
            one.key: max(s.issued_at for s in found[one.key].seen if isinstance(s, RoleSession))
            for one in expected
            if any(isinstance(s, RoleSession) for s in found[one.key].seen)
        }
        since = {key: at - LOOK_BACK_SECONDS for key, at in issued.items()}
        try:
            made = self._made(region, since)
        except AwsError as error:
            return {
                key: _without_calls(found[key], silence_of("cloudtrail", error)) for key in issued
            }
        return {
            key: _without_calls(found[key], there)
            if isinstance(there := made.get(key), Silence)
            else replace(found[key], associated=there)
            for key in issued
        }

    def _made(
        self, region: str, since: Mapping[InstanceKey, float]
    ) -> dict[InstanceKey, Associated | Silence]:
        """The newest call for each that gave it a profile since then, or why that is not known.
        Raises ``AwsError``."""
        now, made = self.clock.now(), dict[InstanceKey, Associated | Silence]()
        recent = {k: at for k, at in since.items() if at > now - RECENT_SECONDS}
        read_since = float("inf")
        if recent:
            listed = self.reader.associations(region, min(recent.values()))
            read_since = listed.since
            for key in recent:
                if (one := listed.made.get(key.instance)) is not None:
                    made[key] = one
        for key, at in since.items():
            if key not in made and at < read_since:
                try:
                    one = self.reader.association(region, key.instance, at)
                except AwsError as error:
                    if error.code != TOO_MANY_EVENTS:
                        raise
                    made[key] = Silence("cloudtrail", "unreadable", f"CloudTrail: {error.message}")
                else:
                    made |= {key: one} if one is not None else {}
        return made


def _without_calls(found: Evidence, silence: Silence) -> Evidence:
    """What a call says depends on when the association began: without that it says nothing."""
    seen = tuple(one for one in found.seen if not isinstance(one, RoleSession))
    return Evidence(seen, (*found.silences, silence))


def _counted(expected: Collection[Expectation]) -> str:
    return f"{len(expected)} instance{'' if len(expected) == 1 else 's'}"


_NO_CALL = Silence(
    "cloudtrail", "no-call", "CloudTrail shows no call of it with credentials of a profile"
)


def silence_of(source: Source, error: AwsError) -> Silence:
    if error.code in DENIED:
        because = f"not allowed to call {error.call}"
        return Silence(source, "denied", because, error.call, is_final=True)
    return Silence(
        source, "unreadable", f"{error.call}: {error.code}" if error.call else str(error)
    )
