"""A netlist of ECP5's or iCE40's cells as plain logic, written from what the cells do: many samples at a time, and no
clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kanrtl.build.flow import Job
from kanrtl.fabric.device import Device
from kanrtl.tools.rtlil import component_rtlil
from kanrtl.tools.toolchain import YOSYS


def synthesised(component: Any, folder: Path, device: str = "LFE5U-25F-6") -> dict[str, Any]:
    """The netlist of ``component`` as a build for ``device`` makes it."""
    return netlist_of("top.il", component_rtlil(component, "top"), folder, device)


def netlist_of(name: str, source: str, folder: Path, device: str = "LFE5U-25F-6") -> dict[str, Any]:
    """The netlist of a file whose top module is ``top``."""
    job = Job("top", {name: source}, Device.parse(device), 1, 50.0, (), bitstream=False)
    (folder / name).write_text(source)
    (folder / "synthesis.ys").write_text(job.synthesis_script)
    YOSYS.run(["-q", "-s", "synthesis.ys"], folder, "yosys.log", lambda _: None, produces=["netlist.json"])
    module: dict[str, Any] = json.loads((folder / "netlist.json").read_text())["modules"]["top"]
    return module


def settled(module: dict[str, Any], inputs: dict[str, list[int]], count: int) -> dict[str, list[int]]:
    """The outputs of a pipeline without feedback once ``inputs`` have stood long enough for its registers to follow.

    Every bit of a port is a number, of which bit ``n`` is that of sample ``n`` of ``count``.
    """
    every = (1 << count) - 1
    values: dict[int | str, int] = {"0": 0, "1": every, "x": 0}
    for name, bits in inputs.items():
        values.update(zip(module["ports"][name]["bits"], bits, strict=True))
    waiting = list(module["cells"].values())
    while waiting:
        later = []
        for cell in waiting:
            sources = [bit for pin, bits in cell["connections"].items() if _reads(cell, pin) for bit in bits]
            if all(bit in values for bit in sources):
                _evaluate(cell, values, count)
            else:
                later.append(cell)
        assert len(later) < len(waiting), f"{len(later)} cells are in a loop, or read what nothing drives"
        waiting = later
    return {
        name: [values[bit] for bit in port["bits"]]
        for name, port in module["ports"].items()
        if port["direction"] == "output"
    }


def _reads(cell: dict[str, Any], pin: str) -> bool:
    clocks = ("CLK", "CE", "CLKA", "CLKB", "RCLK", "WCLK", *(["C"] if cell["type"].startswith("SB_DFF") else []))
    return cell["port_directions"][pin] == "input" and pin not in clocks


def _evaluate(cell: dict[str, Any], values: dict[int | str, int], count: int) -> None:
    every = (1 << count) - 1
    pins = {pin: values.get(bits[0], 0) for pin, bits in cell["connections"].items() if bits}

    def put(pin: str, value: int, place: int = 0) -> None:
        for bit in cell["connections"].get(pin, [])[place : place + 1]:
            values[bit] = value

    def bus(pin: str, width: int) -> list[int]:
        """Bits of a port: one behind the other, or each a pin of its own."""
        bits = cell["connections"].get(pin) or [cell["connections"][f"{pin}{place}"][0] for place in range(width)]
        return [values[bit] for bit in bits]

    kind, parameters = cell["type"], cell["parameters"]
    if kind == "LUT4":
        put("Z", _lut(int(parameters["INIT"], 2), pins, "ABCD", every))
    elif kind == "PFUMX":
        put("Z", pins["ALUT"] & pins["C0"] | pins["BLUT"] & ~pins["C0"])
    elif kind == "L6MUX21":
        put("Z", pins["D1"] & pins["SD"] | pins["D0"] & ~pins["SD"])
    elif kind == "CCU2C":
        carry = pins.get("CIN", 0)
        for half in "01":
            init = int(parameters[f"INIT{half}"], 2)
            assert parameters[f"INJECT1_{half}"] == "NO"
            ripple = _lut(init, pins, [f"{pin}{half}" for pin in "ABCD"], every)
            start = _lut(init & 15, {**pins, "zero": 0}, [f"A{half}", f"B{half}", "zero", "zero"], every)
            put(f"S{half}", ripple ^ carry)
            carry = ripple & carry | ~ripple & every & start
        put("COUT", carry)
    elif kind == "TRELLIS_FF":
        held, reset = pins["DI"], pins.get("LSR", 0)
        put("Q", held | reset if parameters.get("REGSET") == "SET" else held & ~reset)
    elif kind == "SB_LUT4":
        put("O", _lut(int(parameters["LUT_INIT"], 2), pins, ["I0", "I1", "I2", "I3"], every))
    elif kind == "SB_CARRY":
        put("CO", pins["I0"] & pins["I1"] | pins["CI"] & (pins["I0"] | pins["I1"]))
    elif kind in ("SB_DFF", "SB_DFFR", "SB_DFFS", "SB_DFFSR", "SB_DFFSS"):
        put("Q", pins["D"] & ~pins.get("R", 0) | pins.get("S", 0))
    elif kind == "DP16KD":
        for pin, place, bit in _ecp5_memory(parameters, bus, count):
            put(f"{pin}{place}", bit)
    elif kind == "SB_RAM40_4K":
        for place, bit in enumerate(_ice40_memory(parameters, bus("RADDR", 11), count)):
            put("RDATA", bit, place)
    else:
        raise AssertionError(f"no model of {kind}")


def _numbers(bits: Sequence[int], count: int) -> list[int]:
    """The number of every sample, from its bits."""
    return [sum((bit >> sample & 1) << place for place, bit in enumerate(bits)) for sample in range(count)]


def _ecp5_memory(
    parameters: dict[str, str], bus: Callable[[str, int], list[int]], count: int
) -> Iterator[tuple[str, int, int]]:
    """What the outputs of a DP16KD follow: pin, place and bit. It is 1024 rows of 18 bits, each a number of bits of
    INITVAL padded to 20; ports of nine bits and fewer read a part of half a row, those of 36 two rows."""
    assert parameters["REGMODE_A"] == parameters["REGMODE_B"] == "NOREG"
    rows = [
        int(parameters[f"INITVAL_{index:02X}"], 2) >> 20 * row & (1 << 18) - 1
        for index in range(64)
        for row in range(16)
    ]
    widths = {port: int(parameters[f"DATA_WIDTH_{port}"], 2) for port in "AB"}
    for port, width in widths.items():
        # A port of 36 bits reads by the address of B, and both outputs are its; else each port stands alone.
        both = widths["B"] == 36
        addresses = _numbers(bus("ADB" if both else f"AD{port}", 14), count)
        read = []
        for address in addresses:
            if both:
                word = rows[address >> 5 << 1 | (port == "B")]
            else:
                half = address >> 3 & 1
                low = {18: 0, 9: 9 * half, 4: 9 * half + (address & 4), 2: 9 * half + (address & 6)}
                word = rows[address >> 4] >> low.get(width, 9 * half + (address & 7)) & (1 << width) - 1
            read.append(word)
        for place in range(18):
            yield f"DO{port}", place, sum((word >> place & 1) << sample for sample, word in enumerate(read))


def _ice40_memory(parameters: dict[str, str], address: list[int], count: int) -> list[int]:
    """What the outputs of an SB_RAM40_4K follow: 256 rows of 16 bits, of which a narrower port reads every second,
    fourth or eighth."""
    words = [int(parameters[f"INIT_{index:X}"].replace("x", "0"), 2) for index in range(16)]
    rows = [word >> 16 * row & 0xFFFF for word in words for row in range(16)]
    mode = int(parameters["READ_MODE"], 2)
    lane = {0: 0, 1: 0, 2: 1, 3: 3}[mode]  # of each group of bits the one that carries it
    read = []
    for number in _numbers(address, count):
        row, choice, step = rows[number & 0xFF], number >> 8 & (1 << mode) - 1, 1 << mode
        read.append(sum((row >> low + choice & 1) << low + lane for low in range(0, 16, step)))
    return [sum((word >> place & 1) << sample for sample, word in enumerate(read)) for place in range(16)]


def _lut(init: int, pins: dict[str, int], names: Any, every: int) -> int:
    result = 0
    for row in range(16):
        if init >> row & 1:
            cell = every
            for place, name in enumerate(names):
                cell &= pins.get(name, 0) if row >> place & 1 else ~pins.get(name, 0)
            result |= cell
    return result & every
