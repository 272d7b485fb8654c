"""GHDL at entities in VHDL in which stand cores that kanrtl has written in Verilog."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .simulators import run_tool

__all__ = ["find_ghdl", "instantiate_in_vhdl", "join_with_ghdl"]

_ENTITY = """\
library ieee;
use ieee.std_logic_1164.all;

entity {entity} is
  port (
{ports}
  );
end entity;

architecture rtl of {entity} is
  component {module} is
    port (
{ports}
    );
  end component;
begin
  core : {module} port map ({map});
end architecture;
"""


def find_ghdl() -> str | None:
    """Ask GHDL for its version; None where it is missing."""
    if shutil.which("ghdl") is None:
        return None
    printed = subprocess.run(["ghdl", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"GHDL (\S+)", printed)
    return found[1] if found else "unknown"


def instantiate_in_vhdl(module: str, ports: Mapping[str, tuple[str, int]], entity: str) -> str:
    """Give an entity in VHDL with the ports of a module in Verilog, in which this stands as a component.

    Parameters
    ----------
    module
        Name of the module.
    ports
        Direction and bits of its ports, by name, as :func:`.read_ports` gives them.
    entity
        Name of the entity.
    """
    lines = [
        f"    {name} : {'in' if direction == 'input' else 'out'} "
        + ("std_logic" if width == 1 else f"std_logic_vector({width - 1} downto 0)")
        for name, (direction, width) in ports.items()
    ]
    map = ", ".join(f"{name} => {name}" for name in ports)
    return _ENTITY.format(entity=entity, module=module, ports=";\n".join(lines), map=map)


def join_with_ghdl(vhdl: Path, entity: str, module: str, verilog: Path, folder: Path) -> Path:
    """Let GHDL make Verilog of an entity, and Icarus take it together with the core that stands in it.

    Parameters
    ----------
    vhdl, entity
        A file in VHDL, and the entity in it.
    module, verilog
        The module that stands in the entity as a component, and its file.
    folder
        For what is made.

    Give the file of the entity in Verilog. Raises :exc:`kanrtl.errors.ToolError` where one of them refuses.
    """
    for standard in ("93", "08"):
        # A component that is in no library is what a core in another language is: no cause for a warning.
        run_tool(["ghdl", "-a", f"--std={standard}", "-Wno-binding", str(vhdl.resolve())], folder)
    joined = folder / f"{entity}.v"
    written = run_tool(["ghdl", "--synth", "--std=08", "--out=verilog", entity], folder)
    # GHDL writes an empty module for the component, beside which Icarus would not take that of the core.
    joined.write_text(re.sub(rf"^module {module}\n.*?^endmodule\n", "", written, flags=re.DOTALL | re.MULTILINE))
    out = ["-o", f"{entity}.vvp"]
    run_tool(["iverilog", "-Wall", "-s", entity, *out, joined.name, str(verilog.resolve())], folder)
    return joined
