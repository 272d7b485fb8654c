"""Waveforms of a simulation, with the names of the RTL's ports and fixed-point values as the numbers they stand for."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any, TextIO, cast

from amaranth.hdl import Const, Shape, Value
from amaranth.lib import data
from vcd.gtkw import GTKWSave
from vcd.writer import VCDWriter

from ..errors import InputError, TraceError
from ..files import as_path, explain_errors, find_obstacle, open_replacement, write_whole
from ..numeric.fixed import Format

PERIOD = 10
"""Nanoseconds of a clock cycle: 100 MHz, as a simulation has no clock of its own."""


@dataclass(frozen=True)
class Leaf:
    """One number in a port, ``width`` bits from bit ``low`` on."""

    name: str
    low: int
    width: int
    signed: bool
    lsb: float | None
    """The real value of one step of its code; None where it is no number."""
    offset: float = 0.0
    """The real value of code 0."""

    def code(self, bits: int) -> int:
        """The integer code of this number in the bits of the whole port."""
        code = bits >> self.low & ((1 << self.width) - 1)
        return code - (1 << self.width) if self.signed and code >> (self.width - 1) else code


@dataclass(frozen=True)
class Port:
    """A port of a component or of a part of it; ``scope`` is the group of signals in which a viewer shows it."""

    name: str
    """The name of the port in the netlist."""
    scope: str
    value: Value
    leaves: tuple[Leaf, ...]


def stream_ports(fragment: Any, name: str, units: Mapping[str, Sequence[tuple[float | None, float]]]) -> list[Port]:
    """The ports of an elaborated component ``name``.

    The numbers in the payload of a stream have the steps and offsets in ``units``: one pair for all, or one for each.
    """
    return [
        replace(
            port,
            leaves=tuple(
                replace(leaf, lsb=lsb, offset=offset)
                for leaf, (lsb, offset) in zip(port.leaves, cycle(units[stream]), strict=False)
            ),
        )
        if (stream := port.scope.rpartition(".")[2]) in units and port.name.endswith("__payload")
        else port
        for port in ports_of(fragment.origins[0], name, "{}")
    ]


def parts_of(fragment: Any, kinds: tuple[type, ...]) -> Iterator[tuple[Any, str]]:
    """The components of some kinds that lie directly in an elaborated one, each as a fragment with its name."""
    for part, name, _ in fragment.subfragments:
        if getattr(part, "origins", None) and isinstance(part.origins[0], kinds):
            yield part, name


def ports_of(component: Any, scope: str, port: str) -> Iterator[Port]:
    """The ports of a component, without constants.

    ``port`` formats the path of a member to the name that it has in the netlist; ``scope`` is the group of signals in
    which a viewer shows it.
    """
    for path, _, member in component.signature.flatten(component):
        value = Value.cast(member)
        if isinstance(value, Const):
            continue
        *outer, last = map(str, path)
        # A payload's fields stand beside its valid and ready.
        shape = member.shape() if hasattr(member, "shape") else value.shape()
        roots = {"predictions": "y", "teaching": "word", "response": "data"}
        if isinstance(shape, data.ArrayLayout):
            roots["samples"] = "x"
        root = roots.get(outer[-1], "") if outer else ""
        root = root if last == "payload" else last
        leaves = tuple(_leaves(shape, root, 0))
        yield Port(port.format("__".join(map(str, path))), ".".join([scope, *outer]), value, leaves)


def _leaves(shape: Any, name: str, low: int) -> Iterator[Leaf]:
    if isinstance(shape, data.Layout):
        for key, field in shape:
            # Viewers take brackets for bits.
            inner = f"{name}_{key}" if isinstance(key, int) else f"{name}.{key}".lstrip(".")
            yield from _leaves(field.shape, inner, low + field.offset)
    else:
        plain = Shape.cast(shape)
        if plain.width:
            yield Leaf(name, low, plain.width, plain.signed, shape.lsb if isinstance(shape, Format) else None)


class Trace:
    """A VCD file of a run, and beside it a view of it for GTKWave.

    A fixed-point value is there twice: as a real number, and as its bits, named ``_code``. The clock has
    :data:`PERIOD`; a value is shown from the clock edge after which it holds. Only changes are written. Both files
    appear when the trace is closed, and stay as they were when it is discarded.

    Raises
    ------
    TraceError
        If the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = as_path(path)
        self._check()
        self._files = ExitStack()
        self._ports: list[Port] = []
        self._edge = 0

    def _check(self) -> None:
        field = f"trace = {str(self._path)!r}"
        if self._path.suffix != ".vcd":
            raise TraceError(f"{field}: waveforms are written as VCD; name a file that ends in .vcd")
        for path in (self._path, self.view):
            obstacle = find_obstacle(path)
            if obstacle is not None:
                raise TraceError(f"{field}: {'' if path == self._path else f'its view {str(path)!r} '}{obstacle}")

    @property
    def view(self) -> Path:
        """The file that GTKWave is to be called with."""
        return self._path.with_suffix(".gtkw")

    def begin(self, ports: Sequence[Port]) -> None:
        """Open the file for ``ports``, whose values :meth:`cycle` will be given."""
        file = self._files.enter_context(open_replacement(self._path))
        text = io.TextIOWrapper(cast(Any, _Open(file, self._path)), encoding="ascii")
        # A date would make every file another.
        writer = VCDWriter(cast(TextIO, text), timescale="1 ns", date="", version="kanrtl", check_values=False)
        self._files.callback(text.flush)
        self._writer = writer
        self._ports = list(ports)
        self._last: list[int | None] = [None] * len(self._ports)
        self._root = self._ports[0].scope.partition(".")[0]
        self._clock = writer.register_var(self._root, "clk", "wire", 1, init=0)
        self._variables: list[list[tuple[Leaf, Any, Any]]] = []
        for port in self._ports:
            variables = []
            for leaf in port.leaves:
                *inner, name = leaf.name.split(".")
                scope = ".".join([port.scope, *inner])
                number = writer.register_var(scope, name, "real", 64, init=0.0) if leaf.lsb else None
                name = f"{name}_code" if leaf.lsb else name
                bits = writer.register_var(scope, name, "wire", leaf.width, init=0)
                variables.append((leaf, number, bits))
            self._variables.append(variables)

    def cycle(self, values: Sequence[int]) -> None:
        """Write one clock cycle: the ``values`` that the ports had before an edge, since the edge before that."""
        change = self._writer.change
        now = self._edge * PERIOD
        if self._edge:
            change(self._clock, now, 1)
        for index, value in enumerate(values):
            last = self._last[index]
            if value == last:
                continue
            self._last[index] = value
            for leaf, number, bits in self._variables[index]:
                code = leaf.code(value)
                if last is not None and code == leaf.code(last):
                    continue
                change(bits, now, code & ((1 << leaf.width) - 1))
                if number is not None:
                    assert leaf.lsb is not None
                    change(number, now, code * leaf.lsb + leaf.offset)
        change(self._clock, now + PERIOD // 2, 0)
        self._edge += 1

    def close(self) -> None:
        """Complete both files."""
        if not self._ports:
            return
        # The name of the file in it has bytes that are no characters as surrogates.
        view = self._view(self._ports).encode(errors="surrogateescape")
        self._ports = []
        with self._files:  # where the disk is full, what was written of it is removed
            self._writer.close(self._edge * PERIOD)
        write_whole(self.view, view)

    def discard(self) -> None:
        """Leave both files as they were; nothing is written any more."""
        self._ports = []
        with suppress(_DiscardedError, InputError), self._files:  # a full disk says so no more
            raise _DiscardedError

    def _view(self, ports: Sequence[Port]) -> str:
        """GTKWave's list of signals: the ports first, then what lies within, folded up."""
        text = io.StringIO()
        view = GTKWSave(text)
        view.dumpfile(self._path.name, abspath=False)
        view.treeopen(f"{self._root}.")
        view.size(1400, 800)
        view.signals_width(260)
        view.zoom_markers(-4.0)
        view.trace(f"{self._root}.clk")
        groups: dict[str, list[tuple[Leaf, str]]] = {}
        for port in ports:
            for leaf in port.leaves:
                groups.setdefault(port.scope, []).append((leaf, f"{port.scope}.{leaf.name}"))
        for scope, leaves in groups.items():
            name = scope.removeprefix(f"{self._root}.") if scope != self._root else "update"
            with view.group(name, closed=name.startswith(("layer", "access"))):
                for leaf, path in leaves:
                    if leaf.lsb:
                        view.trace(path, datafmt="real")
                    else:
                        view.trace(path if leaf.width == 1 else f"{path}[{leaf.width - 1}:0]", datafmt="dec")
        return text.getvalue()


class _DiscardedError(Exception):
    """Ends the writing of a file that is not to appear."""


class _Open(io.RawIOBase):
    """The binary file ``path``, which stays open when what writes text into it is done."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file = file
        self._path = path

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        with explain_errors(self._path):  # most is written by `cycle`, outside of open_replacement
            return int(self._file.write(content))
