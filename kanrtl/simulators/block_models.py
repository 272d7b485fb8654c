"""What ECP5's multipliers and block memories do, as Verilog that yosys reads: it has models of all other cells.

Written from Lattice's FPGA-TN-02205 (sysDSP) and FPGA-TN-02204 (memory), and from what Project Trellis says of the
36-bit ports. A row that one port writes at the edge at which another reads it is undefined on the chip; here the bits
that are written are then read inverted, so that a design which relies on either value does not pass.
"""

from __future__ import annotations

from typing import Any

from ..errors import ToolError

Cell = dict[str, Any]


def model_blocks() -> str:
    """Give the models of MULT18X18D and DP16KD as Verilog."""
    return _multiplier() + _memory()


def check_blocks(module: dict[str, Any]) -> None:
    """Raise :exc:`ToolError` where a block of a netlist, as yosys writes it to JSON, is used as no model knows it."""
    for name, cell in module["cells"].items():
        check = _CHECKS.get(cell["type"])
        fault = check(cell) if check else None
        if fault is not None:
            raise ToolError(f"verify has no model of {cell['type']} {name!r} with {fault}: it cannot be simulated")


def _text(cell: Cell, name: str, default: str) -> str:
    return str(cell["parameters"].get(name, default)).strip()


def _check_multiplier(cell: Cell) -> str | None:
    plain = {"HIGHSPEED_CLK": "NONE", "CAS_MATCH_REG": "FALSE", "MULT_BYPASS": "DISABLED", "RESETMODE": "SYNC"}
    for name, value in plain.items():
        if _text(cell, name, value) != value:
            return f"{name} = {_text(cell, name, value)}"
    if any(cell["connections"].get(pin, ["0"]) != ["0"] for pin in ("SOURCEA", "SOURCEB")):
        return "operands from its neighbour"
    return None


def _check_memory(cell: Cell) -> str | None:
    for name in cell["parameters"]:
        # A multiplexer at a pin passes it; those of clocks can invert.
        if name.endswith("MUX") and _text(cell, name, "") not in (name[:-3], *(["INV"] if "CLK" in name else [])):
            return f"{name} = {_text(cell, name, '')}"
    plain = {"CSDECODE_A": "0b000", "CSDECODE_B": "0b000"}
    if any(cell["connections"].get(pin, ["0"]) != ["0"] for pin in ("RSTA", "RSTB")):
        plain["RESETMODE"] = "SYNC"
    return next(
        (f"{name} = {_text(cell, name, one)}" for name, one in plain.items() if _text(cell, name, one) != one), None
    )


_CHECKS = {"MULT18X18D": _check_multiplier, "DP16KD": _check_memory}


def _pins(name: str, count: int) -> list[str]:
    """Give the names of numbered pins, the highest first."""
    return [f"{name}{bit}" for bit in reversed(range(count))]


def _joined(name: str, count: int) -> str:
    return "{" + ", ".join(_pins(name, count)) + "}"


def _multiplier() -> str:
    inputs = [pin for name in "ABC" for pin in _pins(name, 18)] + ["SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB"]
    inputs += [pin for name in ("CLK", "CE", "RST") for pin in _pins(name, 4)]
    inputs += [pin for name in ("SRIA", "SRIB") for pin in _pins(name, 18)]
    outputs = [*_pins("P", 36), "SIGNEDP"]
    outputs += [pin for name in ("SROA", "SROB", "ROA", "ROB", "ROC") for pin in _pins(name, 18)]
    stages = {"INPUTA": 19, "INPUTB": 19, "PIPELINE": 36, "OUTPUT": 36}
    parameters = [
        *(f'REG_{stage}_{pin} = "{value}"' for stage in (*stages, "INPUTC") for pin, value in _STAGE.items()),
        *(f'CLK{number}_DIV = "ENABLED"' for number in range(4)),
        'HIGHSPEED_CLK = "NONE"',
        'GSR = "ENABLED"',
        'CAS_MATCH_REG = "FALSE"',
        'SOURCEB_MODE = "B_SHIFT"',
        'MULT_BYPASS = "DISABLED"',
        'RESETMODE = "SYNC"',
    ]
    sources = {
        "INPUTA": f"{{SIGNEDA, {_joined('A', 18)}}}",
        "INPUTB": f"{{SIGNEDB, {_joined('B', 18)}}}",
        "PIPELINE": "product",
        "OUTPUT": "PIPELINE",
    }
    lines = [f"module MULT18X18D(input {', '.join(inputs)}, output {', '.join(outputs)});"]
    lines += [f"parameter {parameter};" for parameter in parameters]
    for stage, width in stages.items():
        lines += [f"wire [{width - 1}:0] {stage}_d, {stage};", f"reg [{width - 1}:0] {stage}_q = 0;"]
        for pin in ("CLK", "CE", "RST"):
            names = [f'REG_{stage}_{pin} == "{pin}{number}" ? {pin}{number}' for number in range(4)]
            lines.append(f"wire {stage}_{pin} = {' : '.join(names)} : 1'b0;")
        lines += [
            f"always @(posedge {stage}_CLK) "
            f"if ({stage}_RST) {stage}_q <= 0; else if ({stage}_CE) {stage}_q <= {stage}_d;",
            f'assign {stage} = REG_{stage}_CLK == "NONE" ? {stage}_d : {stage}_q;',
        ]
    lines += [
        "wire signed [18:0] a = {INPUTA[18] & INPUTA[17], INPUTA[17:0]};",
        "wire signed [18:0] b = {INPUTB[18] & INPUTB[17], INPUTB[17:0]};",
        "wire signed [37:0] product = a * b;",
        *(f"assign {stage}_d = {source};" for stage, source in sources.items()),
        f"assign {_joined('P', 36)} = OUTPUT;",
        "endmodule\n",
    ]
    return "\n".join(lines)


_STAGE = {"CLK": "NONE", "CE": "CE0", "RST": "RST0"}
"""What a register's clock, enable and reset are by default."""


def _memory() -> str:
    inputs: list[str] = []
    outputs: list[str] = []
    for side in "AB":
        inputs += _pins(f"DI{side}", 18) + _pins(f"AD{side}", 14) + _pins(f"CS{side}", 3)
        inputs += [f"CE{side}", f"OCE{side}", f"CLK{side}", f"WE{side}", f"RST{side}"]
        outputs += _pins(f"DO{side}", 18)
    initial = [f"INITVAL_{index:02X}" for index in range(64)]
    muxed = [pin for pin in inputs if not pin.startswith("CLK")]
    lines = [f"module DP16KD(input {', '.join(inputs)}, output {', '.join(outputs)});"]
    lines += [f"parameter [319:0] {name} = 0;" for name in initial]
    lines += [f'parameter {pin}MUX = "{pin}";' for pin in muxed]
    lines += [
        'parameter GSR = "ENABLED", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", INIT_DATA = "STATIC", WID = 0;',
        "reg [17:0] rows [0:1023];",
        f"localparam [20479:0] INIT = {{{', '.join(reversed(initial))}}};",
        "integer row;",
        "initial for (row = 0; row < 1024; row = row + 1) rows[row] = INIT[20 * row +: 18];",
    ]
    for side in "AB":
        lines += [
            f'parameter DATA_WIDTH_{side} = 18, REGMODE_{side} = "NOREG", CSDECODE_{side} = "0b000";',
            f'parameter WRITEMODE_{side} = "NORMAL", CLK{side}MUX = "CLK{side}";',
            f"wire [13:0] address_{side} = {_joined(f'AD{side}', 14)};",
            f"wire [17:0] data_{side} = {_joined(f'DI{side}', 18)};",
            f'wire clock_{side} = CLK{side}MUX == "INV" ? ~CLK{side} : CLK{side};',
            f"wire on_{side} = CE{side} & ~CS{side}0 & ~CS{side}1 & ~CS{side}2;",
            f"wire writes_{side} = on_{side} & WE{side};",
        ]
    for side in "AB":
        lines += _port(side)
    return "\n".join([*lines, "endmodule\n"])


def _port(side: str) -> list[str]:
    """Give the writing and the reading of one port.

    A port of 36 bits is A where it writes, with the data of B above, and B where it reads, with the outputs of A below.
    """
    high = int(side == "B")
    width = f"DATA_WIDTH_{side}"
    other = "A" if side == "B" else "B"
    return [
        # Writing.
        f"wire [9:0] to_{side} = DATA_WIDTH_A == 36 ? {{address_A[13:5], 1'b{high}}} : address_{side}[13:4];",
        f"wire put_{side} = DATA_WIDTH_A == 36 ? writes_A : writes_{side};",
        f"wire [1:0] bytes_{side} = DATA_WIDTH_A == 36 ? address_A[{2 * high + 1}:{2 * high}] : address_{side}[1:0];",
        f"wire [17:0] mask_{side} = DATA_WIDTH_A == 36 || {width} == 18 ? "
        f"{{{{9{{bytes_{side}[1]}}}}, {{9{{bytes_{side}[0]}}}}}} : "
        f"({width} == 9 ? 18'd511 : {width} == 4 ? 18'd15 << address_{side}[2] * 4 : "
        f"{width} == 2 ? 18'd3 << address_{side}[2:1] * 2 : 18'd1 << address_{side}[2:0]) << address_{side}[3] * 9;",
        f"wire [17:0] placed_{side} = DATA_WIDTH_A == 36 || {width} == 18 ? data_{side} : ({width} == 9 ? "
        f"data_{side} : {width} == 4 ? data_{side}[3:0] << address_{side}[2] * 4 : {width} == 2 ? data_{side}[1:0] << "
        f"address_{side}[2:1] * 2 : data_{side}[0] << address_{side}[2:0]) << address_{side}[3] * 9;",
        f"wire write_clock_{side} = DATA_WIDTH_A == 36 ? clock_A : clock_{side};",
        f"always @(posedge write_clock_{side}) if (put_{side}) "
        f"rows[to_{side}] <= rows[to_{side}] & ~mask_{side} | placed_{side} & mask_{side};",
        # Reading.
        f"wire [9:0] from_{side} = DATA_WIDTH_B == 36 ? {{address_B[13:5], 1'b{high}}} : address_{side}[13:4];",
        f"wire read_clock_{side} = DATA_WIDTH_B == 36 ? clock_B : clock_{side};",
        f"wire reads_{side} = DATA_WIDTH_B == 36 ? on_B & ~WEB : "
        f'on_{side} & (~WE{side} | WRITEMODE_{side} != "NORMAL");',
        f"wire [17:0] hit_{side} = "
        + " | ".join(
            f"({{18{{put_{writer} && to_{writer} == from_{side} && ({separate})}}}} & mask_{writer})"
            for writer, separate in ((side, "DATA_WIDTH_A == 36 || DATA_WIDTH_B == 36"), (other, "1'b1"))
        )
        + ";",
        f"wire [17:0] stored_{side} = rows[from_{side}] ^ hit_{side};",
        f'wire [17:0] through_{side} = WRITEMODE_{side} == "WRITETHROUGH" && WE{side} ? '
        f"stored_{side} & ~mask_{side} | placed_{side} & mask_{side} : stored_{side};",
        f"wire [8:0] half_{side} = address_{side}[3] ? through_{side}[17:9] : through_{side}[8:0];",
        f"wire [17:0] found_{side} = DATA_WIDTH_B == 36 || {width} >= 18 ? through_{side} : "
        f"{width} == 9 ? half_{side} : {width} == 4 ? half_{side} >> address_{side}[2] * 4 & 15 : {width} == 2 ? "
        f"half_{side} >> address_{side}[2:1] * 2 & 3 : half_{side} >> address_{side}[2:0] & 1;",
        f"reg [17:0] latch_{side} = 0, held_{side} = 0;",
        f"wire clear_{side} = DATA_WIDTH_B == 36 ? RSTB : RST{side};",
        f"wire moves_{side} = DATA_WIDTH_B == 36 ? OCEB : OCE{side};",
        f"always @(posedge read_clock_{side}) if (clear_{side}) latch_{side} <= 0; "
        f"else if (reads_{side}) latch_{side} <= found_{side};",
        f"always @(posedge read_clock_{side}) if (clear_{side}) held_{side} <= 0; "
        f"else if (moves_{side}) held_{side} <= latch_{side};",
        f'assign {_joined(f"DO{side}", 18)} = REGMODE_{side} == "OUTREG" ? held_{side} : latch_{side};',
    ]
