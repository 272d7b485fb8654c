"""The order of the steps, where they are in every cycle, and what moves along with them."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.folded_schedule import Passes
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.pass_sequencer import PassSequencer, StepFlow, choose, count_delay, count_pass_sequencer
from support.components import convert, register_bits, simulate
from support.folded import NAMES, Step, backward_steps, forward_steps, offset_of, plan_of, times_at


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

    passes, parts = plan_of(name).passes, Parts(FAMILIES["ecp5"].blocks, multiplies=True)
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


def times_of(ctx: Any, dut: PassSequencer, expected: dict[str, Any]) -> dict[str, Any]:
    """What the sequencer says, as :func:`times_at` gives it; what is not expected to be anything is None."""
    found: dict[str, Any] = {}
    for name, value in expected.items():
        member = getattr(dut.times, name)
        if isinstance(value, dict):
            found[name] = {field: None if inner is None else ctx.get(member[field]) for field, inner in value.items()}
        else:
            found[name] = ctx.get(member)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_steps_go_through_the_passes_in_order(name: str) -> None:
    plan = plan_of(name)
    dut = PassSequencer(plan)
    # One pass directly after the other, and one after a pause.
    forward = forward_steps(plan, dut.latency)
    backward = backward_steps(plan, forward[-1].begin + plan.passes.step_cycles)
    again = forward_steps(plan, backward[-1].begin + plan.passes.step_cycles + 5)
    steps = [*forward, *backward, *again]

    async def bench(ctx: Any) -> None:
        for cycle in range(again[-1].begin + 60):
            ctx.set(dut.begin_forward, cycle + dut.latency in (forward[0].begin, again[0].begin))
            ctx.set(dut.begin_backward, cycle + dut.latency == backward[0].begin)
            expected = times_at(plan, steps, cycle)
            assert times_of(ctx, dut, expected) == expected, cycle
            await ctx.tick()

    simulate(dut, bench)
    convert(dut)


def accessed(plan: LayerPlan, source: int, node: int) -> Step:
    """The step that an access from outside is."""
    passes = plan.passes
    return Step(1, "update", source // passes.input_lanes, node // passes.node_lanes)


@pytest.mark.parametrize("name", NAMES)
def test_an_access_is_a_step_that_updates_nothing(name: str) -> None:
    plan = plan_of(name)
    layer, passes = plan.layer, plan.passes
    for source, node in ((0, 0), (layer.n_in - 1, 0), (layer.n_in - 1, layer.n_out - 1)):
        dut = PassSequencer(plan)
        step = accessed(plan, source, node)

        async def bench(ctx: Any, dut: PassSequencer = dut, step: Step = step, of: Any = (source, node)) -> None:
            ctx.set(dut.access_input, of[0])
            ctx.set(dut.access_output, of[1])
            ctx.set(dut.access_enable, 1)
            ctx.set(dut.access_write, 1)
            assert ctx.get(dut.times.writing) == 0
            await ctx.tick()
            for cycle in range(1, 60):
                assert ctx.get(dut.times.writing) == 1
                # The access is held, and with it that it begins.
                assert ctx.get(dut.times.step) & 1 == 1
                assert ctx.get(dut.times.forward) == ctx.get(dut.times.update) == 0
                for part in ("input_part", "node_part"):
                    for field in getattr(dut.times, part).shape().members:
                        if cycle > offset_of(plan, field):
                            assert ctx.get(getattr(dut.times, part)[field]) == getattr(step, part)
                if passes.shared and cycle > passes.stepped:
                    assert ctx.get(dut.times.multiplies.update) == 1
                await ctx.tick()

        simulate(dut, bench)


@pytest.mark.parametrize("name", NAMES)
def test_counters_are_counted(name: str) -> None:
    plan, parts = plan_of(name), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_pass_sequencer(parts, plan)
    counters = (plan.passes.inputs, plan.passes.nodes, plan.passes.step_cycles)
    assert 1 << parts.counts["counter"] >= counters[0] * counters[1] * counters[2]
    assert parts.counts["register"] > parts.counts["counter"]
