"""What a kind needs to know to answer with calls (``KindContext``), and the calls and steps that
all kinds make alike: tags, and a step around a call. What one kind alone makes is in its own
module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model import ownership
from reconciler.model.address import Address, Arns
from reconciler.model.live import LiveProfile, LiveRole, LiveState
from reconciler.model.ownership import exact
from reconciler.model.resources import Identity, Tags
from reconciler.plan.calls import Action, ApiCall
from reconciler.plan.graph import Label, PendingStep
from reconciler.spec.desired import DesiredState

Step = PendingStep[Action]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindContext:
    """``desired`` spells every reference in one way. ``quota`` is how many managed policies a role
    may have; ``cyclic`` are addresses of roles whose trusts name each other in a circle and that do
    not exist yet."""

    identity: Identity
    owner: str
    prefix: str
    live: LiveState
    desired: DesiredState
    quota: int = 10
    cyclic: frozenset[Address] = frozenset()
    refresh_adopted: bool = False
    cut_over: frozenset[Address] = frozenset()
    """Profiles with a cut-over in this plan: their associations get new ids in it."""
    replaced: frozenset[Address] = frozenset()
    """Addresses that are deleted and created again: their current ids and ARNs become invalid."""
    filled_by_cutover: frozenset[Address] = frozenset()
    """Addresses of profiles to be made whose cut-over puts the role in, since instances have
    associations with the profile that was there before."""

    def role_that_stays(self, name: str | None) -> LiveRole | None:
        role = self.live.role(name)
        return None if role is None or role.resource.address in self.replaced else role

    def profile_that_stays(self, name: str) -> LiveProfile | None:
        live = self.live.profile(name)
        return None if live is None or live.resource.address in self.replaced else live

    def owned(self, name: str, tags: Mapping[str, str], **marks: object) -> list[dict[str, object]]:
        """Tags of the resource of that name with our marks among them, as AWS takes them, sorted by
        key."""
        named = {k.replace("_", "-"): v for k, v in marks.items()}
        ours = {ownership.OWNER: ownership.encode_owner(self.owner, name), **named}
        return tag_list({**tags, **{self.prefix + mark: value for mark, value in ours.items()}})

    def our_keys(self, marks: Mapping[str, str]) -> list[str]:
        """The keys of our tags as AWS has them, sorted."""
        return sorted(self.prefix + mark for mark in marks)

    @property
    def arns(self) -> Arns:
        return self.identity.arns


def tag_list(tags: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def step(
    address: Address,
    call: ApiCall,
    *,
    requires: Iterable[Label] = (),
    after: Iterable[Label] = (),
    provides: Iterable[Label] = (),
) -> Step:
    return PendingStep(address, call, frozenset(requires), frozenset(after), frozenset(provides))


def iam(operation: str, **params: object) -> ApiCall:
    """An IAM call; parameters that are ``None`` are left out."""
    return ApiCall("iam", operation, {k: v for k, v in params.items() if v is not None})


def tag_calls(
    kind: str,
    target: dict[str, str],
    before: Tags,
    after: Tags,
    same_key: Callable[[str], str] = exact,
) -> Iterator[ApiCall]:
    """Calls that change tags from ``before`` to ``after``.

    ``kind`` is the suffix of the operations' names, ``target`` the parameter that names the
    resource. Stale keys are removed first, since a resource may have reached its limit of tags; a
    changed tag is overwritten and never absent. ``same_key`` folds keys that AWS treats as equal:
    removing ``team`` would remove the ``Team`` that replaces it.
    """
    wanted = {same_key(key) for key in after}
    if stale := sorted(key for key in before if same_key(key) not in wanted):
        yield iam(f"Untag{kind}", **target, TagKeys=stale)
    if wrong := {key: value for key, value in after.items() if before.get(key) != value}:
        yield iam(f"Tag{kind}", **target, Tags=tag_list(wrong))
