"""The frequency that a design reaches, corrected for what nextpnr has not timed.

nextpnr takes every SB_MAC16 for registered, and ends a path there although it may go on; such a path is bounded
from the delay of an SB_MAC16. Inside a MULT18X18D, between registers, it times nothing, and of an ALU54B
nothing at all; there is no bound for these. Paths to and from the ports of a core are not timed either.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..fabric.primitives import MAC16_MULTIPLY_ADD_NS, MAC16_MULTIPLY_NS
from .netlist import Cell, Netlist


def honest_fmax(
    netlist: Netlist, reached: float | None, bram_mhz: float | None = None
) -> tuple[float | None, str, list[str]]:
    """The frequency in MHz that ``netlist`` reaches, its kind as in :attr:`Report.fmax_kind`, and notes on it.

    nextpnr says that it reaches ``reached``, in MHz, or None where no path was timed. Memory blocks take a clock of up
    to ``bram_mhz``, which nextpnr does not check.
    """
    unseen = _note_unverified(netlist)
    if unseen:
        return None, "unverified", [unseen]
    if bram_mhz and reached and reached > bram_mhz and netlist.count("block memory"):
        note = f"fmax is that of the memory blocks' clock; the paths between registers reach {reached:.1f} MHz"
        return bram_mhz, "measured", [note]
    if all(cell.kind != "SB_MAC16" for cell in netlist.cells):
        return (
            (None, "none", ["no path leads from register to register"])
            if reached is None
            else (reached, "measured", [])
        )
    segment_ns = 0.0 if reached is None else 1000 / reached
    period_ns, chain, loops = _longest_mac_path(netlist, segment_ns)
    if loops:
        return None, "unverified", ["a combinational loop goes through the logic around SB_MAC16"]
    if not chain:
        return reached, "measured", []
    note = (
        f"nextpnr does not time paths through an SB_MAC16 without registers, of which {chain} may "
        f"follow each other; fmax is a lower bound, with {MAC16_MULTIPLY_NS} ns for a multiplication, or "
        f"{MAC16_MULTIPLY_ADD_NS} ns with addition (icestorm, slow corner)"
        + ("" if reached is None else f", where nextpnr says {reached:.1f} MHz")
    )
    return 1000 / period_ns, "derated", [note]


def _note_unverified(netlist: Netlist) -> str | None:
    """A note on multipliers that nextpnr does not time; None where there are none.

    It times a MULT18X18D to the pins on either side, but nothing between two registers inside.
    """
    inside = sum(
        _has_register(cell, "REG_INPUTA_CLK", "REG_INPUTB_CLK") and _has_register(cell, "REG_OUTPUT_CLK")
        for cell in netlist.cells
        if cell.kind == "MULT18X18D"
    )
    adders = netlist.count("accumulator")
    if not inside and not adders:
        return None
    what = [f"{inside} MULT18X18D between their own input and output registers"] if inside else []
    what += [f"{adders} ALU54B"] if adders else []
    return f"nextpnr does not time {' and '.join(what)}: fmax is not known"


_MULT18_REGISTERS = ("REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_PIPELINE_CLK", "REG_OUTPUT_CLK")


def _has_register(cell: Cell, *parameters: str) -> bool:
    return any(cell.parameters.get(name, "NONE") != "NONE" for name in parameters)


_MAC16_REGISTERS = {"A": "A_REG", "B": "B_REG", "C": "C_REG", "D": "D_REG"}


@dataclass(frozen=True)
class _Mac16:
    """Which registers of an SB_MAC16 are in use.

    Its data go through four rows of them, each of which may be left out: inputs, partial products, product,
    and the output of the adder.
    """

    open_inputs: tuple[str, ...]  # data inputs without a register
    registered_input: bool
    registered_output: bool
    partial: bool  # registers at the partial products
    inner: bool  # a register between inputs and outputs
    delay_ns: float

    @classmethod
    def of(cls, cell: Cell) -> "_Mac16":
        """The registers of ``cell``."""
        selects = _mac16_selects(cell)
        adds = _mac16_adds(cell)
        connected = _mac16_data(cell, adds)
        opened = tuple(port for port in connected if not cell.flag(_MAC16_REGISTERS[port]))
        product = cell.flag("PIPELINE_16x16_MULT_REG2")
        products8 = cell.flag("TOP_8x8_MULT_REG") and cell.flag("BOT_8x8_MULT_REG")
        partial = products8 and cell.flag("PIPELINE_16x16_MULT_REG1")
        registered = {"01": True, "11": product, "10": products8}
        return cls(
            opened,
            len(opened) < len(connected),
            all(registered.get(select, False) for select in selects),
            partial,
            partial or (adds and product),
            MAC16_MULTIPLY_ADD_NS if adds else MAC16_MULTIPLY_NS,
        )


def _mac16_selects(cell: Cell) -> set[str]:
    """What the outputs show: 00 is the adder, 01 the register behind it, 10 the 8x8 products, 11 the 16x16 product."""
    names = ("TOPOUTPUT_SELECT", "BOTOUTPUT_SELECT")
    return {str(cell.parameters.get(name, "00"))[-2:].rjust(2, "0") for name in names}


def _mac16_adds(cell: Cell) -> bool:
    return not _mac16_selects(cell) <= {"10", "11"}


def _mac16_data(cell: Cell, adds: bool) -> list[str]:
    """The data inputs of an SB_MAC16 that a net arrives at and that it takes."""
    return [port for port in _mac16_taken(cell, adds) if any(True for _ in cell.bits([port]))]


def _mac16_taken(cell: Cell, adds: bool) -> list[str]:
    """The data inputs that an SB_MAC16 takes, whether a net arrives there or not."""
    # The adder takes its own output for C and D where these bits are clear, whatever is connected there.
    taken = {"C": "TOPADDSUB_UPPERINPUT", "D": "BOTADDSUB_UPPERINPUT"}
    return [port for port in _MAC16_REGISTERS if port in "AB" or (adds and cell.flag(taken[port]))]


def reads_undefined(cell: Cell) -> bool:
    """Whether ``cell`` is an SB_MAC16 that takes bits which nothing drives."""
    if cell.kind != "SB_MAC16":
        return False
    return any("x" in cell.inputs.get(port, ()) for port in _mac16_taken(cell, _mac16_adds(cell)))


def _path_inputs(cell: Cell) -> set[str]:
    """Inputs from which a path leads to the outputs, within one cycle."""
    if cell.kind == "TRELLIS_DPR16X4":
        return {"RAD"}
    if cell.kind == "MULT18X18D" and _has_register(cell, *_MULT18_REGISTERS):
        return set()
    if cell.kind == "SB_MAC16":
        mac = _Mac16.of(cell)
        return set() if mac.registered_output or mac.inner else set(mac.open_inputs)
    return set() if cell.sequential else set(cell.inputs)


def _longest_mac_path(netlist: Netlist, segment_ns: float) -> tuple[float, int, bool]:
    """The longest path through SB_MAC16 that nextpnr has not timed.

    nextpnr cuts a path at every SB_MAC16, so each of its segments takes at most ``segment_ns``, the period
    that it reports. A path through m unregistered ones from register to register is at most m + 1 segments
    and m times the delay of an SB_MAC16.

    Returns the period in ns, how many SB_MAC16 the longest path goes through, and whether there are loops.
    """
    spent: dict[int, tuple[float, int]] = {}  # by net: time before the segment that the net is in, and SB_MAC16 so far
    worst = (segment_ns, 0)
    order, loops = _combinational_order(netlist)
    for cell in order:
        if cell.kind == "SB_MAC16":
            after, period = _through_mac(cell, spent, segment_ns)
            worst = max(worst, period)
        else:
            after = max((spent.get(bit, (0.0, 0)) for bit in cell.bits(_path_inputs(cell))), default=(0.0, 0))
        if after[1]:
            spent.update(dict.fromkeys(cell.output_bits, after))
    for time_ns, passed in spent.values():
        worst = max(worst, (time_ns + segment_ns, passed))
    return *worst, loops


def _through_mac(
    cell: Cell, spent: dict[int, tuple[float, int]], segment_ns: float
) -> tuple[tuple[float, int], tuple[float, int]]:
    """What has been spent at the outputs of an SB_MAC16, and the longest path that ends in it."""
    mac = _Mac16.of(cell)
    at_inputs = [(0.0, 0)] if mac.registered_input else []
    for bit in cell.bits(mac.open_inputs):
        time_ns, passed = spent.get(bit, (0.0, 0))
        at_inputs.append((time_ns + segment_ns, passed))
    time_ns, passed = max(at_inputs, default=(0.0, 0))
    inside = (time_ns + mac.delay_ns, passed + 1)
    if mac.registered_output:
        split = mac.partial and not mac.open_inputs
        return (0.0, 0), (0.0, 0) if split else inside
    return ((mac.delay_ns, 1), inside) if mac.inner else (inside, (0.0, 0))


def _combinational_order(netlist: Netlist) -> tuple[list[Cell], bool]:
    """The combinational cells, each after those that feed it; and whether some are in a loop and left out.

    An SB_MAC16 counts as combinational from its unregistered data inputs on.
    """
    cells = [cell for cell in netlist.cells if not cell.sequential]
    drivers = _drivers(cells)
    users: dict[int, list[int]] = {}
    for index, sources in enumerate(drivers):
        for source in sources:
            users.setdefault(source, []).append(index)
    waiting = [len(sources) for sources in drivers]
    ready = [index for index, number in enumerate(waiting) if number == 0]
    order = []
    while ready:
        index = ready.pop()
        order.append(cells[index])
        for user in users.get(index, ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    return order, len(order) < len(cells)


def _drivers(cells: list[Cell]) -> list[set[int]]:
    """For each of ``cells``, the indices of those that feed it within one cycle."""

    def feeds(cell: Cell) -> Iterable[int]:
        return cell.bits(_Mac16.of(cell).open_inputs if cell.kind == "SB_MAC16" else _path_inputs(cell))

    def cuts(cell: Cell) -> bool:
        return cell.kind == "SB_MAC16" and _Mac16.of(cell).registered_output

    driver = {bit: index for index, cell in enumerate(cells) if not cuts(cell) for bit in cell.output_bits}
    return [{driver[bit] for bit in feeds(cell) if bit in driver} for cell in cells]


def untimed_ports(netlist: Netlist) -> list[str]:
    """Notes on the logic between the ports and the nearest registers; empty where there is none."""
    forward = _reach(netlist, netlist.input_bits, ahead=True)
    backward = _reach(netlist, netlist.output_bits, ahead=False)
    between = len(forward | backward)
    if not between:
        return []
    return [f"cells of logic between a port and a register: {between}; these paths are not timed"]


def _reach(netlist: Netlist, start: set[int], ahead: bool) -> set[int]:
    """Indices of the combinational cells that ``start`` leads to, or comes from."""
    by_bit: dict[int, list[int]] = {}
    cells = list(netlist.cells)
    for index, cell in enumerate(cells):
        for bit in cell.bits(_path_inputs(cell)) if ahead else cell.output_bits if _path_inputs(cell) else ():
            by_bit.setdefault(bit, []).append(index)
    found: set[int] = set()
    todo = list(start)
    while todo:
        for index in by_bit.get(todo.pop(), ()):
            if index not in found:
                found.add(index)
                cell = cells[index]
                todo += cell.output_bits if ahead else cell.bits(_path_inputs(cell))
    return found
