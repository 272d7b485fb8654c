"""The gradient at the outputs, alone: every loss against its integers."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from kanrtl import LearnerSpec
from kanrtl.learner.losses import LOSSES, find_loss
from kanrtl.learner.rtl.loss_gradient import LossGradient
from kanrtl.numeric.bits import pack, unpack
from kanrtl.numeric.fixed import narrow
from support.components import convert
from support.strategies import codes_in, specs


def plain(loss: str, **fields: Any) -> LearnerSpec:
    return LearnerSpec(**{"layer_sizes": [2, 3], "grid_range": (-2, 2), "table_size": 4, "loss": loss} | fields)


@settings(max_examples=40, deadline=None)
@given(spec=specs(), loss=st.sampled_from(LOSSES), seed=st.integers(0, 2**32 - 1))
def test_hardware_gives_what_the_integers_give(spec: LearnerSpec, loss: str, seed: int) -> None:
    spec, random = spec.replace(loss=loss), np.random.default_rng(seed)
    last, found = spec.layers[-1], find_loss(loss)
    value = last.formats.activation if found.reads_outputs else last.node_sum
    values, targets = (codes_in(format, random, (20, last.n_out)) for format in (value, spec.target_format))
    exact = found.in_integers([last])(values[..., None], targets[..., None])[..., 0]
    expected = narrow(exact, found.gradient_format(last).f, last.formats.gradient, spec.rounding)
    dut = LossGradient(spec)
    assert dut.latency == 0

    async def bench(ctx: Any) -> None:
        for sample in range(20):
            ctx.set(dut.values.as_value(), pack(values[sample], value))
            ctx.set(dut.targets.as_value(), pack(targets[sample], spec.target_format))
            gradients = unpack(ctx.get(dut.gradients.as_value()), last.formats.gradient, last.n_out)
            assert gradients == expected.result[sample].tolist()
            assert ctx.get(dut.saturated) == expected.saturated[sample].any()

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("loss", LOSSES)
def test_it_can_be_synthesised_alone(loss: str) -> None:
    convert(LossGradient(plain(loss)))
