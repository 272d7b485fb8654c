"""A component as RTLIL, the same text on every machine."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Const, Elaboratable, Fragment, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from ..errors import InputError
from .garbage import collect_rarely

FLATTEN = ("flatten", "opt_clean -purge")
"""What yosys does with a design before anything else takes it.

Amaranth names the parts of a structured signal `name[0]`, which is what ABC9 calls the bits of `name`: it dies of the
clash (YosysHQ/yosys#4349). Purging removes those aliases.
"""

_SOURCE = re.compile(r'^(\s*attribute \\src )"([^"]*)"$', re.MULTILINE)


def portable_sources(text: str) -> str:
    """RTLIL ``text`` in which source locations name no path of this machine.

    A file of a Python package is named from that package on (``kanrtl/learner/rtl/layer.py:120``), any other by its
    bare name. So the same design is the same text on every machine.
    """

    def shorten(match: re.Match[str]) -> str:
        sources = (source.rpartition(":") for source in match[2].split("|"))
        return '{}"{}"'.format(match[1], "|".join(f"{_package_relative(file)}:{line}" for file, _, line in sources))

    return _SOURCE.sub(shorten, text)


@cache
def _package_relative(file: str) -> str:
    path = Path(file)
    parts = [path.name]
    for parent in path.parents:
        if not (parent / "__init__.py").is_file():
            break
        parts.insert(0, parent.name)
    return "/".join(parts)


def component_ports(component: wiring.Component) -> dict[str, Value]:
    """The ports of ``component`` by the names that they have in RTLIL and Verilog, except clock and reset.

    Raises :exc:`InputError` where two have one name, as ``a__b`` and ``b`` of ``a`` have.
    """
    values: dict[str, Value] = {}
    for path, _, value in component.signature.flatten(component):
        port = "__".join(map(str, path))
        if port in values:
            kind = type(component).__name__
            raise InputError(f"port {port!r} of {kind}: two of its members become this port; call one otherwise")
        values[port] = Value.cast(value)
    return {port: value for port, value in values.items() if not isinstance(value, Const)}


def component_rtlil(
    component: Elaboratable,
    name: str,
    more: Callable[[Fragment], Mapping[str, Value]] | None = None,
    inputs: Mapping[str, Value] | None = None,
    top: Elaboratable | None = None,
    missing_domain: Callable[[str], ClockDomain] = ClockDomain,
) -> str:
    """RTLIL of ``component`` with its ports, as the top module ``name``.

    Amaranth 0.5 stumbles over a port that is a constant, the ``ready`` of a stream that cannot be refused; what is
    constant needs no port. ``more`` names signals of the elaborated design that become outputs too, ``inputs`` signals
    that become inputs, and ``top`` is a design with the component in it that is elaborated in its stead.
    ``missing_domain`` gives a clock domain, by its name, that nothing in the design makes.
    """
    ports: dict[str, tuple[Value, PortDirection | None]] | None = None
    with collect_rarely():
        fragment = Fragment.get(component if top is None else top, None)
        if isinstance(component, wiring.Component):
            ports = {port: (value, None) for port, value in component_ports(component).items()}
            if more is not None:
                ports |= {port: (value, PortDirection.Output) for port, value in more(fragment).items()}
            ports |= {port: (value, PortDirection.Input) for port, value in (inputs or {}).items()}
        design = fragment if ports is not None else component
        return portable_sources(rtlil.convert(design, name=name, ports=ports, missing_domain=missing_domain))
