"""The list: what is changed where, which tests must fail then, and what it would mean.

An old text is found once in its file. No mutant runs without an end: it would take the memory of
the machine before its time is over. The tests are those beside the package, and few: a mutant
that only the whole suite kills says that a test is missing there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``tests`` are files, or files with a test, as pytest takes them, below ``tests/``."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    @property
    def name(self) -> str:
        return f"{self.file}: {self.why}"


DECIDE, WALK = "cutover/test_decide.py", "cutover/test_walk.py"
RUN_STATE, WORLD = "cutover/test_run_state.py", "cutover/test_world.py"
CANARY = f"{WALK}::test_the_canary_is_rolled_back_and_a_later_failure_stops"
DEATH = f"{WALK}::test_two_consumers_and_one_death"
PAUSE = f"{WALK}::test_between_two_batches_is_the_pause"
CLOCKS = f"{WALK}::test_a_launch_while_the_clocks_differ"
ORDER, REMOVALS = "planner/test_order.py", "planner/test_removals.py"
GUARDS, CLAIMS, CUTOVERS = (
    "planner/test_guards.py",
    "planner/test_claims.py",
    "planner/test_cutovers.py",
)
GRAPH, STEPS = "plan/test_graph.py", "kinds/test_steps.py"
SENDER, OBSERVER = "executor/test_sender.py", "executor/test_observer.py"
SEAM = "engine/test_seam.py"
INTERRUPT, DEADLINE = "executor/test_interrupt.py", "executor/test_deadline.py"

WALK_GATES = "cutover/test_walk_gates.py"
BAKED = f"{WALK_GATES}::test_the_first_stands_for_its_time_whatever_run_dies"
RINGS = f"{WALK_GATES}::test_an_alarm_that_goes_off_at_any_moment"

CUTOVER = (
    Mutant(
        "reconciler/cutover/run_state.py",
        "        return any(i.key not in observed.profile.in_flight for i in noted)",
        "        return True",
        (BAKED,),
        "a run that follows one that died skips the bake time",
    ),
    Mutant(
        "reconciler/cutover/gates.py",
        "        return watched(fleet, ended) or run_state.closed or wait(fleet, left, BAKE, bake)",
        "        return watched(fleet, ended)",
        (BAKED,),
        "the canary does not stand for its time",
    ),
    Mutant(
        "reconciler/cutover/gates.py",
        "    return GiveUp(reason, roll_back=fleet.can_roll_back, advice=advice)\n\n\ndef checkpoint",
        "    return GiveUp(reason, roll_back=False, advice=advice)\n\n\ndef checkpoint",
        (RINGS,),
        "what is watched never rolls the canary back",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "    if not is_begun and (decision := batches.look_first(fleet)):\n        return decision\n",
        "",
        (RINGS,),
        "nothing is looked at before the start",
    ),
    Mutant(
        "reconciler/cutover/gates.py",
        "    if not whole or reached <= passed:",
        "    if not whole or not reached:",
        (WALK_GATES,),
        "every run ends at the same checkpoint",
    ),
    Mutant(
        "reconciler/cutover/batches.py",
        "return GiveUp(_told(failed), roll_back=fleet.can_roll_back)",
        "return GiveUp(_told(failed), roll_back=False)",
        (CANARY,),
        "the canary is never rolled back",
    ),
    Mutant(
        "reconciler/cutover/fleet.py",
        "            is_first\n            and ",
        "            ",
        (CANARY,),
        "every failure rolls back, also when others hold the new role",
    ),
    Mutant(
        "reconciler/plan/cut_over.py",
        "settle_as=Failed(failed_id),",
        "settle_as=None,",
        (CANARY,),
        "a roll-back leaves no mark, so the next apply tries the same role again",
    ),
    Mutant(
        "reconciler/cutover/batches.py",
        "        return gates.watched(fleet, since) or gates.wait(fleet, left, told, pause)",
        "        return None",
        (PAUSE, DECIDE),
        "the pause between batches is not kept",
    ),
    Mutant(
        "reconciler/cutover/fleet.py",
        "instance.launched_at >= swapped + spread + CLOCKS_APART",
        "instance.launched_at >= swapped + spread",
        (CLOCKS, DECIDE),
        "a launch time is believed though EC2's clock may be ahead",
    ),
    Mutant(
        "reconciler/cutover/fleet.py",
        "CLOCKS_APART = 300.0",
        "CLOCKS_APART = 0.0",
        (CLOCKS,),
        "the same, and the constant that tests share with it",
    ),
    Mutant(
        "reconciler/cutover/simulate.py",
        'return _holding(profile, call.params["RoleName"], _id_of(cutover, observed, call))',
        'return _holding(profile, call.params["RoleName"], "AROAWRONG")',
        (WORLD, f"{DEATH}[0-reassociate]"),
        "the simulation puts the wrong role id in",
    ),
    Mutant(
        "reconciler/cutover/simulate.py",
        "    return before.id\n",
        "    return observed.after_id\n",
        (WORLD,),
        "the role that is put back is taken for the new one",
    ),
    Mutant(
        "reconciler/cutover/simulate.py",
        "marks.pop(key.removeprefix(cutover.prefix), None)",
        "marks.pop(key, None)",
        (WORLD,),
        "a run expects notes that it took off, and waits for them",
    ),
    Mutant(
        "reconciler/cutover/simulate.py",
        'arn, temporary.id, "associated"',
        'arn, home.id, "associated"',
        (WORLD,),
        "whoever is on the temporary profile looks as if it were at home",
    ),
    Mutant(
        "reconciler/cutover/fleet.py",
        "return row is None or row.id == self.run_state.taken.get(instance.key)",
        "return row is None",
        (DECIDE,),
        "an old listing begins a second batch",
    ),
    Mutant(
        "reconciler/cutover/fleet.py",
        "room = at_once - len(missing)",
        "room = at_once",
        (RUN_STATE,),
        "more instances are away than allowed",
    ),
    Mutant(
        "reconciler/cutover/fleet.py",
        "is_first = self.run_state.batches == 0",
        "is_first = False",
        ("behaviour/test_cutover.py::test_the_canary_has_a_size_of_its_own",),
        "the first batch is as large as any other",
    ),
    Mutant(
        "reconciler/cutover/fleet.py",
        "if self.cutover.untouched is not None and standing in self.cutover.untouched:",
        "if False:",
        (f"{WALK}::test_a_canary_is_rolled_back_and_nobody_else_is_touched",),
        "a roll-back takes the profile from instances that never gave it up",
    ),
    Mutant(
        "reconciler/cutover/run_state.py",
        "        resumed=_is_resumed(observed),\n",
        "        resumed=True,\n",
        (DECIDE,),
        "notes that anybody may write on an instance save its refresh",
    ),
    Mutant(
        "reconciler/cutover/run_state.py",
        "                swapped_at=ended_at,\n",
        "                swapped_at=now,\n",
        (RUN_STATE,),
        "EC2 is taken to see the role too early after a throttled swap",
    ),
    Mutant(
        "reconciler/cutover/run_state.py",
        "                refreshed={},\n",
        "",
        (RUN_STATE,),
        "who took up the role before is taken to hold the one after",
    ),
    Mutant(
        "reconciler/cutover/run_state.py",
        "            back = _with(run_state.back, key, now)\n",
        "            back = _with(run_state.back, key, ended_at)\n",
        (RUN_STATE,),
        "an association counts as younger than it is",
    ),
    Mutant(
        "reconciler/cutover/run_state.py",
        "batches = run_state.batches if run_state.failed else run_state.batches + 1",
        "batches = run_state.batches + 1",
        (RUN_STATE, CANARY),
        "a canary that failed counts as one that went well",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "profile.role_id is not None and not run_state.asked:",
        "profile.role_id is not None and run_state.swaps < 0:",
        (DECIDE, ORDER),
        "the role is taken out before it is known that the new one may go in",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "    return None if is_begun else Act((calls.mark_pending(run_state.run),), NOTE_THE_SWAP)",
        "    return None",
        (f"{DEATH}[0-reassociate]",),
        "a run that dies between the two roles leaves no note of it",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "        if cutover.hops and (decision := hop.wait_until_unused(fleet)):\n"
        "            return decision\n",
        "",
        (DECIDE,),
        "a hop swaps the role while somebody may use the profile",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "    if observed.listed_at < _last_change(cutover, observed, run_state):\n"
        "        return List()\n"
        "    if observed.unread:\n        region, reason = sorted(observed.unread.items())[0]\n"
        '        return GiveUp(\n            f"{region} cannot be read ({reason}); its instances may still',
        "    if observed.unread:\n        region, reason = sorted(observed.unread.items())[0]\n"
        '        return GiveUp(\n            f"{region} cannot be read ({reason}); its instances may still',
        (DECIDE,),
        "who was launched meanwhile is forgotten",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "    return max(run_state.changed_at, role_visible_at(cutover, observed, run_state))\n",
        "    return run_state.changed_at\n",
        ("behaviour/test_forgotten.py",),
        "who was launched before EC2 saw the role that another swapped is forgotten",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "    left = role_visible_at(cutover, observed, run_state) - observed.now\n",
        "    left = 0.0\n",
        (f"{DEATH}[0-reassociate]",),
        "instances take up the profile before EC2 sees the role in it",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "return told if is_younger else None",
        "return None",
        (DECIDE,),
        "two runs of two commits swap the role to and fro",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "MOST_SWAPS = 3",
        "MOST_SWAPS = 30",
        (DECIDE,),
        "a run fights another hand without an end",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "    if decision := batches.restore(fleet):\n        return decision\n"
        '    return GiveUp("interrupted"',
        '    return GiveUp("interrupted"',
        (DECIDE,),
        "an interrupted run leaves instances without their profile",
    ),
    Mutant(
        "reconciler/cutover/batches.py",
        "if not fleet.observed.profile.flights >= flights.keys():",
        "if not flights:",
        (f"{DEATH}[0-reassociate]",),
        "a profile is taken off before it is noted whose",
    ),
    Mutant(
        "reconciler/cutover/batches.py",
        "        if flight.is_stop and instance.unstoppable:\n",
        "        if not flights:\n",
        (DECIDE,),
        "an instance is stopped that would not come back",
    ),
    Mutant(
        "reconciler/cutover/batches.py",
        "if fleet.run_state.hurrying and isinstance(wait, Pause):",
        "if not waiting:",
        (DECIDE,),
        "a process that is about to be killed waits in place of giving the profile back",
    ),
    Mutant(
        "reconciler/cutover/batches.py",
        "    if fleet.run_state.refused:\n",
        "    if fleet.run_state.refused is None:\n",
        (CANARY,),
        "the swap begins though EC2 said that it would not give the profile back",
    ),
    Mutant(
        "reconciler/cutover/batches.py",
        "        return GiveUpInstance(waiting[0].key, late)\n",
        "        return poll(why, waiting)\n",
        (DECIDE,),
        "an instance that never gives its profile up is waited for without an end",
    ),
    Mutant(
        "reconciler/cutover/hop.py",
        '            return Pause(left, f"EC2 to see role/{_wanted(fleet)} in the temporary profile")\n',
        "            pass\n",
        (f"{DEATH}[0-hop]",),
        "instances move to a temporary profile in which EC2 sees no role",
    ),
    Mutant(
        "reconciler/cutover/hop.py",
        "if temporary is None or not _is_ours(temporary, observed):",
        "if temporary is None:",
        (DECIDE,),
        "somebody else's profile of that name is deleted",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "    if not left:\n        return None\n",
        "    return None\n",
        (DECIDE,),
        "a cut-over says that all have the role, and another service's instances do not",
    ),
    Mutant(
        "reconciler/cutover/calls.py",
        "RESOURCES_OF_A_CALL = 1000",
        "RESOURCES_OF_A_CALL = 2000",
        (DECIDE,),
        "EC2 refuses a note of more than a thousand instances",
    ),
)
PLANNER = (
    Mutant(
        "reconciler/planner/planner.py",
        "_work((*whole.pending, *releases),",
        "_work((*whole.pending,),",
        (ORDER,),
        "nothing is noted of roles that instances let go of",
    ),
    Mutant(
        "reconciler/planner/topology.py",
        "            if role_id != taken_up:\n",
        "            if role_id:\n",
        (ORDER,),
        "a role counts as let go though the instance is served it again",
    ),
    Mutant(
        "reconciler/planner/removals.py",
        "    held = _kept_back(left, context)\n",
        "    held: dict[Address, _ReasonToKeep] = {}\n",
        (REMOVALS,),
        "what is in use is deleted",
    ),
    Mutant(
        "reconciler/planner/in_use.py",
        "if epoch is not None and epoch + CREDENTIALS_SECONDS > self.now:",
        "if epoch is not None and epoch > self.now:",
        (REMOVALS,),
        "a role is deleted while processes hold its credentials",
    ),
    Mutant(
        "reconciler/planner/in_use.py",
        "        if lost and profile_address(name) not in live.unread:\n",
        "        if not lost:\n            continue\n        if not name:\n",
        (REMOVALS,),
        "instances of a profile that somebody deleted lose their role",
    ),
    Mutant(
        "reconciler/planner/in_use.py",
        "        for region, why in sorted(self.live.unread_regions.items()):\n"
        '            yield Use("unknown", f"{region} cannot be read ({why}): instances may use it", '
        "address)\n",
        "",
        (REMOVALS,),
        "what is used in a region that cannot be read is deleted",
    ),
    Mutant(
        "reconciler/planner/associations.py",
        '        needed["--adopt"] = options.adopt\n',
        '        needed["--adopt"] = True\n',
        (CLAIMS,),
        "whoever may tag instances hands them over to us",
    ),
    Mutant(
        "reconciler/planner/associations.py",
        '        needed["--take-over"] = options.take_over\n',
        '        needed["--take-over"] = True\n',
        (CLAIMS,),
        "another owner's instance is moved unasked",
    ),
    Mutant(
        "reconciler/planner/associations.py",
        "        claim.instance.is_running\n        and not has_role\n",
        "        claim.instance.is_gone\n        and not has_role\n",
        (CLAIMS,),
        "a running instance is moved to a profile without a role",
    ),
    Mutant(
        "reconciler/planner/cutover_plan.py",
        "held = before if going == wanted else None",
        "held = before",
        (CUTOVERS,),
        "a failed canary goes back to a role that not all held",
    ),
    Mutant(
        "reconciler/planner/cutover_plan.py",
        "held = role_id if live.role_id != wanted else None",
        "held = role_id",
        (CUTOVERS,),
        "what a person swapped by hand is rolled back",
    ),
    Mutant(
        "reconciler/planner/cutover_plan.py",
        "held = live.left_with if live.role_id != wanted else None",
        "held = live.role_id",
        (CUTOVERS,),
        "a roll-back after a roll-back goes to a role that was swapped in by hand",
    ),
    Mutant(
        "reconciler/cutover/run_state.py",
        "if not isinstance(cutover.settle_as, Failed) or cutover.is_narrow or observed.unread:",
        "if not isinstance(cutover.settle_as, Failed) or observed.unread:",
        (DECIDE,),
        "a roll-back in some regions is believed of all",
    ),
    Mutant(
        "reconciler/cutover/decide.py",
        "return observed.profile.left_with != observed.target",
        "return False",
        (CUTOVERS,),
        "a role that was swapped by hand after a roll-back is believed",
    ),
    Mutant(
        "reconciler/planner/cutover_plan.py",
        "held = live.role_id if live.role_id != role_id else None",
        "held = role_id",
        (CUTOVERS,),
        "a failed canary goes back to the role that failed before",
    ),
    Mutant(
        "reconciler/planner/cutover_plan.py",
        "    if any(i.row and i.row.profile_id != live.id for i in context.live.consumers(live.arn)):\n"
        "        return True\n",
        "",
        (CUTOVERS,),
        "instances keep the association of a profile that is gone",
    ),
    Mutant(
        "reconciler/planner/cutovers.py",
        'if is_failed and not context.options.allows("retry", address):',
        "if is_failed and not address:",
        (CUTOVERS,),
        "a pipeline tries a role that failed again and again",
    ),
    Mutant(
        "reconciler/planner/cutovers.py",
        "        guards=tuple(_emptied(planned, context)),\n",
        "",
        (CUTOVERS,),
        "running instances lose their role without a question",
    ),
    Mutant(
        "reconciler/planner/guards.py",
        "if number * 100 > most * existing:",
        "if number * 100 > 2 * most * existing:",
        (GUARDS,),
        "twice the share may be deleted",
    ),
    Mutant(
        "reconciler/planner/guards.py",
        "        if number != allowed and number:\n",
        "        if number > 2 * allowed and number:\n",
        (GUARDS,),
        "a number that was approved lets more through",
    ),
    Mutant(
        "reconciler/planner/guards.py",
        'if reason is not None and not options.allows("self", address):',
        "if False:",
        (GUARDS,),
        "the program locks itself out",
    ),
    Mutant(
        "reconciler/planner/replacements.py",
        "    if users := tuple(_users(live, context)):\n",
        "    if users := tuple(_users(live, context))[:0]:\n",
        (CLAIMS,),
        "a role is deleted, to be made again, under somebody else's profile",
    ),
    Mutant(
        "reconciler/planner/context.py",
        "if profile.owner == owner and live.profile",
        "if live.profile",
        (CUTOVERS,),
        "a tag that anybody may write makes a profile a temporary one of ours",
    ),
    Mutant(
        "reconciler/planner/ownership_checks.py",
        "return options.adopt and (is_nobodys or options.take_over)",
        "return options.adopt",
        (CLAIMS,),
        "--adopt takes what another owner has",
    ),
    Mutant(
        "reconciler/planner/ownership_checks.py",
        "    is_nobodys = live.claimed_by in (None, options.owner)\n    return options.adopt and ",
        "    is_nobodys = live.claimed_by in (None, options.owner)\n    return ",
        (CLAIMS,),
        "what is nobody's is taken unasked",
    ),
    Mutant(
        "reconciler/planner/ownership_checks.py",
        "    if profile in going:\n        return True\n",
        "    return True\n",
        (REMOVALS,),
        "a role is deleted that a profile goes on to hold",
    ),
)
KINDS = (
    Mutant(
        "reconciler/kinds/role.py",
        "        later = _later(address) if waits else set()\n",
        "        later = set[Label]()\n",
        (ORDER, STEPS),
        "permissions go before their successors are there",
    ),
    Mutant(
        "reconciler/kinds/role.py",
        "    fits = len(before.managed_policies) + len(added) <= context.quota\n",
        "    fits = len(before.managed_policies) + len(added) <= context.quota + 1\n",
        (STEPS,),
        "an eleventh policy is attached, and AWS refuses",
    ),
    Mutant(
        "reconciler/kinds/role.py",
        'name, after, bare = before.name, {free(address)}, Label("bare", address)',
        'name, after, bare = before.name, set[Label](), Label("bare", address)',
        (ORDER,),
        "a role loses its permissions while a profile gives it out",
    ),
    Mutant(
        "reconciler/kinds/role.py",
        "yield with_fields(trust, after=later) if shuts_out_ec2(before, after) else trust",
        "yield trust",
        (STEPS,),
        "EC2 may not take the role while instances have it",
    ),
    Mutant(
        "reconciler/kinds/policy.py",
        "if len(live.versions) >= MOST_VERSIONS:",
        "if len(live.versions) > MOST_VERSIONS:",
        (STEPS,),
        "a sixth version is made, and AWS refuses",
    ),
    Mutant(
        "reconciler/kinds/policy.py",
        "next(v for v in live.versions if not v.is_default)",
        "next(v for v in live.versions)",
        (STEPS,),
        "the version in force is deleted",
    ),
    Mutant(
        "reconciler/kinds/context.py",
        "if same_key(key) not in wanted",
        "if key not in after",
        (STEPS,),
        "a role's tag whose case changes is lost",
    ),
    Mutant(
        "reconciler/kinds/instance_profile.py",
        "requires = {exists(address), exists(held), ready(held)}",
        "requires = {exists(address), exists(held)}",
        (ORDER,),
        "a profile gives out a role before it has its permissions",
    ),
    Mutant(
        "reconciler/kinds/association.py",
        "later, freed = frozenset({ready(left), released(left)}), frozenset({free(left)})",
        "later, freed = frozenset({ready(left), released(left)}), NONE",
        (ORDER,),
        "a profile is deleted before its instances have moved",
    ),
    Mutant(
        "reconciler/kinds/association.py",
        'if live.state == "stopped" or is_same:',
        "if is_same:",
        (ORDER,),
        "AWS refuses to replace the association of a stopped instance",
    ),
    Mutant(
        "reconciler/kinds/association.py",
        '    before = {*later, *(Label(state, key) for state in ("noted", "tagged", "stable"))}\n'
        "    yield step(address, call, requires=requires, after=before, provides={off})\n",
        '    before = {*later, *(Label(state, key) for state in ("tagged", "stable"))}\n'
        "    yield step(address, call, requires=requires, after=before, provides={off})\n",
        (ORDER,),
        "a stopped instance loses its profile before that is noted",
    ),
    Mutant(
        "reconciler/plan/graph.py",
        "        before[number] = found - {number}\n",
        "        before[number] = found\n",
        (GRAPH,),
        "a step waits for itself",
    ),
    Mutant(
        "reconciler/plan/graph.py",
        '        raise CycleError(", ".join(named), members) from error\n',
        "        sequence = []\n",
        (GRAPH,),
        "steps in a circle are left out of the plan",
    ),
    Mutant(
        "reconciler/plan/graph.py",
        "    raise UnmetRequirementError(f\"{pending.address} needs '{need}', which no step provides\")",
        "    return []",
        (GRAPH,),
        "a requirement that nothing meets holds already",
    ),
)
EXECUTOR = (
    Mutant(
        "reconciler/executor/sender.py",
        '        if call.operation.startswith("Create") and not was_lost:\n'
        "            return False\n",
        "",
        (SENDER,),
        "somebody else's resource of that name is taken for the one that we made",
    ),
    Mutant(
        "reconciler/executor/idempotency.py",
        "    return all(found.tags.get(key) == value for key, value in wanted.items())\n",
        "    return True\n",
        (SENDER,),
        "the same after a lost answer",
    ),
    Mutant(
        "reconciler/executor/idempotency.py",
        'return is_inside == call.operation.startswith("Add")',
        "return is_inside",
        (SENDER,),
        "a role that is still inside counts as taken out",
    ),
    Mutant(
        "reconciler/executor/retry_rules.py",
        "            and self.says in error.message\n",
        "",
        (SENDER,),
        "a wrong action in a trust policy is asked for again for two minutes",
    ),
    Mutant(
        "reconciler/executor/idempotency.py",
        "if found is not None and found.arn == arn:",
        "if found is not None:",
        (SENDER,),
        "a role at another path is waited for",
    ),
    Mutant(
        "reconciler/executor/retry_rules.py",
        "            and (is_fresh or not self.only_fresh)\n",
        "",
        (SENDER,),
        "a wrong name is asked for again for two minutes",
    ),
    Mutant(
        "reconciler/executor/retry_rules.py",
        "return min(seconds, STOPPING_SECONDS) if self.stop.is_set() else seconds",
        "return seconds",
        (SENDER, INTERRUPT),
        "an interrupted run goes on waiting",
    ),
    Mutant(
        "reconciler/executor/retry_rules.py",
        "return max(seconds, IN_FLIGHT_SECONDS) if error.was_not_sent else seconds",
        "return seconds",
        (INTERRUPT,),
        "the network is gone for two minutes, and instances stay without a profile",
    ),
    Mutant(
        "reconciler/executor/observer.py",
        "return self.clock.now() - at <= OWN_WRITE_LAG_SECONDS",
        "return False",
        (OBSERVER,),
        "an old read hides who is without a profile",
    ),
    Mutant(
        "reconciler/executor/observer.py",
        "if shown == expected or shown not in self._earlier:",
        "if shown == expected:",
        (OBSERVER,),
        "what another hand changed is not seen for two minutes",
    ),
    Mutant(
        "reconciler/executor/observer.py",
        "            and known.state == state\n",
        "",
        (OBSERVER,),
        "an instance that was stopped counts as running until its state is read",
    ),
    Mutant(
        "reconciler/executor/observer.py",
        "and (is_taken or self.clock.now() - at < PROFILE_SECONDS)",
        "",
        (OBSERVER,),
        "an instance that ended is waited for as if it ran",
    ),
    Mutant(
        "reconciler/commands/worker.py",
        'if "delete" in change["actions"] and "delete" not in was["actions"]:',
        "if not change:",
        (f"{SEAM}::test_what_is_a_part_of_what_was_approved",),
        "a worker deletes what was approved to be changed",
    ),
    Mutant(
        "reconciler/commands/worker.py",
        "        if why := not_approved(made.plan, approved):\n",
        "        if why := None:\n",
        (SEAM,),
        "a worker applies what nobody approved",
    ),
    Mutant(
        "reconciler/commands/worker.py",
        "if own.account_id != whose.account_id:",
        "if not own.account_id:",
        (SEAM,),
        "a worker with credentials of another account works on that",
    ),
    Mutant(
        "reconciler/executor/interrupt.py",
        "if not is_roll_back and (why := self.is_over()):",
        "if why := self.is_over():",
        (DEADLINE,),
        "a failed canary is not rolled back because the time is over",
    ),
    Mutant(
        "reconciler/executor/interrupt.py",
        "lasts = self.outlives(BATCH_SECONDS)",
        "lasts = self.outlives(0.0)",
        (DEADLINE,),
        "credentials expire while instances are without a profile",
    ),
    Mutant(
        "reconciler/executor/schedule.py",
        "            if pending.address in self._busy:\n",
        "            if False:\n",
        ("executor/test_schedule.py",),
        "two calls about one resource at a time",
    ),
    Mutant(
        "reconciler/executor/schedule.py",
        "                if not self._left[following] and following not in self._over:\n",
        "                if following not in self._over:\n",
        ("executor/test_schedule.py",),
        "a step begins before all that it comes after has ended",
    ),
    Mutant(
        "reconciler/executor/schedule.py",
        "return is_cutover and is_full and not self.is_cleanup(place)",
        "return is_cutover and is_full",
        ("executor/test_schedule.py",),
        "the second half of a pair waits while its instances have no role",
    ),
    Mutant(
        "reconciler/executor/shared_reader.py",
        "                self._next, self._last = None, request\n",
        "                self._last = request\n",
        ("executor/test_shared_reader.py",),
        "who asks after a request has begun gets its answer",
    ),
    Mutant(
        "reconciler/aws/reader.py",
        "        if any(at is not None and at >= scope.released_since for at in released):\n",
        "        if False:\n",
        (
            "behaviour/test_tag_index.py::"
            "test_a_run_that_died_in_a_way_back_is_seen_although_the_index_is_late",
        ),
        "a late index of tags hides a cut-over that died",
    ),
    Mutant(
        "reconciler/aws/tag_index.py",
        "        return dict(tags) if tags == wanted else None\n",
        "        return dict(tags)\n",
        ("behaviour/test_tag_index.py::test_what_is_not_as_the_specs_want_it_is_read_by_itself",),
        "the index of tags is believed whatever it shows",
    ),
    Mutant(
        "reconciler/executor/pace.py",
        "            if now - self._cut_at < WINDOW_SECONDS:\n                return\n",
        "",
        ("executor/test_pace.py",),
        "one throttle counts many times",
    ),
    Mutant(
        "reconciler/executor/cutover_runner.py",
        "        if isinstance(decision, Act) and not self._has_checked and takes(decision):\n"
        "            return self._look(cutover, observed, ()), run_state\n",
        "",
        ("behaviour/test_calls.py::test_the_profile_is_looked_at_before_each_batch",),
        "a batch begins without a look at the marks of other runs",
    ),
    Mutant(
        "reconciler/executor/cutover_runner.py",
        "                    for undoing in act.undo:\n"
        "                        self.sender.send(undoing, is_fresh=True)\n",
        "                    pass\n",
        ("behaviour/test_cutover.py::test_the_old_role_is_restored_if_the_new_one_is_refused",),
        "a profile stays without a role when the new one is refused",
    ),
    Mutant(
        "reconciler/executor/cutover_runner.py",
        "                if error.code in DENIED:\n",
        "                if not error.code:\n",
        (
            "behaviour/test_cutover_trust.py::test_permission_is_checked_for_the_old_and_the_new_role",
        ),
        "what EC2 would refuse to give back is taken",
    ),
    Mutant(
        "reconciler/executor/precondition.py",
        "        return None if _same(now.resource, before.resource) else "
        '"was changed outside of this run"',
        "        return None",
        ("behaviour/test_reading.py::test_a_resource_that_changed_since_the_plan_is_not_changed",),
        "what somebody changed since the plan is overwritten",
    ),
)
FLEET = (
    Mutant(
        "reconciler/commands/failures.py",
        "len(self._failed) >= self.most",
        "len(self._failed) > self.most",
        ("behaviour/test_fleet.py::test_after_so_many_failures_no_further_target_begins",),
        "one more target begins than --max-failures allows",
    ),
    Mutant(
        "reconciler/commands/shard.py",
        "digest = hashlib.sha256(target.encode()).digest()",
        'digest = hash(target).to_bytes(8, "big", signed=True)',
        ("behaviour/test_shards.py::test_the_division_is_the_same_in_every_process",),
        "each run has another division of the targets",
    ),
    Mutant(
        "reconciler/commands/members.py",
        "if not found and not settings.targets:",
        "if False:",
        ("behaviour/test_organizations.py::test_nobody_is_not_the_account_of_the_caller",),
        "where no account matches, the caller's own is planned",
    ),
    Mutant(
        "reconciler/render/json/merge.py",
        "    if missing:\n",
        "    if not of:\n",
        ("behaviour/test_merge.py::test_a_missing_shard_is_an_error",),
        "a document without some shards says that nothing differs there",
    ),
)
PREFLIGHT, DOCTOR = "permissions/test_preflight.py", "doctor/test_checks.py"
LOSSES = "behaviour/test_impact.py::test_exactly_what_was_used_and_is_lost_is_named"
PERMISSIONS = (
    Mutant(
        "reconciler/commands/preflight.py",
        "        return bool(self.denied or self.full)\n",
        "        return bool(self.full)\n",
        (f"{PREFLIGHT}::test_apply_is_refused_before_anything_is_written",),
        "a plan that is not allowed is begun all the same",
    ),
    Mutant(
        "reconciler/commands/preflight.py",
        "        if not there:\n            bare += 1\n            continue\n        address = own if own in there else next(iter(there))\n",
        "        address = own\n",
        (f"{PREFLIGHT}::test_an_instance_without_a_profile_is_no_dry_run",),
        "an endpoint without dry runs gives an instance a profile before the plan is approved",
    ),
    Mutant(
        "reconciler/aws/simulator.py",
        'decision: Decision = "unknown" if found.lacking else "denied"',
        'decision: Decision = "denied"',
        (f"{PREFLIGHT}::test_a_key_that_nobody_knows_makes_it_not_known",),
        "a plan is refused for a denial that may be none",
    ),
    Mutant(
        "reconciler/permissions/of_plan.py",
        '        if address in self._of_rules or not address.startswith(f"{ASSOCIATION}/"):\n',
        "        if address in self._of_rules:\n",
        ("permissions/test_enforced.py::test_what_a_policy_of_a_plan_names_is_there",),
        "a policy names an instance after a profile",
    ),
    Mutant(
        "reconciler/permissions/of_specs.py",
        "    if desired.profiles:\n        named |=",
        "    if False:\n        named |=",
        ("permissions/test_enforced.py::test_the_way_back_is_allowed_too",),
        "a roll-back is denied to pass the role that it puts back",
    ),
    Mutant(
        "reconciler/doctor/examination.py",
        "        if is_wanted:\n            yield from self._inside(patient, found)\n",
        "        yield from self._inside(patient, found)\n",
        ("doctor/test_doctor.py::test_another_account",),
        "another account is read",
    ),
    Mutant(
        "reconciler/doctor/machine.py",
        "    if abs(seconds) < MOST_SECONDS:\n",
        "    if abs(seconds) < 10 * MOST_SECONDS:\n",
        (f"{DOCTOR}::test_the_clock",),
        "a clock by which AWS refuses every call is a warning",
    ),
)
_ACCESS = "rehearsal/test_access.py"
_DECISION = "model/test_policy_decision.py"
REHEARSAL = (
    Mutant(
        "reconciler/model/policy_decision.py",
        '    if denying:\n        return Decision("explicitDeny", denying)\n',
        "",
        (_DECISION,),
        "a statement that denies allows",
    ),
    Mutant(
        "reconciler/model/policy_decision.py",
        "            value = _SPECIAL.get(name) or values[0].translate(_PLAIN)\n",
        "            value = _SPECIAL.get(name) or values[0]\n",
        (_DECISION,),
        "the value of a variable is a pattern",
    ),
    Mutant(
        "reconciler/sandbox/authorization.py",
        '    region = logged.region if logged.service == "ec2" else "*"\n',
        "    region = logged.region\n",
        ("sandbox/test_authorization.py::test_a_role_is_passed_into_a_profile",),
        "a role is passed into a profile for one region",
    ),
    Mutant(
        "reconciler/rehearsal/access.py",
        "asked=replace(asked, context=context),",
        "asked=asked,",
        (f"{_ACCESS}::test_a_read_in_two_regions_is_allowed_in_both",),
        "the suggested policy allows reads in one region of two",
    ),
    Mutant(
        "reconciler/rehearsal/rehearsing.py",
        "            logs.append(self._beyond())\n",
        "",
        (f"{_ACCESS}::test_a_role_that_must_not_be_passed",),
        "of what is denied, only the first is told",
    ),
    Mutant(
        "reconciler/importer/from_terraform.py",
        "    own = {one.where for one in taken if one.address in addresses}\n",
        "    own = {one.where for one in taken}\n",
        ("importer/test_terraform_state.py",),
        "Terraform forgets what was not imported",
    ),
)
_LINT, _ANALYSIS, _DRAWN = (
    "lint/test_lint.py",
    "behaviour/test_access_analyzer.py",
    "render/test_graph.py",
)
EXPLAINING = (
    Mutant(
        "reconciler/lint/statements.py",
        "        elif not _TRUE_WITHOUT_THE_KEY.search(operator):\n",
        "        else:\n",
        (f"{_LINT}::test_conditions_that_may_be_met",),
        "a condition that a call without the key meets is flagged",
    ),
    Mutant(
        "reconciler/lint/catalog.py",
        '        for kind in details["resourceTypes"]:\n',
        "        for kind in ():\n",
        (f"{_LINT}::test_conditions_that_may_be_met",),
        "condition keys of resources are not known",
    ),
    Mutant(
        "reconciler/lint/statements.py",
        "    if catalog.is_beyond(text) or catalog.matching(text):\n",
        "    if catalog.matching(text):\n",
        (f"{_LINT}::test_actions_that_there_are",),
        "actions of AWS's own policies are flagged",
    ),
    Mutant(
        "reconciler/commands/analysis.py",
        "        if not is_new and name_key(_attribute(written)) not in touched:\n",
        "        if False:\n",
        (f"{_ANALYSIS}::test_what_changes_is_compared_with_what_aws_has",),
        "documents that do not change are asked about",
    ),
    Mutant(
        "reconciler/commands/analysis.py",
        "            if call in self.refused:\n                return ()\n",
        "            if call in self.refused:\n                raise self.refused[call]\n",
        (f"{_ANALYSIS}::test_what_is_denied_is_told_once_and_the_plan_is_whole",),
        "a denied call ends the plan",
    ),
    Mutant(
        "reconciler/render/graph/mermaid.py",
        '        c if n >= start and (c.isalnum() or c in _PLAIN) else f"#{ord(c)};"\n',
        "        c\n",
        (f"{_DRAWN}::test_mermaid",),
        "a name is markup of Mermaid",
    ),
    Mutant(
        "reconciler/render/graph/dot.py",
        """.replace("\\\\", "\\\\\\\\")""",
        "",
        (f"{_DRAWN}::test_every_text_is_text_in_every_format",),
        "a backslash of a name is an escape of Graphviz",
    ),
    Mutant(
        "reconciler/planner/topology.py",
        "    is_planned = wanted is not None and context.options.includes(address)\n",
        "    is_planned = wanted is not None\n",
        ("behaviour/test_graph.py::test_what_is_not_planned_is_not_drawn",),
        "what was not read is drawn as added",
    ),
)
JUDGE, SEEN = "model/test_evidence.py", "behaviour/test_evidence.py"
EVIDENCE = (
    Mutant(
        "reconciler/model/evidence.py",
        "    if seen.issued_at < began or is_doubtful:\n",
        "    if False:\n",
        (f"{JUDGE}::test_calls_of_the_instance",),
        "credentials from before the association began prove something",
    ),
    Mutant(
        "reconciler/model/evidence.py",
        "        if seen.issued_at >= put_in:\n",
        "        if True:\n",
        (f"{JUDGE}::test_a_role_that_was_put_in_lately",),
        "credentials from before the role was put in prove that it is served",
    ),
    Mutant(
        "reconciler/model/evidence.py",
        "    if now >= ends_at:\n",
        "    if False:\n",
        (f"{JUDGE}::test_calls_of_the_instance",),
        "credentials that have ended contradict",
    ),
    Mutant(
        "reconciler/model/evidence.py",
        "    if not is_certain:\n",
        "    if False:\n",
        (f"{JUDGE}::test_a_role_that_was_let_go_of",),
        "an old process contradicts before CloudTrail has the association",
    ),
    Mutant(
        "reconciler/model/evidence.py",
        "    newest = max(found.seen, key=_of_moment)\n",
        "    newest = found.seen[0]\n",
        (f"{JUDGE}::test_what_ec2_served_last_counts_whoever_says_so",),
        "what came first counts, not what was issued last",
    ),
    Mutant(
        "reconciler/aws/cloudtrail.py",
        "role_id if is_delivered and session == instance and _ROLE_ID.fullmatch(role_id) else None",
        "role_id if session == instance and _ROLE_ID.fullmatch(role_id) else None",
        (f"{SEEN}::test_a_session_that_somebody_named_after_an_instance_is_no_evidence",),
        "anybody may forge evidence by the name of a session",
    ),
    Mutant(
        "reconciler/aws/evidence.py",
        '    if detail.get("errorCode"):\n        return None\n    answered',
        "    answered",
        (f"{SEEN}::test_a_refused_association_began_nothing",),
        "a call that was refused, or a dry run, counts as an association",
    ),
    Mutant(
        "reconciler/commands/verify.py",
        '        if found["contradicted"]:\n            return ExitCode.DIFFERENCES\n',
        "",
        (f"{SEEN}::test_the_metadata_service_contradicts",),
        "a contradiction has the exit code of what is unknown",
    ),
    Mutant(
        "reconciler/drift/baseline.py",
        "        if is_by_evidence_alone(finding) and not is_known(finding, evidence):\n"
        "            return False\n",
        "",
        ("cli/test_verify.py::test_drift_tells_a_contradiction_until_it_is_known_to_be_gone",),
        "a drift that did not look for evidence resolves a contradiction",
    ),
)
IMPACT = (
    Mutant(
        "reconciler/impact/questions.py",
        '            return "conditional" if "Allow" in under else "denied"\n',
        '            return "denied"\n',
        ("behaviour/test_impact.py::test_new_conditions_are_told_as_such",),
        "what depends on a condition is called denied",
    ),
    Mutant(
        "reconciler/impact/reduction.py",
        '        taken += [effect for effect in found.gained if effect.effect == "Deny"]\n',
        "",
        (f"{LOSSES}[a Deny is added]",),
        "a new Deny takes nothing away",
    ),
    Mutant(
        "reconciler/impact/questions.py",
        '        return Loss("denied", action, use) if was_allowed else None\n',
        '        return Loss("denied", action, use)\n',
        (f"{LOSSES}[what was used was denied already]",),
        "an attempt that was denied before is a loss",
    ),
    Mutant(
        "reconciler/impact/services.py",
        "        if any(at >= use.at - SAME_SECONDS for at in recorded):\n            continue\n",
        "",
        (f"{LOSSES}[a wildcard is narrowed]",),
        "a service counts as lost though AWS records which of its actions were used",
    ),
    Mutant(
        "reconciler/commands/impact.py",
        "        if not impact.losses and not impact.unknown:\n",
        "        if not impact.losses:\n",
        ("behaviour/test_impact.py::test_what_is_denied_is_unknown_and_stops_with_a_guard",),
        "what cannot be found out passes a guard",
    ),
    Mutant(
        "reconciler/impact/allowed.py",
        "    if but or not allowing:\n",
        "    if not allowing:\n",
        ("impact/test_allowed.py::test_a_question_with_wildcards",),
        "all that a wildcard matches is called allowed though some of it is denied",
    ),
    Mutant(
        "reconciler/impact/allowed.py",
        '    elif own.outcome in ("allowed", "partly") and held.denying:\n',
        "    elif False:\n",
        ("impact/test_allowed.py::test_what_was_not_read_may_allow_or_deny",),
        "a policy that was not read and may deny counts for nothing",
    ),
    Mutant(
        "reconciler/model/policy_decision.py",
        "        action = asked.action.casefold()\n",
        "        action = asked.action\n",
        ("model/test_policy_cases.py::test_what_a_policy_answers",),
        "actions are compared by their case",
    ),
)
PROVES = f"{WALK_GATES}::test_every_batch_is_proved_whatever_run_dies"
ANOTHER = f"{WALK_GATES}::test_one_that_is_served_another_role"
NOBODY_KNOWS = f"{WALK_GATES}::test_one_of_whom_nothing_is_known"
VERIFIED = "behaviour/test_verified_roll_outs.py"

PROOF = (
    Mutant(
        "reconciler/cutover/gates.py",
        "    if decision := proof(fleet, ended):\n",
        "    if (decision := proof(fleet, ended)) and False:\n",
        (ANOTHER,),
        "no batch has to be proved",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        "        return GiveUp(named(why), roll_back=fleet.can_roll_back, advice=CONTRADICTED)\n",
        "        return GiveUp(named(why), roll_back=False, advice=CONTRADICTED)\n",
        (ANOTHER,),
        "a canary that is served another role keeps the new one",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        '    contradicted = [k for k, _ in batch if k in found and found[k].status == "contradicted"]\n',
        "    contradicted: list[InstanceKey] = []\n",
        (ANOTHER,),
        "evidence that contradicts is waited for until it is unknown",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        '    if unknown and verify.on_unknown == "stop":\n',
        "    if unknown:\n",
        (NOBODY_KNOWS,),
        "what is not known ends the run, though it may go on",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        '    if unknown and verify.on_unknown == "stop":\n',
        "    if False:\n",
        (NOBODY_KNOWS,),
        "what is not known is gone on from, though it must end the run",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        "    return [(key, one) for key, one in known if one is not None and one.is_running]\n",
        "    return [(key, one) for key, one in known if one is not None and one.is_running][:1]\n",
        (f"{WALK_GATES}::test_each_of_a_batch_counts",),
        "one of a batch stands for all",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        "    keys = {*run_state.batch, *of_earlier}\n",
        "    keys = {*run_state.batch}\n",
        (f"{VERIFIED}::test_so_is_a_later_batch",),
        "the batch of a run that died is never proved",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        "    if not keys and (run_state.on_trial or fleet.cutover.hops):\n",
        "    if False:\n",
        (f"{VERIFIED}::test_so_is_a_later_batch",),
        "nor is that of a hop",
    ),
    Mutant(
        "reconciler/cutover/run_state.py",
        "        evidence_at=None,\n        is_verified=False,\n",
        "        evidence_at=None,\n",
        (ANOTHER,),
        "a proved batch proves all that follow",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        "    pending = [one for key, one in batch if key not in found or found[key].may_change]\n",
        "    pending = [one for key, one in batch if key not in found]\n",
        (VERIFIED,),
        "it is asked once and never again",
    ),
    Mutant(
        "reconciler/cutover/proof.py",
        "        renewed_after=given_at.get(instance.key, began_at),\n",
        "        renewed_after=0.0,\n",
        (PROVES,),
        "a metadata service that is late contradicts",
    ),
    Mutant(
        "reconciler/executor/witness.py",
        "        for why, keys in of_batch.items():\n",
        "        for why, keys in ():\n",
        (VERIFIED,),
        "what stayed unknown is not told at the end",
    ),
)
MUTANTS = (
    *EXPLAINING,
    *REHEARSAL,
    *CUTOVER,
    *PLANNER,
    *KINDS,
    *EXECUTOR,
    *FLEET,
    *PERMISSIONS,
    *EVIDENCE,
    *PROOF,
    *IMPACT,
)
