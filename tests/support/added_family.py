"""A family that is not one of kanrtl's, as the file that adds it; its board, and its tools, which only pretend."""

FAMILY = '''
"""A family of the laboratory."""

from ...tools.toolchain import Tool
from ..blocks import Blocks, BlockShape, block_shapes
from ..family import FF_COSTS, LUT_COSTS, BlockTiming, Chip, Family, NetworkCosts, Resources, ToolFlow, UntimedBlock


def find_chip(name):
    """The chip of that name."""
    if name != "LAB9K":
        return None
    return Chip(
        lut=9000, ff=18000, dsp=40, bram=20, bram_kbit=8, synthesis=("synth_lab", "-thin"),
        nextpnr_options=("--lab9k",), bram_mhz=300.0,
    )


def _read_multiplier(cell):
    return BlockTiming(
        open_inputs=("A", "B"), registered_input=False, registered_output=False, split=False, inner=False, delay_ns=5.0
    )


FAMILY = Family(
    name="lab",
    title="LAB",
    examples=("LAB9K",),
    proposed=("LAB9K",),
    find_chip=find_chip,
    blocks=Blocks(
        read_only=block_shapes(8, (8, 16), None),
        written=block_shapes(8, (8, 16), 8),
        cost=64,
        distributed=(BlockShape(1, 32, 1),),
        operand=20,
        least_product=12,
        registered=True,
    ),
    costs={"lut": LUT_COSTS, "ff": FF_COSTS},
    networks=NetworkCosts(paired_carries=False, mapped=(1.0, 0.5), lut_margin=0.5, slowness=lambda chip: 1.5),
    times_multipliers=True,
    flow=ToolFlow(
        place_and_route=Tool("nextpnr-lab", "yowasp-nextpnr-lab", ("--version",), "--log"),
        packer=Tool("labpack", "yowasp-nextpnr-lab", ("--version",)),
        default_mhz=120.0,
        constraints="pcf",
        without_pins=("--no-pins",),
        keeps_ports=False,
        routed_option="--routed",
        routed_suffix=".lab",
        bitstream_suffix=".fs",
        pack=lambda routed, bitstream: ["-o", bitstream, routed],
        synthesise=lambda command: [command, "lab_opt"],
        narrow_luts="-thin",
    ),
    resources=Resources(lut="LAB_LUT", ff=None, dsp="LAB_MULT", bram="LAB_RAM", counts_cells=False),
    primitives={"multiplier": "LABMULT", "register": "LABFF", "LUT": "LABLUT"},
    path_inputs={},
    untimed={
        "LABMULT": UntimedBlock(
            read=_read_multiplier, data=lambda cell: ["A", "B"], delays="5 ns, as the data sheet says"
        ),
    },
)
'''

BOARD = """
from dataclasses import replace

from .icestick import BOARDS as ICESTICKS

BOARDS = [replace(ICESTICKS[0], name="lab-board", device="LAB9K", pack_options=("--compress",))]
"""

# One program stands for yosys, nextpnr and the packer: it tells what it was told, and writes what it should write.
TOOL = """
import json
import os
import sys
from pathlib import Path

name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
if arguments in (["-V"], ["--version"]):
    sys.exit(print(f"{name} 1.2"))
if name == "yosys":
    script = Path("synthesis.ys").read_text()
    top = script.split("hierarchy -top ")[1].split()[0]

    def cell(kind, inputs, outputs):
        return {
            "type": kind,
            "parameters": {},
            "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
            "connections": {pin: [bit] for pin, bit in {**inputs, **outputs}.items()},
        }

    cells = {
        "first": cell("LABFF", {"C": 2, "D": 3}, {"Q": 4}),
        "product": cell("LABMULT", {"A": 4, "B": 4}, {"P": 5}),
        "last": cell("LABFF", {"C": 2, "D": 5}, {"Q": 3}),
    }
    ports = {"clk": {"direction": "input", "bits": [2]}, "spare": {"direction": "input", "bits": [9]}}
    Path("netlist.json").write_text(json.dumps({"modules": {top: {"ports": ports, "cells": cells}}}))
    arguments = [line for line in script.splitlines() if "lab" in line]
elif name == "nextpnr-lab":
    (module,) = json.loads(Path("netlist.json").read_text())["modules"].values()
    arguments.append("ports " + " ".join(module["ports"]))
    used = {"LAB_LUT": {"used": 70}, "LAB_MULT": {"used": 1}}
    fmax = {"clk": {"achieved": 100.0, "constraint": 12.0}}
    Path("nextpnr.json").write_text(json.dumps({"fmax": fmax, "utilization": used, "critical_paths": []}))
    if "--routed" in arguments:
        Path(arguments[arguments.index("--routed") + 1]).touch()
else:
    Path(arguments[arguments.index("-o") + 1]).touch()
with open(os.environ["TOLD"], "a") as told:
    told.write(json.dumps([name, *arguments]) + "\\n")
"""
