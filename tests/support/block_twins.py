"""Verilog of blocks of a chip of which yosys has no model, as far as they are used."""

from __future__ import annotations

import re

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
