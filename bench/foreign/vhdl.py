"""GHDL at an entity in VHDL in which stands a core that kanrtl has written in Verilog."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .exchange import read_ports
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


def join_with_ghdl(verilog: Path, top: str, folder: Path) -> Path:
    """Let GHDL take an entity ``in_vhdl`` with a core in it and write it in Verilog, and Icarus both together.

    Give the file of the entity in Verilog. Raises :exc:`kanrtl.errors.ToolError` where one of them refuses.
    """
    text = instantiate_in_vhdl(top, read_ports(verilog.read_text()), "in_vhdl")
    (folder / "in_vhdl.vhd").write_text(text)
    for standard in ("93", "08"):
        # A component that is in no library is what a core in another language is: no cause for a warning.
        run_tool(["ghdl", "-a", f"--std={standard}", "-Wno-binding", "in_vhdl.vhd"], folder)
    joined = folder / "in_vhdl.v"
    written = run_tool(["ghdl", "--synth", "--std=08", "--out=verilog", "in_vhdl"], folder)
    # GHDL writes an empty module for the component, beside which Icarus would not take that of the core.
    joined.write_text(re.sub(rf"^module {top}\n.*?^endmodule\n", "", written, flags=re.DOTALL | re.MULTILINE))
    run_tool(["iverilog", "-Wall", "-s", "in_vhdl", "-o", "in_vhdl.vvp", joined.name, str(verilog.resolve())], folder)
    return joined
