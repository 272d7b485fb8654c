"""The comment on top of the Verilog of a user's own component."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Value
from amaranth.lib import data, wiring

from ..version import __version__
from .clocking import Clocking
from .port_table import align_rows, list_fields

__all__ = ["component_header"]


def component_header(component: wiring.Component, clocking: Clocking = Clocking()) -> str:
    """Write the comment at the top: cycles, where the component has a ``latency`` or an ``interval``, and every number
    that a port carries."""
    lines = [f"kanrtl {__version__} {type(component).__name__}.", ""]
    cycles = [
        f"{name} {value} cycles"
        for name in ("latency", "interval")
        if isinstance(value := getattr(component, name, None), int)
    ]
    if cycles:
        lines.append(f"{', '.join(cycles)}.")
    lines += [
        f"A transfer on a stream takes place at a rising edge of {clocking.clock} at which valid and ready are both "
        "high.",
        f"{clocking.words}; it sets all registers to what they begin with, except coefficients and learning rates of a "
        'learner, which it restores where its spec has initial = "reset". What memories hold stays.',
        "",
        *align_rows(
            [
                (f"{'__'.join(map(str, path))}{bits}", name, format)
                for path, _, value in component.signature.flatten(component)
                if not isinstance(Value.cast(value), Const)
                for bits, name, format in list_fields(_shape(value), "")
            ]
        ),
    ]
    return "\n".join(lines)


def _shape(value: Any) -> Any:
    """The shape of a port: a layout or a format where it has one."""
    shape = value.shape()
    return shape if isinstance(shape, data.Layout) or not isinstance(value, Value) else shape.width
