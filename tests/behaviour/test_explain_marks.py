"""Explain: what our tags say of an instance, while something is under way and afterwards."""

from __future__ import annotations

import pytest

from reconciler.explain.explanation import Explanation
from reconciler.explain.reading import explain
from tests.behaviour.faults import Crash, dying
from tests.rig import Rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}}}}}, other: {{role: v1}}}}
associations: {{web: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""


def marked(aws: Rig, instance: str) -> str:
    return told(explained(aws, instance))


def explained(aws: Rig, asked: str) -> Explanation:
    (answer,) = explain(asked, aws.request(), aws.commands()).answers
    return answer


def told(answer: Explanation) -> str:
    assert answer.association is not None
    return "; ".join(one.meaning for one in answer.association.marks)


@pytest.mark.parametrize(
    ("strategy", "taken", "more"),
    [
        (
            "reassociate",
            "DisassociateIamInstanceProfile",
            "; a run has taken that from it since, and must give it back",
        ),
        (
            "hop",
            "ReplaceIamInstanceProfileAssociation",
            "; it is on a temporary profile now, for a cut-over",
        ),
    ],
)
def test_what_a_run_took_no_other_hand_took(aws: Rig, strategy: str, taken: str, more: str) -> None:
    (web,) = aws.launch(1, tags={"app": "web"})
    aws.write(SPEC.format(role="v1", strategy=strategy))
    aws.settle()
    assert marked(aws, web) == "associated with instance-profile/web by this owner"
    aws.write(SPEC.format(role="v2", strategy=strategy))
    with pytest.raises(Crash), dying(aws, taken):
        aws.apply()
    assert marked(aws, web) == f"associated with instance-profile/web by this owner{more}"
    aws.clock.sleep(3600)
    aws.settle()
    assert marked(aws, web) == "associated with instance-profile/web by this owner"


def test_what_it_has_by_now(aws: Rig) -> None:
    """Who did that is not known: the mark says what was, AWS what is."""
    (web,) = aws.launch(1, tags={"app": "web"})
    aws.write(SPEC.format(role="v1", strategy="reassociate"))
    aws.settle()
    (row,) = aws.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    aws.ec2().replace_iam_instance_profile_association(
        AssociationId=row["AssociationId"], IamInstanceProfile={"Name": "other"}
    )
    aws.clock.sleep(60)
    assert marked(aws, web).endswith("; it has instance-profile/other now")


@pytest.mark.parametrize("wanted", ["v1", "v2", "v3"])
def test_a_swap_by_hand_is_not_what_instances_have(aws: Rig, wanted: str) -> None:
    """The plan says what they were last known to have, and so does explain, whatever is to come."""
    (web,) = aws.launch(1, tags={"app": "web"})
    spec = SPEC.replace("{{v1:", "{{v3: {{trust: ec2}}, v1:")
    aws.write(spec.format(role="v1", strategy="reassociate"))
    aws.settle()
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v2")
    aws.write(spec.format(role=wanted, strategy="reassociate"))
    (target,) = aws.plan().plan.targets
    (cut,) = (c for c in target.changes if c.actions == ("cutover",))
    assert cut.before == {"role": "v1"}
    assert cut.after == {"role": wanted}
    found = explained(aws, web).served
    assert found is not None
    assert found.candidates == ("v1", "v2")
    aws.settle()
    assert aws.served(web) == wanted
