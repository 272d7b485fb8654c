"""What brings a learner to its start: the walk alone, who asks beside it, and all of it in a learner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from bench.compatibility import LEARNERS
from kanrtl import Learner, LearnerSpec
from kanrtl.bus.register_map import RegisterMap
from kanrtl.learner.address_map import CONTROL_FREEZE, CONTROL_RESTORE, AddressMap
from kanrtl.learner.restoration import Restoration
from kanrtl.learner.rtl.restorer import AccessSwitch, Restorer, Restoring, StartValues
from kanrtl.numeric.fixed import Codes
from kanrtl.sessions.backends.model import ModelLearner
from support.components import convert, count_cells, record, simulate
from support.small_cores import random_samples
from support.tiers import only

SPEC = LearnerSpec(
    layer_sizes=[2, 3, 1], grid_range=(-2, 2), grid_size=[3, 8], spline_order=[2, 3], linear=[False, True], seed=5
)


def write_all(dut: Restorer, values: list[int], *, late: int, again: bool) -> list[tuple[int, int, int]]:
    """Serve a restorer's requests, each some cycles late; give address, write and data of each."""
    written: list[tuple[int, int, int]] = []
    request, response = dut.access.request, dut.access.response

    async def bench(ctx: Any) -> None:
        if again:
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
        while ctx.get(dut.busy):
            position = ctx.get(dut.values.position)
            await ctx.tick()
            # What it asks for comes a cycle later.
            ctx.set(dut.values.value, values[position])
            if not ctx.get(request.valid):
                continue
            for _ in range(late):
                await ctx.tick()
            ctx.set(request.ready, 1)
            payload = request.payload
            written.append((ctx.get(payload.address), ctx.get(payload.write), ctx.get(payload.data)))
            await ctx.tick()
            ctx.set(request.ready, 0)
            assert not ctx.get(request.valid)
            for _ in range(late):
                await ctx.tick()
            assert not ctx.get(request.valid)
            ctx.set(response.valid, 1)
            assert ctx.get(response.ready)
            await ctx.tick()
            ctx.set(response.valid, 0)

    simulate(dut, bench)
    return written


def coefficient_addresses() -> list[int]:
    addresses = AddressMap.of(SPEC)
    return [
        addresses.coefficient(number, *where)
        for number, codes in enumerate(SPEC.initial_codes())
        for where in np.ndindex(codes.shape)
    ]


@pytest.mark.parametrize("late", [0, 2])
def test_everything_is_written_once_in_its_order(late: int) -> None:
    restoration = Restoration.of(SPEC)
    registers = tuple(address for address, _ in restoration.registers)
    dut = Restorer(SPEC, registers, after_reset=True)
    assert dut.latency == 1
    written = write_all(dut, list(restoration.values), late=late, again=False)
    places = [*coefficient_addresses(), *registers]
    assert written == [(place, 1, value) for place, value in zip(places, restoration.values, strict=True)]


def test_values_may_come_from_anywhere_and_registers_stay() -> None:
    """As from a memory of coefficients that were good."""
    places = coefficient_addresses()
    values = np.random.default_rng(1).integers(-100, 100, len(places)).tolist()
    written = write_all(Restorer(SPEC), values, late=0, again=True)
    assert written == [(place, 1, value) for place, value in zip(places, values, strict=True)]


def test_it_begins_when_told_to_and_not_before() -> None:
    found = record(Restorer(SPEC), [{}, {}, {"begin": 1}, {"begin": 0}, {}, {}], ["busy", "access.request.valid"])
    assert found == {"busy": [0, 0, 0, 1, 1, 1], "access.request.valid": [0, 0, 0, 0, 1, 1]}


def test_start_values_are_there_at_once() -> None:
    dut, values = StartValues(SPEC), Restoration.of(SPEC).values
    assert dut.latency == 0
    found = record(dut, [{"values.position": position} for position in range(len(values))], ["values.value"])
    assert found["values.value"] == list(values)


def test_who_asked_gets_the_answer() -> None:
    dut = AccessSwitch(SPEC)
    assert dut.latency == 0
    inputs: list[dict[str, Any]] = [
        {"first.request.valid": 1, "first.request.payload.address": 9, "second.request.payload.address": 5},
        {"both.request.ready": 1},
        {"first.request.valid": 0, "both.request.ready": 0, "both.response.valid": 1, "both.response.payload": 77},
        {"second_only": 1, "second.request.valid": 1},  # the answer to the first is still its own
        {"first.response.ready": 1, "second.request.payload.write": 1},
        {"both.response.valid": 0, "both.request.ready": 1, "first.request.valid": 1},
        {"both.response.valid": 1, "second.response.ready": 1, "first.response.ready": 0, "both.request.ready": 0},
    ]
    outputs = ["both.request.valid", "both.request.payload.address", "both.response.ready"]
    outputs += [f"{who}.{what}" for who in ("first", "second") for what in ("request.ready", "response.valid")]
    assert record(dut, inputs, outputs) == {
        "both.request.valid": [1, 1, 0, 1, 1, 1, 1],
        "both.request.payload.address": [9, 9, 9, 5, 5, 5, 5],
        "both.response.ready": [0, 0, 0, 0, 1, 1, 1],
        "first.request.ready": [0, 1, 0, 0, 0, 0, 0],
        "first.response.valid": [0, 0, 1, 1, 1, 0, 0],
        "second.request.ready": [0, 0, 0, 0, 0, 1, 0],
        "second.response.valid": [0, 0, 0, 0, 0, 0, 1],
    }


def test_all_can_be_synthesised_alone() -> None:
    for component in (Restorer(SPEC), StartValues(SPEC), AccessSwitch(SPEC), Restoring(SPEC.replace(initial="reset"))):
        convert(component)


RESTARTING = {row.name: row.spec for row in LEARNERS if row.spec.restarts}


class Play:
    """A learner in Amaranth's simulator, with a reset beside it."""

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec, self.reset, self.learner = spec, Signal(), Learner(spec)

    def simulate(self, *benches: Any) -> None:
        simulator = Simulator(ResetInserter(self.reset)(self.learner))
        simulator.add_clock(1e-8)
        for bench in benches:
            simulator.add_testbench(bench)
        simulator.run()

    async def count_until_ready(self, ctx: Any) -> int:
        """The clock edges until one at which a sample could be taken, that one among them."""
        count = 1
        while not ctx.get(self.learner.samples.ready):
            count += 1
            await ctx.tick()
        return count

    async def teach(self, ctx: Any, x: Codes, target: Codes) -> list[list[int]]:
        """Predictions of samples that are learned one after another."""
        learner, spec = self.learner, self.spec
        predictions: list[list[int]] = []
        if not spec.timing.streaming:
            ctx.set(learner.predictions.ready, 1)
        for row, wanted in zip(x, target, strict=True):
            for index, code in enumerate(row):
                ctx.set(learner.samples.payload.x[index].raw, int(code))
            word = learner.teaching.payload if spec.timing.after_prediction else learner.samples.payload.target
            for index, code in enumerate(wanted):
                ctx.set(word[index].raw, int(code))
            ctx.set(learner.samples.payload.learn, 1)
            ctx.set(learner.samples.valid, 1)
            if spec.timing.after_prediction:
                ctx.set(learner.teaching.valid, 1)
            while not ctx.get(learner.samples.ready):
                await ctx.tick()
            await ctx.tick()
            ctx.set(learner.samples.valid, 0)
            updated = False
            while not updated:  # so that samples that stream do not overtake each other
                if ctx.get(learner.predictions.valid):
                    predictions.append([ctx.get(one.raw) for one in learner.predictions.payload])
                updated = ctx.get(learner.updated)
                await ctx.tick()
            if ctx.get(learner.predictions.valid):
                predictions.append([ctx.get(one.raw) for one in learner.predictions.payload])
            await ctx.tick().repeat(2)
        if spec.timing.after_prediction:
            ctx.set(learner.teaching.valid, 0)
        return predictions

    async def access(self, ctx: Any, address: int, value: int | None = None) -> int:
        request, response = self.learner.access.request, self.learner.access.response
        ctx.set(request.payload, {"address": address, "write": value is not None, "data": value or 0})
        ctx.set(request.valid, 1)
        ctx.set(response.ready, 1)
        while not ctx.get(request.ready):
            await ctx.tick()
        await ctx.tick()
        ctx.set(request.valid, 0)
        while not ctx.get(response.valid):
            await ctx.tick()
        answer: int = ctx.get(response.payload)
        return answer


def model_predictions(spec: LearnerSpec, x: Codes, target: Codes) -> list[list[int]]:
    """Those of samples so far from each other that every update is seen by the next."""
    model = ModelLearner(spec.replace(schedule="sequential"))
    predictions: list[list[int]] = model.run(x, target, np.full(len(x), True)).tolist()
    return predictions


@pytest.mark.parametrize("name", only(lambda name: "streaming" not in name, RESTARTING))
def test_a_reset_and_the_control_register_bring_everything_back(name: str) -> None:
    """In as many cycles as the spec says, whatever was learned and set before."""
    spec = RESTARTING[name]
    x, target = random_samples(spec, 6)
    expected, addresses, play = model_predictions(spec, x, target), AddressMap.of(spec), Play(spec)
    assert play.learner.restart_cycles == spec.restart_cycles
    assert spec.restart_cycles is not None

    async def bench(ctx: Any) -> None:
        ctx.set(play.reset, 1)
        await ctx.tick().repeat(2)
        ctx.set(play.reset, 0)
        assert await play.count_until_ready(ctx) == spec.restart_cycles
        assert await play.teach(ctx, x, target) == expected
        # Other rates, for which tables are made that have to go as well.
        for layer in range(spec.n_layers):
            await play.access(ctx, addresses.learning_rate(layer), 1)
        assert await play.teach(ctx, x, target) != expected
        assert await play.access(ctx, addresses.control, CONTROL_RESTORE) == CONTROL_RESTORE
        # The answer is seen in the cycle after the edge that began it.
        assert await play.count_until_ready(ctx) == spec.restart_cycles
        assert await play.access(ctx, addresses.control) == 0
        assert await play.teach(ctx, x, target) == expected
        # While it writes, a reset begins it anew, and other accesses wait, frozen or not.
        await play.access(ctx, addresses.control, CONTROL_RESTORE | CONTROL_FREEZE)
        assert await play.access(ctx, addresses.control) == CONTROL_FREEZE
        await play.access(ctx, addresses.control, CONTROL_RESTORE)
        await ctx.tick().repeat(spec.restart_cycles // 2)
        ctx.set(play.reset, 1)
        await ctx.tick()
        ctx.set(play.reset, 0)
        assert await play.count_until_ready(ctx) == spec.restart_cycles
        # What is told of the registers is what they hold.
        registers = {placed.name: placed.reset for placed in RegisterMap.of(spec, streams=True).registers}
        assert await play.access(ctx, addresses.learning_rate(0)) == registers["learning_rate0"]
        if "noise" in registers:
            assert await play.access(ctx, addresses.noise) == registers["noise"]
        assert await play.teach(ctx, x, target) == expected

    play.simulate(bench)


def test_nothing_is_held_that_is_never_written() -> None:
    """Tables of bases and of the sigmoid are logic: all memories are those of coefficients and steps."""
    for name in ("read-reset-logic", "read-reset"):
        spec = RESTARTING[name]
        _, memories = count_cells(Learner(spec))
        tables = [layer.n_in * plan.block_tables for layer, plan in zip(spec.layers, spec.plans, strict=True)]
        assert sum(memories.values()) == sum(layer.n_in * layer.banks for layer in spec.layers) + sum(tables)
