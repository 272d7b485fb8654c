"""A folded layer alone: what it computes, in which cycles, and what it is made of."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import Learner, LearnerSpec
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.coefficient_bank import CoefficientBank
from kanrtl.learner.rtl.coefficients import FoldedCoefficients
from kanrtl.learner.rtl.folded_layer import Accumulator, FoldedLayer, count_accumulator, count_folded_layer
from kanrtl.numeric import lfsr
from kanrtl.numeric.fixed import SQ, narrow
from kanrtl.simulators.trace import parts_of
from support.components import convert, count_cells, register_bits, simulate
from support.folded import NAMES, T, codes, plan_of
from support.search import examples
from support.strategies import specs

FORMAT = SQ(8, 4)


@pytest.mark.parametrize("reset_less", [False, True])
@pytest.mark.parametrize(("along", "across"), [(1, 1), (1, 3), (4, 1), (3, 2)])
def test_sums_along_one_axis_are_kept_across_the_other(along: int, across: int, reset_less: bool) -> None:
    dut = Accumulator(FORMAT, along=along, across=across, reset_less=reset_less)
    random = np.random.default_rng(1)
    terms = random.integers(-500, 500, (2, across, along))

    async def bench(ctx: Any) -> None:
        kept = [0] * across
        for sample in terms:
            for index, row in enumerate(sample):
                for position, term in enumerate(row):
                    ctx.set(dut.term.raw, int(term))
                    ctx.set(dut.first, position == 0)
                    ctx.set(dut.index, index)
                    # What is there while nothing is to be added changes nothing.
                    ctx.set(dut.add, 0)
                    await ctx.tick().repeat(2)
                    ctx.set(dut.add, 1)
                    assert [ctx.get(total.raw) for total in dut.totals] == kept
                    await ctx.tick().repeat(dut.latency)
                    ctx.set(dut.add, 0)
                    kept[index] = int(row[: position + 1].sum())
                    assert [ctx.get(total.raw) for total in dut.totals] == kept
            assert kept == sample.sum(axis=1).tolist()

    simulate(dut, bench)
    assert convert(dut).count("cell $add ") == (along > 1)


@pytest.mark.parametrize(("along", "across"), [(1, 1), (1, 3), (4, 1), (3, 2)])
def test_registers_of_sums_are_counted(along: int, across: int) -> None:
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_accumulator(parts, FORMAT, terms=1, along=along, across=across, lanes=1)
    dut = Accumulator(FORMAT, along=along, across=across, reset_less=True)
    assert parts.counts["register"] == register_bits(convert(dut))


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
    assert count_cells(Learner(LearnerSpec(**T | fields)))[0] == multipliers


@pytest.mark.thorough
def test_what_is_counted_are_the_cells() -> None:
    """In multipliers that are shared, in the arithmetic of the error, and of constants."""
    for fields in ({"share_multipliers": True, "layer_sizes": [1, 2, 1], "reuse_factor": 2}, {"loss": "logistic"}):
        spec = LearnerSpec(**T | {"spline_order": 1, "table_size": 4} | fields)
        multiplications, memories = count_cells(Learner(spec))
        text = convert(Learner(spec))
        assert 1 < multiplications == text.count("cell $mul ")
        written = re.findall(r"^ *memory width (\d+) size (\d+) ", text, re.MULTILINE)
        assert memories == Counter((int(width), int(depth)) for width, depth in written)
        assert memories


def test_a_large_layer_needs_few_multipliers_and_two_memories() -> None:
    spec = LearnerSpec(
        layer_sizes=[26, 1], grid_range=(-2, 2), grid_size=512, spline_order=1, reuse_factor=26, memory="block"
    )
    text = convert(FoldedLayer(spec.plans[0], spec.initial_codes()[0]))
    assert text.count("cell $mul ") == 4
    [layer] = spec.layers
    assert text.count(f"memory width {layer.formats.coefficient.width} size {26 * layer.depth} ") == 2
    assert len(text) < 1 << 20  # zeros are not listed
    assert spec.latency < 60


class Reference:
    """A layer of a plan in numpy, one edge after the other."""

    def __init__(self, plan: LayerPlan, coefficients: Any, rate: int) -> None:
        self.plan, self.coefficients, self.rate = plan, coefficients.copy(), rate

    def locate(self, x: Any) -> Any:
        """By input: the coefficients' indices, bases, and derivatives."""
        layer = self.plan.layer
        cells, rows, inside = layer.locator.locate(x)
        for cell, row, within in zip(cells, rows, inside, strict=True):
            yield cell + np.arange(layer.window), layer.basis_table[row], layer.derivative_table[row] * within

    def factors(self, source: int, index: Any) -> Any:
        """What of an input's coefficients is multiplied: ``(nodes, window)``."""
        return self.plan.layer.factors_of(self.coefficients[:, source, index])

    def forward(self, x: Any) -> Any:
        """Node sums."""
        total = np.zeros(self.plan.layer.n_out, dtype=np.int64)
        for source, (index, basis, _) in enumerate(self.locate(x)):
            total += (self.factors(source, index) * basis).sum(axis=1)
        return total

    def backward(self, x: Any, gradient: Any, noise: int) -> tuple[Any, frozenset[str]]:
        """What goes downstream, and the kinds of value that saturate; changes the coefficients."""
        plan, layer, formats = self.plan, self.plan.layer, self.plan.layer.formats
        downstream, outside = [], {}
        exact = layer.update_sum.f
        for source, (index, basis, derivative) in enumerate(self.locate(x)):
            rises = (self.factors(source, index) * derivative).sum(axis=1)
            slope, outside["slope", source] = narrow(rises, layer.slope_sum.f, formats.slope, plan.rounding)
            downstream.append((gradient * slope).sum())
            move, outside["step", source] = narrow(basis * self.rate, layer.step_product.f, formats.step, plan.rounding)
            for node in range(layer.n_out):
                lanes = plan.first_lane + (node * layer.n_in + source) * layer.banks + index % layer.banks
                old = self.coefficients[node, source, index] << exact - formats.coefficient.f
                self.coefficients[node, source, index], outside["coefficient", node, source] = narrow(
                    old - (gradient[node] * move << exact - layer.update_product.f),
                    exact,
                    formats.coefficient,
                    plan.update_rounding,
                    noise=lfsr.lane_noise(noise, lanes, layer.noise_bits) << layer.dropped_bits - layer.noise_bits,
                )
        sums = np.array(downstream)
        given, outside["gradient",] = narrow(sums, layer.downstream_sum.f, formats.downstream, plan.rounding)
        return given, frozenset(kind for (kind, *_), bits in outside.items() if bits.any())


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_learns_in_its_cycles(name: str) -> None:
    plan = plan_of(name, learning_rate=2.0, slope_format="SQ(2, 6)", step_format="UQ(0, 8)", gradient_format="SQ(4, 8)")
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    random = np.random.default_rng(9)
    rate = layer.learning_rate_code
    held = codes(random, formats.coefficient, layer.n_out, layer.n_in, layer.bases) // 2
    dut, reference = FoldedLayer(plan, held), Reference(plan, held, rate)
    fragment = Fragment.get(dut, None)
    told: set[str] = set()

    async def pulse(ctx: Any, member: Any) -> None:
        ctx.set(member, 1)
        await ctx.tick()
        ctx.set(member, 0)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.learning_rate.raw, rate)
        for _ in range(3):
            x = formats.input.quantise(random.uniform(-2.3, 2.3, layer.n_in))
            gradient, noise = codes(random, formats.gradient, layer.n_out), int(random.integers(1 << 32))
            for source, code in enumerate(x):
                ctx.set(dut.x[source].raw, int(code))
            await pulse(ctx, dut.take)
            if not passes.hidden:  # it has been taken
                for source in range(layer.n_in):
                    ctx.set(dut.x[source].raw, 0)
            await ctx.tick().repeat(dut.latency - 1)
            total = reference.forward(x)
            y, saturated = narrow(total, layer.node_sum.f, formats.output, plan.rounding)
            assert [ctx.get(value.raw) for value in dut.total] == total.tolist()
            assert [ctx.get(value.raw) for value in dut.y] == y.tolist()
            if "activation" in plan.saturating:
                assert ctx.get(dut.saturated.activation) == saturated.any()
            for node, code in enumerate(gradient):
                ctx.set(dut.gradient[node].raw, int(code))
            if plan.stochastic:
                ctx.set(dut.noise, noise)
            await pulse(ctx, dut.update)
            given, kinds = reference.backward(x, gradient, noise)
            cycle = 1
            if passes.hidden:
                cycle += passes.last + passes.gathered + 1 + plan.ends("error", below=1)
                await ctx.tick().repeat(cycle - 1)
                assert [ctx.get(value.raw) for value in dut.downstream] == given.tolist()
            written = 1 + passes.update + passes.last + passes.written + 1
            await ctx.tick().repeat(max(written - cycle, 0) + 1)
            # The loss tells whether the gradient of the last layer saturates.
            for kind in plan.saturating - {"activation"} - (set() if passes.hidden else {"gradient"}):
                assert ctx.get(dut.saturated[kind]) == (kind in kinds), kind
            told.update(kinds & plan.saturating)
        ctx.set(dut.access.enable, 1)
        for place in [*np.argwhere(reference.coefficients != held).tolist(), [0, 0, 0]]:
            for member, number in zip((dut.access.output, dut.access.input, dut.access.index), place, strict=True):
                ctx.set(member, number)
            await ctx.tick().repeat(2 + passes.scaled + passes.written - passes.stepped)
            assert ctx.get(dut.access.read_data.raw) == reference.coefficients[tuple(place)]

    multiplications, _ = count_cells(fragment)
    simulate(fragment, bench)
    assert "step" in told
    assert not np.array_equal(reference.coefficients, held)
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_folded_layer(parts, plan, predicts=True)
    assert parts.counts["lane"] == passes.input_lanes * passes.node_lanes * layer.banks
    assert parts.multipliers == multiplications


@pytest.mark.parametrize("name", NAMES)
def test_a_coefficient_is_written_from_outside(name: str) -> None:
    plan = plan_of(name)
    layer, passes = plan.layer, plan.passes
    random = np.random.default_rng(10)
    held = codes(random, layer.formats.coefficient, layer.n_out, layer.n_in, layer.bases)
    dut = FoldedLayer(plan, held)
    access = dut.access
    cycles = 2 + passes.scaled + passes.written - passes.stepped
    written = random.integers(0, held.shape, (6, 3))

    async def reach(ctx: Any, place: Any, value: int | None) -> int:
        ctx.set(access.enable, 1)
        for member, number in zip((access.output, access.input, access.index), place, strict=True):
            ctx.set(member, int(number))
        ctx.set(dut.access_write, value is not None)
        ctx.set(dut.access_data.raw, value or 0)
        await ctx.tick().repeat(cycles - 1)
        ctx.set(access.write, value is not None)
        found = int(ctx.get(access.read_data.raw))
        await ctx.tick()
        for member in (access.write, access.enable, dut.access_write):
            ctx.set(member, 0)
        return found

    async def bench(ctx: Any) -> None:
        ctx.set(dut.learning_rate.raw, layer.formats.learning_rate.maximum)
        for node in range(layer.n_out):
            ctx.set(dut.gradient[node].raw, 1000)
        for place in written:
            value = int(codes(random, layer.formats.coefficient))
            await reach(ctx, place, value)
            held[tuple(place)] = value
        for place in (*written, *random.integers(0, held.shape, (6, 3))):
            assert await reach(ctx, place, None) == held[tuple(place)]

    simulate(dut, bench)


@examples(5)
@given(spec=specs(max_edges=7).filter(lambda spec: spec.folded), seed=st.integers(0, 2**32 - 1))
def test_no_row_is_read_and_written_at_once(spec: LearnerSpec, seed: int) -> None:
    """A block memory's word that is read as it is written would be undefined. Each step has rows of its own, and a
    pass takes each step once, so it holds where a step reads before it writes."""
    spec = spec.replace(outside="learn")  # the input is zero, which may lie outside of the grid
    plan = spec.plans[int(np.random.default_rng(seed).integers(spec.n_layers))]
    layer, passes = FoldedLayer(plan, spec.initial_codes()[plan.index]), plan.passes
    fragment = Fragment.get(layer, None)
    ((coefficients, _),) = parts_of(fragment, (FoldedCoefficients,))
    (bank, _), *_ = parts_of(coefficients, (CoefficientBank,))
    port = bank.origins[0]
    reads, writes = set(), []

    async def bench(ctx: Any) -> None:
        ctx.set(layer.update, 1)
        await ctx.tick()
        ctx.set(layer.update, 0)
        for cycle in range(passes.update + passes.last + passes.written + 1):
            update = cycle - passes.update
            if update >= 0 and update - passes.located < passes.duration and update >= passes.located:
                reads.add((cycle, ctx.get(port.address)))
            if ctx.get(port.write_enable):
                writes.append((cycle, ctx.get(port.write_address)))
            await ctx.tick()

    simulate(fragment, bench)
    assert sorted(address // plan.layer.depth for _, address in writes) == list(range(passes.steps))
    # A first layer of a single step has read all before, and reads nothing anew.
    if plan.block and (passes.steps > 1 or plan.index > 0):
        assert not reads & set(writes)
