"""Examples and exit codes of each command, for ``--help``. A test parses every example."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.exit_codes import ExitCode

Example = tuple[str, str]
"""A command line, and what it does."""

START: tuple[Example, ...] = (
    ("reconciler init", "Write a first set of specs, with comments"),
    ("reconciler demo", "See the whole workflow without an AWS account"),
    ("reconciler plan", "Show what apply would do with the specs in ./specs"),
)

EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "validate": (
        ("reconciler validate --lint", "Check the specs in ./specs, and their policies closely"),
        (
            "reconciler validate --format concise --report sarif=specs.sarif",
            "A line for each finding, and a file for code scanning",
        ),
    ),
    "plan": (
        ("reconciler plan --out plan.json", "Show the plan, and save it for apply"),
        (
            "reconciler plan --only 'role/web-*' --target prod",
            "Only roles of that name, in one account",
        ),
    ),
    "apply": (
        ("reconciler apply", "Plan, ask, and apply"),
        (
            "reconciler apply plan.json --max-time 45m",
            "Apply a saved plan, and start nothing new after 45 minutes",
        ),
    ),
    "rehearse": (
        (
            "reconciler rehearse --crash",
            "Apply the plan to a copy of the account, and kill that apply after each of its writes",
        ),
        (
            "reconciler rehearse plan.json --as-policy ci.json",
            "What an identity with exactly these policies would be denied",
        ),
    ),
    "drift": (
        ("reconciler drift --who", "What differs, and who changed it"),
        (
            "reconciler drift --accept role/web --write",
            "Take over into the specs what AWS has",
        ),
    ),
    "destroy": (
        ("reconciler destroy", "Show what would be deleted, and ask"),
        (
            "reconciler destroy --only role/batch --auto-approve",
            "Delete one role, without a question",
        ),
    ),
    "forget": (
        ("reconciler forget role/web", "Stop managing one role; it stays as it is"),
        (
            "reconciler forget 'association/*' --target prod",
            "Stop managing which instances have which profile",
        ),
    ),
    "rotate": (
        (
            "reconciler rotate instance-profile/web --revoke",
            "Fresh sessions for all of its instances, then deny the old ones everything",
        ),
        (
            "reconciler rotate role/web-v1 --revoke --auto-approve",
            "The same for every profile with the role; after a swap, the policy alone",
        ),
    ),
    "explain": (
        ("reconciler explain i-0abc1234", "Which role an instance holds, and what comes next"),
        (
            "reconciler explain instance-profile/web --json",
            "Who uses a profile, and what new instances get, for a program",
        ),
    ),
    "verify": (
        ("reconciler verify", "Whether every consumer is served its profile's role"),
        (
            "reconciler verify instance-profile/web --wait 15m",
            "The consumers of one profile; ask again for a quarter of an hour",
        ),
    ),
    "graph": (
        ("reconciler graph --format svg > plan.svg", "What the next apply changes, as a picture"),
        ("reconciler graph --all --format html > graph.html", "Everything, as a page"),
    ),
    "can": (
        ("reconciler can web s3:PutObject", "Whether role web may, and on which resources"),
        (
            "reconciler can web 's3:Get*' s3:ListBucket arn:aws:s3:::assets/*",
            "Some actions on the objects of one bucket",
        ),
    ),
    "init": (
        ("reconciler init", "Write ./specs/reconciler.yaml and ./specs/web.yaml"),
        ("reconciler init infra/iam --owner platform", "In another folder, for that owner"),
    ),
    "import": (
        ("reconciler import --all --out specs", "Write specs for everything in the account"),
        (
            "reconciler import --instance-profile web --out specs",
            "One instance profile, with its role and instances",
        ),
    ),
    "fmt": (
        ("reconciler fmt", "Format the specs in ./specs"),
        ("reconciler fmt --check specs/web.yaml", "Only say whether a file is formatted"),
    ),
    "schema": (
        ("reconciler schema > spec.schema.json", "The schema of specs, for an editor"),
        ("reconciler schema --of plan", "The schema of the output of plan --json"),
    ),
    "permissions": (
        ("reconciler permissions --for plan", "What a plan of ./specs needs"),
        (
            "reconciler permissions --github acme/iam --format terraform",
            "The two roles of a pipeline, with their trust policies",
        ),
    ),
    "doctor": (
        ("reconciler doctor", "Whether apply with the specs in ./specs can run"),
        (
            "reconciler doctor --for plan --target prod --json",
            "Of one account and a role that only reads, for a program",
        ),
    ),
    "merge": (
        (
            "reconciler merge plans/*.json --out plan.json",
            "The plans of all shards as one plan",
        ),
        (
            "reconciler merge drifts/*.json --report markdown=drift.md",
            "One report of the drifts of all shards",
        ),
    ),
    "comment": (
        ("reconciler comment github plan.json", "On the pull request of this job"),
        (
            "reconciler comment gitlab plan.json --repository group/iam --number 7",
            "On a merge request that is named",
        ),
    ),
    "sandbox": (
        ("reconciler sandbox --deny iam:PassRole", "One in which an action is denied"),
        (
            "reconciler sandbox --seed account.yaml --state state.json",
            "A copy of an account, kept for the next start",
        ),
    ),
    "probe": (
        (
            "reconciler probe --i-own-this-account --instance i-0abc1234 --role a --role b",
            "Say what it will do, ask, do it, and write probe.json",
        ),
        (
            "reconciler probe --i-own-this-account --instance i-0abc1234 --role a --role b --clean",
            "Put right what a run that was killed has left",
        ),
    ),
    "demo": (
        ("reconciler demo", "The whole workflow"),
        ("reconciler demo --color always | less -R", "With colors in a pager"),
    ),
    "version": (
        ("reconciler version", "Versions, a line each"),
        ("reconciler version --json", "As JSON"),
    ),
}

_OK = {ExitCode.OK: "success"}
_ERROR = {ExitCode.ERROR: "error in specs, credentials or AWS, or something could not be read"}
_USAGE = {ExitCode.USAGE: "wrong usage: a flag, or a pattern that matches nothing"}
_MISUSE = {ExitCode.USAGE: "wrong usage"}
_STOPPED = {ExitCode.INTERRUPTED: "interrupted"}
_MERGES = {
    **_OK,
    ExitCode.ERROR: "a file is no document of reconciler, or they do not belong together",
    ExitCode.STALE: "a plan was changed after it was saved",
    **_MISUSE,
    **_STOPPED,
}
_WRITES = {
    ExitCode.OK: "success: everything is done",
    ExitCode.ERROR: "error, the answer no, or no terminal to ask at",
    ExitCode.PARTLY_APPLIED: "in part: steps failed or were skipped, or something remains",
    ExitCode.UNDECIDED: "stopped by a guard, a conflict of ownership, or the wrong account",
}
_OFFLINE = {**_OK, ExitCode.ERROR: "error", **_MISUSE, **_STOPPED}

EXITS: Mapping[str, dict[ExitCode, str]] = {
    "validate": {**_OK, ExitCode.ERROR: "the specs have errors", **_MISUSE, **_STOPPED},
    "plan": {
        ExitCode.OK: "success, with or without changes",
        **_ERROR,
        ExitCode.DIFFERENCES: "with --detailed-exitcode: there are changes; with --fail-on: the "
        "plan has something of that severity",
        ExitCode.UNDECIDED: "a conflict of ownership, or the wrong account",
        **_USAGE,
        **_STOPPED,
    },
    "apply": {
        **_WRITES,
        ExitCode.STALE: "the saved or expected plan no longer matches specs or AWS",
        **_USAGE,
        ExitCode.INTERRUPTED: "interrupted: instances in flight got their profile back",
    },
    "rehearse": {
        ExitCode.OK: "the copy is as the specs say, and every death was recovered from",
        **_ERROR,
        ExitCode.PARTLY_APPLIED: "something failed or was denied on the copy, or a death was not "
        "recovered from",
        ExitCode.UNDECIDED: "a conflict or a guard that stops apply, or the wrong account",
        ExitCode.STALE: "the saved plan no longer matches specs or AWS",
        **_USAGE,
        **_STOPPED,
    },
    "drift": {
        ExitCode.OK: "no difference",
        ExitCode.ERROR: "error, or something could not be read",
        ExitCode.DIFFERENCES: "there are differences",
        ExitCode.UNDECIDED: "the wrong account",
        **_USAGE,
        **_STOPPED,
    },
    "destroy": {
        **_WRITES,
        **_USAGE,
        ExitCode.INTERRUPTED: "interrupted: what was done and what remains is printed",
    },
    "rotate": {
        **_WRITES,
        **_USAGE,
        ExitCode.INTERRUPTED: "interrupted: what was done and what remains is printed",
    },
    "forget": {
        **_WRITES,
        **_USAGE,
        ExitCode.INTERRUPTED: "interrupted: what was done and what remains is printed",
    },
    "explain": {
        ExitCode.OK: "success, also where something is unknown",
        ExitCode.ERROR: "error, or what is asked for does not exist",
        ExitCode.UNDECIDED: "the wrong account",
        ExitCode.USAGE: "wrong usage: a flag, or something that is no address",
        **_STOPPED,
    },
    "verify": {
        ExitCode.OK: "every running consumer is proved to be served its profile's role",
        ExitCode.ERROR: "error, or something is unknown",
        ExitCode.DIFFERENCES: "something is contradicted, whatever else is unknown",
        ExitCode.UNDECIDED: "the wrong account",
        ExitCode.USAGE: "wrong usage: a flag, or an address that means nothing",
        **_STOPPED,
    },
    "graph": {
        ExitCode.OK: "success, with or without changes",
        **_ERROR,
        ExitCode.UNDECIDED: "a conflict of ownership, or the wrong account",
        **_USAGE,
        **_STOPPED,
    },
    "can": {
        ExitCode.OK: "allowed",
        ExitCode.ERROR: "error, or what was asked is not known",
        ExitCode.DIFFERENCES: "denied, or only a part of it is allowed",
        ExitCode.UNDECIDED: "the wrong account, with --online",
        ExitCode.USAGE: "wrong usage: a flag, an action, or a role that the specs do not have",
        **_STOPPED,
    },
    "init": _OFFLINE,
    "import": {
        **_OK,
        **_ERROR,
        ExitCode.UNDECIDED: "the wrong account",
        **_MISUSE,
        **_STOPPED,
    },
    "fmt": {
        **_OK,
        ExitCode.ERROR: "a file has errors; with --check: a file is not formatted",
        **_MISUSE,
        **_STOPPED,
    },
    "schema": _OFFLINE,
    "permissions": {
        **_OK,
        ExitCode.ERROR: "the specs have errors, or a file is no saved plan",
        ExitCode.STALE: "a plan was changed after it was saved",
        **_MISUSE,
        **_STOPPED,
    },
    "doctor": {
        ExitCode.OK: "no failure; what could not be asked is none",
        ExitCode.ERROR: "a check failed",
        **_USAGE,
        **_STOPPED,
    },
    "comment": _OFFLINE,
    "merge": _MERGES,
    "sandbox": _OFFLINE,
    "probe": {
        ExitCode.OK: "all experiments were made, and everything is as it was before",
        ExitCode.ERROR: "error, a no at the prompt, or the instance is not as it was before",
        ExitCode.DIFFERENCES: "refused: --i-own-this-account is missing; nothing was asked of AWS",
        ExitCode.PARTLY_APPLIED: "an experiment failed; everything is as it was before",
        ExitCode.UNDECIDED: "refused: the instance or a role is not there for this",
        **_MISUSE,
        ExitCode.INTERRUPTED: "interrupted; everything is as it was before",
    },
    "demo": _OFFLINE,
    "version": _OFFLINE,
}
