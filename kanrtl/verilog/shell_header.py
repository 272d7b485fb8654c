"""The comment on top of the Verilog of a core behind a bus, or with plain ports."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Shape, Value

from ..bus.core_ports import Core, CorePorts
from ..bus.register_map import BYTES, Numbers, RegisterMap
from ..bus.rtl.axi_shell import AxiShell
from ..bus.rtl.plain_shell import PlainShell
from ..bus.rtl.register_shell import AxiLiteShell, WishboneShell
from ..bus.shells import Shell
from ..lookup.network import LookupNetwork
from ..version import __version__
from .clocking import Clocking
from .learner_header import describe_reset, modulation_lines, timing_lines, title_learner
from .network_header import meaning_lines, title_network
from .port_table import align_rows

__all__ = ["shell_header"]


def shell_header(shell: Shell, clocking: Clocking = Clocking()) -> str:
    """Write the comment at the top of the Verilog file of a shell: what is in it, timing, ports and registers."""
    core: Core = shell.core
    described = CorePorts(core).described
    title = title_network(described) if isinstance(described, LookupNetwork) else title_learner(described)
    lines = [f"kanrtl {__version__} {title},", f"{_BUSES[type(shell)]}.", ""]
    lines += [f"Everything happens at a rising edge of {clocking.clock}."]
    if isinstance(described, LookupNetwork):
        lines += [f"sample to prediction {core.latency} cycles in the core, one sample to the next {core.interval}."]
        lines += [f"{clocking.words}; what is on its way is lost.", ""]
    else:
        lines += [*timing_lines(described), *modulation_lines(described)]
        lines += [f"{clocking.words}; {describe_reset(described)}", ""]
    if isinstance(shell, PlainShell):
        lines += align_rows([(name, *_port(shell, name)) for name in shell.signature.members])
    elif isinstance(shell, AxiShell):
        lines += [*_stream_lines(shell), ""]
    if not isinstance(shell, PlainShell):
        lines += _map_lines(shell.map, words=isinstance(shell, WishboneShell))
    if isinstance(described, LookupNetwork):
        lines += ["", *meaning_lines(described)]
    return "\n".join(lines)


_BUSES: dict[type, str] = {
    AxiShell: "behind AXI4-Stream (samples, predictions, teaching) and AXI4-Lite (registers)",
    AxiLiteShell: "behind AXI4-Lite",
    WishboneShell: "behind Wishbone B4, for classic and pipelined masters",
    PlainShell: "with one port for each number",
}


def _port(shell: PlainShell, name: str) -> tuple[str, str]:
    """Give direction and format of a plain port."""
    value = Value.cast(getattr(shell, name))
    shape = Shape.cast(value.shape())
    format = shell.formats.get(name)
    flow = "in" if shell.signature.members[name].flow.name == "In" else "out"
    return flow, str(format) if format else "" if shape.width == 1 else str(shape)


def _stream_lines(shell: AxiShell) -> list[str]:
    """Write one line for each number that a stream carries."""
    formats = shell.map.identification
    roots = {"x": formats.input_format, "y": formats.output_format}
    rows = []
    for name, layout in shell.layouts.items():
        port = f"{'m' if name == 'predictions' else 's'}_axis_{name}_tdata"
        for field in layout.fields:
            bits = f"[{8 * (field.first + field.count) - 1}:{8 * field.first}]"
            format: Any = field.format or roots.get(field.name.partition("_")[0])
            rows.append((f"{port}{bits}", field.name, str(format) if format else "bit 0"))
    return [
        *align_rows(rows),
        "",
        "A transfer takes place when TVALID and TREADY are both high. Numbers are sign extended to whole bytes.",
        "TLAST of a sample comes out with its prediction; that of the teacher is not looked at.",
    ]


def _map_lines(map: RegisterMap, words: bool) -> list[str]:
    """Write one line for each register and array."""
    lines = [
        "Registers of 32 bits, by the address of their first byte"
        + (f" (wb_adr counts words: divide by {BYTES})." if words else "."),
        "An address that stands for nothing reads 0, and a write to it changes nothing. A write of some of a word's",
        "bytes alone is refused, and so is an access while the core waits for the teacher or its predictions' reader.",
    ]
    rows = []
    for each in map.entries:
        if isinstance(each, Numbers):
            name = each.name + "".join(f"[{dimension.count}]" for dimension in each.dimensions)
            told = f"{each.format}, " + ", ".join(f"{one.name} by {one.stride:#x}" for one in each.dimensions)
            flags = each.readable, each.writable
        else:
            name, told = each.name, each.register.description
            flags = each.register.readable, each.register.writable
        access = "".join(letter for letter, given in zip("rw", flags, strict=True) if given)
        rows.append((f"{each.address:#06x}", f"{access:<2} {name}", told))
    return [*lines, *align_rows(rows)]
