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
from .learner_header import (
    access_lines,
    describe_reset,
    modulation_lines,
    refusal_lines,
    timing_lines,
    title_learner,
)
from .network_header import meaning_lines, title_network
from .port_table import align_rows

__all__ = ["shell_header"]


def shell_header(shell: Shell, clocking: Clocking = Clocking()) -> str:
    """Write the comment at the top of the Verilog file of a shell: what is in it, timing, ports and registers."""
    core: Core = shell.core
    described = CorePorts(core).described
    title = title_network(described) if isinstance(described, LookupNetwork) else title_learner(described)
    lines = [f"kanrtl {__version__} {title},", f"{_name_bus(shell)}.", ""]
    lines += [f"Everything happens at a rising edge of {clocking.clock}."]
    timing = (
        [f"sample to prediction {core.latency} cycles, one sample to the next {core.interval}."]
        if isinstance(described, LookupNetwork)
        else timing_lines(described)
    )
    lines += timing if isinstance(shell, PlainShell) else [f"In the core: {timing[0]}", *timing[1:], _pin_line(shell)]
    if isinstance(described, LookupNetwork):
        lines += [f"{clocking.words}; what is on its way is lost.", ""]
    else:
        lines += refusal_lines(described) if isinstance(shell, PlainShell) else []
        lines += [*modulation_lines(described), f"{clocking.words}; {describe_reset(described)}", ""]
    if isinstance(shell, PlainShell):
        lines += align_rows([(name, *_port(shell, name)) for name in shell.signature.members])
        lines += [] if isinstance(described, LookupNetwork) else ["", *access_lines(described)]
    elif isinstance(shell, AxiShell):
        lines += [*_stream_lines(shell), ""]
    if not isinstance(shell, PlainShell):
        lines += _map_lines(shell.map, words=isinstance(shell, WishboneShell))
    if isinstance(described, LookupNetwork):
        lines += ["", *meaning_lines(described)]
    return "\n".join(lines)


def _name_bus(shell: Shell) -> str:
    """Name what is around the core."""
    if isinstance(shell, AxiShell):
        return f"behind AXI4-Stream ({', '.join(shell.layouts)}) and AXI4-Lite (registers)"
    return _BUSES[type(shell)]


_BUSES: dict[type, str] = {
    AxiLiteShell: "behind AXI4-Lite",
    WishboneShell: "behind Wishbone B4, for classic and pipelined masters",
    PlainShell: "with one port for each number",
}


def _pin_line(shell: Shell) -> str:
    """Write the cycles of a prediction at the pins."""
    if isinstance(shell, AxiShell):
        return f"At the pins: from the edge that takes a sample, {shell.latency} cycles until its prediction is valid."
    return f"At the pins: from the edge that submits a sample, {shell.latency} cycles until its prediction can be read."


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
        "TLAST of a sample comes out with its prediction"
        + ("; that of the teacher is not looked at." if "teaching" in shell.layouts else "."),
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
