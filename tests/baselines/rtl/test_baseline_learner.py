"""What all baselines in hardware have in common."""

from typing import Any

import pytest

from kanrtl.baselines import BaselineSpec, LmsSpec, MlpSpec, create_learner
from kanrtl.baselines.rtl.baseline_learner import BaselineLearner, count_output_steps
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from support.baselines import check_equality
from support.components import simulate

SPECS = [LmsSpec(n_in=1, n_out=2, learning_rate=0.5), MlpSpec(n_in=1, n_out=2, hidden=1, learning_rate=0.5)]


@pytest.mark.parametrize("spec", SPECS, ids=["lms", "mlp"])
def test_members_and_the_gradient_beside_the_update(spec: BaselineSpec) -> None:
    """Of the first sample; outputs of a filter are zero then."""
    dut = create_learner(spec)
    assert isinstance(dut, BaselineLearner)
    assert set(dut.signature.members) == {"samples", "predictions", "access", "freeze", "updated", "gradient"}
    target = spec.target_format.quantise([0.25, -0.5]).tolist()
    found: list[tuple[int, ...]] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.predictions.ready, 1)
        for index, code in enumerate(target):
            ctx.set(dut.samples.payload.target[index].raw, code)
        ctx.set(dut.samples.payload.learn, 1)
        ctx.set(dut.samples.valid, 1)
        await ctx.tick().until(dut.samples.ready)
        ctx.set(dut.samples.valid, 0)
        cycles = 1
        while not ctx.get(dut.updated):
            await ctx.tick()
            cycles += 1
        assert cycles == dut.latency
        found.append(tuple(ctx.get(dut.gradient[index].raw) for index in range(2)))

    simulate(dut, bench)
    expected = spec.gradient_format.quantise([-0.25, 0.5]).tolist()
    if isinstance(spec, LmsSpec):  # a perceptron starts from random weights
        assert list(found[0]) == expected
    assert len(set(found[0])) == 2


@pytest.mark.parametrize(
    "spec",
    [
        MlpSpec(n_in=1, hidden=2, width=8, headroom=6, target_range=(-0.1, 0.1)),
        MlpSpec(n_in=1, hidden=2, width=10, headroom=8, target_range=(-0.1, 0.1)),
        LmsSpec(n_in=1, width=8, headroom=8, target_range=(-0.1, 0.1)),
        LmsSpec(n_in=1, degree=2, width=8, headroom=8, target_range=(-0.1, 0.1), rounding="half_even"),
    ],
)
def test_sums_with_fewer_fraction_bits_than_a_target_are_the_model_to_the_bit(spec: BaselineSpec) -> None:
    assert spec.sums[-1].total.f < spec.target_format.f
    check_equality(spec, 1)


def test_products_are_counted() -> None:
    """Those of the weights aside, one for each output."""
    spec, parts = LmsSpec(n_in=1, n_out=3), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_output_steps(parts, spec, spec.step_size_format)
    assert parts.multipliers == 3
