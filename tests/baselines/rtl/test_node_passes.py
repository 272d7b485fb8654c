"""The order of rows alone."""

from typing import Any

import pytest

from kanrtl.baselines.rtl.node_passes import NodePasses
from support.components import simulate


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_a_pass_has_every_row_once_and_its_address_a_cycle_before(rows: int) -> None:
    dut = NodePasses(rows)
    assert dut.latency == 1
    seen: list[tuple[int, int, int, int]] = []

    async def bench(ctx: Any) -> None:
        async def tick(**inputs: int) -> None:
            for name in ("begin_forward", "begin_backward", "serving", "selected"):
                ctx.set(getattr(dut, name), inputs.get(name, 0))
            seen.append(tuple(ctx.get(port) for port in (dut.address, dut.row, dut.forward, dut.backward)))
            await ctx.tick()

        await tick(serving=1, selected=rows - 1)
        # A sample may come at once, while the last row of the one before is written.
        await tick(begin_forward=1)
        for _ in range(rows):
            await tick()
        await tick(begin_backward=1)
        for cycle in range(rows):
            await tick(begin_forward=int(cycle == rows - 1))
        for _ in range(rows + 1):
            await tick()

    simulate(dut, bench)
    idle, forward, backward = (0, 0, 0, 0), [], []
    for row in range(rows):
        forward.append(((row + 1) % rows, row, 1, 0))
        backward.append(((row + 1) % rows, row, 0, 1))
    assert seen == [(rows - 1, 0, 0, 0), idle, *forward, idle, *backward, *forward, idle]
