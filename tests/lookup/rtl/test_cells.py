"""Sums and gates in a family's own cells: what the cells of the netlist give."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from kanrtl.lookup.rtl.cells import CELLS, Ecp5Cells, Ice40Cells
from kanrtl.lookup.rtl.gates import Gate
from support.cell_netlist import settled, synthesised

SUMS = [(1, 1, 2), (3, 5, 6), (6, 6, 6), (7, 2, 8), (8, 8, 9)]
"""Widths of two values, and of their sum."""

LUTS = [Gate((0,), 0b10), Gate((2, 1), 0b0110), Gate((0, 3, 4), 0b11101000), Gate((5, 2, 0, 1), 0x6BC2)]
"""Some of one to four inputs; an input is by its number, the output of a gate by six more."""

MUXES = [
    *(Gate((0, 1, 2, 3), init) for init in (0x1234, 0xFEC8, 0x9669, 0x7F01)),
    Gate((10, 11, 4), None),
    Gate((12, 13, 4), None),
    Gate((14, 15, 5), None, wide=True),
]
"""Four LUTs, the multiplexers that join two and two, and that which joins those; they stand behind :data:`LUTS`."""


class Chip(wiring.Component):  # type: ignore[misc]
    """All sums and gates, each with inputs of its own or, gates, of six bits."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.gates = LUTS + (MUXES if CELLS[family].muxes else [])
        members: dict[str, Any] = {"bits": In(6), "outputs": Out(len(self.gates))}
        for number, (one, other, width) in enumerate(SUMS):
            members |= {f"one{number}": In(one), f"other{number}": In(other), f"total{number}": Out(width)}
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        cells = CELLS[self.family](m)
        for number, (_, _, width) in enumerate(SUMS):
            total = cells.add(getattr(self, f"one{number}"), getattr(self, f"other{number}"), width)
            m.d.comb += getattr(self, f"total{number}").eq(total)
        signals: list[Value] = list(self.bits)
        for number, gate in enumerate(self.gates):
            signals.append(cells.gate(gate, signals, f"gate{number}"))
            m.d.comb += self.outputs[number].eq(signals[-1])
        return m


def columns(numbers: list[int], width: int) -> list[int]:
    """Of every bit that of all samples."""
    return [sum((number >> bit & 1) << n for n, number in enumerate(numbers)) for bit in range(width)]


def gate_outputs(gates: list[Gate], address: int) -> int:
    """What gates give where the six inputs are those of ``address``, a bit for each gate."""
    values = [address >> bit & 1 for bit in range(6)]
    for gate in gates:
        taken = [values[signal] for signal in gate.inputs]
        if gate.init is None:
            values.append(taken[taken[2]])
        else:
            values.append(gate.init >> sum(bit << place for place, bit in enumerate(taken)) & 1)
    return sum(bit << place for place, bit in enumerate(values[6:]))


@pytest.mark.parametrize(("family", "device"), [("ecp5", "LFE5U-25F"), ("ice40", "iCE40UP5K")])
def test_cells_give_sums_and_gates(family: str, device: str, tmp_path: Path) -> None:
    chip, count, random = Chip(family), 128, Random(0)
    module = synthesised(chip, tmp_path, device)
    addresses = [n % 64 for n in range(count)]
    inputs, totals = {"bits": columns(addresses, 6)}, {}
    for number, (one, other, width) in enumerate(SUMS):
        pairs: list[tuple[int, int]] = [(0, 0)]
        while len(pairs) < count:
            pair = (random.randrange(1 << one), random.randrange(1 << other))
            if sum(pair) < 1 << width:
                pairs.append(pair)
        inputs |= {
            f"one{number}": columns([pair[0] for pair in pairs], one),
            f"other{number}": columns([pair[1] for pair in pairs], other),
        }
        totals[f"total{number}"] = columns([sum(pair) for pair in pairs], width)
    outputs = settled(module, inputs, count)
    expected = [gate_outputs(chip.gates, address) for address in addresses]
    assert outputs == totals | {"outputs": columns(expected, len(chip.gates))}
    kinds = Counter(cell["type"] for cell in module["cells"].values())
    if family == "ecp5":
        # Two bits of a sum are a cell.
        assert kinds["CCU2C"] == sum(-(-width // 2) for *_, width in SUMS)
        assert (kinds["PFUMX"], kinds["L6MUX21"]) == (2, 1)
    else:
        # Nothing comes in at the lowest bit, and what goes out at the highest is not made.
        assert 0 < kinds["SB_CARRY"] <= sum(width - 1 for *_, width in SUMS)
        assert set(kinds) == {"SB_CARRY", "SB_LUT4"}


def test_families() -> None:
    assert CELLS == {"ecp5": Ecp5Cells, "ice40": Ice40Cells}
    # An iCE40 has no multiplexer behind its LUTs.
    assert (Ecp5Cells.muxes, Ice40Cells.muxes) == (True, False)


@pytest.mark.usefixtures("unelaborated")
def test_ice40_has_no_cell_for_a_multiplexer() -> None:
    with pytest.raises(AssertionError):
        Ice40Cells(Module()).gate(Gate((0, 1, 2), None), list(Value.cast(0b101)[:3]), "mux")
