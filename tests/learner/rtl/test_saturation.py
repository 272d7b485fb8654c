"""What saturates in the passes of a sample, and the counters of it, alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import SATURATIONS
from kanrtl.learner.losses import find_loss
from kanrtl.learner.rtl import saturation
from kanrtl.learner.rtl.saturation import PassSaturation, SaturationCounters, count_flags
from support.components import convert, record, simulate
from support.search import examples
from support.strategies import specs


def test_what_saturates_in_a_step_is_remembered_until_the_next_sample() -> None:
    dut = PassSaturation({"coefficient": 4, "step": 1})

    async def bench(ctx: Any) -> None:
        for bits in (0b0100, 0b1001):
            ctx.set(dut.flags.coefficient, bits)
            assert ctx.get(dut.saturated.coefficient) == 0
            await ctx.tick().repeat(dut.latency)
            ctx.set(dut.flags.coefficient, 0)
            for _ in range(3):
                assert ctx.get(dut.saturated.coefficient) == 1
                assert ctx.get(dut.saturated.step) == 0
                await ctx.tick()
            ctx.set(dut.restart, 1)
            await ctx.tick()
            ctx.set(dut.restart, 0)

    simulate(dut, bench)
    convert(dut)


def test_sums_keep_still_until_they_are_counted() -> None:
    dut = PassSaturation({"activation": 2, "gradient": 2})

    async def bench(ctx: Any) -> None:
        ctx.set(dut.flags.activation, 2)
        ctx.set(dut.flags.gradient, 1)
        # Activations are told at once.
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (1, 0)
        await ctx.tick().repeat(dut.latency)
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (1, 1)
        ctx.set(dut.flags.activation, 0)
        ctx.set(dut.flags.gradient, 0)
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (0, 1)
        await ctx.tick().repeat(dut.latency)
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (0, 0)

    simulate(dut, bench)


NARROW = {"layer_sizes": [2, 2, 1], "grid_range": (-2, 2), "slope_format": "SQ(2, 8)"}
SPECS = {
    "one layer": LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2)),
    "two layers": LearnerSpec(**NARROW),
    "streaming": LearnerSpec(**NARROW, schedule="streaming"),
    "folded": LearnerSpec(**NARROW | {"layer_sizes": [2, 1]}, reuse_factor=2),
}


@examples(60)
@given(spec=specs())
def test_there_are_flags_of_whatever_can_saturate(spec: LearnerSpec) -> None:
    flags, last = count_flags(spec), spec.plans[-1]
    assert set(flags) == set.union(*(set(plan.saturating) for plan in spec.plans))
    assert list(flags) == [kind for kind in (*SATURATIONS, *spec.counts) if kind in flags]
    of_loss = not last.forms_error and find_loss(spec.loss).clips(last.layer, spec.rounding)
    for kind, count in flags.items():
        assert count == sum(kind in plan.saturating for plan in spec.plans) + (of_loss and kind == "gradient")


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_strobe_counts_once_whatever_number_of_values_saturates(spec: LearnerSpec) -> None:
    flags = count_flags(spec)
    assert {"activation", "coefficient", "gradient"} <= set(flags)
    for kind, bits in flags.items():
        dut, length = SaturationCounters(spec), 40
        random = np.random.default_rng(bits)
        strobes, other = random.integers(2, size=(2, length)).tolist()
        values = random.integers(1 << bits, size=length).tolist()
        strobe, unrelated = ("predicted", "updated") if kind == "activation" else ("updated", "predicted")
        inputs = [
            {strobe: on, unrelated: off, f"flags.{kind}": value}
            for on, off, value in zip(strobes, other, values, strict=True)
        ]
        counts = record(dut, inputs, [f"counts.{kind}"])[f"counts.{kind}"]
        late = dut.flags_latency(kind)
        hits = [on and value != 0 for on, value in zip(strobes, values[late:], strict=False)]
        expected = np.cumsum([0] * dut.latency(kind) + hits).tolist()
        assert counts == expected[:length]


@pytest.mark.usefixtures("unelaborated")
def test_layers_tell_of_some_values_a_cycle_late() -> None:
    latencies = {
        name: [SaturationCounters(spec).flags_latency(kind) for kind in ("activation", "coefficient")]
        for name, spec in SPECS.items()
    }
    assert latencies == {"one layer": [0, 0], "two layers": [1, 1], "streaming": [1, 1], "folded": [0, 1]}


def test_a_counter_stops_at_its_highest_value_until_it_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saturation, "COUNTER_WIDTH", 3)
    inputs: list[dict[str, Any]] = [{"updated": 1, "flags.coefficient": 1}] + [{}] * 12
    inputs += [{"clear.coefficient": 1}, {"clear.coefficient": 0}, {}]
    found = record(SaturationCounters(SPECS["one layer"]), inputs, ["counts.coefficient", "counts.activation"])
    assert found["counts.coefficient"] == [0, 0, 1, 2, 3, 4, 5, 6, *[7] * 6, 0, 1]
    assert not any(found["counts.activation"])


def test_it_can_be_synthesised_alone() -> None:
    convert(SaturationCounters(SPECS["two layers"]))
