"""The shared multipliers of hidden nodes alone: what a forward and a backward pass make of a node."""

from typing import Any

import numpy as np
import pytest

from kanrtl.baselines import MlpSpec
from kanrtl.baselines.rtl.node_lane import NodeLane
from kanrtl.baselines.sum_arithmetic import find_narrowing
from support.components import simulate


@pytest.mark.parametrize("pipeline", [[], ["hidden"], ["downstream"], ["hidden", "downstream"]])
@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_a_node_goes_forward_and_backward(activation: str, pipeline: list[str]) -> None:
    spec = MlpSpec(n_in=2, n_out=2, hidden=2, reuse_factor=2, activation=activation, pipeline=pipeline, width=12)
    dut = NodeLane(spec)
    assert (dut.latency, dut.change_latency) == ("hidden" in pipeline, "downstream" in pipeline or not pipeline)
    first, second = spec.sums
    random = np.random.default_rng(0)
    narrow_a = find_narrowing(first.total.f - spec.activation_format.f, spec.activation_format, spec.rounding)
    narrow_d = find_narrowing(
        spec.downstream_fraction - spec.hidden_step_format.f, spec.hidden_step_format, spec.rounding
    )
    knees = (0, 1 << 40) if activation == "relu" else (-1 << first.total.f, 1 << first.total.f)
    opened: set[bool] = set()

    def draw(format: Any, count: int, shift: int = 0) -> list[int]:
        return (random.integers(format.minimum, format.maximum + 1, count) >> shift).tolist()

    async def bench(ctx: Any) -> None:
        for _ in range(30):
            x, inner, outer = draw(first.feature, 2), draw(first.coefficient, 3, 1), draw(second.coefficient, 2, 2)
            steps = draw(second.step, 2, 4)
            for values, codes in (
                (dut.x, x),
                (dut.weights.inner, inner),
                (dut.weights.outer, outer),
                (dut.steps, steps),
            ):
                for value, code in zip(values, codes, strict=True):
                    ctx.set(value.raw, code)
            outside = [draw(first.coefficient, 3), draw(second.coefficient, 2)]
            for values, codes in zip((dut.given.inner, dut.given.outer), outside, strict=True):
                for value, code in zip(values, codes, strict=True):
                    ctx.set(value.raw, code)
            ctx.set(dut.backward, 0)
            # The pass before has ended with its last row.
            for _ in range(dut.latency + dut.change_latency):
                await ctx.tick()
            assert [[ctx.get(weight.raw) for weight in of] for of in (dut.written.inner, dut.written.outer)] == outside
            [total] = first.add([inner], x)
            a, unfit = narrow_a(min(max(total, knees[0]), knees[1]))
            open_ = knees[0] < total < knees[1] and not unfit
            assert (ctx.get(dut.activation.raw), ctx.get(dut.open)) == (a, open_)
            assert ctx.get(dut.activation_saturates) == unfit
            factors = [weight >> second.guard_bits for weight in outer]
            assert [ctx.get(term.raw) for term in dut.terms] == [factor * a for factor in factors]

            ctx.set(dut.backward, 1)
            ctx.set(dut.remembered.raw, a)
            ctx.set(dut.remembered_open, open_)
            for _ in range(dut.change_latency):
                await ctx.tick()
            down = sum(step * factor for step, factor in zip(steps, factors, strict=True)) if open_ else 0
            d, beyond = narrow_d(down)
            new, unfit = first.change([inner], x, [d], spec.rounding)
            changed = [
                second.change([[weight, 0]], [a], [step], spec.rounding)
                for weight, step in zip(outer, steps, strict=True)
            ]
            assert [ctx.get(weight.raw) for weight in dut.written.inner] == new[0]
            assert [ctx.get(weight.raw) for weight in dut.written.outer] == [row[0][0] for row, _ in changed]
            assert ctx.get(dut.step_saturates) == beyond
            assert ctx.get(dut.coefficient_saturates) or not unfit
            opened.add(open_)

    simulate(dut, bench)
    assert opened == {True, False}
