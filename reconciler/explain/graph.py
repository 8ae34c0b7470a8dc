"""The picture of each target: the plan, and instances in all regions around what is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.commands.patience import patient
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.commands.request import Request, RunPorts
from reconciler.explain.explanation import NotRead
from reconciler.explain.regions import everywhere
from reconciler.explain.stops import Stop, allowed, reaches_more
from reconciler.model.address import PROFILE
from reconciler.plan.changes import WHOLE_ACCOUNT
from reconciler.plan.picture import Picture
from reconciler.plan.plan import TargetPlan
from reconciler.planner.context import PlanContext, with_temporary_profiles
from reconciler.planner.picture import picture_of
from reconciler.planner.planner import plan_context
from reconciler.spec.desired import DesiredState
from reconciler.threads import each


@dataclass(frozen=True, slots=True)
class PicturedTarget:
    """``not_read`` is what may be missing in the picture."""

    plan: TargetPlan
    picture: Picture
    not_read: tuple[NotRead, ...] = ()
    stops: tuple[Stop, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    planned: Planned
    targets: tuple[PicturedTarget, ...]
    has_all: bool
    """Whether it has also what does not change."""
    api_calls: Mapping[str, int]

    @property
    def stops(self) -> tuple[Stop, ...]:
        """What must be allowed before anything of the picture happens."""
        return tuple(stop for target in self.targets for stop in target.stops)

    @property
    def is_empty(self) -> bool:
        return not any(target.picture.nodes for target in self.targets)


def make_graph(request: Request, ports: RunPorts, *, every: bool) -> Graph:
    """Plans, reads the instances of all regions in which consumers may be, and draws what changes
    or ``every`` profile. Raises as ``make_plan``."""
    planned = make_plan(request, ports, keeps_context=True)

    def pictured(target: PlannedTarget) -> PicturedTarget:
        return _pictured(target, ports, every=every)

    targets = tuple(each(pictured, planned.targets, ports.target_parallelism))
    calls: Counter[str] = Counter()
    for reader in {id(t.connection.reader): t.connection.reader for t in planned.targets}.values():
        calls.update(reader.calls)
    return Graph(planned, targets, every, dict(sorted(calls.items())))


def _pictured(target: PlannedTarget, ports: RunPorts, *, every: bool) -> PicturedTarget:
    plan, context = target.plan, target.context
    if context is None:
        why = [NotRead(one.what, one.reason) for one in plan.unread]
        return PicturedTarget(plan, Picture((), ()), tuple(why))
    not_read: list[NotRead] = []
    if reaches_more(plan):
        context, not_read = _with_instances(target, context, ports)
    stops = allowed(plan, context, _desired(target, context)).stops
    drawn = _drawn(plan, context, every=every)
    if any(node.address.kind == PROFILE for node in drawn.nodes):
        context, not_read = _with_instances(target, context, ports)
        drawn = _drawn(plan, context, every=every)
    live = context.live
    not_read += [NotRead(str(address), why) for address, why in sorted(live.unread.items())]
    not_read += [
        NotRead(f"instances in {region}", why)
        for region, why in sorted(live.unread_regions.items())
    ]
    if live.not_whole is not None and every:
        not_read.append(NotRead(WHOLE_ACCOUNT, live.not_whole))
    return PicturedTarget(plan, drawn, tuple(dict.fromkeys(not_read)), stops)


def _desired(target: PlannedTarget, context: PlanContext) -> DesiredState:
    is_of_live = context.options.destroy or bool(context.options.forget)
    return DesiredState() if is_of_live else target.spec.desired


def _drawn(plan: TargetPlan, context: PlanContext, *, every: bool) -> Picture:
    found = picture_of(plan, context, every=every)
    return found if every else found.changing


def _with_instances(
    target: PlannedTarget, context: PlanContext, ports: RunPorts
) -> tuple[PlanContext, list[NotRead]]:
    """The context with the instances of every region in which consumers may be. Where no region is
    set, none was asked, and the plan needs none."""
    options, connection = context.options, patient(target.connection, ports)
    if not options.regions and connection.default_region is None:
        return context, [NotRead("instances", "no region is set; pass --region")]
    regions, refused = options.consumer_regions, None
    if regions is None:
        regions, refused = everywhere(options, connection, connection.reader)
    told = [refused] if refused is not None else []
    missing = {*regions} - {*context.live.regions} - context.live.unread_regions.keys()
    if not missing:
        return context, told
    ports.progress.reading(f"instances in {', '.join(sorted(missing))}")
    more = connection.reader.read_regions(context.live.identity, missing)
    live = with_temporary_profiles(context.live.with_instances(more))
    return plan_context(_desired(target, context), live, options), told
