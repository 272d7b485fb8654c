"""What yosys and nextpnr call the primitives of a device, in the words of this package."""

import re
from functools import cache

__all__ = ["SEQUENTIAL", "name_primitive"]

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
