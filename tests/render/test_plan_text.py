"""The plan as text: what is folded, what is shown of a cut-over, and how it is wrapped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.apply_flow import question
from reconciler.render.styled_text import Piece, plain, wrapped
from reconciler.render.text.cut_over import batches_in_words
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from tests.behaviour.faults import refusing
from tests.rig import ACCOUNT, AWAY, HOME, Rig

DOCUMENT = (
    "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}"
)


def text(aws: Rig, *, is_full: bool = False) -> str:
    return plain(plan_lines(aws.plan().plan, Look(is_full=is_full)))


def test_it_begins_with_the_account_and_the_caller(aws: Rig) -> None:
    aws.iam.create_account_alias(AccountAlias="acme-prod")
    aws.write("roles: {web: {trust: ec2}}")
    first, second, *_ = text(aws).splitlines()
    assert first.startswith(f"Account {ACCOUNT} (acme-prod), as arn:aws:sts::")
    assert second == f"  regions {AWAY}, {HOME}; owner tests"


def test_a_denied_alias_is_left_out(aws: Rig) -> None:
    aws.iam.create_account_alias(AccountAlias="acme-prod")
    aws.write("roles: {web: {trust: ec2}}")
    with refusing(aws, "ListAccountAliases", "AccessDenied") as refused:
        assert text(aws).startswith(f"Account {ACCOUNT}, as ")
    assert refused


def test_the_question_names_account_and_instances(aws: Rig) -> None:
    aws.iam.create_account_alias(AccountAlias="acme-prod")
    spec = "roles: {v1: {trust: ec2}, v2: {trust: ec2}}\ninstance_profiles: {web: {role: %s}}"
    aws.write(spec % "v1")
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(3, profile="web")
    aws.write(spec % "v2")
    asked = question(aws.plan().plan, "apply")
    assert asked == (
        f"Do you want to perform these actions in account {ACCOUNT} (acme-prod)? "
        "3 running instances will be affected."
    )


def test_equal_changes_of_a_large_plan_are_one(aws: Rig) -> None:
    roles = "".join(f"  r{n:02}: {{trust: ec2}}\n" for n in range(24))
    aws.write(f"roles:\n{roles}  other: {{trust: lambda}}\n")
    shown = text(aws)
    assert "+ 24 roles\n      r00, r01, r02, r03, r04 and 19 more (-v)\n" in shown
    assert "+ role/other" in shown
    assert shown.count("role/r") == 0
    full = text(aws, is_full=True)
    assert all(f"+ role/r{n:02} " in full for n in range(24))


def test_a_plan_of_ten_roles_takes_less_than_thirty_lines(aws: Rig) -> None:
    roles = "".join(f"  r{n}: {{trust: ec2}}\n" for n in range(10))
    aws.write(f"roles:\n{roles}")
    assert len(text(aws).splitlines()) < 30


def test_statements_are_shown(aws: Rig) -> None:
    inside = ", ".join(f"{{Effect: Allow, Action: 's3:Get{n}', Resource: '*'}}" for n in range(6))
    aws.write(
        f"policies: {{p: {{document: {{Version: 2012-10-17, Statement: [{inside}]}}}}}}\n"
        f"roles: {{web: {{trust: ec2, inline_policies: {{logs: {DOCUMENT}}}}}}}"
    )
    shown = text(aws)
    assert "+ trust_policy: Allow sts:AssumeRole to ec2.amazonaws.com" in shown
    assert "+ inline_policies.logs: Allow s3:GetObject on *" in shown
    assert "          Allow s3:Get3 on *\n          and 2 more (-v)\n" in shown
    assert "          Allow s3:Get5 on *\n" in text(aws, is_full=True)


def test_a_large_cut_over_is_counted_by_region(aws: Rig) -> None:
    spec = (
        "roles: {v1: {trust: ec2}, v2: {trust: ec2}}\n"
        "instance_profiles: {web: {role: %s, cutover: {canary: 2, max_unavailable: 25%%, "
        "pause: 30s}}}"
    )
    aws.write(spec % "v1")
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(12, profile="web")
    aws.launch(4, profile="web", region=AWAY)
    aws.write(spec % "v2")
    shown = text(aws)
    assert (
        '↻ 16 instances  "v1" -> "v2"\n      # eu-west-1 4, us-east-1 12 (-v lists them)' in shown
    )
    assert (
        "# 16 running instances, strategy reassociate: 2 first (canary; rolled back if it fails), "
        "then up to 4 at a time in 4 batches, 30s apart" in shown
    )
    assert text(aws, is_full=True).count("↻ association/i-") == 16


@pytest.mark.parametrize(
    ("canary", "most", "running", "words"),
    [
        ("1", "1", 1, "1 first (canary)"),
        ("1", "1", 3, "1 first (canary), then up to 1 at a time in 2 batches"),
        ("5", "2", 6, "2 first (canary), then up to 2 at a time in 2 batches"),
        ("10%", "50%", 40, "4 first (canary), then up to 20 at a time in 2 batches"),
        ("1", "100%", 4, "1 first (canary), then up to 4 at a time"),
    ],
)
def test_batches_in_words(canary: str, most: str, running: int, words: str) -> None:
    intent = {"canary": canary, "max_unavailable": most, "on_failure": "stop", "pause": 0}
    assert batches_in_words(intent, running) == words


LINES = st.lists(
    st.builds(Piece, st.text("ab /:, ", max_size=30), st.sampled_from(["", "dim", "red"])),
    max_size=6,
).map(tuple)


@given(LINES, st.integers(10, 80))
def test_a_wrapped_line_loses_nothing(one: tuple[Piece, ...], width: int) -> None:
    parts = wrapped(one, width)
    whole = "".join(piece.text for piece in one)
    assert "".join(plain([p]) for p in parts).replace(" ", "") == whole.replace(" ", "")
    assert {p.style for part in parts for p in part if p.text.strip()} == {
        p.style for p in one if p.text.strip()
    }


def test_wrapping_breaks_at_words_and_paths() -> None:
    arn = "arn:aws:iam::123456789012:policy/team/CloudWatchAgentServerPolicy"
    lines = wrapped((Piece(f"      + managed_policies: {arn} and what follows"),), 60)
    shown = [plain([one]) for one in lines]
    assert shown == [
        "      + managed_policies: arn:aws:iam::123456789012:policy/",
        "          team/CloudWatchAgentServerPolicy and what follows",
    ]


def test_an_address_stays_one_word_where_it_fits_on_a_line() -> None:
    lines = wrapped((Piece(f"  {'x' * 40} gives it instance-profile/web, role/web"),), 60)
    assert [plain([one]) for one in lines] == [
        f"  {'x' * 40} gives it",
        "      instance-profile/web, role/web",
    ]


def test_unchanged_attributes_are_counted_and_listed_in_full(aws: Rig) -> None:
    spec = f"""
roles:
  web:
    trust: [ec2, lambda]
    managed_policies: [AmazonSSMManagedInstanceCore]
    inline_policies: {{p: {DOCUMENT}}}
    max_session_duration: 2h
    description: DESCRIPTION
"""
    aws.write(spec.replace("DESCRIPTION", "one"))
    aws.settle()
    aws.write(spec.replace("DESCRIPTION", "two"))
    assert "      # (7 unchanged attributes hidden)\n" in text(aws)
    full = text(aws, is_full=True)
    assert "hidden" not in full
    listed = full[full.index("      # 7 unchanged") :].splitlines()[:9]
    assert listed == [
        "      # 7 unchanged attributes:",
        '        path: "/"',
        "        trust_policy",
        "          Allow sts:AssumeRole to ec2.amazonaws.com, lambda.amazonaws.com",
        "        managed_policies: AmazonSSMManagedInstanceCore",
        "        inline_policies.p",
        "          Allow s3:GetObject on *",
        "        permissions_boundary: none",
        "        max_session_duration: 2h",
    ]
    assert "        tags: none" in full
