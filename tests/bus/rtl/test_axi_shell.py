"""A core behind AXI4-Stream and AXI4-Lite gives the model's bits, however its neighbours stall."""

import random
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kanrtl import Learner
from kanrtl.bus.rtl.axi_shell import AxiShell
from kanrtl.learner.address_map import CONTROL_RESTORE
from kanrtl.sessions.backends.model import ModelLearner
from support.bus_masters import AxiLiteMaster, receive_stream, send_stream
from support.register_reads import expected_words, write_everything
from support.small_cores import (
    SPECS,
    create_learner,
    create_network,
    from_tdata,
    name_codes,
    pins_of,
    random_codes,
    random_samples,
    to_tdata,
)
from support.tiers import thorough


@pytest.mark.parametrize(
    ("name", "stalls", "count"),
    [
        ("after prediction", 4, 40),
        thorough("no registers", 3, 40),
        ("streaming", 0, 40),
        thorough("streaming", 4, 40),
        ("folded", 2, 20),
        thorough("modulated", 2, 20),
        thorough("linear", 2, 20),
    ],
)
def test_learner_gives_the_models_bits(name: str, stalls: int, count: int) -> None:
    """Predictions, and then everything that the map reaches, which is read and written."""
    spec, dice, numbers = SPECS[name], random.Random(name), np.random.default_rng(1)
    x, target = random_samples(spec, count)
    # Where samples stream, pauses would let updates come sooner than the model has them.
    learn = np.zeros(count, bool) if spec.timing.streaming and stalls else numbers.random(count) < 0.8
    last = numbers.random(count) < 0.5
    model = ModelLearner(spec)
    predictions = model.run(x, target, learn)
    shell = AxiShell(create_learner(name))
    layouts = shell.layouts
    samples = []
    for x_row, target_row, taught, flag in zip(x, target, learn, last, strict=True):
        codes = name_codes("x", x_row) | name_codes("target", target_row) | {"learn": int(taught)}
        samples.append({"tdata": to_tdata(layouts["samples"], codes), "tlast": int(flag)})
    words = []
    if "teaching" in layouts:
        words = [{"tdata": to_tdata(layouts["teaching"], name_codes("target", row))} for row in target[learn]]
    received: list[tuple[int, int]] = []

    async def sender(ctx: Any) -> None:
        await send_stream(ctx, pins_of(shell, "s_axis_samples"), samples, dice, stalls)

    async def teacher(ctx: Any) -> None:
        await send_stream(ctx, pins_of(shell, "s_axis_teaching"), words, dice, stalls)

    async def reader(ctx: Any) -> None:
        received.extend(await receive_stream(ctx, pins_of(shell, "m_axis_predictions"), count, dice, stalls))
        await ctx.tick().repeat(spec.latency + stalls + 8)
        master = AxiLiteMaster(ctx, pins_of(shell, "s_axil"), dice, stalls)
        for address, word in expected_words(shell.map, model).items():
            assert (await master.read(address)).data == word, hex(address)
        await write_everything(shell.map, master, dice)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(sender)
    if words:
        simulator.add_testbench(teacher)
    simulator.add_testbench(reader)
    simulator.run()
    assert [from_tdata(layouts["predictions"], data) for data, _ in received] == predictions.tolist()
    assert [flag for _, flag in received] == last.tolist()


@pytest.mark.parametrize(("name", "stalls"), [("raw", 4), ("folded", 3), ("quantiser", 0), ("argmax", 2)])
def test_network_gives_the_models_bits(name: str, stalls: int) -> None:
    core, dice, count = create_network(name), random.Random(name), 40
    codes, predictions = random_codes(core.network, count)
    last = np.random.default_rng(1).random(count) < 0.5
    shell = AxiShell(core)
    layouts = shell.layouts
    samples = [
        {"tdata": to_tdata(layouts["samples"], name_codes("x", row)), "tlast": int(flag)}
        for row, flag in zip(codes, last, strict=True)
    ]
    received: list[tuple[int, int]] = []

    async def sender(ctx: Any) -> None:
        await send_stream(ctx, pins_of(shell, "s_axis_samples"), samples, dice, stalls)

    async def reader(ctx: Any) -> None:
        received.extend(await receive_stream(ctx, pins_of(shell, "m_axis_predictions"), count, dice, stalls))
        master = AxiLiteMaster(ctx, pins_of(shell, "s_axil"), dice, stalls)
        for address, word in expected_words(shell.map, None).items():
            assert (await master.read(address)).data == word, hex(address)
        await write_everything(shell.map, master, dice)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(sender)
    simulator.add_testbench(reader)
    simulator.run()
    assert [from_tdata(layouts["predictions"], data) for data, _ in received] == predictions.tolist()
    assert [flag for _, flag in received] == last.tolist()


@pytest.mark.parametrize("name", ["no registers", "streaming", "raw", "folded network"])
def test_rate_and_latency_are_the_cores(name: str) -> None:
    """Where nobody stalls; what is between a sample and its prediction is told."""
    core = create_learner(name) if name in SPECS else create_network(name.removesuffix(" network"))
    shell, count = AxiShell(core), 20
    taken: list[int] = []
    given: list[int] = []

    async def watch(ctx: Any) -> None:
        ctx.set(shell.s_axis_samples_tvalid, 1)
        ctx.set(shell.m_axis_predictions_tready, 1)
        for cycle in range(count * core.interval + shell.latency + 8):
            _, _, ready, valid = await ctx.tick().sample(shell.s_axis_samples_tready, shell.m_axis_predictions_tvalid)
            if ready:
                taken.append(cycle)
            if valid:
                given.append(cycle)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(watch)
    simulator.run()
    interval = 1 if name == "streaming" else core.interval
    if name != "no registers":  # a prediction alone takes less than the step that the interval counts
        assert set(np.diff(taken)) == {interval}
    assert {out - into - 1 for into, out in zip(taken, given, strict=False)} == {shell.latency}
    assert len(given) >= count


def test_flags_and_interrupt() -> None:
    """Of a learner that nobody teaches: an access is refused, and later ones are served."""
    shell = AxiShell(create_learner("after prediction"), patience=20)
    address = {placed.name: placed.address for placed in shell.map.registers}
    coefficient = shell.map.find_array("coefficients0").address

    async def bench(ctx: Any) -> None:
        master = AxiLiteMaster(ctx, pins_of(shell, "s_axil"), random.Random(1), 0)
        assert (await master.read(address["status"])).data == 0b0001
        await master.write(address["interrupt_enable"], 0b100)
        ctx.set(shell.s_axis_samples_tdata, to_tdata(shell.layouts["samples"], {"learn": 1}))
        ctx.set(shell.s_axis_samples_tvalid, 1)
        await ctx.tick().repeat(2)
        ctx.set(shell.s_axis_samples_tvalid, 0)
        await ctx.tick().repeat(40)
        # Its prediction is there, the teacher's word is not.
        assert (await master.read(address["status"])).data & 0b1010 == 0b1010
        assert not ctx.get(shell.irq)
        assert (await master.read(coefficient)).refused
        assert ctx.get(shell.irq)
        assert (await master.read(address["events"])).data == 0b100
        assert (await master.write(coefficient, 1)).refused
        ctx.set(shell.m_axis_predictions_tready, 1)
        await ctx.tick()
        assert (await master.read(coefficient)).refused
        await master.write(address["events"], 0b100)
        assert not ctx.get(shell.irq)
        assert (await master.read(address["events"])).data == 0b001
        ctx.set(shell.s_axis_teaching_tvalid, 1)
        await ctx.tick()
        ctx.set(shell.s_axis_teaching_tvalid, 0)
        await ctx.tick().repeat(20)
        assert (await master.read(address["events"])).data & 0b011 == 0b011
        answer = await master.read(coefficient)
        assert (answer.data, answer.refused) == (0, False)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("name", ["no registers", "streaming"])
def test_an_access_waits_for_what_is_restored_whatever_waits_to_be_taken(name: str) -> None:
    spec = SPECS[name].replace(initial="reset")
    shell = AxiShell(Learner(spec), patience=12)
    assert spec.restart_cycles is not None
    assert spec.restart_cycles > 2 * 12
    control, rate = (shell.map.find(name).address for name in ("control", "learning_rate0"))

    async def bench(ctx: Any) -> None:
        master = AxiLiteMaster(ctx, pins_of(shell, "s_axil"), random.Random(1), 0)
        await master.write(rate, 1)
        ctx.set(shell.s_axis_samples_tvalid, 1)
        await ctx.tick().until(shell.s_axis_samples_tready)
        ctx.set(shell.s_axis_samples_tvalid, 0)
        await ctx.tick().repeat(40)
        assert ctx.get(shell.m_axis_predictions_tvalid)
        assert not (await master.write(control, CONTROL_RESTORE)).refused
        answer = await master.read(rate)
        assert (answer.data, answer.refused) == (spec.layers[0].learning_rate_code, False)
        assert ctx.get(shell.m_axis_predictions_tvalid)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
