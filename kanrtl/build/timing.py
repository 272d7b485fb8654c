"""Timing: what nextpnr has not checked, and the critical path in words.

nextpnr takes every SB_MAC16 for registered, and ends a path there although it may go on; such a path is bounded
from the delay of an SB_MAC16. Inside a MULT18X18D, between registers, it times nothing, and of an ALU54B
nothing at all; there is no bound for these. Paths to and from the ports of a core are not timed either.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .netlist import Cell, Netlist, python_place

__all__ = [
    "MAC16_MULTIPLY_ADD_NS",
    "MAC16_MULTIPLY_NS",
    "critical_path",
    "honest_fmax",
    "reads_undefined",
    "untimed_ports",
]

# Delays of an unregistered SB_MAC16 on UP5K, slow corner, as iCEcube2 gives them: icestorm, in
# icefuzz/timings_up5k.txt of commit 722790a. The 16x16 multiplier alone (MUL_*_16X16_BYPASS), B[1] to O[31]:
# 9.05 ns, signed or not. Through the accumulator's adder as well (multiply-accumulate without input
# registers), B[1] to CO: 11.23 ns.
MAC16_MULTIPLY_NS = 9.1

MAC16_MULTIPLY_ADD_NS = 11.3


def honest_fmax(
    netlist: Netlist, reached: float | None, bram_mhz: float | None = None
) -> tuple[float | None, str, list[str]]:
    """nextpnr's figure, in MHz, corrected for what it has not timed; its kind; and notes.

    Memory blocks take a clock of up to ``bram_mhz``, which it does not check.
    """
    unseen = _unverified_multipliers(netlist)
    if unseen:
        return None, "unverified", [unseen]
    if bram_mhz and reached and reached > bram_mhz and netlist.count(lambda kind: kind in ("DP16KD", "PDPW16KD")):
        note = f"fmax is that of the memory blocks' clock; the paths between registers reach {reached:.1f} MHz"
        return bram_mhz, "measured", [note]
    if not netlist.count(lambda kind: kind == "SB_MAC16"):
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


def _unverified_multipliers(netlist: Netlist) -> str | None:
    """nextpnr times a MULT18X18D to the pins on either side, but nothing between two registers inside."""
    inside = sum(
        _registered(cell, "REG_INPUTA_CLK", "REG_INPUTB_CLK") and _registered(cell, "REG_OUTPUT_CLK")
        for cell in netlist.cells
        if cell.kind == "MULT18X18D"
    )
    adders = netlist.count(lambda kind: kind == "ALU54B")
    if not inside and not adders:
        return None
    what = [f"{inside} MULT18X18D between their own input and output registers"] if inside else []
    what += [f"{adders} ALU54B"] if adders else []
    return f"nextpnr does not time {' and '.join(what)}: fmax is not known"


_MULT18_REGISTERS = ("REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_PIPELINE_CLK", "REG_OUTPUT_CLK")


def _registered(cell: Cell, *parameters: str) -> bool:
    return any(cell.parameters.get(name, "NONE") != "NONE" for name in parameters)


_MAC16_REGISTERS = {"A": "A_REG", "B": "B_REG", "C": "C_REG", "D": "D_REG"}


@dataclass(frozen=True)
class _Mac16:
    """Where the registers of an SB_MAC16 stand.

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
    """The data inputs that an SB_MAC16 takes."""
    # The adder takes its own output for C and D where these bits are clear, whatever is connected there.
    taken = {"C": "TOPADDSUB_UPPERINPUT", "D": "BOTADDSUB_UPPERINPUT"}
    return [port for port in _MAC16_REGISTERS if port in "AB" or (adds and cell.flag(taken[port]))]


def reads_undefined(cell: Cell) -> bool:
    """Whether ``cell`` is an SB_MAC16 that takes bits which nothing drives."""
    if cell.kind != "SB_MAC16":
        return False
    return any("x" in cell.inputs.get(port, ()) for port in _mac16_taken(cell, _mac16_adds(cell)))


def _path_inputs(cell: Cell) -> set[str]:
    """Inputs from which a path leads to the outputs, within one clock."""
    if cell.kind == "TRELLIS_DPR16X4":
        return {"RAD"}
    if cell.kind == "MULT18X18D" and _registered(cell, *_MULT18_REGISTERS):
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
    """For each of ``cells``, the indices of those that feed it within one clock."""

    def feeds(cell: Cell) -> Iterable[int]:
        return cell.bits(_Mac16.of(cell).open_inputs if cell.kind == "SB_MAC16" else _path_inputs(cell))

    def cuts(cell: Cell) -> bool:
        return cell.kind == "SB_MAC16" and _Mac16.of(cell).registered_output

    driver = {bit: index for index, cell in enumerate(cells) if not cuts(cell) for bit in cell.output_bits}
    return [{driver[bit] for bit in feeds(cell) if bit in driver} for cell in cells]


def untimed_ports(netlist: Netlist) -> list[str]:
    """Count the logic between the ports and the nearest registers."""
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


def critical_path(nextpnr: dict[str, Any], clock: str, netlist: Netlist, *, whole: bool) -> dict[str, Any]:
    """The longest path from register to register of ``clock``, as in :attr:`Report.critical_path`.

    Unless nextpnr has timed the ``whole`` design, it is only the longest of those that it has.
    """
    paths = [
        path
        for path in nextpnr["critical_paths"]
        if clock and path["from"].endswith(f" {clock}") and path["to"].endswith(f" {clock}")
    ]
    if not paths:
        return {}
    hops = _merge_carries(list(_hops(paths[0]["path"], netlist)))
    total = sum(hop["delay_ns"] for hop in hops)
    routing = sum(hop["delay_ns"] for hop in hops if hop["kind"] == "routing")
    for hop in hops:
        hop["delay_ns"] = round(hop["delay_ns"], 3)
    return {
        "summary": ("" if whole else "longest path that is timed: ") + _summary(hops, total, routing),
        "delay_ns": round(total, 3),
        "routing_ns": round(routing, 3),
        "hops": hops,
    }


def _hops(path: list[dict[str, Any]], netlist: Netlist) -> Iterable[dict[str, Any]]:
    for number, step in enumerate(path):
        carry = bool({step["from"]["port"], step["to"]["port"]} & _CARRY_PORTS)
        routing = step["type"] == "routing" and not carry
        # A net is named after what drives it, so a cell stands where the net after it does.
        after = path[number + 1] if step["type"] != "routing" and number + 1 < len(path) else step
        cell = netlist.find(step["to"]["cell"])
        source = python_place(after.get("sources", ())) or (cell.place if cell and not routing else None)
        word = "wire" if routing else "carry chain" if carry else _cell_word(step, cell)
        kind = "routing" if routing else "logic"
        yield {"kind": kind, "cell": word, "delay_ns": float(step["delay"]), "source": source}


_CARRY_PORTS = {"FCI", "FCO", "CIN", "COUT"}

_CELL_WORDS = {
    "multiplier": r"MULT18X18D|SB_MAC16",
    "block memory": r"DP16KD|PDPW16KD|SB_RAM40\w*|SB_SPRAM\w*",
    "distributed memory": r"TRELLIS_DPR16X4|TRELLIS_RAMW",
    "register": r"TRELLIS_FF|SB_DFF\w*",
    "adder": r"CCU2C",
    "mux": r"PFUMX|L6MUX21",
    "LUT": r"LUT4|SB_LUT4",
}


def _cell_word(step: dict[str, Any], cell: Cell | None) -> str:
    """What a hardware person calls the cell of a logic hop."""
    kind = cell.kind if cell else "TRELLIS_RAMW" if "RAMW" in step["to"]["cell"] else "LUT4"
    word = next((word for word, kinds in _CELL_WORDS.items() if re.fullmatch(kinds, kind)), kind)
    # A logic cell holds a LUT and a flip-flop under one name; a path begins and ends in the latter.
    return "register" if word in ("LUT", "adder") and step["type"] in ("clk-to-q", "setup") else word


def _merge_carries(hops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one hop of every run along a carry chain."""
    merged: list[dict[str, Any]] = []
    for hop in hops:
        if merged and merged[-1]["cell"] == hop["cell"] == "carry chain":
            merged[-1]["delay_ns"] += hop["delay_ns"]
            merged[-1]["source"] = merged[-1]["source"] or hop["source"]
        else:
            merged.append(dict(hop))
    return merged


def _summary(hops: list[dict[str, Any]], total: float, routing: float) -> str:
    """One sentence: where the time goes, and through what."""
    steps: list[list[Any]] = []  # cell, place, how many alike in a row
    for hop in hops:
        if hop["kind"] == "routing" or (hop["delay_ns"] == 0 and hop is not hops[-1]):
            continue
        place = hop["source"].rpartition("/")[2] if hop["source"] else ""
        if steps and steps[-1][:2] == [hop["cell"], place]:
            steps[-1][2] += 1
        else:
            steps.append([hop["cell"], place, 1])
    words = [
        cell + (f" x{number}" if number > 1 else "") + (f" ({place})" if place else "") for cell, place, number in steps
    ]
    share = 100 * routing / total if total else 0.0
    return f"{total:.1f} ns: {share:.0f}% routing, {' -> '.join(words)}"
