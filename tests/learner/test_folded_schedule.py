"""How layers fold, and how long that takes."""

from __future__ import annotations

from math import gcd
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LearnerSpec
from kanrtl.learner.folded_schedule import fold, folds
from support.folded import PLANS, T, plan_of


@given(n_in=st.integers(1, 40), n_out=st.integers(1, 40), factor=st.integers(1, 2000))
def test_folds_are_those_that_come_out_even(n_in: int, n_out: int, factor: int) -> None:
    inputs = gcd(factor, n_in)
    even = n_out % (factor // inputs) == 0
    assert fold(factor, n_in, n_out) == ((inputs, factor // inputs) if even else None)
    assert (factor in folds(n_in, n_out)) == even


@pytest.mark.parametrize(
    ("fields", "prediction", "latency"),
    [
        # Forwards and backwards, a cycle each.
        ({"share_multipliers": True}, 2, 2),
        # The coefficients are read, multiplied and added up; meanwhile the update reads them. Error, change, write.
        ({"share_multipliers": True, "pipeline": "most_registers"}, 4, 6),
        # A bit of the basis a cycle, then one of the step; the widest has ten bits.
        ({"multiplier": "serial", "basis_format": "UQ(1, 9)", "step_format": "UQ(0, 8)"}, 12, 22),
        # Two steps, two sums; the update's first step begins with the gradient, and each writes in its own cycle.
        ({"layer_sizes": [2, 1], "reuse_factor": 2}, 3, 4),
        # Both ways, four steps in each layer; the first begins backward when the last has begun all of its steps.
        ({"layer_sizes": [2, 2, 2], "reuse_factor": 4}, 9, 16),
        # The same with a pass for slopes and one for the update, which goes on beside the first layer's.
        ({"layer_sizes": [2, 2, 2], "reuse_factor": 4, "share_multipliers": True}, 9, 16),
        # The first layer is shorter than the last one's update.
        ({"layer_sizes": [1, 1, 4], "reuse_factor": [1, 4], "share_multipliers": True}, 6, 13),
    ],
)
def test_cycles_of_some_learners(fields: dict[str, Any], prediction: int, latency: int) -> None:
    schedule = LearnerSpec(**T | fields).timing
    assert (schedule.prediction_latency, schedule.latency) == (prediction, latency)
    assert schedule.interval == latency
    assert schedule.prediction_interval == prediction


@pytest.mark.parametrize("name", PLANS)
def test_lanes_and_parts_are_all_of_a_layer(name: str) -> None:
    layer, passes = plan_of(name).layer, plan_of(name).passes
    assert (passes.inputs * passes.input_lanes, passes.nodes * passes.node_lanes) == (layer.n_in, layer.n_out)
    assert passes.duration == passes.steps * passes.step_cycles == passes.last + passes.step_cycles
    offsets = [passes.located, passes.settled, passes.read, passes.multiplied, passes.sloped, passes.gathered]
    assert offsets == sorted(offsets)
    assert passes.stepped <= passes.scaled <= passes.scaled + passes.written - passes.stepped
