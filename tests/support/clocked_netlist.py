"""A netlist of iCE40's cells with its clock, written from what the cells do: many runs at a time, each a bit of a
number, which all have the same inputs but for their data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Cell = dict[str, Any]
Bits = list[int]

REGISTER = re.compile(r"SB_DFF(E?)(SR|SS)?")


def clocked(module: Cell, stimuli: Iterable[Mapping[str, Bits]], count: int) -> Iterator[dict[str, Bits]]:
    """The outputs in every cycle, just before the edge that ends it, for the inputs in it; all registers begin low."""
    every = (1 << count) - 1
    cells = list(module["cells"].values())
    registers = [cell for cell in cells if REGISTER.fullmatch(cell["type"])]
    memories = [cell for cell in cells if cell["type"] == "SB_RAM40_4K"]
    logic = _ordered([cell for cell in cells if cell["type"] in ("SB_LUT4", "SB_CARRY")])
    assert len(registers) + len(memories) + len(logic) == len(cells), {cell["type"] for cell in cells}
    values: dict[int | str, int] = {"0": 0, "1": every, "x": 0}
    values |= {_pin(cell, "Q"): 0 for cell in registers}
    values |= {bit: 0 for cell in memories for bit in cell["connections"]["RDATA"]}
    contents = [_rows(cell) for cell in memories]
    for inputs in stimuli:
        for name, bits in inputs.items():
            values.update(zip(module["ports"][name]["bits"], bits, strict=True))
        for cell in logic:
            _evaluate(cell, values, every)
        yield {
            name: [values[bit] for bit in port["bits"]]
            for name, port in module["ports"].items()
            if port["direction"] == "output"
        }
        after = {_pin(cell, "Q"): _held(cell, values, every) for cell in registers}
        for cell, rows in zip(memories, contents, strict=True):
            after |= _read(cell, rows, values, count)
        values |= after


def _pin(cell: Cell, pin: str) -> int | str:
    bits = cell["connections"].get(pin) or ["x"]
    return bits[0]  # type: ignore[no-any-return]


def _ordered(cells: list[Cell]) -> list[Cell]:
    """Each behind those that it takes from."""
    makers = {_pin(cell, {"SB_LUT4": "O", "SB_CARRY": "CO"}[cell["type"]]): cell for cell in cells}
    order: list[Cell] = []
    done: set[int | str] = set()

    def visit(net: int | str) -> None:
        if net in makers and net not in done:
            done.add(net)
            cell = makers[net]
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] == "input":
                    for bit in bits:
                        visit(bit)
            order.append(cell)

    for net in makers:
        visit(net)
    return order


def _evaluate(cell: Cell, values: dict[int | str, int], every: int) -> None:
    if cell["type"] == "SB_CARRY":
        one, other, carry = (values[_pin(cell, pin)] for pin in ("I0", "I1", "CI"))
        values[_pin(cell, "CO")] = one & other | carry & (one | other)
        return
    pins = [values[_pin(cell, f"I{place}")] for place in range(4)]
    init, result = int(cell["parameters"]["LUT_INIT"], 2), 0
    for row in range(16):
        if init >> row & 1:
            part = every
            for place, pin in enumerate(pins):
                part &= pin if row >> place & 1 else ~pin
            result |= part
    values[_pin(cell, "O")] = result


def _held(cell: Cell, values: Mapping[int | str, int], every: int) -> int:
    """What a register has behind the edge; only while it is enabled it can be reset."""
    match = REGISTER.fullmatch(cell["type"])
    assert match
    following = values[_pin(cell, "D")]
    if match[2] == "SR":
        following &= ~values[_pin(cell, "R")]
    elif match[2] == "SS":
        following |= values[_pin(cell, "S")]
    enable = values[_pin(cell, "E")] if match[1] else every
    return following & enable | values[_pin(cell, "Q")] & ~enable


def _rows(cell: Cell) -> Bits:
    words = [int(cell["parameters"][f"INIT_{index:X}"].replace("x", "0"), 2) for index in range(16)]
    return [word >> 16 * row & 0xFFFF for word in words for row in range(16)]


def _read(cell: Cell, rows: Bits, values: Mapping[int | str, int], count: int) -> dict[int | str, int]:
    """256 rows of 16 bits, of which a narrower port reads every second, fourth or eighth, on some of its pins."""
    nets = cell["connections"]
    enable = values[_pin(cell, "RE")] & values[_pin(cell, "RCLKE")]
    mode = int(cell["parameters"]["READ_MODE"], 2)
    carrier = {0: 0, 1: 0, 2: 1, 3: 3}[mode]
    step = 1 << mode
    found = [0] * 16
    for run in range(count):
        address = sum((values[bit] >> run & 1) << place for place, bit in enumerate(nets["RADDR"]))
        row, choice = rows[address & 0xFF], address >> 8 & step - 1
        for low in range(0, 16, step):
            found[low + carrier] |= (row >> low + choice & 1) << run
    return {
        bit: word & enable | values[bit] & ~enable
        for bit, word in zip(nets["RDATA"], found, strict=True)
        if isinstance(bit, int)
    }
