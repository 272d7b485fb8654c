"""The hidden nodes of a perceptron alone."""

from typing import Any

import numpy as np
import pytest

from kanrtl.baselines import MlpSpec
from kanrtl.baselines.rtl.hidden_nodes import HiddenActivation, HiddenStep
from kanrtl.numeric.fixed import narrow
from support.components import simulate


@pytest.mark.parametrize("pipeline", [[], ["hidden"]])
@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_activations_and_derivatives(activation: str, pipeline: list[str]) -> None:
    spec = MlpSpec(n_in=4, hidden=2, activation=activation, pipeline=pipeline, width=10)
    dut, total = HiddenActivation(spec, 2), spec.sums[0].total
    assert dut.latency == len(pipeline)
    one = 1 << total.f
    codes = [0, 1, -1, one - 1, one, one + 1, -one, 1 - one, total.minimum, total.maximum, one // 3, 7 * one // 2]

    async def bench(ctx: Any) -> None:
        for code in codes:
            for node in range(2):
                ctx.set(dut.totals[node].raw, code >> node)
            for _ in range(dut.latency):
                await ctx.tick()
            values = [(code >> node) / one for node in range(2)]
            if activation == "relu":
                open_, clipped = [0 < value < 4 for value in values], [max(0.0, value) for value in values]
            else:
                open_, clipped = [-1 < value < 1 for value in values], np.clip(values, -1, 1).tolist()
            steps = np.floor(np.array(clipped) * 2**spec.activation_format.f + 0.5)
            wanted = np.minimum(steps, spec.activation_format.maximum)
            assert [ctx.get(dut.activations[node].raw) for node in range(2)] == wanted.tolist()
            saturates = [activation == "relu" and value >= 4 - 2**-8 for value in values]
            assert ctx.get(dut.saturates) == any(saturates)
            bits = [inside and not beyond for inside, beyond in zip(open_, saturates, strict=True)]
            assert ctx.get(dut.open) == bits[0] + 2 * bits[1]

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
