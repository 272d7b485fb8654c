"""The coefficients of a layer: windows are read and changed, and single ones from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.coefficients import Coefficients, cell_bits, count_coefficients, window_layout
from kanrtl.numeric.fixed import Codes
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes

SHAPES = [{}, {"memory": "block"}, {"spline_order": 1, "grid_size": 4}, {"spline_order": 2, "memory": "block"}]


def coefficients(plan: LayerPlan, random: np.random.Generator) -> Codes:
    layer = plan.layer
    return random_codes(random, layer.formats.coefficient, layer.n_out, layer.n_in, layer.bases)


def in_banks(plan: LayerPlan, codes: Codes, cells: list[int]) -> list[int]:
    """The windows of ``cells``, in bank order; what is beyond the last coefficient is zero."""
    layer = plan.layer
    padded = np.zeros((layer.n_out, layer.n_in, layer.bases + 2 * layer.banks), dtype=np.int64)
    padded[:, :, : layer.bases] = codes
    window = np.zeros((layer.n_out, layer.n_in, layer.banks), dtype=np.int64)
    for source, cell in enumerate(cells):
        for index in range(cell, cell + layer.banks):
            window[:, source, index % layer.banks] = padded[:, source, index]
    return [int(code) for code in window.ravel()]


async def address(ctx: Any, dut: Coefficients, cells: list[int]) -> None:
    """Addresses windows, and waits until they are read."""
    for source, cell in enumerate(cells):
        ctx.set(dut.cell[source], cell)
    ctx.set(dut.take, 1)
    await ctx.tick()
    ctx.set(dut.take, 0)
    if dut.latency:
        await ctx.tick()


@pytest.mark.parametrize("fields", SHAPES)
@pytest.mark.parametrize("index", [0, 1])
def test_windows_are_read_and_stored(fields: dict[str, Any], index: int) -> None:
    random = np.random.default_rng(3)
    plan = plan_of(index, **fields)
    layer, codes = plan.layer, coefficients(plan, np.random.default_rng(4))
    dut = Coefficients(plan, codes)

    async def bench(ctx: Any) -> None:
        for _ in range(30):
            cells = [int(random.integers(layer.grid_size)) for _ in range(layer.n_in)]
            await address(ctx, dut, cells)
            before = get_codes(ctx, dut.read)
            assert before == get_codes(ctx, dut.old) == in_banks(plan, codes, cells)
            # An update changes those that exist; a memory holds others too.
            written = np.array(before).reshape(layer.n_out, layer.n_in, layer.banks)
            for source, cell in enumerate(cells):
                for place in range(cell, min(cell + layer.banks, layer.bases)):
                    new = random_codes(random, layer.formats.coefficient, layer.n_out)
                    written[:, source, place % layer.banks] = codes[:, source, place] = new
            set_codes(ctx, dut.write, written)
            ctx.set(dut.write_enable, 1)
            await ctx.tick()
            ctx.set(dut.write_enable, 0)

    assert dut.latency == plan.block
    simulate(dut, bench)
    text = convert(dut)
    width = layer.formats.coefficient.width * layer.n_out
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_coefficients(parts, plan)
    [memory] = parts.memories
    assert (memory.depth, memory.width, memory.count) == (layer.depth + 1, width, layer.n_in * layer.banks)
    assert text.count(f"memory width {width} size {layer.depth + 1} ") == memory.count


@pytest.mark.parametrize("fields", [*SHAPES, {"schedule": "streaming"}, {"schedule": "streaming", "memory": "block"}])
def test_single_coefficients_are_read_and_written_from_outside(fields: dict[str, Any]) -> None:
    random = np.random.default_rng(5)
    plan = plan_of(**fields)
    layer, codes = plan.layer, coefficients(plan, random)
    dut = Coefficients(plan, codes)

    async def bench(ctx: Any) -> None:
        for _ in range(40):
            place = tuple(int(random.integers(count)) for count in codes.shape)
            for member, number in zip((dut.access.output, dut.access.input, dut.access.index), place, strict=True):
                ctx.set(member, number)
            ctx.set(dut.access.enable, 1)
            await address(ctx, dut, [place[2]] * layer.n_in)
            assert ctx.get(dut.access.read_data.raw) == codes[place]
            new = int(random_codes(random, layer.formats.coefficient, 1)[0])
            set_codes(ctx, dut.write, np.full((layer.n_out, layer.n_in, layer.banks), new))
            # Where samples stream, until what is written is addressed by what changes windows.
            await ctx.tick().repeat((plan.turnaround or 0) + 2)
            ctx.set(dut.access.write, 1)
            await ctx.tick()
            ctx.set(dut.access.write, 0)
            codes[place] = new
        ctx.set(dut.access.enable, 0)
        for cell in range(layer.grid_size):
            await address(ctx, dut, [cell] * layer.n_in)
            assert get_codes(ctx, dut.read) == in_banks(plan, codes, [cell] * layer.n_in)

    simulate(dut, bench)


@pytest.mark.parametrize("memory", ["distributed", "block"])
@pytest.mark.parametrize("pipeline", ["no_registers", "all_registers"])
def test_windows_are_changed_while_others_are_read(memory: str, pipeline: str) -> None:
    """Every window that is addressed becomes one more, at its time; none of that is lost."""
    random = np.random.default_rng(6)
    plan = plan_of(schedule="streaming", memory=memory, pipeline=pipeline)
    layer, turnaround = plan.layer, plan.turnaround
    assert turnaround is not None
    codes = np.zeros((layer.n_out, layer.n_in, layer.bases), dtype=np.int64)
    dut = Coefficients(plan, codes)
    cells = [[int(random.integers(layer.grid_size)) for _ in range(layer.n_in)] for _ in range(25)]

    async def bench(ctx: Any) -> None:
        # A cell that is given in cycle 0 is addressed from cycle 1 on.
        assert plan.holds_addresses
        result = np.zeros((layer.n_out, layer.n_in, layer.banks), dtype=np.int64)
        for cycle in range(len(cells) + turnaround + 4):
            for source, cell in enumerate(cells[min(cycle, len(cells) - 1)]):
                ctx.set(dut.cell[source], cell)
            ctx.set(dut.take, 1)
            changing = cycle - 1 - turnaround
            ctx.set(dut.write_enable, 0 <= changing < len(cells))
            if plan.writes_late:
                set_codes(ctx, dut.write, result)
            old = np.array(get_codes(ctx, dut.old)).reshape(result.shape)
            if plan.writes_late:
                again = [ctx.get(dut.again[source]) for source in range(layer.n_in)]
                flags = np.array([[flag >> bank & 1 for bank in range(layer.banks)] for flag in again])
                old = np.where(flags, result, old)
            result = old + 1
            if not plan.writes_late:
                set_codes(ctx, dut.write, result)
            await ctx.tick()
        ctx.set(dut.take, 1)
        expected = np.zeros((layer.n_in, layer.bases + layer.banks), dtype=np.int64)
        for each in cells:
            for source, cell in enumerate(each):
                expected[source, cell : cell + layer.banks] += 1
        for cell in range(layer.grid_size):
            await address(ctx, dut, [cell] * layer.n_in)
            read = np.array(get_codes(ctx, dut.read)).reshape(result.shape)
            for source in range(layer.n_in):
                for place in range(cell, cell + layer.banks):
                    assert (read[:, source, place % layer.banks] == expected[source, place]).all()

    simulate(dut, bench)


def test_shapes() -> None:
    layer = plan_of(grid_size=5).layer
    assert cell_bits(layer) == 3  # of the indices 0 to 7
    shape = window_layout(layer, layer.formats.coefficient, differences=True)
    assert (shape.length, shape.elem_shape.length, shape.elem_shape.elem_shape.length) == (3, 2, 3)
