"""The parts that can be built for: what they hold and where, and how the tools call them."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import BuildError
from ..tools.toolchain import NEXTPNR_ECP5, NEXTPNR_ICE40, Tool

# LUT4, multipliers, memory blocks of 18 kbit. The 12F is a 25F by another name: the open tools use all of it.
_ECP5_DIES = {"12": (24288, 28, 56), "25": (24288, 28, 56), "45": (43848, 72, 108), "85": (83640, 156, 208)}

_ECP5_PACKAGES = {
    "TG144": "TQFP144",
    "MG285": "CSFBGA285",
    "BG256": "CABGA256",
    "BG381": "CABGA381",
    "BG554": "CABGA554",
    "BG756": "CABGA756",
}

# The least width of a pulse of a DP16KD's clock, in ns, by speed grade: Project Trellis, timing/speed_*/cells.json.
_ECP5_BRAM_PULSE_NS = {"6": 2.36, "7": 1.97, "8": 1.85}

_ECP5_NAME = re.compile(r"LFE5(U|UM|UM5G)-(12|25|45|85)F(?:-([678]))?(?:-?([A-Z]+\d+))?[CI]?")

# Logic cells, multipliers, memory blocks of 4 kbit; then the packages, the default first. The 4K parts are 8K
# dies of which the open tools use all.
_ICE40_DIES: dict[str, tuple[int, int, int, tuple[str, ...]]] = {
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

_ICE40_NAME = re.compile(r"ICE40(LP384|LP[148]K|HX[148]K|UP[35]K)(?:-([A-Z]+\d+(?:TR)?))?")


@dataclass(frozen=True)
class Device:
    """An FPGA: what it holds, and how the tools call it.

    Attributes
    ----------
    name : str
        The name that it was asked for by.
    family : str
        ``ecp5`` or ``ice40``.
    lut, ff, dsp, bram : int
        How many it holds: LUT4 (iCE40: logic cells of a LUT4 and a flip-flop), flip-flops, multipliers (MULT18X18D or
        SB_MAC16), memory blocks.
    bram_kbit : int
        The size of a memory block, in kbit.
    synthesis : tuple of str
        The yosys command that synthesises for it.
    nextpnr_options : tuple of str
        Die, package and speed grade.
    bram_mhz : float or None
        The fastest clock of a memory block, where nextpnr does not check it.
    """

    name: str
    family: Literal["ecp5", "ice40"]
    lut: int
    ff: int
    dsp: int
    bram: int
    bram_kbit: int
    synthesis: tuple[str, ...]
    nextpnr_options: tuple[str, ...]
    bram_mhz: float | None = None

    @classmethod
    def parse(cls, name: str) -> "Device":
        """The device called ``name``, such as ``LFE5U-85F-6``, ``LFE5U-25F-6BG256``, ``iCE40UP5K-SG48``.

        Speed grade and package may be left out; they default to the slowest grade and to CABGA381 on ECP5.

        Raises
        ------
        BuildError
            If there is no such device.
        """
        ecp5 = _ECP5_NAME.fullmatch(name.upper())
        ice40 = _ICE40_NAME.fullmatch(name.upper())
        if ecp5:
            return cls._ecp5(name, *ecp5.groups())
        if ice40:
            return cls._ice40(name, *ice40.groups())
        raise BuildError(
            f"device: {name!r} is not known; it is a name like LFE5U-25F-6, LFE5U-85F-8BG381, "
            f"LFE5UM5G-85F-8, iCE40UP5K-SG48 or iCE40HX8K-CT256"
        )

    @classmethod
    def _ecp5(cls, name: str, line: str, size: str, speed: str | None, package: str | None) -> "Device":
        if package is not None and package not in (*_ECP5_PACKAGES, *_ECP5_PACKAGES.values()):
            raise BuildError(f"device: {name!r} names package {package}; choose one of {', '.join(_ECP5_PACKAGES)}")
        if size == "12" and line != "U":
            raise BuildError(f"device: {name!r} does not exist; LFE5{line} comes as 25F, 45F and 85F")
        if line == "UM5G" and speed not in (None, "8"):
            raise BuildError(f"device: {name!r} does not exist; LFE5UM5G comes in speed grade 8 only")
        lut, dsp, bram = _ECP5_DIES[size]
        prefix = {"U": "", "UM": "um-", "UM5G": "um5g-"}[line]
        speed = speed or ("8" if line == "UM5G" else "6")
        options = (
            f"--{prefix}{size}k",
            "--package",
            _ECP5_PACKAGES.get(package or "BG381", package or ""),
            "--speed",
            speed,
        )
        bram_mhz = 1000 / (2 * _ECP5_BRAM_PULSE_NS[speed])
        return cls(name, "ecp5", lut, lut, dsp, bram, 18, ("synth_ecp5", "-nowidelut"), options, bram_mhz)

    @classmethod
    def _ice40(cls, name: str, die: str, package: str | None) -> "Device":
        cells, dsp, bram, packages = _ICE40_DIES[die]
        package = (package or packages[0]).lower()
        if package not in packages:
            raise BuildError(f"device: {name!r} names package {package}; iCE40{die} comes as {', '.join(packages)}")
        synthesis: tuple[str, ...] = ("synth_ice40", "-device", {"LP": "lp", "HX": "hx", "UP": "u"}[die[:2]])
        if dsp:
            synthesis += ("-dsp",)
        options = (f"--{die.lower()}", "--package", package)
        return cls(name, "ice40", cells, cells, dsp, bram, 4, synthesis, options)

    def with_wide_luts(self) -> "Device":
        """The device with the multiplexers behind its LUTs in use; :exc:`BuildError` for a family without them."""
        if self.family != "ecp5":
            raise BuildError(f"wide_luts: True: {self.name} has no multiplexers behind its LUTs; leave it out")
        return replace(self, synthesis=tuple(word for word in self.synthesis if word != "-nowidelut"))

    @property
    def die(self) -> str:
        """The die as nextpnr calls it, such as ``85k``, ``um-85k``, ``up5k``."""
        return self.nextpnr_options[0].removeprefix("--")

    @property
    def place_and_route(self) -> Tool:
        """The tool that places and routes for this family."""
        return NEXTPNR_ECP5 if self.family == "ecp5" else NEXTPNR_ICE40

    @property
    def default_frequency(self) -> float:
        """The frequency that a core is asked to reach, in MHz: more than it will, so that the tools do their best."""
        return 200.0 if self.family == "ecp5" else 50.0


# By die: rows, and the columns where four multipliers begin; the same for all lines and packages of nextpnr 0.9.
_DIES = {
    "85k": ((10, 34, 58), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)),
    "45k": ((22, 46), (4, 13, 22, 31, 42, 51, 60, 69, 78)),
    "25k": ((13,), (4, 13, 22, 33, 42, 51, 60)),
}

# Columns from the first, and the number in a pair of DSP slices.
_OF_FOUR = ((0, 0), (1, 1), (4, 4), (5, 5))


@dataclass(frozen=True)
class Site:
    """A site of a MULT18X18D.

    Attributes
    ----------
    x, y : int
        Column and row, in tiles.
    name : str
        The site as nextpnr's attribute ``BEL`` takes it.
    """

    x: int
    y: int
    name: str


def multiplier_sites(device: Device) -> list[Site]:
    """All sites of multipliers of an ECP5."""
    die = device.die.rpartition("-")[2]
    rows, columns = _DIES["25k" if die == "12k" else die]
    return [
        Site(column + beside, row, f"X{column + beside}/Y{row}/MULT18_{number}")
        for row in rows
        for column in columns
        for beside, number in _OF_FOUR
    ]
