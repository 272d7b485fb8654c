"""A layer of weights alone: sums, updates, and access to every weight."""

from typing import Any

import numpy as np
import pytest

from kanrtl.baselines.rtl.weighted_sum import (
    WeightedSum,
    count_changed_biases,
    count_changed_weights,
    rounding_offset,
)
from kanrtl.baselines.sum_arithmetic import SumArithmetic
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.numeric.fixed import SQ
from support.components import simulate

LAYER = SumArithmetic(2, 3, feature=SQ(1, 6), factor=SQ(2, 5), coefficient=SQ(2, 8), step=SQ(1, 7))


def test_sums_and_updates_are_the_arithmetic() -> None:
    random = np.random.default_rng(0)
    start = random.integers(-200, 200, (3, 3))
    weights = start.tolist()
    dut = WeightedSum(LAYER, start, "half_up")
    assert dut.latency == 0

    async def bench(ctx: Any) -> None:
        nonlocal weights
        saturated = []
        for _ in range(60):
            features = random.integers(-64, 64, 2).tolist()
            steps = random.integers(-128, 128, 3).tolist()
            for index, code in enumerate(features):
                ctx.set(dut.features[index].raw, code)
            for index, code in enumerate(steps):
                ctx.set(dut.steps[index].raw, code)
            totals = [ctx.get(dut.totals[index].raw) for index in range(3)]
            assert totals == LAYER.add(weights, features)
            changed, beyond = LAYER.change(weights, features, steps, "half_up")
            assert ctx.get(dut.saturated) == beyond
            saturated.append(beyond)
            update = bool(random.integers(2))
            ctx.set(dut.update, update)
            await ctx.tick()
            ctx.set(dut.update, 0)
            weights = changed if update else weights
        assert True in saturated
        assert False in saturated
        for number in range(9):
            ctx.set(dut.selected, number)
            assert ctx.get(dut.read) == weights[number // 3][number % 3]
            ctx.set(dut.written, number - 4)
            ctx.set(dut.write, 1)
            await ctx.tick()
            ctx.set(dut.write, 0)
        for number in range(9):
            ctx.set(dut.selected, number)
            assert ctx.get(dut.read) == number - 4

    simulate(dut, bench)


def test_the_sum_holds_the_largest() -> None:
    layer = SumArithmetic(3, 1, feature=SQ(1, 3), factor=SQ(1, 3), coefficient=SQ(1, 3), step=SQ(1, 3))
    weights = [[-8] * 4]
    [total] = layer.add(weights, [-8] * 3)
    assert layer.total.minimum <= total <= layer.total.maximum
    [total] = layer.add(weights, [7] * 3)
    assert layer.total.minimum <= total <= layer.total.maximum


def test_a_constant_that_rounds_takes_no_adder_of_its_own() -> None:
    # Weights of 8 fraction bits less products of 13, and biases less steps of 7.
    for rounding, adders in (("floor", 1), ("half_up", 1), ("half_even", 2)):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        count_changed_weights(parts, LAYER, rounding, 1)
        assert (parts.counts["adder"], parts.counts["chain"]) == (16 * adders, adders)
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        count_changed_biases(parts, LAYER, rounding, 1)
        assert (parts.counts["adder"], parts.counts["chain"]) == (10, 1)


@pytest.mark.parametrize(("rounding", "offset"), [("floor", 0), ("half_up", 4), ("half_even", 0)])
def test_what_rounds_a_sum_stands_below_its_bias(rounding: str, offset: int) -> None:
    assert rounding_offset(LAYER, SQ(4, 8), rounding) == offset
    # Below a bias there are 6 bits of the 11.
    assert rounding_offset(LAYER, SQ(4, 5), rounding) == 8 * offset
    assert rounding_offset(LAYER, SQ(4, 4), rounding) == 0
    dut = WeightedSum(LAYER, np.zeros((3, 3), int), rounding, offset)

    async def bench(ctx: Any) -> None:
        assert [ctx.get(dut.totals[index].raw) for index in range(3)] == [offset] * 3

    simulate(dut, bench)
