"""Bitstreams read back into logic, beside the model; and with bits of their tables and memories inverted, one by one.

An inverted bit is found where the board says nothing that makes sense any more, or anything that it says differs from
the model. One that is not found within the samples may lie in an entry of a table that its inputs never choose, or in a
row of a memory that is never read.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kanrtl import LearnerSpec
from kanrtl.boards import BOARDS
from kanrtl.build.design_builds import build_linked
from kanrtl.errors import InputError, ToolError
from kanrtl.experiments.verify import verify_bitstream
from kanrtl.tools.icestorm import unpack

from .foreign.configuration import Bit, find_bits, invert_bit
from .row import Family, Progress, Result, Row

__all__ = ["FAMILY"]

PROGRAMS = ("iceunpack", "icebox_vlog")

SMALL: dict[str, Any] = {"layer_sizes": [1, 1], "grid_range": [-2, 2], "grid_size": 4, "multiplier": "serial"}


@dataclass(frozen=True)
class Bitstream(Row):
    """A learner with its link on a board, and the same with so many bits inverted.

    Attributes
    ----------
    board
        With an iCE40.
    samples
        Of each comparison, at most.
    inverted
        How many bits are inverted, one at a time; they are drawn at random.
    """

    board: str
    samples: int = 10_000
    inverted: int = 20

    @property
    def needs(self) -> str:
        return "fpga-icestorm"

    @property
    def obstacle(self) -> str | None:
        lacking = [name for name in PROGRAMS if shutil.which(name) is None]
        return f"{lacking[0]} is not installed" if lacking else None

    def measure(self, progress: Progress) -> Result:
        board, spec = BOARDS[self.board], LearnerSpec(**SMALL)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "board.bin"
            report = build_linked(spec, board, output=path, progress=progress)
            whole = verify_bitstream(spec, board, self.samples, bitstream=path, progress=progress)
            bits = random.Random(0).sample(find_bits(unpack(path)), self.inverted)
            found = []
            for number, bit in enumerate(bits, 1):
                progress(f"{number} of {len(bits)} inverted bits")
                found.append({**asdict(bit), "found": self._find(spec, path, bit)})
        kinds = Counter(bit.kind for bit in bits)
        return {
            "spec": SMALL,
            "device": board.device,
            "lut": report.lut,
            "cells": whole.cells,
            "samples": whole.samples,
            "cycles": whole.cycles,
            "difference": None if whole.difference is None else str(whole.difference),
            "inverted": dict(kinds),
            "found": dict(Counter(one["kind"] for one in found if one["found"])),
            "bits": found,
            "tools": report.tools,
        }

    def _find(self, spec: LearnerSpec, path: Path, bit: Bit) -> str | None:
        """What tells of an inverted bit; None where nothing does."""
        try:
            edited = verify_bitstream(
                spec,
                BOARDS[self.board],
                self.samples,
                bitstream=path,
                edit=lambda configuration: invert_bit(configuration, bit),
            )
        except (InputError, ToolError) as error:
            return f"the link: {error}"
        return None if edited.difference is None else str(edited.difference)


FAMILY = Family(
    "bitstream",
    "bitstreams read back into logic",
    (Bitstream("bitstream-icebreaker", "a learner with its link on an iCEBreaker, serial multipliers", "icebreaker"),),
)
