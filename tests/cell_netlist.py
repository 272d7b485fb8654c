"""A netlist of ECP5's or iCE40's cells as plain logic, written from what the cells do: many samples at a time, without
a clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kanrtl.build.device import Device
from kanrtl.build.flow import Job
from kanrtl.toolchain import YOSYS, component_rtlil


def synthesised(component: Any, folder: Path, device: str) -> dict[str, Any]:
    """The netlist of ``component`` as a build makes it."""
    source = component_rtlil(component, "top")
    job = Job("top", {"top.il": source}, Device.parse(device), 1, 50.0, (), bitstream=False)
    (folder / "top.il").write_text(source)
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
                _evaluate(cell, values, every)
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
    clocks = ("C", "E") if cell["type"].startswith("SB_DFF") else ("CLK", "CE")
    return cell["port_directions"][pin] == "input" and pin not in clocks


def _evaluate(cell: dict[str, Any], values: dict[int | str, int], every: int) -> None:
    pins = {pin: values.get(bits[0], 0) for pin, bits in cell["connections"].items() if bits}

    def put(pin: str, value: int) -> None:
        for bit in cell["connections"].get(pin, []):
            values[bit] = value

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
        one, other, carry = pins["I0"], pins["I1"], pins["CI"]
        put("CO", one & other | carry & (one | other))
    elif kind in ("SB_DFF", "SB_DFFSR"):
        put("Q", pins["D"] & ~pins.get("R", 0))
    else:
        raise AssertionError(f"no model of {kind}")


def _lut(init: int, pins: dict[str, int], names: Any, every: int) -> int:
    result = 0
    for row in range(16):
        if init >> row & 1:
            cell = every
            for place, name in enumerate(names):
                cell &= pins.get(name, 0) if row >> place & 1 else ~pins.get(name, 0)
            result |= cell
    return result & every
