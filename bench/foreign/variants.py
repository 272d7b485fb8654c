"""A chip and the same with bits of its configuration inverted, one each: as one module, which a number makes either.

All of them are in one simulation, that has to be compiled once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kanrtl.tools.toolchain import YOSYS

from .configuration import COLUMNS, Bit

__all__ = ["find_readable", "find_unreachable", "find_used", "merge_variants"]

_TABLE = re.compile(r"^assign (\S+) *= /\* LUT +(\d+) +(\d+) +(\d+) \*/ (.*);$", re.MULTILINE)
_MEMORY = re.compile(r"^SB_RAM40_4K\w* #\(\n.*?^\) ram40_(\d+)_(\d+) \(\n.*?^\);$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class _Table:
    """A logic cell's table: what it drives, and its logic."""

    line: str
    output: str
    logic: str


@dataclass(frozen=True)
class _Memory:
    """A block memory."""

    text: str

    def find(self, pattern: str) -> str:
        found = re.search(pattern, self.text)
        assert found is not None
        return found[1]

    def wires(self, port: str) -> list[str]:
        """The wires at a port, from the lowest; constants as ``1'b0`` and ``1'b1``."""
        return self.find(rf"\.{port}\((.*)\)").strip("{}").split(", ")[::-1]

    def row(self, number: int) -> str:
        """The line with a sixteenth of its content."""
        return self.find(rf"( *\.INIT_{number:X}\(.*\),?)\n")

    @property
    def mode(self) -> int:
        """How many bits of an address choose columns of a row."""
        return int(self.find(r"READ_MODE\((\d)\)"))


def _tables(verilog: str) -> dict[tuple[int, int, int], _Table]:
    return {(int(one[2]), int(one[3]), int(one[4])): _Table(one[0], one[1], one[5]) for one in _TABLE.finditer(verilog)}


def _memories(verilog: str) -> dict[tuple[int, int], _Memory]:
    return {(int(one[1]), int(one[2])): _Memory(one[0]) for one in _MEMORY.finditer(verilog)}


def find_readable(verilog: str, bits: Sequence[Bit]) -> list[Bit]:
    """Give those bits of tables, and those of memories that can be read: whose row some address is of, as far as that
    is constant, and whose column leads anywhere."""
    memories = _memories(verilog)
    return [bit for bit in bits if bit.kind == "table" or _is_readable(memories[bit.x, bit.y], bit)]


def _is_readable(memory: _Memory, bit: Bit) -> bool:
    row, column = divmod(bit.address, COLUMNS)
    address, mode = memory.wires("RADDR"), memory.mode
    if any(wire == f"1'b{1 - (row >> index & 1)}" for index, wire in enumerate(address[:8])):
        return False
    if mode == 1 and address[8] == f"1'b{1 - (column & 1)}":
        return False
    # Where a row is read in parts, this is the pin of a column (Lattice's "Memory Usage Guide for iCE40 Devices").
    pin = column & ~((1 << mode) - 1) | (0, 0, 1, 3)[mode]
    return not memory.wires("RDATA")[pin].startswith("open_")


def find_used(plain: str, inverted: str, bits: Sequence[Bit]) -> list[Bit]:
    """Give the bits whose inversion changes the logic. Of a table that no more than three wires lead to, there are
    others.

    Parameters
    ----------
    plain, inverted
        The logic as it is, and with all of the bits inverted, at most one of each table and of each line of a memory.
    bits
        The bits.
    """
    before, after = (_tables(plain), _memories(plain)), (_tables(inverted), _memories(inverted))

    def is_used(bit: Bit) -> bool:
        if bit.kind == "table":
            return before[0][bit.cell].logic != after[0][bit.cell].logic
        return before[1][bit.x, bit.y].row(bit.row) != after[1][bit.x, bit.y].row(bit.row)

    return [bit for bit in bits if is_used(bit)]


def merge_variants(plain: str, inverted: str, bits: Sequence[Bit], clock: str) -> str:
    """Give one module for a chip, which is number 0, and those with a bit inverted, which are numbers 1 and up.

    Its input ``variant`` is the number; of its output ``touched`` a bit is 1 once the inverted bit of that number has
    been chosen by the inputs of its table, or read before it was written; where it never is, the chip is not told from
    the first.

    Parameters
    ----------
    plain, inverted, bits
        As of :func:`find_used`.
    clock
        The wire of the clock.
    """
    before, after = _tables(plain), _tables(inverted)
    memories, others = _memories(plain), _memories(inverted)
    chosen = "differs"
    new: list[str] = []
    outputs: dict[tuple[int, int], list[int]] = {}
    count = len(bits) + 1
    declared = [f"wire [{count - 1}:0] {chosen}, reached;", f"assign {chosen}[0] = 0, reached[0] = 0;"]
    text = plain
    for number, bit in enumerate(bits, 1):
        if bit.kind == "table":
            table, other = before[bit.cell], after[bit.cell]
            new += [
                f"wire was_{number} = {table.logic};",
                f"wire becomes_{number} = {other.logic};",
                f"assign {chosen}[{number}] = was_{number} != becomes_{number};",
                f"assign reached[{number}] = {chosen}[{number}];",
                f"assign {table.output} = variant == {number} ? becomes_{number} : was_{number};",
            ]
            text = text.replace(f"{table.line}\n", "", 1)
            continue
        memory, other_memory = memories[bit.x, bit.y], others[bit.x, bit.y]
        row = bit.address // COLUMNS
        name = f"ram40_{bit.x}_{bit.y}"
        copy = memory.text.replace(memory.row(bit.row), other_memory.row(bit.row), 1)
        copy = copy.replace(f") {name} (", f") {name}_{number} (", 1)
        copy = re.sub(r"\.RDATA\(.*\)", f".RDATA(reads_{number})", copy)
        address = ", ".join(memory.wires("RADDR")[7::-1])
        enable, clock_enable = memory.wires("RE")[0], memory.wires("RCLKE")[0]
        new += [
            f"wire [15:0] reads_{number};",
            copy,
            f"assign {chosen}[{number}] = {enable} & {clock_enable} & {{{address}}} == 8'd{row};",
            f"assign reached[{number}] = reads_{number} != plain_{bit.x}_{bit.y};",
        ]
        outputs.setdefault((bit.x, bit.y), []).append(number)
    for (x, y), numbers in outputs.items():
        memory = memories[x, y]
        wires = ", ".join(memory.wires("RDATA")[::-1])
        read = "".join(f"variant == {number} ? reads_{number} : " for number in numbers)
        text = text.replace(memory.text, re.sub(r"\.RDATA\(.*\)", f".RDATA(plain_{x}_{y})", memory.text), 1)
        declared.append(f"wire [15:0] plain_{x}_{y};")
        new.append(f"assign {{{wires}}} = {read}plain_{x}_{y};")
    ports = f", input [{(count - 1).bit_length() - 1}:0] variant, output reg [{count - 1}:0] touched = 0);"
    head, _, body = text.partition(");\n")
    added = "\n".join([*new, f"always @(posedge {clock}) touched <= touched | reached;"])
    body = body.rstrip().removesuffix("endmodule")
    # Wires are declared before they are used.
    first = "\n".join(declared)
    return f"{head}{ports}\n{first}\n{body}\n{added}\nendmodule\n"


_SCRIPT = """\
read_verilog -lib +/ice40/cells_sim.v
read_verilog chip.v
hierarchy -top chip
proc
flatten
opt -full
"""

_PROOF = """\
log proof {number}
sat -ignore_unknown_cells -tempinduct -maxsteps {steps} -timeout {seconds} -set variant 0 -prove differs[{number}] 0
"""


def find_unreachable(
    merged: str, numbers: Sequence[int], folder: Path, *, steps: int = 2, seconds: int = 60
) -> set[int]:
    """Give those of some inverted bits of which a proof is found that no inputs, whatever the memories hold, ever
    choose them in what :func:`merge_variants` has given: by induction over so many cycles at most, in so many seconds
    each."""
    (folder / "chip.v").write_text(merged)
    proofs = (_PROOF.format(number=number, steps=steps, seconds=seconds) for number in numbers)
    (folder / "proofs.ys").write_text(_SCRIPT + "".join(proofs))
    YOSYS.run(["-q", "-s", "proofs.ys"], folder, "proofs.log")
    text = (folder / "proofs.log").read_text()
    parts = re.split(r"^proof (\d+)$", text, flags=re.MULTILINE)[1:]
    found = {int(number) for number, told in zip(parts[::2], parts[1::2], strict=True) if "SUCCESS!" in told}
    assert len(parts) == 2 * len(numbers), "yosys did not come to every proof"
    return found
