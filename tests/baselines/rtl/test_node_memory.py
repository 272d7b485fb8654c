"""The rows of hidden nodes alone."""

from typing import Any

import pytest
from amaranth.hdl import unsigned
from amaranth.lib import data

from kanrtl.baselines.rtl.node_memory import NodeMemory
from support.components import simulate


@pytest.mark.parametrize("block", [False, True])
def test_a_row_is_there_a_cycle_after_its_address(block: bool) -> None:
    dut = NodeMemory(data.ArrayLayout(unsigned(4), 2), [0x21, 0x43, 0x65], block=block)
    assert dut.latency == 1

    async def bench(ctx: Any) -> None:
        for row, (low, high) in enumerate([(1, 2), (3, 4), (5, 6)]):
            ctx.set(dut.address, row)
            await ctx.tick()
            assert (ctx.get(dut.read[0]), ctx.get(dut.read[1])) == (low, high)
        # A row is written while another is read.
        ctx.set(dut.write_address, 1)
        ctx.set(dut.write[1], 9)
        ctx.set(dut.write_enable, 1)
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        assert ctx.get(dut.read.as_value()) == 0x65
        ctx.set(dut.address, 1)
        await ctx.tick()
        assert ctx.get(dut.read.as_value()) == 0x90

    simulate(dut, bench)
