"""What has to be known of a family of FPGAs: everything that is particular to one, for estimates and for builds.

A family says it in one file, :mod:`kanrtl.fabric.families` has them all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..tools.toolchain import Tool
from .blocks import Blocks
from .cell import Cell

LUT_COSTS: Mapping[str, float] = {
    "adder": 1,
    "chain": 2,
    "compressor": 2,
    "term": 0.5,
    "product": 2,
    "serial": 1,
    "choice": 1,
    "limit": 1,
    "detection": 0.3,
    "truth table": 1,
    "counter": 1.5,
    "parity": 1,
    "collision": 0,
    "lane": 5,
    "layer": 20,
    "learner": 100,
}
"""The LUTs of four inputs that a unit of each of :data:`kanrtl.fabric.parts.KINDS` takes by itself: one for a bit of an
adder, two for a bit of a compressor, and so on."""

FF_COSTS: Mapping[str, float] = {"register": 1, "collision": 0, "lane": 0, "layer": 0, "learner": 10}
"""The flip-flops that a unit of each kind takes."""


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What a part holds, and what the tools are told of it.

    Attributes
    ----------
    lut, ff, dsp, bram : int
        How many it holds: LUT4 (where a family counts logic cells: those, of a LUT4 and a flip-flop), flip-flops,
        multipliers, memory blocks.
    bram_kbit : int
        The size of a memory block, in kbit.
    synthesis : tuple of str
        The yosys command that synthesises for it.
    nextpnr_options : tuple of str
        Die, package and speed grade; the die comes first.
    bram_mhz : float or None
        The fastest clock of a memory block, where nextpnr does not check it.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    bram_kbit: int
    synthesis: tuple[str, ...]
    nextpnr_options: tuple[str, ...]
    bram_mhz: float | None = None


@dataclass(frozen=True, kw_only=True)
class ToolFlow:
    """The tools of a family beside yosys, what they are told, and the files that they write.

    Attributes
    ----------
    place_and_route, packer : Tool
        What places and routes, and what makes a bitstream of that.
    default_mhz : float
        The frequency that a core is asked to reach, in MHz: more than it will, so that the tools do their best.
    constraints : str
        The kind of file that has the constraints of pins, which is also the name of nextpnr's option for it: ``lpf``.
    without_pins : tuple of str
        What tells nextpnr that ports have no pins.
    keeps_ports : bool
        Whether nextpnr can be told that. If not, the ports of a core are removed before.
    routed_option, routed_suffix : str
        The option with which nextpnr writes what the packer reads, and the suffix of that file.
    bitstream_suffix : str
        The suffix of the bitstream.
    pack : callable
        Give the arguments of the packer for the routed design and the bitstream, by the names of the files.
    synthesise : callable
        Give the lines with which yosys synthesises a flat design, for the command of a chip and its options.
    synthesise_again : callable, optional
        The same where ABC9 has failed, for a family that uses it.
    narrow_luts : str or None
        The option of yosys with which the multiplexers behind LUTs are left alone; None where there are none.
    placed_option : str or None
        The option with which nextpnr writes where everything is, for a family whose bitstreams can be read back into
        logic: with that they are compared with the netlist. None where they cannot.
    """

    place_and_route: Tool
    packer: Tool
    default_mhz: float
    constraints: str
    without_pins: tuple[str, ...]
    keeps_ports: bool
    routed_option: str
    routed_suffix: str
    bitstream_suffix: str
    pack: Callable[[str, str], Sequence[str]]
    synthesise: Callable[[str], Sequence[str]]
    synthesise_again: Callable[[str], Sequence[str]] | None = None
    narrow_luts: str | None = None
    placed_option: str | None = None

    @property
    def tools(self) -> tuple[Tool, Tool]:
        """The tools of the family, in the order in which they work."""
        return self.place_and_route, self.packer


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What nextpnr's report calls the resources of a chip; ``ff`` is None where it does not count flip-flops.

    ``counts_cells`` says whether ``lut`` counts logic cells of a LUT and a flip-flop, those with nothing but a
    flip-flop included, rather than LUTs.
    """

    lut: str
    ff: str | None
    dsp: str
    bram: str
    counts_cells: bool

    @property
    def lut_name(self) -> str:
        """What a person calls the resource ``lut``."""
        return "logic cells" if self.counts_cells else "LUT4"


@dataclass(frozen=True, kw_only=True)
class BlockTiming:
    """How paths go through a block, by those of its registers that are in use.

    Attributes
    ----------
    open_inputs : tuple of str
        The data inputs without a register.
    registered_input, registered_output : bool
        Whether some data input, and whether the output has a register.
    split : bool
        Whether a register parts the way from those at the inputs to those at the outputs.
    inner : bool
        Whether there is any register between inputs and outputs.
    delay_ns : float
        The delay through the block, or from register to register in it.
    """

    open_inputs: tuple[str, ...]
    registered_input: bool
    registered_output: bool
    split: bool
    inner: bool
    delay_ns: float


@dataclass(frozen=True, kw_only=True)
class UntimedBlock:
    """A block that nextpnr takes for registered, so that it ends a path there although that may go on.

    Attributes
    ----------
    read : callable
        Give the timing of a cell.
    data : callable
        Give the data inputs that a cell takes, whether a net arrives there or not.
    delays : str
        What is known of its delays, in words, with the source.
    """

    read: Callable[[Cell], BlockTiming]
    data: Callable[[Cell], Sequence[str]]
    delays: str


@dataclass(frozen=True, kw_only=True)
class NetworkCosts:
    """What lookup networks take of a family, for estimates.

    Attributes
    ----------
    paired_carries : bool
        Whether a cell of a carry chain adds two bits, so that a chain has whole cells, and a constant is led in by one
        more.
    mapped : (float, float)
        What yosys takes of the LUTs that a tree of multiplexers above functions of six bits would: of smooth tables,
        and more the more of these functions there are that take as many LUTs as any.
    lut_margin : float
        The largest error of an estimate of LUTs, relative to the build.
    slowness : callable
        Tell how many times as long a path takes on a chip as on ECP5 of speed grade 6, roughly.
    registers_factors : bool
        Whether a multiplier takes in the registers of what it multiplies.
    """

    paired_carries: bool
    mapped: tuple[float, float]
    lut_margin: float
    slowness: Callable[[Chip], float]
    registers_factors: bool = False


@dataclass(frozen=True)
class Site:
    """A site of a multiplier.

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


@dataclass(frozen=True, kw_only=True)
class BitstreamHead:
    """What a bitstream says of itself.

    Attributes
    ----------
    dies : tuple of str
        The dies that take it, as nextpnr calls them; none where it is for one that is not known.
    package : str or None
        The package that it was made for, as nextpnr calls it, where it says so.
    whole : bool
        Whether its end is there.
    """

    dies: tuple[str, ...]
    package: str | None
    whole: bool


def _note_nothing(_: Iterable[Cell]) -> list[str]:
    """Give no notes, where nextpnr times all that there is."""
    return []


@dataclass(frozen=True, kw_only=True)
class Family:
    """All that is particular to a family.

    Attributes
    ----------
    name, title : str
        Its name, for programs and for persons.
    examples : tuple of str
        Names of parts, as a hint where a name is not known.
    proposed : tuple of str
        Names of the parts that are proposed where a device is too small.
    find_chip : callable
        Give the chip for the name of a part; None if that is no name of this family. Raises
        :exc:`kanrtl.build.BuildError` for a name of a part that does not exist.
    blocks : Blocks
        What memories and products are cut into. A family without memories in LUTs has no ``distributed`` ones.
    costs : mapping
        For ``lut`` and ``ff`` what a unit of each of :data:`kanrtl.fabric.parts.KINDS` takes by itself. Estimates count
        with it until ``python -m bench.fit`` has fitted it to measured builds.
    networks : NetworkCosts
        What lookup networks take, for estimates.
    times_multipliers : bool
        Whether nextpnr times a path through a multiplier without registers. If not, a learner gets registers around
        its multipliers.
    flow : ToolFlow
        The tools.
    resources : Resources
        What nextpnr's report calls the resources.
    primitives : mapping
        For what a hardware designer calls a primitive, such as ``block memory``, a regular expression of the cells that
        are one.
    path_inputs : mapping
        For cells through which paths lead from some of their inputs only, a function that gives these.
    untimed : mapping
        The blocks that nextpnr takes for registered, by the cell.
    note_unverified : callable
        Give notes on cells inside of which nextpnr times nothing, and for which no bound is known.
    multiplier_sites : callable, optional
        Give the sites of multipliers on a die, where nextpnr does not place many multipliers well.
    read_bitstream : callable, optional
        Give what the content of a file says of itself, None if it is no bitstream of this family. Without it, a
        bitstream is loaded into a board as it is.
    """

    name: str
    title: str
    examples: tuple[str, ...]
    proposed: tuple[str, ...]
    find_chip: Callable[[str], Chip | None]
    blocks: Blocks
    costs: Mapping[str, Mapping[str, float]]
    networks: NetworkCosts
    times_multipliers: bool
    flow: ToolFlow
    resources: Resources
    primitives: Mapping[str, str]
    path_inputs: Mapping[str, Callable[[Cell], set[str]]]
    untimed: Mapping[str, UntimedBlock]
    note_unverified: Callable[[Iterable[Cell]], list[str]] = _note_nothing
    multiplier_sites: Callable[[str], list[Site]] | None = None
    read_bitstream: Callable[[bytes], BitstreamHead | None] | None = None
