"""A proof that a bitstream, read back into logic, is the netlist that it was made from: cell by cell, for every input.

Both are cut where a logic cell or a memory drives a wire: what comes out there is an input of both, and what drives it
has to be equal. So each cut is looked at by itself, with the few inputs of a logic cell; where all are equal, so are
both, as every flip-flop of an iCE40 begins at zero.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..build.placed_netlist import PlacedNetlist
from ..errors import ToolError
from ..fabric.cell import Cell
from ..folders import temporary_folder
from ..progress import Progress
from ..tools.toolchain import YOSYS
from .chip_logic import ChipLogic, Memory

__all__ = ["count_compared", "find_unequal"]

_SCRIPT = """\
read_verilog netlist.v
read_verilog chip.v
proc
opt_expr
equiv_make netlist chip both
cd both
equiv_simple
equiv_status
"""

_UNPROVEN = re.compile(r"^ +Unproven \$equiv \S+: \\(\w+)_gold \\", re.MULTILINE)

_REGISTER = re.compile(r"SB_DFF(N?)E?(?:S([RS]))?")
"""What is on the other edge; and, where it can be set or reset with the clock, which."""

_INPUT, _OUTPUT, _TRISTATE = "000001", "011001", "101001"
"""What an SB_IO can be whose pin is no more than a wire (Lattice's "iCE Technology Library", PIN_TYPE)."""

_LINES, _LINE_BITS = 16, 256
"""The parameters that hold a memory's content."""

_UNKNOWN = "not in the netlist"


def count_compared(netlist: PlacedNetlist) -> int:
    """How many logic cells and memories :func:`find_unequal` compares."""
    return len({*netlist.logic, *netlist.carries}) + len(netlist.memories)


def find_unequal(netlist: PlacedNetlist, verilog: str, progress: Progress | None = None) -> list[str]:
    """Prove that a chip is a netlist, for every input and any number of cycles; give what that fails for.

    Compared are the table, the carry and the flip-flop of each logic cell, with its clock, enable and reset; the
    content and the mode of each memory, and all that it is given; and the pins.

    Parameters
    ----------
    netlist
        The netlist, and where its cells are.
    verilog
        The chip, as :func:`kanrtl.tools.icestorm.read_back` gives it.
    progress
        Told what takes a while.

    Returns
    -------
    list of str
        The logic cells, memories and pins that differ, with the name of what is there in the netlist: none where both
        are equal.

    Raises
    ------
    ToolError
        If yosys fails, or either has something of which nothing can be said, such as a multiplier.
    """
    chip = ChipLogic.of(verilog)
    first, second = _NetlistCut(netlist, chip).cut, _cut_chip(netlist, chip)
    inputs, outputs = sorted(first.inputs | second.inputs), sorted(first.outputs.keys() & second.outputs.keys())
    if progress is not None:
        progress(f"proving that {count_compared(netlist)} cells of the bitstream are those of the netlist")
    with temporary_folder() as cwd:
        (cwd / "netlist.v").write_text(first.write("netlist", inputs, outputs))
        (cwd / "chip.v").write_text(second.write("chip", inputs, outputs))
        (cwd / "proof.ys").write_text(_SCRIPT)
        YOSYS.run(["-s", "proof.ys"], cwd, "proof.log", progress)
        told = (cwd / "proof.log").read_text()
    unequal = set(_UNPROVEN.findall(told))
    if not unequal and "Equivalence successfully proven!" not in told:
        raise ToolError("yosys does not say what came of the proof of a bitstream")
    unequal |= first.outputs.keys() ^ second.outputs.keys()
    for tile, name in netlist.memories.items():
        if not _is_same_memory(netlist.cells[name], chip.memories.get(tile)):
            unequal.add(_name_memory(tile))
    return sorted({_tell(netlist, port) for port in unequal})


@dataclass
class _Cut:
    """Logic that is cut: ``inputs`` come out of the cuts, ``outputs`` drive them, by name; ``logic`` is between."""

    inputs: set[str] = field(default_factory=set)
    outputs: dict[str, str] = field(default_factory=dict)
    logic: dict[str, str] = field(default_factory=dict)
    wires: set[str] = field(default_factory=set)

    def write(self, name: str, inputs: list[str], outputs: list[str]) -> str:
        """Give it as a module."""
        ports = [*(f"input {port}" for port in inputs), *(f"output {port}" for port in outputs)]
        wires = sorted({*self.wires, *self.logic}.difference(inputs, outputs))
        assigned = self.logic | {port: self.outputs[port] for port in outputs}
        lines = [f"module {name} ({', '.join(ports)});", *(f"wire {wire};" for wire in wires)]
        return "\n".join([*lines, *(f"assign {wire} = {logic};" for wire, logic in assigned.items()), "endmodule", ""])


def _name_cell(site: tuple[int, int, int]) -> str:
    return "lc_{}_{}_{}".format(*site)


def _name_memory(tile: tuple[int, int]) -> str:
    return "ram_{}_{}".format(*tile)


class _NetlistCut:
    """Cuts a netlist. Tables that have come into the logic cell of the flip-flop behind them stay within it, and what
    the chip does not have as a cut is none."""

    def __init__(self, netlist: PlacedNetlist, chip: ChipLogic) -> None:
        self.cut, self._netlist = _Cut(), netlist
        self._drivers: dict[int, str] = {}
        self._tiles = {name: tile for tile, name in netlist.memories.items()}
        self._pins = {net: f"pin_{pin}" for pin, net in netlist.pins.items()}
        kept = {cell.outputs["Q"][0] for cell in netlist.cells.values() if _REGISTER.fullmatch(cell.kind)}
        wires = {net: _name_cell(site) for site, net in netlist.logic.items() if net in kept or site in chip.cells}
        carries = {net: f"{_name_cell(site)}_carry" for site, net in netlist.carries.items() if site in chip.carries}
        self._wires = wires | carries
        self.cut.inputs |= {*self._wires.values()}
        for name, cell in netlist.cells.items():
            self._add(name, cell)
        for net, driver in self._drivers.items():
            wire = self._name(net)
            if wire in self.cut.inputs:
                self.cut.outputs[f"{wire}_logic"] = driver
            else:
                self.cut.logic[wire] = driver

    def _name(self, net: int | str) -> str:
        """The wire of a net; of a constant, or of an input that is open, to which nextpnr gives a zero, its value."""
        return self._wires.get(net, f"net{net}") if isinstance(net, int) else f"1'b{net.replace('x', '0')}"

    def _add(self, name: str, cell: Cell) -> None:
        if cell.kind == "SB_LUT4":
            self._add_table(cell)
        elif cell.kind == "SB_CARRY":
            a, b, carry = (self._name(cell.inputs[port][0]) for port in ("I0", "I1", "CI"))
            self._drivers[cell.outputs["CO"][0]] = f"{a} & {b} | ({a} | {b}) & {carry}"
        elif (kind := _REGISTER.fullmatch(cell.kind)) is not None:
            self._add_register(cell, on_other_edge=bool(kind[1]), reset=kind[2])
        elif cell.kind.startswith("SB_RAM40_4K"):
            self._add_memory(_name_memory(self._tiles[name]), cell)
        elif cell.kind == "SB_GB":
            driver = self._name(cell.inputs["USER_SIGNAL_TO_GLOBAL_BUFFER"][0])
            self._drivers[cell.outputs["GLOBAL_BUFFER_OUTPUT"][0]] = driver
        elif cell.kind in ("SB_IO", "SB_GB_IO") and cell.parameters["PIN_TYPE"] in (_INPUT, _OUTPUT, _TRISTATE):
            self._add_pin(cell)
        else:
            raise ToolError(f"nothing is known of {cell.kind} {name!r}, to compare a bitstream with its netlist")

    def _add_table(self, cell: Cell) -> None:
        address = ", ".join(self._name(cell.inputs[f"I{number}"][0]) for number in (3, 2, 1, 0))
        table = cell.parameters["LUT_INIT"].replace("x", "0")
        self._drivers[cell.outputs["O"][0]] = f"16'b{table} >> {{{address}}}"

    def _add_register(self, cell: Cell, on_other_edge: bool, reset: str | None) -> None:
        wire = self._name(net := cell.outputs["Q"][0])
        if net not in self._wires:
            raise ToolError(f"nextpnr does not tell where {cell.kind} has come that drives {self._netlist.names[net]}")
        taken = self._name(cell.inputs["D"][0])
        if reset:
            taken = f"{self._name(cell.inputs[reset][0])} ? 1'b{int(reset == 'S')} : {taken}"
        if "E" in cell.inputs:
            taken = f"{self._name(cell.inputs['E'][0])} ? ({taken}) : {wire}"
        self.cut.outputs[f"{wire}_next"] = taken
        self.cut.outputs[f"{wire}_clock"] = ("~" if on_other_edge else "") + self._name(cell.inputs["C"][0])

    def _add_memory(self, memory: str, cell: Cell) -> None:
        for at, net in enumerate(cell.outputs["RDATA"]):
            self.cut.inputs.add(f"{memory}_RDATA_{at}")
            if isinstance(net, int):
                self._drivers[net] = f"{memory}_RDATA_{at}"
        for port, nets in cell.inputs.items():
            self.cut.outputs |= {f"{memory}_{port}_{at}": self._name(net) for at, net in enumerate(nets) if net != "x"}

    def _add_pin(self, cell: Cell) -> None:
        # Which way a pin is used, the ports of yosys' netlist do not say.
        pin, kind = self._pins[(cell.inputs | cell.outputs)["PACKAGE_PIN"][0]], cell.parameters["PIN_TYPE"]
        if kind == _INPUT:
            self.cut.inputs.add(pin)
            read = (net for port in ("D_IN_0", "GLOBAL_BUFFER_OUTPUT") for net in cell.outputs.get(port, ()))
            self._drivers |= {net: pin for net in read if isinstance(net, int)}
        else:
            self.cut.outputs[pin] = self._name(cell.inputs["D_OUT_0"][0])
            enable = self._name(cell.inputs["OUTPUT_ENABLE"][0]) if kind == _TRISTATE else "1'b1"
            self.cut.outputs[f"{pin}_enable"] = enable


def _cut_chip(netlist: PlacedNetlist, chip: ChipLogic) -> _Cut:
    """Cut a chip where its netlist is: cells that nextpnr has put between are none."""
    cut = _Cut(set(chip.inputs), wires=set(chip.wires), logic={**chip.logic})
    for site, cell in chip.cells.items():
        name, register = _name_cell(site), cell.register
        if register is not None:
            taken = f"{register.enable} ? ({register.reset} ? {register.value} : {register.data}) : {name}"
            cut.outputs[f"{name}_next"] = taken
            cut.outputs[f"{name}_clock"] = ("~" if register.edge == "neg" else "") + register.clock
        elif site in netlist.logic:
            # The next logic cell may take what the table gives without going through any other wire.
            table = str(cell.logic)
            cut.outputs[f"{name}_logic"], cut.logic[table] = cut.logic[table], name
        else:
            cut.logic[cell.output] = str(cell.logic)
            continue
        cut.inputs.add(name)
        cut.logic[cell.output] = name
    for site, (wire, logic) in chip.carries.items():
        name = f"{_name_cell(site)}_carry"
        if site in netlist.carries:
            cut.inputs.add(name)
            cut.outputs[f"{name}_logic"] = logic
        cut.logic[wire] = name if site in netlist.carries else logic
    for tile, memory in chip.memories.items():
        _cut_memory(cut, _name_memory(tile), memory, netlist.cells.get(netlist.memories.get(tile, "")))
    for pin in chip.outputs:
        if pin not in cut.logic:
            continue  # nothing drives it, as no netlist has it
        driven = re.fullmatch(r"(\S+) \? (\S+) : 1'bz", logic := cut.logic.pop(pin))
        cut.outputs[f"{pin}_enable"], cut.outputs[pin] = driven.groups() if driven else ("1'b1", logic)
    return cut


def _cut_memory(cut: _Cut, name: str, memory: Memory, cell: Cell | None) -> None:
    """``cell`` is the same memory in the netlist: what that leaves open may be anything."""
    if cell is None:
        cut.outputs[name] = "1'b1"  # and the netlist has nothing of the name
        return
    for at, wire in enumerate(memory.wires("RDATA")):
        cut.inputs.add(f"{name}_RDATA_{at}")
        cut.logic[wire] = f"{name}_RDATA_{at}"
    for port, nets in cell.inputs.items():
        given = zip(memory.wires(port), nets, strict=True)
        cut.outputs |= {f"{name}_{port}_{at}": wire for at, (wire, net) in enumerate(given) if net != "x"}


def _is_same_memory(cell: Cell, memory: Memory | None) -> bool:
    """Tell whether kind, modes and content are those of the netlist, which may leave bits open."""
    if memory is None or memory.kind != cell.kind:
        return False
    if any(int(cell.parameters[f"{side}_MODE"], 2) != memory.mode(side) for side in ("READ", "WRITE")):
        return False
    for line in range(_LINES):
        wanted = cell.parameters.get(f"INIT_{line:X}", "0").rjust(_LINE_BITS, "0")
        digits = memory.find(rf"\.INIT_{line:X}\({_LINE_BITS}'h(\w+)\)")
        held = f"{int(digits, 16):0{_LINE_BITS}b}"
        if any(bit not in ("x", other) for bit, other in zip(wanted, held, strict=True)):
            return False
    return True


def _tell(netlist: PlacedNetlist, port: str) -> str:
    """Name what an output is of, for people."""
    kind, *place = port.split("_")
    if kind == "pin":
        return f"pin {place[0]}"
    if kind == "ram":
        tile = int(place[0]), int(place[1])
        return f"memory X{tile[0]}/Y{tile[1]} ({netlist.memories.get(tile, _UNKNOWN)})"
    site = int(place[0]), int(place[1]), int(place[2])
    net = (netlist.carries if "carry" in place else netlist.logic).get(site)
    return f"logic cell X{site[0]}/Y{site[1]}/lc{site[2]} ({_UNKNOWN if net is None else netlist.names[net]})"
