"""Folded layers: how they fold, how long they take, what they are made of. That they compute what the model does is
tested with all other learners in test_learner.py."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from kanrtl import Learner, LearnerSpec
from kanrtl.learner.folded_schedule import fold, folds
from kanrtl.learner.rtl.folded_layer import FoldedLayer
from support.strategies import specs

T = {"layer_sizes": [1, 1], "grid_range": (-2, 2), "grid_size": 5, "learning_rate": 0.3}


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
        # A bit of the basis a clock, then one of the step; the widest has ten bits.
        ({"multiplier": "serial", "basis_format": "UQ(1, 9)", "step_format": "UQ(0, 8)"}, 12, 22),
        # Two steps, two sums; the update's first step begins with the gradient, and each writes in its own cycle.
        ({"layer_sizes": [2, 1], "reuse_factor": 2}, 3, 4),
        # Both ways, four steps in each layer; the first begins backward when the last has begun all of its steps.
        ({"layer_sizes": [2, 2, 2], "reuse_factor": 4}, 9, 16),
        # The same with a sweep for slopes and one for the update, which goes on beside the first layer's.
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


@pytest.mark.parametrize(
    ("fields", "multipliers"),
    [
        ({}, 8),
        ({"share_multipliers": True}, 4),
        ({"multiplier": "dsp", "layer_sizes": [2, 1], "reuse_factor": 2}, 8),
        ({"share_multipliers": True, "layer_sizes": [2, 4], "reuse_factor": 8}, 4),
        # In a hidden layer those of the downstream gradients, one for each lane, come on top.
        ({"share_multipliers": True, "layer_sizes": [1, 4, 1], "reuse_factor": 4, "spline_order": 1}, 2 + 2 + 1),
        ({"multiplier": "lut"}, 0),
        ({"multiplier": "lut", "layer_sizes": [1, 2, 1], "reuse_factor": 2}, 0),
        ({"multiplier": "serial"}, 0),
    ],
)
def test_as_many_multipliers_as_asked_for(fields: dict[str, Any], multipliers: int) -> None:
    assert rtlil.convert(Learner(LearnerSpec(**T | fields))).count("cell $mul ") == multipliers


def test_a_large_layer_needs_few_multipliers_and_two_memories() -> None:
    spec = LearnerSpec(
        layer_sizes=[26, 1], grid_range=(-2, 2), grid_size=512, spline_order=1, reuse_factor=26, memory="block"
    )
    layer = _layer(spec, 0)
    assert layer._rows(0, 0) == layer._rows(0, 1) == []  # zeros are not listed
    text = rtlil.convert(layer)
    assert text.count("cell $mul ") == 4
    assert text.count(f"memory width 16 size {26 * spec.layers[0].depth} ") == 2
    assert spec.latency < 60


def _layer(spec: LearnerSpec, index: int) -> FoldedLayer:
    return FoldedLayer(spec.plans[index], spec.initial_codes()[index])


@settings(max_examples=10, deadline=None)
@given(spec=specs(max_edges=7).filter(lambda spec: spec.folded), seed=st.integers(0, 2**32 - 1))
def test_no_row_is_read_and_written_at_once(spec: LearnerSpec, seed: int) -> None:
    """A block memory's word that is read as it is written would be undefined. Each step has rows of its own, and a
    sweep takes each step once, so it holds where a step reads before it writes."""
    index = int(np.random.default_rng(seed).integers(spec.n_layers))
    layer, sweep = _layer(spec, index), spec.timing.passes[index]  # type: ignore[union-attr]
    steps, reads, writes = sweep.inputs * sweep.nodes, set(), []

    async def bench(ctx: Any) -> None:
        ctx.set(layer.backward, 1)
        await ctx.tick()
        ctx.set(layer.backward, 0)
        for cycle in range(sweep.update + sweep.last + sweep.written + 1):
            update = cycle - sweep.update
            port = layer._ports[0][0]
            if update >= 0 and update - sweep.located < sweep.duration and update >= sweep.located:
                reads.add((cycle, ctx.get(layer._addresses[0][0])))
            if ctx.get(port.en):
                writes.append((cycle, ctx.get(port.addr)))
            await ctx.tick()

    simulator = Simulator(layer)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    depth = spec.layers[index].depth
    assert sorted(address // depth for _, address in writes) == list(range(steps))
    # A first layer of a single step has read all before, and reads nothing anew.
    if spec.timing.block_memory[index] and (steps > 1 or index > 0):
        assert not reads & set(writes)
