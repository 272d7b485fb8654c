"""The memories of a folded layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.coefficients import FoldedCoefficients, count_folded_coefficients
from support.components import convert, simulate
from support.folded import NAMES, backward_steps, codes, forward_steps, plan_of, times_at


@pytest.mark.parametrize("name", NAMES)
def test_a_step_reads_its_window_and_writes_it_back(name: str) -> None:
    plan = plan_of(name)
    layer, passes = plan.layer, plan.passes
    random = np.random.default_rng(4)
    held = codes(random, layer.formats.coefficient, layer.n_out, layer.n_in, layer.bases)
    dut = FoldedCoefficients(plan, held)
    assert dut.latency == passes.read - passes.located
    cells = random.integers(0, layer.grid_size, layer.n_in)
    forward = forward_steps(plan, 1)
    backward = backward_steps(plan, forward[-1].begin + passes.step_cycles + passes.written)
    steps = [*forward, *backward]
    new = codes(random, layer.formats.coefficient, layer.n_out, layer.n_in, layer.banks)
    after = held.copy()

    def window(coefficients: Any, node: int, source: int, bank: int) -> int:
        """The coefficient of a window that lies in a bank."""
        index = cells[source] + (bank - cells[source]) % layer.banks
        return int(coefficients[node, source, index]) if index < layer.bases else 0

    def places(step: Any) -> Any:
        for node_lane in range(passes.node_lanes):
            for lane in range(passes.input_lanes):
                node = step.node_part * passes.node_lanes + node_lane
                source = step.input_part * passes.input_lanes + lane
                for bank in range(layer.banks):
                    yield (node, source, bank), (node_lane, lane, bank)

    async def bench(ctx: Any) -> None:
        for cycle in range(backward[-1].begin + passes.written + 2):
            times = times_at(plan, steps, cycle)
            ctx.set(dut.input_part, times["input_part"]["begun"] or 0)
            ctx.set(dut.node_part, times["node_part"]["begun"] or 0)
            ctx.set(dut.step, times["step"])
            ctx.set(dut.write_enable, times["update"] >> passes.written & 1)
            for step in steps:
                if 0 <= cycle - step.begin - passes.located < passes.step_cycles:
                    for lane in range(passes.input_lanes):
                        ctx.set(dut.cell[lane], int(cells[step.input_part * passes.input_lanes + lane]))
                for place, (node, lane, bank) in places(step):
                    # What it has written is not read again by any step of a pass.
                    if cycle == step.begin + passes.read:
                        assert ctx.get(dut.read[node][lane][bank].raw) == window(held, *place)
                    if cycle == step.begin + passes.written and step.kind == "update":
                        assert ctx.get(dut.old[node][lane][bank].raw) == window(held, *place)
                        ctx.set(dut.write[node][lane][bank].raw, int(new[place]))
                        index = cells[place[1]] + (bank - cells[place[1]]) % layer.banks
                        if index < layer.bases:
                            after[place[0], place[1], index] = new[place]
            await ctx.tick()
        assert not np.array_equal(after, held)
        for place in [(0, 0, 0), *map(tuple, np.argwhere(after != held).tolist())]:
            assert await read(ctx, dut, plan, *place) == after[place]

    simulate(dut, bench)
    text = convert(dut)
    assert text.count("cell $memrd") == layer.banks * passes.input_lanes


async def reach(
    ctx: Any, dut: FoldedCoefficients, plan: LayerPlan, node: int, source: int, index: int, write: int
) -> None:
    """Reaches a coefficient as a sequencer would: as by a step, in a cycle after it was asked for; and waits for it."""
    passes = plan.passes
    for name, value in (("enable", 1), ("output", node), ("input", source), ("index", index), ("write", 0)):
        ctx.set(getattr(dut.access, name), value)
    ctx.set(dut.input_part, source // passes.input_lanes)
    ctx.set(dut.node_part, node // passes.node_lanes)
    for lane in range(passes.input_lanes):
        ctx.set(dut.cell[lane], index)
    for cycle in range(passes.written + 1):
        ctx.set(dut.step, (1 << cycle + 1) - 1)
        await ctx.tick()
    ctx.set(dut.access.write, write)


async def read(ctx: Any, dut: FoldedCoefficients, plan: LayerPlan, node: int, source: int, index: int) -> int:
    await reach(ctx, dut, plan, node, source, index, 0)
    return int(ctx.get(dut.access.read_data.raw))


@pytest.mark.parametrize("name", NAMES)
def test_one_coefficient_is_written_from_outside(name: str) -> None:
    plan = plan_of(name)
    layer = plan.layer
    random = np.random.default_rng(5)
    held = codes(random, layer.formats.coefficient, layer.n_out, layer.n_in, layer.bases)
    dut = FoldedCoefficients(plan, held)
    places = list(np.ndindex(held.shape))
    changed = {places[n]: int(codes(random, layer.formats.coefficient)) for n in random.integers(0, len(places), 5)}

    async def bench(ctx: Any) -> None:
        for place, value in changed.items():
            await reach(ctx, dut, plan, *place, write=1)
            for row in dut.write:
                for banks in row:
                    for coefficient in banks:
                        ctx.set(coefficient.raw, value)
            await ctx.tick()
            ctx.set(dut.access.write, 0)
        for place in [*changed, *(places[n] for n in random.integers(0, len(places), 8))]:
            assert await read(ctx, dut, plan, *place) == changed.get(place, held[place])

    simulate(dut, bench)


def test_memories_are_counted_by_lane() -> None:
    parts, plan = Parts(FAMILIES["ecp5"].blocks, multiplies=True), plan_of("hidden, shared")
    count_folded_coefficients(parts, plan)
    (memory,) = parts.memories
    layer, passes = plan.layer, plan.passes
    assert (memory.count, memory.depth) == (passes.input_lanes * layer.banks, passes.steps * layer.depth)
    assert memory.width == layer.formats.coefficient.width * passes.node_lanes
