"""The frequency that a design reaches, corrected for what nextpnr has not timed.

nextpnr takes some blocks for registered (:data:`kanrtl.fabric.primitives.UNTIMED`: SB_MAC16), and ends a path there
although it may go on; such a path is bounded from the delay of a block. Inside of others, such as a MULT18X18D between
registers, it times nothing, and there is no bound. Paths to and from the ports of a core are not timed either.
"""

from collections.abc import Iterable

from ..fabric.cell import Cell
from ..fabric.primitives import UNTIMED, is_sequential, note_unverified, path_inputs
from .netlist import Netlist


def honest_fmax(
    netlist: Netlist, reached: float | None, bram_mhz: float | None = None
) -> tuple[float | None, str, list[str]]:
    """The frequency in MHz that ``netlist`` reaches, its kind as in :attr:`Report.fmax_kind`, and notes on it.

    nextpnr says that it reaches ``reached``, in MHz, or None where no path was timed. Memory blocks take a clock of up
    to ``bram_mhz``, which nextpnr does not check.
    """
    if unverified := note_unverified(netlist.cells):
        return None, "unverified", [f"nextpnr does not time {' and '.join(unverified)}: fmax is not known"]
    if bram_mhz and reached and reached > bram_mhz and netlist.count("block memory"):
        note = f"fmax is that of the memory blocks' clock; the paths between registers reach {reached:.1f} MHz"
        return bram_mhz, "measured", [note]
    blocks = dict.fromkeys(cell.kind for cell in netlist.cells if cell.kind in UNTIMED)
    if not blocks:
        return (
            (None, "none", ["no path leads from register to register"])
            if reached is None
            else (reached, "measured", [])
        )
    segment_ns = 0.0 if reached is None else 1000 / reached
    period_ns, chain, loops = _longest_block_path(netlist, segment_ns)
    names = " or ".join(blocks)
    if loops:
        return None, "unverified", [f"a combinational loop goes through the logic around {names}"]
    if not chain:
        return reached, "measured", []
    note = (
        f"nextpnr does not time paths through an {names} without registers, of which {chain} may "
        f"follow each other; fmax is a lower bound, with {'; '.join(UNTIMED[kind].delays for kind in blocks)}"
        + ("" if reached is None else f", where nextpnr says {reached:.1f} MHz")
    )
    return 1000 / period_ns, "derated", [note]


def reads_undefined(cell: Cell) -> bool:
    """Whether ``cell`` is a block of :data:`.UNTIMED`, such as SB_MAC16, that takes bits which nothing drives."""
    block = UNTIMED.get(cell.kind)
    return block is not None and any("x" in cell.inputs.get(port, ()) for port in block.data(cell))


def _longest_block_path(netlist: Netlist, segment_ns: float) -> tuple[float, int, bool]:
    """The longest path through blocks that nextpnr has not timed.

    nextpnr cuts a path at every one, so each of its segments takes at most ``segment_ns``, the period
    that it reports. A path through m unregistered ones from register to register is at most m + 1 segments
    and m times the delay of a block.

    Returns the period in ns, how many blocks the longest path goes through, and whether there are loops.
    """
    spent: dict[int, tuple[float, int]] = {}  # by net: time before the segment that the net is in, and blocks so far
    worst = (segment_ns, 0)
    order, loops = _combinational_order(netlist)
    for cell in order:
        if cell.kind in UNTIMED:
            after, period = _through_block(cell, spent, segment_ns)
            worst = max(worst, period)
        else:
            after = max((spent.get(bit, (0.0, 0)) for bit in cell.bits(path_inputs(cell))), default=(0.0, 0))
        if after[1]:
            spent.update(dict.fromkeys(cell.output_bits, after))
    for time_ns, passed in spent.values():
        worst = max(worst, (time_ns + segment_ns, passed))
    return *worst, loops


def _through_block(
    cell: Cell, spent: dict[int, tuple[float, int]], segment_ns: float
) -> tuple[tuple[float, int], tuple[float, int]]:
    """What has been spent at the outputs of a block, and the longest path that ends in it."""
    block = UNTIMED[cell.kind].read(cell)
    at_inputs = [(0.0, 0)] if block.registered_input else []
    for bit in cell.bits(block.open_inputs):
        time_ns, passed = spent.get(bit, (0.0, 0))
        at_inputs.append((time_ns + segment_ns, passed))
    time_ns, passed = max(at_inputs, default=(0.0, 0))
    inside = (time_ns + block.delay_ns, passed + 1)
    if block.registered_output:
        return (0.0, 0), (0.0, 0) if block.split else inside
    return ((block.delay_ns, 1), inside) if block.inner else (inside, (0.0, 0))


def _combinational_order(netlist: Netlist) -> tuple[list[Cell], bool]:
    """The combinational cells, each after those that feed it; and whether some are in a loop and left out.

    A block that nextpnr takes for registered counts as combinational from its unregistered data inputs on.
    """
    cells = [cell for cell in netlist.cells if not is_sequential(cell)]
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
        return cell.bits(UNTIMED[cell.kind].read(cell).open_inputs if cell.kind in UNTIMED else path_inputs(cell))

    def cuts(cell: Cell) -> bool:
        return cell.kind in UNTIMED and UNTIMED[cell.kind].read(cell).registered_output

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
        for bit in cell.bits(path_inputs(cell)) if ahead else cell.output_bits if path_inputs(cell) else ():
            by_bit.setdefault(bit, []).append(index)
    found: set[int] = set()
    todo = list(start)
    while todo:
        for index in by_bit.get(todo.pop(), ()):
            if index not in found:
                found.add(index)
                cell = cells[index]
                todo += cell.output_bits if ahead else cell.bits(path_inputs(cell))
    return found
