"""Delays of primitives in ns, for paths that nextpnr does not time and for decisions before it runs."""

__all__ = [
    "ECP5_CARRY_NS",
    "ECP5_LUT_NS",
    "ECP5_START_NS",
    "ECP5_THROUGH_NS",
    "ECP5_TILE_NS",
    "ECP5_WIRE_NS",
    "MAC16_MULTIPLY_ADD_NS",
    "MAC16_MULTIPLY_NS",
]

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
