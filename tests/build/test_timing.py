"""What nextpnr does not time, and what is said of it."""

import pytest

from kanrtl.build.netlist import parse_netlist
from kanrtl.build.timing import honest_fmax, reads_undefined
from kanrtl.fabric.families.ice40 import MAC16_MULTIPLY_ADD_NS, MAC16_MULTIPLY_NS

PARTIAL = ("TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG", "PIPELINE_16x16_MULT_REG1")


def mac(a, b, o, *, registered_in=False, registered_out=False, product=False, partial=False, adder=False):
    select = "01" if registered_out else "00" if adder else "11"
    return {
        "type": "SB_MAC16",
        "parameters": {
            "A_REG": str(int(registered_in)),
            "B_REG": str(int(registered_in)),
            "TOPOUTPUT_SELECT": select,
            "BOTOUTPUT_SELECT": select,
            "TOPADDSUB_UPPERINPUT": "0",
            "PIPELINE_16x16_MULT_REG2": str(int(product)),
            **dict.fromkeys(PARTIAL, str(int(partial))),
        },
        "port_directions": {"CLK": "input", "A": "input", "B": "input", "C": "input", "O": "output"},
        # C stands for an accumulator: yosys connects the output there even where the adder does not take it.
        "connections": {"CLK": [2], "A": [a, "0"], "B": [b, "0"], "C": [o], "O": [o]},
    }


def cell(kind, inputs, outputs, **parameters):
    return {
        "type": kind,
        "parameters": parameters,
        "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
        "connections": {name: [bit] for name, bit in {**inputs, **outputs}.items()},
    }


def flipflop(d, q):
    return cell("SB_DFF", {"C": 2, "D": d}, {"Q": q})


def lut(i, o):
    return cell("SB_LUT4", {"I0": i}, {"O": o})


def honest(*cells, reached=50.0):
    design = {"modules": {"top": {"ports": {}, "cells": {str(n): each for n, each in enumerate(cells)}}}}
    return honest_fmax(parse_netlist(design, "top"), reached)


D, D_ADD = MAC16_MULTIPLY_NS, MAC16_MULTIPLY_ADD_NS


@pytest.mark.parametrize(
    ("cells", "period"),
    [
        # A register, a multiplier, a register: two segments of 20 ns and the multiplier.
        ([flipflop(9, 10), mac(10, 10, 11), flipflop(11, 12)], 2 * 20 + D),
        ([flipflop(9, 10), mac(10, 10, 11, adder=True), flipflop(11, 12)], 2 * 20 + D_ADD),
        # Two in a row, with logic between.
        ([flipflop(9, 10), mac(10, 10, 11), lut(11, 12), mac(12, 10, 13), flipflop(13, 14)], 3 * 20 + 2 * D),
        # Two side by side are no chain.
        ([flipflop(9, 10), mac(10, 10, 11), mac(10, 10, 12), flipflop(11, 13), flipflop(12, 14)], 2 * 20 + D),
        # Registers on one side: one segment.
        ([mac(10, 10, 11, registered_in=True), lut(11, 12), flipflop(12, 10)], 20 + D),
        ([flipflop(9, 10), mac(10, 10, 11, registered_out=True), flipflop(11, 12)], 20 + D_ADD),
        # The register behind the product ends the path as well.
        ([flipflop(9, 10), mac(10, 10, 11, product=True), flipflop(11, 12)], 20 + D),
        # Partial products between registers, and then their sum.
        ([mac(10, 10, 11, registered_in=True, partial=True), flipflop(11, 10)], 20 + D),
        # Into one whose output register ends the path.
        ([flipflop(9, 10), mac(10, 10, 11), mac(11, 11, 12, registered_out=True)], 2 * 20 + D + D_ADD),
    ],
)
def test_unregistered_mac16_derates(cells, period):
    fmax, kind, notes = honest(*cells)
    assert kind == "derated"
    assert 1000 / fmax == pytest.approx(period)
    assert len(notes) == 1


def test_registered_mac16_is_measured():
    registered = mac(10, 10, 11, registered_in=True, registered_out=True)
    assert honest(flipflop(9, 10), registered, flipflop(11, 12)) == (50.0, "measured", [])


def test_registered_mac16_still_takes_its_time_inside():
    registered = mac(10, 10, 11, registered_in=True, registered_out=True)
    fmax, kind, _ = honest(registered, reached=200.0)
    assert (fmax, kind) == (pytest.approx(1000 / D_ADD), "derated")
    product = mac(10, 10, 11, registered_in=True, product=True)
    assert honest(product, reached=200.0)[:2] == (pytest.approx(1000 / D), "derated")
    pipelined = mac(10, 10, 11, registered_in=True, registered_out=True, partial=True)
    assert honest(pipelined, reached=200.0) == (200.0, "measured", [])


def test_loop_through_mac16_is_unverified():
    assert honest(mac(10, 10, 11), lut(11, 10))[:2] == (None, "unverified")


def multiplier(**registers):
    return cell("MULT18X18D", {"A0": 10, "B0": 11}, {"P0": 12}, **registers)


@pytest.mark.parametrize(
    ("registers", "kind"),
    [
        ({}, "measured"),
        ({"REG_OUTPUT_CLK": "CLK0"}, "measured"),
        ({"REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK0"}, "measured"),
        ({"REG_INPUTA_CLK": "CLK0", "REG_OUTPUT_CLK": "CLK0"}, "unverified"),
        ({"REG_INPUTB_CLK": "CLK1", "REG_OUTPUT_CLK": "CLK0"}, "unverified"),
        ({"REG_INPUTA_CLK": "NONE", "REG_OUTPUT_CLK": "CLK0"}, "measured"),
    ],
)
def test_multiplier_with_registers_on_both_sides_is_unverified(registers, kind):
    fmax, found, notes = honest(multiplier(**registers))
    assert found == kind
    assert (fmax is None) == bool(notes) == (kind == "unverified")


def test_alu54b_is_unverified():
    assert honest(cell("ALU54B", {"A0": 10}, {"R0": 11}))[:2] == (None, "unverified")


@pytest.mark.parametrize(
    ("multiplier", "lost"),
    [
        ({"a": 10, "b": "x"}, True),
        ({"a": "x", "b": 10}, True),
        ({"a": 10, "b": "0"}, False),
        ({"a": 10, "b": 10, "c": "x", "adder": True}, True),
        ({"a": 10, "b": 10, "c": "x"}, False),
    ],
)
def test_multiplier_that_reads_what_nothing_drives(multiplier, lost):
    """Where C and D are not taken, it does not matter what they are."""
    one = mac(**{name: value for name, value in multiplier.items() if name != "c"}, o=11)
    if "c" in multiplier:
        one["connections"]["C"] = [multiplier["c"]]
        one["parameters"]["TOPADDSUB_UPPERINPUT"] = "1"
    netlist = parse_netlist({"modules": {"top": {"ports": {}, "cells": {"mac": one}}}}, "top")
    assert reads_undefined(netlist.named["mac"]) == lost
