"""One memory of coefficients, and what changes it while others are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.learner.arithmetic import LayerArithmetic
from kanrtl.learner.rtl.coefficient_bank import CoefficientBank, StreamingBank, window_row
from kanrtl.numeric.fixed import SQ
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes
from support.search import examples

FORMAT, LANES, DEPTH = SQ(2, 4), 3, 5


@pytest.mark.parametrize("block", [False, True])
def test_lanes_are_written_alone_and_read_in_time(block: bool) -> None:
    random = np.random.default_rng(1)
    codes = random_codes(random, FORMAT, DEPTH - 1, LANES)
    dut = CoefficientBank(FORMAT, codes, DEPTH, block=block)
    stored = np.vstack([codes, np.zeros((1, LANES), dtype=np.int64)])

    async def bench(ctx: Any) -> None:
        assert dut.latency == block
        for _ in range(100):
            row, other = (int(n) for n in random.choice(DEPTH, 2, replace=False))
            new, lanes = random_codes(random, FORMAT, LANES), random.integers(0, 2, LANES)
            ctx.set(dut.address, row)
            ctx.set(dut.write_address, other)
            set_codes(ctx, dut.write, new)
            ctx.set(dut.write_enable, int(sum(enable << lane for lane, enable in enumerate(lanes))))
            if not block:
                assert get_codes(ctx, dut.read) == stored[row].tolist()
            await ctx.tick()
            stored[other] = np.where(lanes, new, stored[other])
            if block:
                assert get_codes(ctx, dut.read) == stored[row].tolist()

    simulate(dut, bench)
    assert convert(dut).count(f"memory width {LANES * FORMAT.width} size {DEPTH} ") == 1


def test_a_block_memory_keeps_what_it_has_read_without_enable() -> None:
    dut = CoefficientBank(FORMAT, np.arange(DEPTH * LANES).reshape(DEPTH, LANES), DEPTH, block=True)

    async def bench(ctx: Any) -> None:
        for row, enable, expected in ((2, 1, 2), (3, 0, 2), (3, 1, 3)):
            ctx.set(dut.address, row)
            ctx.set(dut.enable, enable)
            await ctx.tick()
            assert get_codes(ctx, dut.read) == [LANES * expected + lane for lane in range(LANES)]

    simulate(dut, bench)


@pytest.mark.parametrize("second", ["comb", "sync"])
def test_a_second_port_sees_what_is_written(second: str) -> None:
    dut = CoefficientBank(FORMAT, np.zeros((0, LANES), dtype=np.int64), DEPTH, block=True, second=second)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.second_address, 4)
        ctx.set(dut.write_address, 4)
        ctx.set(dut.write_enable, 0b101)
        set_codes(ctx, dut.write, [7, 8, 9])
        await ctx.tick()
        assert get_codes(ctx, dut.second) == [7, 0, 9]

    simulate(dut, bench)


def test_zeros_are_not_listed() -> None:
    for codes, words in ((np.zeros((4, 2), dtype=np.int64), []), (np.array([[1, -1]]), [1 + (63 << 6)])):
        dut = CoefficientBank(FORMAT, codes, DEPTH, block=True)
        assert dut.words == words
        assert f"size {DEPTH} " in convert(dut)


class Rows(Elaboratable):  # type: ignore[misc]
    def __init__(self, layer: LayerArithmetic) -> None:
        self.layer, self.cell = layer, Signal(range(layer.bases))
        self.rows = [Signal(range(layer.depth + 1), name=f"row{bank}") for bank in range(layer.banks)]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += [row.eq(window_row(self.layer, self.cell, bank)) for bank, row in enumerate(self.rows)]
        return m


@given(order=st.integers(1, 3), grid_size=st.integers(1, 9))
@examples(20)
def test_a_window_has_a_row_in_every_bank(order: int, grid_size: int) -> None:
    dut = Rows(plan_of(spline_order=order, grid_size=grid_size).layer)
    banks = dut.layer.banks

    async def bench(ctx: Any) -> None:
        for cell in range(dut.layer.bases):
            ctx.set(dut.cell, cell)
            indices = {ctx.get(row) * banks + bank for bank, row in enumerate(dut.rows)}
            assert indices == set(range(cell, cell + banks))

    simulate(dut, bench)


@examples(30)
@given(
    block=st.booleans(),
    turnaround=st.integers(0, 4),
    later=st.booleans(),
    rows=st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=30),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_change_of_a_streaming_bank_is_lost(
    block: bool, turnaround: int, later: bool, rows: list[tuple[int, bool]], seed: int
) -> None:
    """Every change adds one: what is changed is what all changes before have made, also those of a cycle ago."""
    first = np.random.default_rng(seed).integers(-8, 8, (3, 2))
    dut = StreamingBank(FORMAT, first, 3, block=block, turnaround=turnaround, later=later)
    due, stored = first.copy(), first.copy()  # with all changes, and with those that are written

    async def bench(ctx: Any) -> None:
        writing: tuple[int, list[int]] | None = None  # what is written at the next edge, with `later`
        for cycle in range(len(rows) + turnaround + 2):
            row = rows[min(cycle, len(rows) - 1)][0]
            ctx.set(dut.address, row)
            changing = cycle - turnaround
            changed, taught = rows[changing] if 0 <= changing < len(rows) else (0, False)
            ctx.set(dut.write_enable, taught)
            if later:
                set_codes(ctx, dut.write, writing[1] if writing else [31, 31])
            if taught:
                again = ctx.get(dut.again)
                if later and writing is not None:
                    assert again == (writing[0] == changed)
                if again:
                    assert writing is not None
                    assert get_codes(ctx, dut.old) == [0, 0]
                    before = writing[1]
                else:
                    before = get_codes(ctx, dut.old)
                assert before == due[changed].tolist()
                due[changed] += 1
                if not later:
                    set_codes(ctx, dut.write, due[changed])
            if not block:
                assert get_codes(ctx, dut.read) == stored[row].tolist()
            read = stored[row].tolist()
            await ctx.tick()
            if block:
                assert get_codes(ctx, dut.read) == read
            if later:
                if writing:
                    stored[writing[0]] = writing[1]
                writing = (changed, due[changed].tolist()) if taught else None
            elif taught:
                stored[changed] = due[changed]
        assert (due == stored).all()

    assert dut.latency == block
    simulate(dut, bench)


@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("turnaround", [0, 2])
def test_lanes_of_a_streaming_bank_are_written_from_outside(block: bool, turnaround: int) -> None:
    dut = StreamingBank(FORMAT, np.zeros((3, 2), dtype=np.int64), 3, block=block, turnaround=turnaround, later=True)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.address, 1)
        await ctx.tick().repeat(turnaround + 1)
        set_codes(ctx, dut.write, [5, 6])
        ctx.set(dut.access_enable, 0b10)
        await ctx.tick()
        ctx.set(dut.access_enable, 0)
        await ctx.tick()
        assert get_codes(ctx, dut.read) == [0, 6]

    simulate(dut, bench)
    assert convert(dut).count("memory width 12 size 3 ") == 1
