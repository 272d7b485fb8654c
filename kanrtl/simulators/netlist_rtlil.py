"""The netlist that place and route is given, turned back into logic that a simulator of RTLIL takes."""

from __future__ import annotations

import json

from ..build.flow import Job, synthesise, write_files
from ..fabric.device import Device
from ..folders import temporary_folder
from ..progress import Progress
from ..tools.toolchain import YOSYS
from .block_models import check_blocks, model_blocks

_MODELS = {
    # The blocks of ECP5 are black boxes there: the models of this package come last, and replace them.
    "ecp5": ("read_verilog -defer -D NO_INCLUDES +/ecp5/cells_sim.v", "read_verilog -defer -overwrite blocks.v"),
    "ice40": ("read_verilog -defer +/ice40/cells_sim.v",),
}
"""By family, how yosys reads the models of its cells."""

# What yosys leaves undefined is anything at random: nothing that is compared may depend on it.
_SCRIPT = """\
{models}
read_json netlist.json
setundef -undriven -random 1 {top}
setundef -random 1 {top}
hierarchy -check -top {top}
proc
flatten
opt_expr
opt_merge
opt_clean -purge
write_rtlil logic.il
"""


MODELLED = tuple(_MODELS)
"""The families whose cells can be simulated."""


def simulate_cells(
    rtlil: str, top: str, device: Device, cells: dict[str, int], progress: Progress | None = None
) -> str:
    """Synthesise a design for a device as a build of the core alone does, and replace each cell of the netlist by what
    it does.

    Parameters
    ----------
    rtlil
        The design, whose top module is ``top``.
    device
        A part of one of the families :data:`MODELLED`.
    cells
        Given the number of cells of each kind in the netlist.
    progress
        Told what takes a while.

    Returns
    -------
    str
        The netlist as RTLIL without any cell of the family.

    Raises
    ------
    ToolError
        If a tool fails, or a cell is used as no model knows it.
    """
    say = progress or (lambda _: None)
    job = Job(top, {f"{top}.il": rtlil}, device, 1, device.default_frequency, (), bitstream=False)
    with temporary_folder() as cwd:
        write_files(job, cwd)
        synthesise(job, cwd, say)
        module = json.loads((cwd / "netlist.json").read_text())["modules"][top]
        check_blocks(module)
        for cell in module["cells"].values():
            cells[cell["type"]] = cells.get(cell["type"], 0) + 1
            for pin in [pin for pin, bits in cell["connections"].items() if bits == ["x"]]:
                if cell["port_directions"][pin] == "output":
                    del cell["connections"][pin]  # it is open, and no value is to be found for it
        # Libraries of cells in the file would come before the models.
        (cwd / "netlist.json").write_text(json.dumps({"modules": {top: module}}))
        (cwd / "blocks.v").write_text(model_blocks())
        models = "\n".join(_MODELS[device.family])
        (cwd / "logic.ys").write_text(_SCRIPT.format(models=models, top=top))
        say("replacing the cells of the netlist by what they do")
        YOSYS.run(["-q", "-s", "logic.ys"], cwd, "logic.log", progress, produces=["logic.il"])
        return (cwd / "logic.il").read_text()
