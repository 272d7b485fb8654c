"""The hidden nodes of a perceptron alone."""

from typing import Any

import numpy as np
import pytest

from kanrtl.baselines import MlpSpec
from kanrtl.baselines.rtl.hidden_nodes import HiddenActivation, HiddenStep, hidden_offset
from kanrtl.numeric.fixed import narrow
from support.components import simulate


@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
@pytest.mark.parametrize("pipeline", [[], ["hidden"]])
@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_activations_and_derivatives(activation: str, pipeline: list[str], rounding: str) -> None:
    spec = MlpSpec(n_in=4, hidden=2, activation=activation, pipeline=pipeline, width=10, rounding=rounding)
    dut, total, offset = HiddenActivation(spec, 2), spec.sums[0].total, hidden_offset(spec)
    assert dut.latency == len(pipeline)
    dropped, one = total.f - spec.activation_format.f, 1 << total.f
    half = 1 << dropped - 1
    assert offset == (half if rounding == "half_up" else 0)
    far = [total.minimum, total.maximum - half, one // 3, 7 * one // 2]
    near = [base + step for base in (0, half, one, -one, half - one, one - half, one + half) for step in (-1, 0, 1)]
    knees = (0, total.maximum) if activation == "relu" else (-one, one)

    async def bench(ctx: Any) -> None:
        for first in far + near:
            codes = np.array([first, first >> 1])
            for node, code in enumerate(codes.tolist()):
                ctx.set(dut.totals[node].raw, code + offset)
            for _ in range(dut.latency):
                await ctx.tick()
            wanted, saturates = narrow(np.clip(codes, *knees), total.f, spec.activation_format, rounding)
            assert [ctx.get(dut.activations[node].raw) for node in range(2)] == wanted.tolist()
            assert ctx.get(dut.saturates) == saturates.any()
            inside = (knees[0] < codes) & (codes < knees[1]) & ~saturates
            assert ctx.get(dut.open) == int(inside[0]) + 2 * int(inside[1])

    simulate(dut, bench)


@pytest.mark.parametrize("pipeline", [[], ["downstream"]])
def test_what_goes_down_is_narrowed_once(pipeline: list[str]) -> None:
    spec = MlpSpec(n_in=1, n_out=2, hidden=3, hidden_shift=1, pipeline=pipeline)
    dut = HiddenStep(spec, 3)
    assert dut.latency == len(pipeline)
    random = np.random.default_rng(0)
    formats = spec.factor_format, spec.step_format

    async def bench(ctx: Any) -> None:
        seen = set()
        for index in range(40):
            scale = 0 if index % 2 else 4
            factors = random.integers(formats[0].minimum, formats[0].maximum + 1, (2, 3))
            steps = random.integers(formats[1].minimum >> scale, formats[1].maximum + 1 >> scale, 2)
            gates = random.integers(2, size=3)
            for output, node in np.ndindex(2, 3):
                ctx.set(dut.terms[node][output].raw, int(steps[output] * factors[output, node]))
            ctx.set(dut.open, sum(int(gate) << node for node, gate in enumerate(gates)))
            for _ in range(dut.latency):
                await ctx.tick()
            exact = (steps @ factors) * gates
            wanted = narrow(exact, formats[0].f + formats[1].f + 1, spec.hidden_step_format, spec.rounding)
            assert [ctx.get(dut.downstream[node].raw) for node in range(3)] == wanted.result.tolist()
            assert ctx.get(dut.saturates) == wanted.saturated.any()
            seen.add(bool(wanted.saturated.any()))
        assert False in seen

    simulate(dut, bench)
