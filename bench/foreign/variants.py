"""A chip and the same with bits of its configuration inverted, one each: as one module, which a number makes either.

All of them are in one simulation, that has to be compiled once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from kanrtl.simulators.chip_logic import Memory, find_memories, find_tables
from kanrtl.tools.toolchain import YOSYS

from .configuration import COLUMNS, Bit

__all__ = ["find_readable", "find_unreachable", "find_used", "invert_alone", "merge_variants"]


def find_readable(verilog: str, bits: Sequence[Bit]) -> list[Bit]:
    """Give those bits of tables, and those of memories that can be read: whose row some address is of, as far as that
    is constant, and whose column leads anywhere."""
    memories = find_memories(verilog)
    return [bit for bit in bits if bit.kind == "table" or _is_readable(memories[bit.x, bit.y], bit)]


def _is_readable(memory: Memory, bit: Bit) -> bool:
    row, column = divmod(bit.address, COLUMNS)
    address, mode = memory.wires("RADDR"), memory.mode("READ")
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
    before, after = (find_tables(plain), find_memories(plain)), (find_tables(inverted), find_memories(inverted))

    def is_used(bit: Bit) -> bool:
        if bit.kind == "table":
            return before[0][bit.cell].logic != after[0][bit.cell].logic
        return before[1][bit.x, bit.y].row(bit.row) != after[1][bit.x, bit.y].row(bit.row)

    return [bit for bit in bits if is_used(bit)]


def invert_alone(plain: str, inverted: str, bit: Bit) -> str:
    """Give the logic with one of the bits inverted, of that with none of them and with all; see :func:`find_used`."""
    if bit.kind == "table":
        before, after = find_tables(plain)[bit.cell], find_tables(inverted)[bit.cell]
        return plain.replace(f"{before.line}\n", f"{after.line}\n", 1)
    memory, other = find_memories(plain)[bit.x, bit.y], find_memories(inverted)[bit.x, bit.y]
    return plain.replace(memory.text, memory.text.replace(memory.row(bit.row), other.row(bit.row), 1), 1)


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
    before, after = find_tables(plain), find_tables(inverted)
    memories, others = find_memories(plain), find_memories(inverted)
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
