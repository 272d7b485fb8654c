"""What a chip is made of, as far as tables and sums are written in its own cells, where synthesis finds larger ones.

A tree of adders that is left to yosys becomes compressors, which are larger on these chips and slower; of several
functions of the same address it sees less in common than :mod:`kanrtl.lookup.rtl.minimise`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Instance, Module, Signal, Value

from .gates import Gate

_ZERO, _ONE = Const(0, 1), Const(1, 1)

_EXCLUSIVE_OR = Gate((0, 1), 0b0110)


class Cells(ABC):
    """What writes a family's cells into a module.

    Parameters
    ----------
    m : Module
        The module that they are written into.
    """

    muxes: bool
    """Whether two LUTs can be joined by a multiplexer that costs nothing."""

    def __init__(self, m: Module) -> None:
        self._m = m
        self._sums = 0

    def add(self, one: Value, other: Value, width: int) -> Value:
        """Add two values in a carry chain, and give the sum in ``width`` bits, which it has to fit."""
        number, self._sums = self._sums, self._sums + 1
        total = Signal(width, name=f"sum{number}")
        pairs = [
            (one[bit] if bit < len(one) else _ZERO, other[bit] if bit < len(other) else _ZERO) for bit in range(width)
        ]
        self._chain(f"sum{number}", pairs, total)
        return total

    @abstractmethod
    def _chain(self, name: str, pairs: Sequence[tuple[Value, Value]], total: Signal) -> None:
        """Write the chain that makes ``total`` the sum of the pairs of bits, lowest first."""

    def gate(self, gate: Gate, signals: Sequence[Value], name: str) -> Value:
        """Write a gate that takes from ``signals``, and give its output."""
        output = Signal(name=name)
        self._m.submodules[name] = self._gate(gate, [signals[signal] for signal in gate.inputs], output)
        return output

    @abstractmethod
    def _gate(self, gate: Gate, inputs: Sequence[Value], output: Signal) -> Instance:
        """Make the cell of a gate."""


class Ecp5Cells(Cells):
    """What writes ECP5's cells: LUT4, the multiplexers PFUMX and L6MUX21 behind it, and CCU2C, two bits of a chain."""

    muxes = True

    # With C low and D high a full adder of A and B; the carry is A where A and B agree.
    _FULL_ADDER = Const(0x96AA, 16)

    # With D high the carry of A and B alone: the LUT is low, and so the carry is what the first four rows say.
    _HALF_ADDER_CARRY = Const(0x0008, 16)

    def _chain(self, name: str, pairs: Sequence[tuple[Value, Value]], total: Signal) -> None:
        # The lowest bit is a LUT beside the chain, which then begins without a carry: nextpnr spends two LUTs on one,
        # even where it is constant (kanrtl.build.netlist.cut_unused_carries).
        self._m.d.comb += total[0].eq(self.gate(_EXCLUSIVE_OR, pairs[0], f"{name}_low"))
        if len(pairs) == 1:
            return
        pairs = [*pairs, *[(_ZERO, _ZERO)] * (len(pairs) % 2)]
        carry: Value = _ZERO
        for low in range(0, len(pairs), 2):
            pins: dict[str, Any] = {"i_CIN": carry}
            for half, (a, b) in enumerate(pairs[low : low + 2]):
                bit = low + half
                pins |= {f"i_A{half}": a, f"i_B{half}": b, f"i_C{half}": _ZERO, f"i_D{half}": _ONE}
                pins |= {f"p_INIT{half}": self._FULL_ADDER if bit else self._HALF_ADDER_CARRY}
                pins |= {f"p_INJECT1_{half}": "NO"}
                if 0 < bit < len(total):
                    pins[f"o_S{half}"] = total[bit]
            carry = Signal(name=f"{name}_carry{low}")
            self._m.submodules[f"{name}_{low}"] = Instance("CCU2C", **pins, o_COUT=carry)

    def _gate(self, gate: Gate, inputs: Sequence[Value], output: Signal) -> Instance:
        if gate.init is not None:
            return Instance("LUT4", p_INIT=Const(gate.init, 16), **_pins("ABCD", inputs), o_Z=output)
        low, high, select = inputs
        if gate.wide:
            return Instance("L6MUX21", i_D0=low, i_D1=high, i_SD=select, o_Z=output)
        return Instance("PFUMX", i_BLUT=low, i_ALUT=high, i_C0=select, o_Z=output)


class Ice40Cells(Cells):
    """What writes iCE40's cells: SB_LUT4 and SB_CARRY, which nextpnr packs together where they take the same bits."""

    muxes = False

    def _chain(self, name: str, pairs: Sequence[tuple[Value, Value]], total: Signal) -> None:
        carry: Value = _ZERO
        for bit, (a, b) in enumerate(pairs):
            # The exclusive or of I1, I2 and I3, which is where the carry comes in.
            pins = {"i_I0": _ZERO, "i_I1": a, "i_I2": b, "i_I3": carry}
            self._m.submodules[f"{name}_{bit}"] = Instance(
                "SB_LUT4", p_LUT_INIT=Const(0xC33C, 16), **pins, o_O=total[bit]
            )
            if bit < len(pairs) - 1:
                above = Signal(name=f"{name}_carry{bit}")
                self._m.submodules[f"{name}_{bit}_carry"] = Instance("SB_CARRY", i_I0=a, i_I1=b, i_CI=carry, o_CO=above)
                carry = above

    def _gate(self, gate: Gate, inputs: Sequence[Value], output: Signal) -> Instance:
        assert gate.init is not None
        names = [f"I{number}" for number in range(4)]
        return Instance("SB_LUT4", p_LUT_INIT=Const(gate.init, 16), **_pins(names, inputs), o_O=output)


def _pins(names: Sequence[str], inputs: Sequence[Value]) -> dict[str, Any]:
    """Connect the inputs of a LUT; those that are left are low, so only the first rows matter."""
    return {f"i_{name}": inputs[number] if number < len(inputs) else _ZERO for number, name in enumerate(names)}


CELLS: dict[str, type[Cells]] = {"ecp5": Ecp5Cells, "ice40": Ice40Cells}
"""The classes of cells by family."""
