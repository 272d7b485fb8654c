"""A core behind a bus without streams: samples go in and predictions come out through registers."""

import random
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kanrtl import Learner
from kanrtl.bus.rtl.register_shell import AxiLiteShell, WishboneShell
from kanrtl.sessions.backends.model import ModelLearner
from support.bus_masters import AxiLiteMaster, WishboneMaster
from support.guarded_specs import GUARDED
from support.register_reads import MASK, addresses_of, expected_words, write_everything
from support.small_cores import SPECS, create_learner, create_network, pins_of, random_codes, random_samples

MASTERS = {
    "classic": lambda ctx, shell, dice, stalls: WishboneMaster(ctx, pins_of(shell, "wb"), dice, stalls),
    "pipelined": lambda ctx, shell, dice, stalls: WishboneMaster(ctx, pins_of(shell, "wb"), dice, stalls, True),
    "AXI4-Lite": lambda ctx, shell, dice, stalls: AxiLiteMaster(ctx, pins_of(shell, "s_axil"), dice, stalls),
}


async def poll(master: Any, address: int, bit: int) -> None:
    for _ in range(200):
        if (await master.read(address)).data >> bit & 1:
            return
    raise AssertionError("a flag never comes")


@pytest.mark.parametrize(
    ("bus", "name"),
    [
        ("classic", "after prediction"),
        ("pipelined", "no registers"),
        ("AXI4-Lite", "after prediction"),
        ("classic", "streaming"),
    ],
)
def test_learner_gives_the_models_bits(bus: str, name: str) -> None:
    spec, dice, count = SPECS[name], random.Random(name), 8
    x, target = random_samples(spec, count)
    # A streaming learner with one sample in it at a time learns as no stream of samples does.
    learn = np.zeros(count, bool) if spec.timing.streaming else np.random.default_rng(1).random(count) < 0.8
    model = ModelLearner(spec)
    predictions = model.run(x, target, learn)
    shell = (AxiLiteShell if bus == "AXI4-Lite" else WishboneShell)(create_learner(name))
    map = shell.map
    at = {each.name: each.address for each in map.entries}
    status = {field.name: field.low for field in map.find("status").register.fields}

    async def bench(ctx: Any) -> None:
        master = MASTERS[bus](ctx, shell, dice, 3)
        for x_row, target_row, taught, prediction in zip(x, target, learn, predictions, strict=True):
            for index, code in enumerate(x_row):
                assert not (await master.write(at["sample"] + 4 * index, int(code))).refused
            if not spec.timing.after_prediction:
                for index, code in enumerate(target_row):
                    await master.write(at["target"] + 4 * index, int(code))
            assert not (await master.write(at["submit"], int(taught))).refused
            await poll(master, at["status"], status["predicted"])
            found = [(await master.read(at["prediction"] + 4 * index)).data for index in range(spec.n_out)]
            assert found == [int(code) & MASK for code in prediction]
            if spec.timing.after_prediction and taught:
                await poll(master, at["status"], status["awaits_teaching"])
                for index, code in enumerate(target_row):
                    await master.write(at["target"] + 4 * index, int(code))
                assert not (await master.write(at["teach"], 0)).refused
        await ctx.tick().repeat(spec.latency + 8)
        for address, word in expected_words(map, model).items():
            assert (await master.read(address)).data == word, hex(address)
        await write_everything(map, master, dice)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("name", ["raw", "threshold", "folded"])
def test_network_gives_the_models_bits(name: str) -> None:
    core, dice = create_network(name), random.Random(name)
    codes, predictions = random_codes(core.network, 10)
    shell = WishboneShell(core)
    at = {each.name: each.address for each in shell.map.entries}

    async def bench(ctx: Any) -> None:
        master = MASTERS["classic"](ctx, shell, dice, 2)
        for address, word in expected_words(shell.map, None).items():
            assert (await master.read(address)).data == word, hex(address)
        for row, prediction in zip(codes, predictions, strict=True):
            for index, code in enumerate(row):
                await master.write(at["sample"] + 4 * index, int(code))
            await master.write(at["submit"], 0)
            await poll(master, at["status"], 1)
            found = [(await master.read(at["prediction"] + 4 * index)).data for index in range(len(prediction))]
            assert found == [int(code) & MASK for code in prediction]
        await write_everything(shell.map, master, dice)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("bus", ["classic", "AXI4-Lite"])
def test_a_guard_is_watched_and_released_over_the_bus(bus: str) -> None:
    """A teacher that breaks: its fault comes to the pins, to the interrupt and to the registers, which are the model's;
    a write releases it."""
    spec, count, broken = GUARDED, 60, 32
    numbers, ends = np.random.default_rng(3), [spec.target_format.minimum, spec.target_format.maximum]
    x = spec.formats.input.quantise(numbers.uniform(-2, 2, (count, 1)))
    target = spec.target_format.quantise(0.5 * spec.formats.input.to_float(x))
    target[broken:] = numbers.choice(ends, (count - broken, 1))
    model = ModelLearner(spec)
    predictions = model.run(x, target, np.ones(count, bool))
    shell = (AxiLiteShell if bus == "AXI4-Lite" else WishboneShell)(Learner(spec))
    at = {each.name: each.address for each in shell.map.entries}
    events, guard = (
        {field.name: field.low for field in shell.map.find(name).register.fields} for name in ("events", "guard_status")
    )

    async def bench(ctx: Any) -> None:
        master = MASTERS[bus](ctx, shell, random.Random(bus), 2)
        await master.write(at["interrupt_enable"], 1 << events["fault"])
        for number, (x_row, target_row, prediction) in enumerate(zip(x, target, predictions, strict=True)):
            await master.write(at["sample"], int(x_row[0]))
            await master.write(at["target"], int(target_row[0]))
            await master.write(at["submit"], 1)
            await poll(master, at["status"], 1)
            assert (await master.read(at["prediction"])).data == int(prediction[0]) & MASK
            assert ctx.get(shell.irq) == ctx.get(shell.guard_fault)
            assert number >= broken or not ctx.get(shell.guard_fault)
        report = model.read_guard()
        assert report.fault
        assert ctx.get(shell.guard_fault)
        status = sum(1 << guard[name] for name in (*report.seen, "fault"))
        assert (await master.read(at["guard_status"])).data == status
        assert ctx.get(shell.guard_status) == status & 0b1111
        assert (await master.read(at["guard_error_sum"])).data == report.error_sum
        for name, seen in report.counts.items():
            assert (await master.read(at[f"guard_count_{name}"])).data == seen
        # What it learned from the broken teacher is gone.
        for (index, address), code in zip(
            addresses_of(shell.map.find_array("coefficients0")), model.read_coefficients()[0].ravel(), strict=True
        ):
            assert (await master.read(address)).data == int(code) & MASK, index
        # An event that is cleared does not come again while the fault stays.
        await master.write(at["events"], MASK)
        assert not ctx.get(shell.irq)
        await master.write(at["guard_status"], 1 << guard["fault"])
        assert not (await master.read(at["guard_status"])).data
        assert not ctx.get(shell.guard_fault)

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("bus", ["classic", "AXI4-Lite"])
@pytest.mark.parametrize("name", ["no registers", "streaming", "raw", "folded network"])
def test_latency_is_that_of_the_pins(bus: str, name: str) -> None:
    """From the edge that takes the write to ``submit`` to the interrupt, from which on the prediction can be read."""
    core = create_learner(name) if name in SPECS else create_network(name.removesuffix(" network"))
    shell = (AxiLiteShell if bus == "AXI4-Lite" else WishboneShell)(core)
    at = {each.name: each.address for each in shell.map.entries}
    events = {field.name: field.low for field in shell.map.find("events").register.fields}
    pins = pins_of(shell, "s_axil" if bus == "AXI4-Lite" else "wb")
    request = (
        {"awvalid": 1, "awaddr": at["submit"], "wvalid": 1, "wstrb": 0xF, "bready": 1}
        if bus == "AXI4-Lite"
        else {"cyc": 1, "stb": 1, "we": 1, "adr": at["submit"] >> 2, "sel": 0xF}
    )
    # A request on Wishbone is taken at its first edge, whenever it is acknowledged.
    takes, ends = ("awready", ("awready", "bvalid")) if bus == "AXI4-Lite" else ("cyc", ("ack",))
    seen: list[int] = []

    async def bench(ctx: Any) -> None:
        master = MASTERS[bus](ctx, shell, random.Random(1), 0)
        await master.write(at["interrupt_enable"], 1 << events["predicted"])
        await ctx.tick().repeat(4)
        for name, value in request.items():
            ctx.set(pins[name], value)
        taken = None
        for cycle in range(shell.latency + 20):
            _, _, takes_it, irq, *answers = await ctx.tick().sample(pins[takes], shell.irq, *(pins[n] for n in ends))
            if irq and taken is not None:
                seen.append(cycle - 1 - taken)
                break
            if takes_it and taken is None:
                taken = cycle
            for name in request if any(answers) else ():
                ctx.set(pins[name], name == "bready")
        assert (await master.read(at["status"])).data >> 1 & 1

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [shell.latency]


def test_what_is_out_of_turn_is_refused() -> None:
    """Nothing is taught that the core did not ask for, and no sample overtakes another; the bus never hangs."""
    shell = WishboneShell(create_learner("after prediction"), patience=20)
    at = {each.name: each.address for each in shell.map.entries}

    async def bench(ctx: Any) -> None:
        master = WishboneMaster(ctx, pins_of(shell, "wb"), random.Random(1), 0)
        await master.write(at["interrupt_enable"], 0b100)
        assert (await master.write(at["teach"], 0)).refused
        assert ctx.get(shell.irq)
        await master.write(at["events"], MASK)
        assert not ctx.get(shell.irq)
        await master.write(at["submit"], 1)
        await poll(master, at["status"], 3)
        # The next sample waits for the teacher, the one behind it is refused, and so is an access.
        assert not (await master.write(at["submit"], 0)).refused
        assert (await master.write(at["submit"], 0)).refused
        assert (await master.write(at["sample"], 1)).refused
        assert (await master.read(at["coefficients0"])).refused
        assert not (await master.read(at["magic"])).refused
        assert not (await master.write(at["teach"], 0)).refused
        await poll(master, at["status"], 1)
        assert not (await master.read(at["coefficients0"])).refused

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
