"""A test bench for a core behind a bus: cocotb drives it in Icarus Verilog, and compares it with the integer model.

Run it with the spec of a learner or with a saved network::

    python examples/bus_testbench.py learner.toml --bus axi --samples 1000

Samples, teaching and predictions stall at random. Then every register and every number of the register map is read and
compared with the integer model, written, and read again. It needs cocotb, cocotbext-axi and Icarus Verilog. A learner
with a guard is refused: when that restores coefficients depends on the cycles in which samples come.

The module is both: run as a program it writes the Verilog and starts the simulator, which then imports it as a test.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb_tools.runner import get_results, get_runner
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

import kanrtl
from kanrtl.bus.byte_layout import ByteLayout
from kanrtl.bus.register_map import Numbers, PlacedRegister, RegisterMap
from kanrtl.bus.shells import SHELLS
from kanrtl.lookup.rtl.lookup_core import create_core
from kanrtl.sessions.backends.model import ModelLearner

SEED = 1
WORD_MASK = 0xFFFFFFFF


def read_core(path: str) -> kanrtl.LearnerSpec | kanrtl.LookupNetwork:
    """Read a spec or a network."""
    return kanrtl.LookupNetwork.load(path) if path.endswith(".npz") else kanrtl.LearnerSpec.from_toml(path)


# In the simulator.


class Expectation:
    """What is sent to a core, and what has to come back, by the integer model."""

    def __init__(self, core: kanrtl.LearnerSpec | kanrtl.LookupNetwork, count: int) -> None:
        draw = np.random.default_rng(SEED)
        self.model: ModelLearner | None = None
        self.target: Any = np.zeros((count, 0), np.int64)
        self.learn = np.zeros(count, bool)
        self.last = draw.random(count) < 0.2
        if isinstance(core, kanrtl.LookupNetwork):
            format = core.sample_format
            self.x = draw.integers(format.minimum, format.maximum + 1, (count, core.n_in))
            inner: Any = core.quantiser
            codes = inner.codes_of_raw(self.x) if hasattr(inner, "codes_of_raw") else self.x
            self.predictions = core.predict_codes(codes)
        else:
            self.x = core.formats.input.quantise(draw.uniform(-2.2, 2.2, (count, core.n_in)))
            self.target = core.target_format.quantise(draw.uniform(-1, 1, (count, core.n_out)))
            # Where samples stream, an update is seen a number of cycles later, and stalls would change of how many
            # samples: then nothing is taught.
            self.learn = draw.random(count) < (0.0 if core.timing.streaming else 0.8)
            self.model = ModelLearner(core)
            self.predictions = self.model.run(self.x, self.target, self.learn)

    def words(self, map: RegisterMap) -> dict[str, int]:
        """What every register that can be read must read when all is done, by its name."""
        taught = int(self.learn.any())
        status = {"ready": 1, "predicted": int(not map.streams), "pending": 0, "awaits_teaching": 0}
        events = {"predicted": 1, "updated": taught, "refused": 0}
        words = {each.name: each.reset for each in map.registers if each.reset is not None}
        for name, bits in (("status", status), ("events", events)):
            register = map.find(name).register
            words[name] = register.pack(**{field.name: bits[field.name] for field in register.fields})
        words |= {each.name: 0 for each in map.registers if not each.register.readable}
        if self.model is not None:
            # The map tells no words of rates, which a reset need not restore.
            kinds = ("learning_rate", "linear_rate")
            rates = [each.name for each in map.registers if each.name.startswith(kinds) and not each.constant]
            words |= dict(zip(rates, self.model.read_learning_rates(), strict=True))
            for kind, count in self.model.read_saturations().items():
                words[f"saturations_{kind}" if f"saturations_{kind}" in words else f"count_{kind}"] = count
            if "noise" in {each.name for each in map.registers}:
                words["noise"] = self.model.read_noise() >> map.find("noise").register.fields[0].width
        return words

    def numbers(self, map: RegisterMap) -> dict[str, Any]:
        """What every array must read when all is done, by its name; those that cannot be read read zero."""
        arrays = {each.name: np.zeros([one.count for one in each.dimensions], np.int64) for each in map.arrays}
        if "prediction" in arrays:
            arrays["prediction"] = self.predictions[-1]
        if self.model is not None:
            coefficients = self.model.read_coefficients()
            arrays |= {f"coefficients{layer}": codes for layer, codes in enumerate(coefficients)}
        return arrays


def address_of(numbers: Numbers, index: tuple[int, ...]) -> int:
    """The address of one number of an array."""
    return numbers.address + sum(i * each.stride for i, each in zip(index, numbers.dimensions, strict=True))


def to_frame(layout: ByteLayout, **rows: Any) -> AxiStreamFrame:
    """The bytes of a transfer; rows of numbers by name."""
    codes = {
        field: int(code)
        for name, row in rows.items()
        for field, code in ([(name, row)] if np.ndim(row) == 0 else [(f"{name}_{i}", one) for i, one in enumerate(row)])
    }
    return AxiStreamFrame(layout.to_bytes(codes))


class WishboneMaster:
    """A master that asks for one word after another, as a classic or as a pipelined one by chance, after a pause."""

    def __init__(self, dut: Any, clock: Any) -> None:
        self._dut, self._clock = dut, clock
        for pin in ("cyc", "stb", "we", "adr", "sel", "dat_w"):
            getattr(dut, f"wb_{pin}").value = 0

    async def _transfer(self, address: int, word: int | None) -> int:
        dut, pipelined = self._dut, random.random() < 0.5
        for _ in range(random.choice((0, 0, 1, 3))):
            await RisingEdge(self._clock)
        dut.wb_adr.value, dut.wb_we.value, dut.wb_dat_w.value = address // 4, word is not None, word or 0
        dut.wb_cyc.value, dut.wb_stb.value, dut.wb_sel.value = 1, 1, 15
        while True:
            await RisingEdge(self._clock)
            if pipelined and dut.wb_stall.value == 0:
                dut.wb_stb.value = 0  # it was taken; the answer may come later
            assert dut.wb_err.value == 0, f"{address:#x} is refused"
            if dut.wb_ack.value == 1:
                dut.wb_cyc.value = dut.wb_stb.value = 0
                read = dut.wb_dat_r.value.to_unsigned()
                await RisingEdge(self._clock)
                return int(read)

    async def read_dword(self, address: int) -> int:
        """Read a word."""
        return await self._transfer(address, None)

    async def write_dword(self, address: int, word: int) -> None:
        """Write a word."""
        await self._transfer(address, word & WORD_MASK)


def stalls(seed: int) -> Iterator[bool]:
    """Bits at random: whether a channel stalls in a cycle."""
    dice = random.Random(seed)
    while True:
        yield dice.random() < 0.4


async def run_streams(dut: Any, shell: Any, expected: Expectation) -> None:
    """Send everything over AXI4-Stream, and compare what comes."""
    clock, reset = dut.aclk, dut.aresetn

    def stream(kind: Any, prefix: str, seed: int) -> Any:
        end = kind(AxiStreamBus.from_prefix(dut, prefix), clock, reset, reset_active_level=False)
        end.set_pause_generator(stalls(seed))
        return end

    source, sink = stream(AxiStreamSource, "s_axis_samples", 1), stream(AxiStreamSink, "m_axis_predictions", 2)
    teacher = stream(AxiStreamSource, "s_axis_teaching", 3) if "teaching" in shell.layouts else None
    layout = shell.layouts["samples"]
    frame: list[AxiStreamFrame] = []
    for x, target, learn, last in zip(expected.x, expected.target, expected.learn, expected.last, strict=True):
        rows = {"x": x, "learn": learn} | ({} if teacher else {"target": target})
        frame.append(to_frame(layout, **rows))
        if last:  # a packet ends
            await source.send(AxiStreamFrame(b"".join(bytes(one.tdata) for one in frame)))
            frame = []
        if teacher and learn:
            await teacher.send(to_frame(shell.layouts["teaching"], target=target))
    if frame:
        await source.send(AxiStreamFrame(b"".join(bytes(one.tdata) for one in frame)))
    count, size = 0, shell.layouts["predictions"].size
    ends = np.flatnonzero(expected.last) + 1
    packets = [*ends, *([len(expected.x)] if expected.x.shape[0] not in ends else [])]
    for end in packets:
        content = bytes((await sink.recv()).tdata)
        assert len(content) == size * (end - count), "a packet of predictions is as long as that of its samples"
        for place in range(0, len(content), size):
            codes = list(shell.layouts["predictions"].from_bytes(content[place : place + size]).values())
            assert codes == expected.predictions[count].tolist(), f"prediction {count}"
            count += 1


async def run_registers(master: Any, map: RegisterMap, expected: Expectation) -> None:
    """Send everything through registers, and compare what comes."""
    at = {each.name: each.address for each in map.entries}
    late = map.identification.after_prediction

    async def await_flag(name: str) -> None:
        while not map.find("status").register.unpack(await master.read_dword(at["status"]))[name]:
            pass

    async def write(name: str, row: Any) -> None:
        for index, code in enumerate(row):
            await master.write_dword(at[name] + 4 * index, int(code) & WORD_MASK)

    rows = zip(expected.x, expected.target, expected.learn, expected.predictions, strict=True)
    for number, (x, target, learn, prediction) in enumerate(rows):
        await write("sample", x)
        if not late:
            await write("target", target)
        await master.write_dword(at["submit"], int(learn))
        await await_flag("predicted")
        found = [await master.read_dword(at["prediction"] + 4 * index) for index in range(len(prediction))]
        assert found == [int(code) & WORD_MASK for code in prediction], f"prediction {number}"
        if late and learn:
            await await_flag("awaits_teaching")
            await write("target", target)
            await master.write_dword(at["teach"], 1)


async def check_map(master: Any, map: RegisterMap, expected: Expectation) -> None:
    """Read every register and every number, and write each; then read some addresses at which there is nothing."""
    words, numbers, dice = expected.words(map), expected.numbers(map), random.Random(SEED)
    placed = {each.address: (each.name, words[each.name]) for each in map.registers}
    for each in map.arrays:
        for index, code in np.ndenumerate(numbers[each.name]):
            placed[address_of(each, index)] = f"{each.name}{list(index)}", int(code) & WORD_MASK
    for address, (name, word) in placed.items():
        assert await master.read_dword(address) == word, name
    for each in map.arrays:
        if each.name == "sample" or each.name == "target":
            continue  # every sample wrote them; they cannot be read
        for index in np.ndindex(*(one.count for one in each.dimensions)):
            address = address_of(each, index)
            code = dice.randint(each.format.minimum, each.format.maximum) & WORD_MASK
            await master.write_dword(address, code)
            wanted = code if each.writable else placed[address][1]
            assert await master.read_dword(address) == wanted, placed[address][0]
    for each in map.registers:
        if each.name not in ("submit", "teach"):  # every sample wrote them
            await check_register(master, each, words[each.name], dice)
    holes = [address for address in range(0, 1 << map.address_width, 4) if address not in placed]
    for address in dice.sample(holes, 20):
        await master.write_dword(address, WORD_MASK)
        assert await master.read_dword(address) == 0, f"{address:#x}"


async def check_register(master: Any, placed: PlacedRegister, word: int, dice: random.Random) -> None:
    """Write one register, which reads ``word`` before, and read it again."""
    name, address = placed.name, placed.address
    most = sum(field.mask for field in placed.register.fields)

    async def write(value: int, then: int) -> None:
        await master.write_dword(address, value)
        assert await master.read_dword(address) == then, f"{name} after {value:#x} is written"

    if not placed.register.writable:
        await write(word ^ WORD_MASK, word)
    elif name == "events":  # a bit is cleared where 1 is written
        await write(0, word)
        await write(most, 0)
    elif name.startswith(("saturations_", "count_")):  # whatever is written clears it
        await write(WORD_MASK, 0)
    elif name == "noise":  # two writes fill it, and the first is read
        first = dice.randint(1, most)
        await master.write_dword(address, first)
        await write(dice.randint(1, most), first)
    else:
        code = dice.getrandbits(32)
        acting = sum(field.mask for field in placed.register.fields if field.name == "restore")  # which reads 0
        await write(code, code & most & ~acting)
        await write(0, 0)


@cocotb.test()  # type: ignore[misc]
async def core_gives_the_models_bits(dut: Any) -> None:
    """Samples with stalls, and then the register map."""
    random.seed(SEED)
    described, bus = read_core(os.environ["KANRTL_CORE"]), os.environ["KANRTL_BUS"]
    expected = Expectation(described, int(os.environ["KANRTL_SAMPLES"]))
    network = isinstance(described, kanrtl.LookupNetwork)
    shell: Any = SHELLS[bus](create_core(described) if network else kanrtl.Learner(described))
    axi = bus != "wishbone"
    clock, reset = (dut.aclk, dut.aresetn) if axi else (dut.clk, dut.rst)
    reset.value = int(not axi)
    if not network:
        dut.freeze.value = 0
    if axi:
        master: Any = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), clock, reset, reset_active_level=False)
        write, read = master.write_if, master.read_if
        channels = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
        for number, channel in enumerate(channels):
            channel.set_pause_generator(stalls(10 + number))
    else:
        master = WishboneMaster(dut, clock)
    if bus == "axi":
        streams = cocotb.start_soon(run_streams(dut, shell, expected))
    cocotb.start_soon(Clock(clock, 10, "ns").start())
    await ClockCycles(clock, 4)
    reset.value = int(axi)
    await ClockCycles(clock, 2)
    if bus == "axi":
        await streams
    else:
        await run_registers(master, shell.map, expected)
    await ClockCycles(clock, 50 + (0 if network else described.latency))
    await check_map(master, shell.map, expected)


# Outside of it.


def write_verilog(core: Path, bus: str, path: Path) -> None:
    """Write the module ``top``: a core behind a bus."""
    program = [sys.executable, "-m", "kanrtl", "verilog", str(core), "--bus", bus, "--name", "top"]
    subprocess.run([*program, "-o", str(path)], check=True, stdout=subprocess.DEVNULL)


def simulate(core: Path, bus: str, samples: int, verilog: Path) -> None:
    """Run the test bench of a core behind a bus on its Verilog, in the folder of that.

    Raises :exc:`SystemExit` where something differs.
    """
    here = str(Path(__file__).resolve().parent)
    if here not in sys.path:  # which the simulator gets, to import this module
        sys.path.append(here)
    environment = {
        "KANRTL_CORE": str(core.resolve()),
        "KANRTL_BUS": bus,
        "KANRTL_SAMPLES": str(samples),
        "COCOTB_LOG_LEVEL": "WARNING",
    }
    runner = get_runner("icarus")
    build, results = verilog.parent / "built", verilog.parent / "results.xml"
    runner.build(sources=[verilog], hdl_toplevel="top", build_dir=build, timescale=("1ns", "1ps"))
    module = Path(__file__).stem
    runner.test(module, "top", build_dir=build, results_xml=str(results), extra_env=environment)
    _, failed = get_results(results)
    if failed:
        raise SystemExit("the core differs from the integer model, or the test bench failed; the simulator said where")


def create_parser() -> argparse.ArgumentParser:
    """What the program takes."""
    parser = argparse.ArgumentParser(description="Compare a core behind a bus with the integer model, in Icarus.")
    parser.add_argument("core", type=Path, help="the spec of a learner (TOML), or a saved network (.npz)")
    parser.add_argument("--bus", choices=[bus for bus in SHELLS if bus != "plain"], default="axi")
    parser.add_argument("--samples", type=int, default=300)
    return parser


def main() -> None:
    """Run as a program."""
    given = create_parser().parse_args()
    core = read_core(str(given.core))
    if isinstance(core, kanrtl.LearnerSpec) and core.guard is not None:
        raise SystemExit(
            f"{given.core}: the learner has a guard, which this test bench does not follow; take one without"
        )
    with tempfile.TemporaryDirectory() as folder:
        verilog = Path(folder) / "top.v"
        write_verilog(given.core, given.bus, verilog)
        simulate(given.core, given.bus, given.samples, verilog)
    print(f"{given.samples} samples over {given.bus}: everything equals the integer model")


if __name__ == "__main__":
    main()
