"""The comment on top of the Verilog of a core behind a bus, or with plain ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape, Value

from ..bus.core_ports import Core, CorePorts
from ..bus.register_map import BYTES, Numbers
from ..bus.rtl.axi_shell import AxiShell
from ..bus.rtl.plain_shell import PlainShell
from ..bus.rtl.register_shell import AxiLiteShell, WishboneShell
from ..bus.shells import Shell
from ..errors import join_choices
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
from .network_header import NETWORK_RESET, meaning_lines, network_timing, title_network
from .port_table import align_rows

__all__ = ["shell_header"]


def shell_header(shell: Shell, clocking: Clocking = Clocking()) -> str:
    """Write the comment at the top of the Verilog file of a shell: what is in it, timing, ports and registers."""
    words = _describe_core(shell.core)
    lines = [
        f"kanrtl {__version__} {words.title},",
        f"{_name_bus(shell)}.",
        "",
        f"Everything happens at a rising edge of {clocking.clock}.",
    ]
    reset = f"{clocking.words}; {words.reset}"
    lines += _plain_lines(shell, words, reset) if isinstance(shell, PlainShell) else _bus_lines(shell, words, reset)
    return "\n".join(lines + (["", *words.meaning] if words.meaning else []))


@dataclass(frozen=True)
class _CoreWords:
    """What is told of a core, whatever is around it.

    Attributes
    ----------
    title
        What it is, and its sizes.
    timing
        Its cycles; the first line is told of the pins too where these have more.
    refusal
        What its streams cannot do, which a bus hides.
    numbers
        What the numbers of a sample are.
    reset
        What a reset does to what it holds.
    access
        The addresses of its access port, which a bus has registers for.
    meaning
        What its codes stand for.
    """

    title: str
    timing: list[str]
    refusal: list[str]
    numbers: list[str]
    reset: str
    access: list[str]
    meaning: list[str]


def _describe_core(core: Core) -> _CoreWords:
    described = CorePorts(core).described
    if isinstance(described, LookupNetwork):
        timing = network_timing(core.latency, core.interval)
        return _CoreWords(title_network(described), [timing], [], [], NETWORK_RESET, [], meaning_lines(described))
    return _CoreWords(
        title_learner(described),
        timing_lines(described),
        refusal_lines(described),
        modulation_lines(described),
        describe_reset(described),
        access_lines(described),
        [],
    )


def _plain_lines(shell: PlainShell, words: _CoreWords, reset: str) -> list[str]:
    """Write timing and ports of a core with one port for each number."""
    ports = align_rows([(name, *_port(shell, name)) for name in shell.signature.members])
    access = ["", *words.access] if words.access else []
    return [*words.timing, *words.refusal, *words.numbers, reset, "", *ports, *access]


def _bus_lines(shell: AxiShell | AxiLiteShell | WishboneShell, words: _CoreWords, reset: str) -> list[str]:
    """Write timing, streams and registers of a core behind a bus."""
    inner, *others = words.timing
    streams = [*_stream_lines(shell), ""] if isinstance(shell, AxiShell) else []
    return [
        f"In the core: {inner}",
        *others,
        _pin_line(shell),
        *words.numbers,
        reset,
        "",
        *streams,
        *_map_lines(shell),
    ]


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
    return (
        f"At the pins: from the edge that takes the write to submit, {shell.latency} cycles until irq can tell of the "
        "prediction, which can be read then."
    )


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


def _map_lines(shell: AxiShell | AxiLiteShell | WishboneShell) -> list[str]:
    """Write one line for each register and array."""
    words = isinstance(shell, WishboneShell)
    lines = [
        "Registers of 32 bits, by the address of their first byte"
        + (f" (wb_adr counts words: divide by {BYTES})." if words else "."),
        "An address that stands for nothing reads 0, and a write to it changes nothing. A write of some of a word's",
        "bytes alone is refused.",
        *_patience_lines(shell),
    ]
    rows = []
    for each in shell.map.entries:
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


def _patience_lines(shell: AxiShell | AxiLiteShell | WishboneShell) -> list[str]:
    """Write what an access to a learner may wait for in vain; nothing where there is none."""
    ports = CorePorts(shell.core)
    awaited = ["the teacher"] if ports.after_prediction else []
    if isinstance(shell, AxiShell) and ports.spec is not None and ports.waits:
        awaited.append("a prediction to be taken")
    if not awaited:
        return []
    return [
        f"An access to coefficients, rates and counters is refused after {shell.patience} cycles in which the learner "
        f"waits for {join_choices(awaited)}."
    ]
