"""What a Terraform state manages: names, and no secret of it in any message."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.errors import RefusedError
from reconciler.importer.from_terraform import FromTerraform, chosen, released
from reconciler.importer.importer import imported
from reconciler.importer.terraform_state import StateResource, read_state
from reconciler.model.address import profile_address, role_address
from reconciler.model.live import LiveState
from tests.importer.terraform_states import ACCOUNT, SECRET, WEB, ec2, iam, resource, stored
from tests.planner.worlds import instance, live


def named(text: str) -> dict[str, str]:
    return {one.where: str(one.address) for one in read_state(text, "x.tfstate")}


def test_a_state_file() -> None:
    text = stored(
        *WEB,
        resource("aws_vpc", "main", {"id": "vpc-1"}),
        resource("aws_iam_role", "asked", iam("role", "asked"), mode="data"),
        resource("aws_instance", "web", ec2("i-0aa", "web")),
        resource("aws_instance", "bare", ec2("i-0bb", "")),
    )
    assert named(text) == {
        "aws_iam_role.web": "role/web",
        "aws_iam_role_policy.own": "role/web",
        "aws_iam_role_policy_attachment.ssm": "role/web",
        "aws_iam_policy.read": "policy/read-assets",
        "aws_iam_instance_profile.web": "instance-profile/web",
        "aws_instance.web": "association/i-0aa",
    }


def test_modules_counts_and_keys() -> None:
    text = stored(
        resource(
            "aws_iam_role",
            "many",
            {"index_key": 0, "attributes": iam("role", "a")},
            {"index_key": 'k"1].x', "attributes": iam("role", "b")},
            {"index_key": 1, "deposed": "00000001", "attributes": iam("role", "old")},
            module='module.app["x"].module.iam[0]',
        ),
        # As Terraform 0.11 left it.
        resource("aws_iam_role", "flat", {"attributes": None, "attributes_flat": iam("role", "c")}),
    )
    found = read_state(text, "x.tfstate")
    assert {one.where: one.block for one in found} == {
        'module.app["x"].module.iam[0].aws_iam_role.many[0]': "module.app.module.iam.aws_iam_role.many",
        'module.app["x"].module.iam[0].aws_iam_role.many["k\\"1].x"]': (
            "module.app.module.iam.aws_iam_role.many"
        ),
        "aws_iam_role.flat": "aws_iam_role.flat",
    }
    assert [str(one.address) for one in found] == ["role/a", "role/b", "role/c"]


def shown(*resources: dict[str, Any], children: tuple[Any, ...] = ()) -> str:
    root = {"resources": list(resources), "child_modules": list(children)}
    return json.dumps({"format_version": "1.0", "values": {"root_module": root}})


def one(type_: str, where: str, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"address": where, "mode": "managed", "type": type_, "values": values, **more}


def test_what_terraform_show_prints() -> None:
    inner = {
        "address": "module.a.module.b",
        "resources": [
            one("aws_iam_role", 'module.a.module.b.aws_iam_role.x["k"]', iam("role", "x"))
        ],
    }
    old = one("aws_iam_role", "aws_iam_role.old", iam("role", "old"), deposed_key="1")
    asked = one("aws_iam_role", "data.aws_iam_role.d", iam("role", "d"), mode="data")
    web = one("aws_iam_role", "aws_iam_role.web", iam("role", "web"))
    child = {"address": "module.a", "child_modules": [inner]}
    assert named(shown(web, old, asked, children=(child,))) == {
        "aws_iam_role.web": "role/web",
        'module.a.module.b.aws_iam_role.x["k"]': "role/x",
    }
    assert named('{"format_version": "1.0", "terraform_version": "1.9.0"}') == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.tfstate:1:1: is not JSON: Expecting value"),
        (f'{{"version": 4, "{SECRET}', "x.tfstate:1:16: is not JSON: "),
        ("[]", "x.tfstate: is not a Terraform state"),
        ('{"version": "4"}', "x.tfstate: is not a Terraform state"),
        ('{"version": 4}', "x.tfstate: is not a Terraform state"),
        ('{"version": 4, "resources": [1]}', "x.tfstate: is not a Terraform state"),
        (
            '{"version": 3, "modules": []}',
            "x.tfstate: has the state version 3, not 4: pass what `terraform state pull` of "
            "Terraform 0.12 or later prints",
        ),
        ('{"version": 5}', "x.tfstate: has the state version 5, not 4"),
        (
            '{"version": 3, "backend": {"type": "s3"}}',
            "x.tfstate: names a backend, and has no resources; pass what `terraform state pull` "
            "prints",
        ),
        (
            f'{{"serial": 1, "encrypted_data": "{SECRET}", "encryption_version": "v0"}}',
            "x.tfstate: is encrypted; pass what `tofu state pull` prints",
        ),
        (
            '{"format_version": "1.2", "planned_values": {}}',
            "x.tfstate: is a plan; pass what `terraform state pull` prints",
        ),
        (
            '{"format_version": "2.0", "values": {}}',
            "x.tfstate: has the format version 2.0, which is not known",
        ),
        (
            stored(resource("aws_iam_role", "web", {"secret": SECRET})),
            "aws_iam_role.web lacks a name",
        ),
        (
            stored(resource("aws_iam_role", "web", {**iam("role", "web"), "arn": SECRET})),
            "x.tfstate: aws_iam_role.web lacks a name or an ARN",
        ),
        (
            stored(resource("aws_iam_role", "web {}\n", iam("role", "web"))),
            "x.tfstate: is not a Terraform state",
        ),
        ("[" * 100_000, "x.tfstate: is nested too deeply"),
    ],
)
def test_what_is_no_state(text: str, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_state(text, "x.tfstate")
    assert said in refused.value.message
    assert SECRET not in refused.value.message
    assert refused.value.sources == {}


SPEC = """\
policies:
  read: {document: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}}
  own: {document: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:Put*', Resource: '*'}]}}
roles: {web: {trust: ec2, managed_policies: [read, own]}, other: {trust: ec2}}
instance_profiles: {web: {role: web}, other: {role: other}}
"""


def world() -> LiveState:
    state = live(SPEC, [instance(1, "web"), instance(2, "web"), instance(3, "other")])
    roles = {name: replace(role, marks={}) for name, role in state.roles.items()}
    profiles = {name: replace(profile, marks={}) for name, profile in state.profiles.items()}
    policies = {name: replace(policy, marks={}) for name, policy in state.policies.items()}
    return replace(state, roles=roles, profiles=profiles, policies=policies)


def of(*resources: dict[str, Any]) -> FromTerraform:
    return chosen(read_state(stored(*resources), "x.tfstate"), world())


FIRST, SECOND, THIRD = (instance(n, "web").key.instance for n in (1, 2, 3))


def test_exactly_what_the_state_manages_is_imported() -> None:
    """No policy with its only role, no role with its profile, no other instance of the profile."""
    found = of(
        resource("aws_iam_role", "web", iam("role", "web")),
        resource("aws_iam_policy", "read", iam("policy", "read")),
        resource("aws_iam_instance_profile", "web", iam("instance-profile", "web")),
        resource("aws_instance", "web", ec2(FIRST, "web")),
    )
    made = imported(world(), found.selection, "team")
    file = made.files["web.yaml"]
    assert set(file["policies"]) == {"read"}
    assert set(file["roles"]) == {"web"}
    assert file["roles"]["web"]["managed_policies"] == [
        f"arn:aws:iam::{ACCOUNT}:policy/own",
        "read",
    ]
    assert file["associations"]["web"]["instances"] == [FIRST]
    assert found.notes == {}

    alone = of(resource("aws_iam_instance_profile", "web", iam("instance-profile", "web")))
    made = imported(world(), alone.selection, "team")
    assert made.files == {
        "instance-profiles.yaml": {"version": 1, "instance_profiles": {"web": {"role": "web"}}}
    }


def test_what_is_left_out_is_told() -> None:
    found = of(
        resource("aws_iam_role", "web", iam("role", "web")),
        resource("aws_iam_role", "away", iam("role", "away", "222222222222")),
        resource("aws_iam_role_policy", "own", {"role": "web", "name": "own"}),
        resource("aws_iam_role_policy", "loose", {"role": "other", "name": "own"}),
        resource("aws_iam_role_policies_exclusive", "only", {"role_name": "web"}),
        resource(
            "aws_iam_policy_attachment",
            "all",
            {
                "name": "all",
                "roles": ["web"],
                "policy_arn": "arn:aws:iam::aws:policy/x/ReadOnlyAccess",
            },
        ),
        resource("aws_iam_instance_profile", "other", iam("instance-profile", "other")),
        resource("aws_instance", "foreign", ec2(FIRST, "web")),
        resource("aws_instance", "moved", ec2(SECOND, "other")),
        resource("aws_instance", "far", ec2("i-0far", "other", "ap-south-1")),
    )
    assert found.notes == {
        "in another account": ("aws_iam_role.away",),
        "of a role that the state does not manage": ("aws_iam_role_policy.loose",),
        "with an instance profile that the state does not manage": ("aws_instance.foreign",),
        "in a region that was not read": ("aws_instance.far",),
        "with another instance profile in AWS": ("aws_instance.moved",),
        "aws_iam_policy_attachment, which detaches what others attach": (
            "aws_iam_policy_attachment.all",
        ),
    }
    assert [one.where for one in found.taken] == [
        "aws_iam_role.web",
        "aws_iam_role_policy.own",
        "aws_iam_role_policies_exclusive.only",
        "aws_iam_instance_profile.other",
    ]
    assert found.selection.instances == frozenset()


@pytest.mark.parametrize(
    ("resources", "said", "details"),
    [
        ((), "the state has no aws_iam_role, aws_iam_policy, aws_iam_instance_profile, ", ()),
        (
            (resource("aws_iam_role_policy", "own", {"role": "web", "name": "own"}),),
            "the state has no aws_iam_role, ",
            (),
        ),
        (
            (resource("aws_iam_role", "away", iam("role", "web", "222222222222")),),
            f"the resources of the state are in account 222222222222, not in {ACCOUNT}",
            (),
        ),
        (
            (
                resource("aws_iam_role", "gone", iam("role", "gone")),
                resource("aws_iam_policy", "gone", iam("policy", "gone")),
                resource("aws_iam_instance_profile", "web", iam("instance-profile", "web")),
                resource("aws_instance", "gone", ec2("i-0gone", "web")),
            ),
            "AWS lacks resources of the state; refresh it with `terraform apply -refresh-only`",
            (
                "role/gone: aws_iam_role.gone",
                "policy/gone: aws_iam_policy.gone",
                "association/i-0gone: aws_instance.gone",
            ),
        ),
    ],
)
def test_what_cannot_be_imported(
    resources: tuple[dict[str, Any], ...], said: str, details: tuple[str, ...]
) -> None:
    with pytest.raises(RefusedError) as refused:
        of(*resources)
    assert said in refused.value.message
    assert refused.value.details == details


def test_a_resource_has_no_value_of_the_state() -> None:
    fields = {"type", "where", "address", "account", "region", "profile"}
    assert set(StateResource.__slots__) == fields
    assert SECRET not in repr(read_state(stored(*WEB), "x.tfstate"))


def test_terraform_forgets_what_has_a_spec_and_nothing_else() -> None:
    """A block is removed with all its instances, so not where one of them stays."""
    both = resource(
        "aws_iam_role",
        "both",
        {"index_key": 0, "attributes": iam("role", "web")},
        {"index_key": 1, "attributes": iam("role", "away", "222222222222")},
    )
    states = read_state(
        stored(
            both,
            resource("aws_iam_role_policy", "own", {"role": "web", "name": "own"}),
            resource("aws_iam_role", "skipped", iam("role", "other")),
            resource("aws_iam_role_policy", "its", {"role": "other", "name": "own"}),
            resource("aws_iam_instance_profile", "web", iam("instance-profile", "web")),
            resource("aws_instance", "web", ec2(FIRST, "web")),
        ),
        "x.tfstate",
    )
    found = chosen(states, world())
    addresses = frozenset({role_address("web"), profile_address("web")})
    assert released(states, found.taken, addresses) == (
        ("aws_iam_role_policy.own", "aws_iam_instance_profile.web"),
        ("aws_iam_role.both[0]",),
    )
