"""The members of a learner: what its signature has, without its guard's."""

import pytest

from kanrtl import Learner, LearnerSpec
from kanrtl.learner.rtl.learner_members import learner_members

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))


@pytest.mark.parametrize("fields", [{}, {"teaching": "after_prediction"}, {"schedule": "streaming"}])
def test_a_learner_has_them(fields: dict[str, str]) -> None:
    spec = SPEC.replace(**fields)
    for guard, others in ((None, set()), ({}, {"guard_fault", "guard_status", "guard_release"})):
        learner = Learner(spec.replace(guard=guard))
        learner._MustUse__silence = True  # it need not become hardware
        members = dict(learner.signature.members)
        assert members.keys() - learner_members(spec).keys() == others
    assert {name: members[name].flow for name in learner_members(spec)} == {
        name: member.flow for name, member in learner_members(spec).items()
    }
