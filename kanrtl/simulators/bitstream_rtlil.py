"""The logic that a bitstream is, put into a design where that has the chip."""

from __future__ import annotations

import re

from ..folders import temporary_folder
from ..progress import Progress
from ..tools.toolchain import YOSYS

__all__ = ["CHIP", "count_cells", "insert_chip"]

CHIP = "chip"
"""The module that stands for the chip."""

_SCRIPT = """\
read_rtlil top.il
read_verilog chip.v
read_verilog -defer +/ice40/cells_sim.v
hierarchy -check -top {top}
proc
flatten
opt_expr
opt_merge
opt_clean -purge
write_rtlil logic.il
"""

_CELLS = {
    "LUT": r"/\* LUT .*?\*/ (?!1'b[01];)",
    "carry": r"/\* CARRY ",
    "flip-flop": r"/\* FF .*?\*/ always",
    "SB_RAM40_4K": r"^SB_RAM40_4K ",
}


def count_cells(verilog: str) -> dict[str, int]:
    """Count what :func:`kanrtl.tools.icestorm.read_back` has found, by kind."""
    return {kind: len(re.findall(pattern, verilog, re.MULTILINE)) for kind, pattern in _CELLS.items()}


def insert_chip(rtlil: str, top: str, verilog: str, progress: Progress | None = None) -> str:
    """Replace the cell of kind :data:`CHIP` in a design by the module of that name.

    Parameters
    ----------
    rtlil
        The design, whose top module is ``top``.
    verilog
        The module, of iCE40's cells.
    progress
        Told what takes a while.

    Returns
    -------
    str
        The design as RTLIL, without any cell of the family.

    Raises
    ------
    ToolError
        If yosys fails.
    """
    with temporary_folder() as cwd:
        (cwd / "top.il").write_text(rtlil)
        (cwd / "chip.v").write_text(verilog)
        (cwd / "logic.ys").write_text(_SCRIPT.format(top=top))
        YOSYS.run(["-q", "-s", "logic.ys"], cwd, "logic.log", progress, produces=["logic.il"])
        return (cwd / "logic.il").read_text()
