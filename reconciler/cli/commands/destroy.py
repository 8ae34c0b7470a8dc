"""``reconciler destroy``."""

from __future__ import annotations

from reconciler.cli import arguments as o


@o.with_flags
def destroy(
    specs: o.Specs = "specs",
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    max_time: o.MaxTime = None,
    max_rps: o.MaxRps = None,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.destroy import run

    run(specs, auto_approve, no_input, as_json, report, max_time, max_rps, common)
