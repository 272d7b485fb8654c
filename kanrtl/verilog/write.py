"""A component as one self-contained Verilog file."""

import tempfile
from pathlib import Path

from amaranth.hdl import Elaboratable

from ..errors import ToolError
from ..files import write_whole
from ..progress import Progress
from ..tools.rtlil import component_rtlil
from ..tools.toolchain import YOSYS

__all__ = ["write_verilog"]

_VERILOG_SCRIPT = """\
read_rtlil {name}.il
proc -nomux -norom
memory_collect
attrmap -remove generator -remove top -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove top -remove amaranth.hierarchy -remove amaranth.decoding
write_verilog -norename {name}.v
"""


def write_verilog(
    component: Elaboratable,
    name: str,
    path: Path,
    progress: Progress | None = None,
    *,
    header: str | None = None,
) -> None:
    """Write ``component`` to ``path`` as one self-contained Verilog file with the top module ``name``.

    The same passes as in :mod:`amaranth.back.verilog`, with whichever yosys there is. ``header`` becomes a
    comment on top. The file appears whole or not at all.

    Raises
    ------
    ToolError
        If yosys is missing or fails.
    """
    path = Path(path)
    text = component_rtlil(component, name)
    with tempfile.TemporaryDirectory(prefix="kanrtl-") as folder:
        cwd = Path(folder)
        (cwd / f"{name}.il").write_text(text)
        (cwd / "verilog.ys").write_text(_VERILOG_SCRIPT.format(name=name))
        try:
            YOSYS.run(["-q", "-s", "verilog.ys"], cwd, "yosys.log", progress, produces=[f"{name}.v"])
        except ToolError as error:
            # The log goes with the folder, so the line must not send the user there.
            raise ToolError(str(error).partition(" (log: ")[0]) from None
        verilog = (cwd / f"{name}.v").read_text()
    comment = "".join(f"// {line}".rstrip() + "\n" for line in (header or "").splitlines())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (comment + verilog).encode())
