"""Tables of bases and derivatives, dealt to the banks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.arithmetic import LayerArithmetic
from kanrtl.learner.rtl.basis import Basis, count_basis, rotated_words, rotation_bits
from kanrtl.numeric.fixed import Codes
from support.components import convert, simulate
from support.layers import get_codes, plan_of


def dealt(layer: LayerArithmetic, table: Codes, row: int, cell: int) -> list[int]:
    """A row of a table, by bank."""
    banks = [0] * layer.banks
    for basis in range(layer.window):
        banks[(cell + basis) % layer.banks] = int(table[row, basis])
    return banks


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("derivative", [False, True])
def test_every_row_is_dealt_to_the_banks_of_its_window(order: int, block: bool, derivative: bool) -> None:
    layer = plan_of(1, spline_order=order).layer
    dut = Basis(layer, derivative=derivative, block=block)

    async def bench(ctx: Any) -> None:
        if block:
            ctx.set(dut.enable, 1)
        for row in range(layer.table_size):
            for cell in range(layer.bases):
                ctx.set(dut.row, row)
                ctx.set(dut.cell, cell)
                for inside in (0, 1):
                    ctx.set(dut.inside, inside)
                    if block:
                        await ctx.tick()
                    assert get_codes(ctx, dut.basis) == dealt(layer, layer.basis_table, row, cell)
                    if derivative:
                        table = layer.derivative_table * inside
                        assert get_codes(ctx, dut.derivative) == dealt(layer, table, row, cell)

    assert dut.latency == block
    simulate(dut, bench)
    assert convert(dut).count("memory width") == 1 + derivative


def test_a_block_memory_is_read_when_enabled() -> None:
    layer = plan_of().layer
    dut = Basis(layer, derivative=False, block=True)

    async def bench(ctx: Any) -> None:
        for row, enable, expected in ((1, 1, 1), (2, 0, 1), (2, 1, 2)):
            ctx.set(dut.row, row)
            ctx.set(dut.enable, enable)
            await ctx.tick()
            assert get_codes(ctx, dut.basis) == dealt(layer, layer.basis_table, expected, 0)

    simulate(dut, bench)


def test_rotated_words() -> None:
    layer = plan_of(spline_order=1).layer
    assert (layer.banks, rotation_bits(layer)) == (2, 1)
    table = np.array([[1, 2], [-1, 4]])
    assert rotated_words(layer, table, 4) == [0x21, 0x4F, 0x12, 0xF4]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("tables", ["block", "logic"])
def test_tables_are_counted(index: int, tables: str) -> None:
    plan, parts = plan_of(index, table_memory=tables), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_basis(parts, plan, 3)
    if tables == "logic":
        assert not parts.memories
        assert parts.counts["truth table"] > 0
        return
    assert [memory.name for memory in parts.memories] == ["bases", "derivatives"][: 1 + index]
    rows = plan.layer.table_size * plan.layer.banks
    assert all((memory.depth, memory.count, memory.block) == (rows, 3, True) for memory in parts.memories)
