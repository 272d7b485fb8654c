"""What yosys has made of a learner, as Verilog that a simulator reads: a backend at the level of gates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from kanrtl import Learner, LearnerSpec
from kanrtl.build.absorb import absorb_registers
from kanrtl.build.flow import Job
from kanrtl.fabric.device import Device
from kanrtl.tools.rtlil import portable_sources
from kanrtl.tools.toolchain import YOSYS
from kanrtl.verilog.learner_header import learner_header

MULTIPLIER = """
    reg [35:0] held = 0;
    wire [35:0] now = $signed({SIGNEDA & A17, A}) * $signed({SIGNEDB & B17, B});
    always @(posedge CLK0) if (CE0) held <= RST0 ? 0 : now;
    assign P = REG_OUTPUT_CLK == "CLK0" ? held : now;
"""
"""What a MULT18X18D does, as far as it is used; yosys has no model of it."""


def twin(block, parameters, behaviour):
    """A Verilog module with the pins of ``block``; in ``behaviour`` numbered pins are vectors."""
    pins = sorted(
        block["port_directions"], key=lambda pin: (re.sub(r"\d+", "", pin), int("0" + re.sub(r"\D+", "", pin)))
    )
    buses: dict[str, list[str]] = {}
    for pin in pins:
        if pin[:-1] not in ("CLK", "CE", "RST") and (match := re.fullmatch(r"([A-Z]+)\d+", pin)):
            buses.setdefault(match[1], []).append(pin)
    used = {bus: members for bus, members in buses.items() if re.search(rf"\b{bus}\b", behaviour)}
    wires = []
    for bus, members in used.items():
        joined = f"{{{', '.join(reversed(members))}}}"
        driven = block["port_directions"][members[0]] == "output"
        wires.append(f"wire [{len(members) - 1}:0] {bus};")
        wires.append(f"assign {joined} = {bus};" if driven else f"assign {bus} = {joined};")
    ports = ", ".join(f"{block['port_directions'][pin]} {pin}" for pin in pins)
    names = "".join(f"parameter {name} = {value};\n" for name, value in parameters.items())
    return f"module {block['type']}({ports});\n{names}" + "\n".join(wires) + behaviour + "endmodule\n"


def multiplier_twin(block):
    """:func:`twin` of a MULT18X18D that has no register or one at its output."""
    clocked = {**block["port_directions"], "CLK0": "input", "CE0": "input", "RST0": "input"}
    inner = ("REG_OUTPUT_CLK", "REG_OUTPUT_CE", "REG_OUTPUT_RST", "RESETMODE", "GSR")
    return twin({**block, "port_directions": clocked}, dict.fromkeys(inner, '"NONE"'), MULTIPLIER)


def write_netlist(spec: LearnerSpec, device: str, folder: Path) -> dict[str, Any]:
    """Synthesises a learner as a build does, into ``folder / "learner.v"``; returns the netlist's module."""
    part, learner = Device.parse(device), Learner(spec)
    source = portable_sources(rtlil.convert(learner, name="learner"))
    (folder / "learner.il").write_text(source)
    (folder / "synthesis.ys").write_text(
        Job("learner", {"learner.il": source}, part, 1, 50.0, (), bitstream=False).synthesis_script
    )
    YOSYS.run(["-q", "-s", "synthesis.ys"], folder, "yosys.log", lambda _: None, produces=["netlist.json"])
    module: dict[str, Any] = json.loads((folder / "netlist.json").read_text())["modules"]["learner"]
    if part.family == "ecp5":
        absorb_registers(module)
        multiplier = next(cell for cell in module["cells"].values() if cell["type"] == "MULT18X18D")
        (folder / "twins.v").write_text(multiplier_twin(multiplier))
        cells = "read_verilog -defer -D NO_INCLUDES +/ecp5/cells_sim.v\nread_verilog -defer -overwrite twins.v"
    else:
        cells = "read_verilog -defer -D NO_ICE40_DEFAULT_ASSIGNMENTS +/ice40/cells_sim.v"
    (folder / "netlist.json").write_text(json.dumps({"modules": {"learner": module}}))
    (folder / "flat.ys").write_text(
        f"{cells}\nread_json netlist.json\nsetundef -zero learner\nhierarchy -top learner\nproc\nflatten\n"
        "opt_expr\nopt_clean\nwrite_verilog -noattr flat.v\n"
    )
    YOSYS.run(["-q", "-s", "flat.ys"], folder, "flat.log", lambda _: None, produces=["flat.v"])
    # Verilator dies of an address that is undefined, although nothing is ever written there.
    flat = re.sub(r"\[\d+'hx+\]", "[0]", (folder / "flat.v").read_text())
    comment = "".join(f"// {line}\n" for line in learner_header(learner).splitlines())
    (folder / "learner.v").write_text(comment + flat)
    return module
