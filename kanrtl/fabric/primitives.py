"""The primitives of a device: what yosys and nextpnr call them, and their delays in ns.

Delays serve for paths that nextpnr does not time, and for decisions before it runs.
"""

import re
from functools import cache

_KINDS = {
    "multiplier": r"MULT18X18D|SB_MAC16",
    "accumulator": r"ALU54B",
    "block memory": r"DP16KD|PDPW16KD|SB_RAM40\w*",
    "single-port memory": r"SB_SPRAM\w*",
    "distributed memory": r"TRELLIS_DPR16X4|TRELLIS_RAMW",
    "register": r"TRELLIS_FF|SB_DFF\w*",
    "adder": r"CCU2C",
    "mux": r"PFUMX|L6MUX21",
    "LUT": r"LUT4|SB_LUT4",
    "clock": r"EHXPLLL|DCCA|OSCG|SB_PLL\w*|SB_GB|SB_[HL]FOSC",
}

SEQUENTIAL = frozenset({"block memory", "single-port memory", "register", "clock"})
"""Primitives through which no path leads, whatever their parameters are."""


@cache
def name_primitive(kind: str) -> str:
    """What a hardware designer calls a cell of this ``kind``, such as ``block memory`` for ``DP16KD``.

    A kind that is not known is its own name.
    """
    return next((name for name, kinds in _KINDS.items() if re.fullmatch(kinds, kind)), kind)


# Delays of an unregistered SB_MAC16 on UP5K, slow corner, as iCEcube2 gives them: icestorm, in
# icefuzz/timings_up5k.txt of commit 722790a. The 16x16 multiplier alone (MUL_*_16X16_BYPASS), B[1] to O[31]:
# 9.05 ns, signed or not. Through the accumulator's adder as well (multiply-accumulate without input
# registers), B[1] to CO: 11.23 ns.
MAC16_MULTIPLY_NS = 9.1

MAC16_MULTIPLY_ADD_NS = 11.3

# Delays of ECP5, speed grade 6, rounded: Project Trellis, timing/speed_6/cells.json. They serve to compare paths, for
# which they need not be exact.
ECP5_LUT_NS = {"LUT4": 0.24, "PFUMX": 0.2, "L6MUX21": 0.2}
"""Delays through a LUT, and through the multiplexers behind LUTs."""

ECP5_CARRY_NS = {"in": 0.45, "along": 0.07, "out": 0.44, "sum": 0.24, "next sum": 0.7}
"""Delays into a carry chain, along a CCU2C, out to a sum; and from an input to the sum of its bit and of the next."""

ECP5_START_NS = {"TRELLIS_FF": 0.5, "DP16KD": 5.8}
"""Delays from the clock to the output."""

ECP5_THROUGH_NS = {"MULT18X18D": 3.9, "TRELLIS_DPR16X4": 0.24}
"""Delays from input to output of a block without registers, and from the address of a memory in LUTs."""

# Read off routed designs.
ECP5_WIRE_NS = 1.0
"""The delay of a wire between neighbours."""

ECP5_TILE_NS = 0.05
"""What the delay of a wire grows by for every tile."""
