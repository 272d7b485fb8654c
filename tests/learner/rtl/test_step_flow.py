"""What moves along with steps: delays, through serial multiplications too."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.folded_schedule import Passes
from kanrtl.learner.rtl.step_flow import StepFlow, choose, count_delay
from support.components import convert, register_bits, simulate
from support.folded import plan_of


class Delays(wiring.Component):  # type: ignore[misc]
    """A value that a step has from its beginning on, at several offsets: each alone, met, and all together."""

    def __init__(self, passes: Passes, offsets: list[int]) -> None:
        self.passes, self.offsets = passes, offsets
        value = {f"{kind}{offset}": Out(8) for kind in ("delay", "meet", "follow") for offset in offsets}
        super().__init__({"step": In(40), "i": In(8), **value})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        flow = StepFlow(m, self.passes, self.step)
        together = flow.follow(self.i, self.offsets, "together")
        for offset in self.offsets:
            m.d.comb += [
                getattr(self, f"delay{offset}").eq(flow.delay(self.i, 0, offset, f"alone{offset}")),
                getattr(self, f"meet{offset}").eq(flow.meet(self.i, 0, offset, f"met{offset}")),
                getattr(self, f"follow{offset}").eq(together[offset]),
            ]
        return m


@pytest.mark.parametrize("name", ["shared", "inputs", "serial", "hidden, serial"])
def test_a_value_is_there_at_its_offset_and_keeps_still_for_its_step(name: str) -> None:
    passes = plan_of(name).passes
    cycles = passes.step_cycles
    dut = Delays(passes, [0, 1, 3, cycles, cycles + 2, 2 * cycles + 1])
    values = [17, 200, 3, 99]

    async def bench(ctx: Any) -> None:
        for cycle in range(len(values) * cycles + max(dut.offsets)):
            begun = [cycle - n * cycles for n in range(len(values))]
            ctx.set(dut.step, sum(1 << age for age in begun if 0 <= age < 40))
            # The value is held for its step, and no longer.
            ctx.set(dut.i, values[cycle // cycles] if cycle < len(values) * cycles else 255)
            for offset in dut.offsets:
                if 0 <= cycle - offset < len(values) * cycles:
                    expected = values[(cycle - offset) // cycles]
                    assert ctx.get(getattr(dut, f"delay{offset}")) == expected
                    assert ctx.get(getattr(dut, f"follow{offset}")) == expected
                if passes.steps == 1:
                    assert ctx.get(getattr(dut, f"meet{offset}")) == ctx.get(dut.i)
                else:
                    assert ctx.get(getattr(dut, f"meet{offset}")) == ctx.get(getattr(dut, f"delay{offset}"))
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("name", ["inputs", "serial", "hidden, serial"])
@pytest.mark.parametrize("offset", [0, 1, 4, 23])
def test_as_many_registers_are_counted_as_there_are(name: str, offset: int) -> None:
    class Delay(wiring.Component):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__({"step": In(40), "i": In(8), "o": Out(8)})

        def elaborate(self, platform: Any) -> Module:
            m = Module()
            m.d.comb += self.o.eq(StepFlow(m, passes, self.step).delay(self.i, 0, offset, "later"))
            return m

    passes, parts = plan_of(name).passes, Parts(families["ecp5"], multiplies=True)
    count_delay(parts, passes, 8, 0, offset)
    assert parts.counts["register"] == register_bits(convert(Delay()))


def test_one_of_several_is_chosen() -> None:
    class Choice(wiring.Component):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__({"index": In(2), "o": Out(4)})

        def elaborate(self, platform: Any) -> Module:
            m = Module()
            m.d.comb += self.o.eq(choose([3, 7, 1, 9], self.index))
            return m

    dut = Choice()

    async def bench(ctx: Any) -> None:
        for index, value in enumerate([3, 7, 1, 9]):
            ctx.set(dut.index, index)
            assert ctx.get(dut.o) == value

    simulate(dut, bench)
    alone = Signal(4)
    assert choose([alone], Signal(2)) is alone
