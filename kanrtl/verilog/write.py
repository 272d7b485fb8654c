"""A component as one self-contained Verilog file."""

from pathlib import Path

from amaranth.hdl import Elaboratable

from ..errors import ToolError
from ..files import make_folder, write_whole
from ..folders import temporary_folder
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
    """Write a component as one self-contained Verilog file, which appears whole or not at all.

    The passes are those of :mod:`amaranth.back.verilog`, with whichever yosys there is.

    Parameters
    ----------
    component
        What is written.
    name
        The name of the top module.
    path
        The file. Its folder is made if it is not there.
    progress
        A function that is told what is being done.
    header
        Lines that become a comment on top.

    Raises
    ------
    ToolError
        If yosys is missing or fails.
    InputError
        If the file cannot be written.
    """
    path = Path(path)
    text = component_rtlil(component, name)
    with temporary_folder() as cwd:
        (cwd / f"{name}.il").write_text(text, encoding="utf-8")
        (cwd / "verilog.ys").write_text(_VERILOG_SCRIPT.format(name=name))
        try:
            YOSYS.run(["-q", "-s", "verilog.ys"], cwd, "yosys.log", progress, produces=[f"{name}.v"])
        except ToolError as error:
            # The log goes with the folder, so the line must not send the user there.
            raise ToolError(str(error).partition(" (log: ")[0]) from None
        verilog = (cwd / f"{name}.v").read_text(encoding="utf-8")
    comment = "".join(f"// {line}".rstrip() + "\n" for line in (header or "").splitlines())
    make_folder(path.parent)
    write_whole(path, (comment + verilog).encode())
