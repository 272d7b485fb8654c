"""Bitstreams read back into logic, beside the model; and with bits of their tables and memories inverted, one by one.

Bits are drawn among those that can be used: entries of tables that the wires which lead to a table can choose, and bits
of memories that hold anything, in rows that an address can name, as far as that is constant. They are inverted where
they are used: where an entry is chosen, or a row read, while the chip as it is is compared. An
inverted bit is found where ``kanrtl verify --board`` fails: where a proof that every cell is that of the netlist fails,
or anything differs from the model, has to be sent again, takes longer than with the chip as it is, does not come to
rest within a clock cycle, or answers anything else than the design does to what a line can carry. Simulations that are
short come before the proof here, so that it is seen how many bits they find without it.

What nothing chooses cannot be found, and is counted beside: *unreachable* where a proof shows that no state of the chip
ever chooses it, else *not chosen*; so is a bit of a memory that is written before it is read. An inverted bit that is
not found was chosen, and changes neither what its cell gives nor what came back.
"""

from __future__ import annotations

import math
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kanrtl import LearnerSpec
from kanrtl.boards import BOARDS, Board
from kanrtl.build.design_builds import build_linked
from kanrtl.build.placed_netlist import PLACED_NAME, PlacedNetlist
from kanrtl.errors import InputError, LinkError, SpecError, ToolError
from kanrtl.experiments.line_traffic import compare_traffic, draw_bursts
from kanrtl.experiments.verify import compare_linked
from kanrtl.link.layout import BAUD
from kanrtl.simulators.bitstream_proof import count_compared, find_unequal
from kanrtl.simulators.bitstream_rtlil import count_cells
from kanrtl.simulators.native_serial import NativeSerial
from kanrtl.tools.icestorm import unpack
from kanrtl.virtual.bitstream_simulation import await_reset, find_pins, read_configuration, simulate_chip
from kanrtl.virtual.board_simulation import simulate_board
from kanrtl.virtual.simulated_wire import SimulatedWire

from .foreign.configuration import Bit, find_bits, invert_bit
from .foreign.variants import find_readable, find_unreachable, find_used, invert_alone, merge_variants
from .row import Family, Progress, Result, Row

__all__ = ["FAMILY", "InvertedBits"]

PROGRAMS = ("iceunpack", "icebox_vlog")

SPEC: dict[str, Any] = {
    "layer_sizes": [1, 1],
    "grid_range": [-2, 2],
    "grid_size": 4,
    "spline_order": 1,
    "table_size": 64,
    "activation_format": "SQ(3, 5)",
    "multiplier": "serial",
    "initial_coefficients": "uniform",
}
"""A learner whose coefficients are contents of memories too."""

SPARE = 6
"""How many times as many bits are drawn as are wanted: of most tables there are entries that change no logic."""

TRIED = {"table": 3, "memory": 2}
"""How many times as many are tried as are wanted: of tables nothing chooses about half."""

SLACK = 1.25
"""How much longer than the chip as it is one with a bit inverted may take, before it is found to differ."""


class _EndingWire(SimulatedWire):
    """A line to a device that is given up once it has had so many clock cycles, whatever else comes from it."""

    def __init__(self, simulation: NativeSerial, clock_hz: float, cycles: float) -> None:
        super().__init__(simulation, clock_hz)
        self._cycles = cycles

    def receive(self, timeout: float) -> bytes:
        if self._simulation.cycles > self._cycles:
            raise LinkError(f"it takes longer than {self._cycles:.0f} cycles")
        return super().receive(timeout)


class _Comparisons:
    """Compares chips, of which number 0 is as it is and has to be compared first, as ``kanrtl verify --board`` does.

    Parameters
    ----------
    spec, board
        The learner and the board that the chips are for.
    netlist
        What chip 0 was made from.
    simulation
        All of the chips.
    read
        Gives the logic of the chip of a number.

    Attributes
    ----------
    cycles : int
        The clock cycles of all comparisons of the chip as it is.
    """

    def __init__(
        self,
        spec: LearnerSpec,
        board: Board,
        netlist: PlacedNetlist,
        simulation: NativeSerial,
        read: Callable[[int], str],
    ) -> None:
        self._spec, self._board, self._netlist = spec, board, netlist
        self._simulation, self._read = simulation, read
        self._cycles: dict[int, int] = {}
        self._built: LearnerSpec | None = None
        self._design: NativeSerial | None = None
        self.cycles = 0

    def close(self) -> None:
        """End the simulations."""
        self._simulation.close()
        if self._design is not None:
            self._design.close()

    def compare_with_model(self, samples: int, number: int) -> str | None:
        """Give what differs within so many samples, or takes longer."""
        limit = SLACK * self._cycles[samples] if number else math.inf
        try:
            self._restart(number)
            wire = _EndingWire(self._simulation, self._board.clock_mhz * 1e6, limit)
            difference, _, built = compare_linked(self._spec, self._board, wire, samples)
        except (InputError, SpecError, ToolError) as error:
            return f"the link: {error}"
        if number == 0:
            self._built, self._cycles[samples] = built, self._simulation.cycles
            self.cycles += self._simulation.cycles
        return None if difference is None else str(difference)

    def compare_with_design(self, items: int, number: int) -> str | None:
        """Give what differs in the answers to so many frames and streams of bytes."""
        assert self._built is not None, "the chip as it is has not been compared with the model"
        if self._design is None:
            self._design = simulate_board(self._built, self._board)
        try:
            self._restart(number)
            self._design.restart()
            difference = compare_traffic(self._design, self._simulation, draw_bursts(self._built, items, 0))
        except ToolError as error:
            return f"the link: {error}"
        if number == 0:
            self.cycles += self._simulation.cycles
        return None if difference is None else str(difference)

    def compare_with_netlist(self, number: int) -> str | None:
        """Give the cell that is not that of the netlist."""
        cells = find_unequal(self._netlist, self._read(number))
        return f"another {cells[0]}" if cells else None

    def _restart(self, number: int) -> None:
        self._simulation.restart(number)
        await_reset(self._simulation, self._board)


@dataclass(frozen=True)
class InvertedBits(Row):
    """A learner with its link on a board, and the same with bits inverted.

    Attributes
    ----------
    board
        With an iCE40.
    tables, memories
        How many bits of each are inverted, one at a time; they are drawn at random.
    samples
        Of the comparisons with the model, one after another until one of them differs: short ones come first, and find
        most.
    items
        Frames and streams of bytes of those with the design, which come before the last with the model; after the first
        of them comes the proof.
    """

    board: str
    tables: int = 100
    memories: int = 20
    samples: tuple[int, ...] = (1, 60, 10_000)
    items: tuple[int, ...] = (24, 480)

    @property
    def needs(self) -> str:
        return "fpga-icestorm"

    @property
    def obstacle(self) -> str | None:
        lacking = [name for name in PROGRAMS if shutil.which(name) is None]
        return f"{lacking[0]} is not installed" if lacking else None

    def measure(self, progress: Progress) -> Result:
        board, spec = BOARDS[self.board], LearnerSpec(**SPEC)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "board.bin"
            report = build_linked(spec, board, output=path, keep=Path(folder), progress=progress)
            netlist = PlacedNetlist.read(Path(folder) / PLACED_NAME)
            configuration = unpack(path)
            progress("reading the bitstream back into logic")
            plain = read_configuration(configuration, board)
            bits, inverted = self._draw(configuration, plain)
            merged = merge_variants(plain, inverted, bits, f"pin_{find_pins(board)['clock']}")
            simulation = simulate_chip(merged, board, BAUD, progress, len(bits) + 1)

            def read(number: int) -> str:
                return invert_alone(plain, inverted, bits[number - 1]) if number else plain

            comparisons = _Comparisons(spec, board, netlist, simulation, read)
            steps = self._plan(comparisons)
            chosen = [False] * len(bits)
            for done, (kind, step) in enumerate(steps):
                progress(f"comparing the chip as it is, {done} of {len(steps)}: {kind}")
                if (whole := step(0)) is not None:
                    raise AssertionError(f"the bitstream for {self.board} differs as it is: {whole}")
                chosen = [before or simulation.is_touched(number) for number, before in enumerate(chosen, 1)]
            found: list[dict[str, Any]] = []
            passed: list[int] = []
            wanted = {"table": self.tables, "memory": self.memories}
            for number, (bit, is_chosen) in enumerate(zip(bits, chosen, strict=True), 1):
                if wanted[bit.kind] == 0:
                    continue
                if not is_chosen:
                    passed.append(number)
                    continue
                survive = sum(one["found"] is None for one in found)
                progress(f"inverted bit {len(found) + 1} of {self.tables + self.memories}, {survive} survive")
                differences = ((step(number), kind) for kind, step in steps)
                nothing: tuple[str | None, str | None] = (None, None)
                difference, by = next((one for one in differences if one[0]), nothing)
                found.append({**asdict(bit), "found": difference, "by": by})
                wanted[bit.kind] -= 1
            comparisons.close()
            progress(f"proving which of {len(passed)} bits are never chosen")
            proved = find_unreachable(merged, passed, Path(folder))
        return {
            "spec": SPEC,
            "device": board.device,
            "cells": count_cells(plain),
            "samples": self.samples[-1],
            "items": self.items[-1],
            "cycles": comparisons.cycles,
            "inverted": dict(Counter(one["kind"] for one in found)),
            "found": dict(Counter(one["kind"] for one in found if one["found"])),
            "found_by": dict(Counter(one["by"] for one in found if one["by"])),
            "compared_cells": count_compared(netlist),
            "not_chosen": dict(Counter(bits[number - 1].kind for number in passed if number not in proved)),
            "unreachable": dict(Counter(bits[number - 1].kind for number in proved)),
            "bits": found,
            "tools": report.tools,
        }

    def _draw(self, configuration: str, plain: str) -> tuple[list[Bit], str]:
        """Draw the bits; give the logic with all of them inverted, and others of other tables and rows, too."""
        board, chance = BOARDS[self.board], random.Random(0)
        every = find_readable(plain, find_bits(configuration))
        kinds: list[tuple[str, int, Callable[[Bit], Hashable]]] = [
            ("table", self.tables, lambda bit: bit.cell),
            ("memory", self.memories, lambda bit: (bit.x, bit.y, bit.row)),
        ]
        drawn = []
        for kind, count, place in kinds:
            ones = [bit for bit in every if bit.kind == kind]
            # The last of each place, in an order at random.
            apart = {place(bit): bit for bit in chance.sample(ones, len(ones))}
            drawn += list(apart.values())[: SPARE * count]
        edited = configuration
        for bit in drawn:
            edited = invert_bit(edited, bit)
        inverted = read_configuration(edited, board)
        used = find_used(plain, inverted, drawn)
        tried = [[bit for bit in used if bit.kind == kind][: TRIED[kind] * count] for kind, count, _ in kinds]
        return [bit for bits in tried for bit in bits], inverted

    def _plan(self, comparisons: _Comparisons) -> list[tuple[str, Callable[[int], str | None]]]:
        """What a chip goes through, what is short first, by kind; each gives what differs in the chip of a number."""
        by_model = [("simulation", partial(comparisons.compare_with_model, samples)) for samples in self.samples]
        by_design = [("simulation", partial(comparisons.compare_with_design, items)) for items in self.items]
        proof = ("proof", comparisons.compare_with_netlist)
        return [*by_model[:-1], by_design[0], proof, *by_design[1:], by_model[-1]]


FAMILY = Family(
    "bitstreams",
    "bits of bitstreams inverted",
    tuple(
        InvertedBits(f"inverted-{board}", f"a small learner with its link, {board}", board)
        for board in ("icebreaker", "hx8k-b-evn")
    ),
)
