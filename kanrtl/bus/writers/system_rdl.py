"""A register map in SystemRDL 2.0 (Accellera), which generators of register blocks and UVM models read."""

from __future__ import annotations

from ..register import WORD, Field, OnWrite
from ..register_map import Numbers, PlacedRegister
from .described_map import DescribedMap

__all__ = ["write_rdl"]

_KEYWORDS = frozenset(
    [
        "abstract",
        "accesstype",
        "addressingtype",
        "addrmap",
        "alias",
        "all",
        "alternate",
        "bit",
        "boolean",
        "bothedge",
        "byte",
        "compact",
        "component",
        "componentwidth",
        "constraint",
        "default",
        "desc",
        "encode",
        "enum",
        "external",
        "false",
        "field",
        "fullalign",
        "hw",
        "inside",
        "int",
        "internal",
        "level",
        "longint",
        "mem",
        "na",
        "name",
        "negedge",
        "nonsticky",
        "number",
        "onreadtype",
        "onwritetype",
        "posedge",
        "precedencetype",
        "property",
        "r",
        "rclr",
        "real",
        "ref",
        "reg",
        "regalign",
        "regfile",
        "rset",
        "ruser",
        "rw",
        "rw1",
        "shortint",
        "shortreal",
        "signal",
        "signed",
        "string",
        "struct",
        "sw",
        "this",
        "true",
        "type",
        "unsigned",
        "w",
        "w1",
        "wclr",
        "with",
        "within",
        "woclr",
        "woset",
        "wot",
        "wr",
        "wset",
        "wuser",
        "wzc",
        "wzs",
        "wzt",
    ]
)
"""The words of SystemRDL 2.0 that are no identifiers; of another case they are."""


def write_rdl(described: DescribedMap) -> str:
    """Write the map as an address map, and one with it at its base, if that is not zero; arrays are nested register
    files."""
    body = [f'name = "{described.name}";', f'desc = "{described.title}.";']
    body += [f"default regwidth = {WORD};", f"default accesswidth = {WORD};"]
    for each in described.map.entries:
        body += _write_numbers(each) if isinstance(each, Numbers) else _write_register(each)
    name = _escape(described.name)
    lines = [f"addrmap {name} {{", *_indent(body), "};"]
    if described.base:
        # A generator of register blocks takes the first, whose addresses begin at zero.
        placed = [f"{name} {name} @ {described.base:#x};"]
        lines += ["", f"addrmap {described.name}_on_bus {{", *_indent(placed), "};"]
    return "\n".join(lines) + "\n"


def _escape(name: str) -> str:
    """Write a name as an identifier: one that is a keyword begins with a backslash, which is no part of it."""
    return f"\\{name}" if name in _KEYWORDS else name


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _software(readable: bool, writable: bool) -> str:
    return "r" * readable + "w" * writable


_EFFECTS: dict[OnWrite, str] = {"clear": "wclr", "clear_ones": "woclr"}
"""The words of SystemRDL for writes that clear; it has none for other effects."""


def _write_register(placed: PlacedRegister) -> list[str]:
    """Write a register with its fields."""
    register = placed.register
    software = _software(register.readable, register.writable)
    hardware = "na" if placed.constant else "r" if software == "w" else "rw" if software == "rw" else "w"
    fields = [_write_field(field, software, hardware, placed) for field in register.fields]
    untested = ["donttest = true;"] if register.on_write == "modify" else []
    inner = [f'desc = "{register.description}";', *untested, *fields]
    return ["reg {", *_indent(inner), f"}} {placed.name} @ {placed.address:#x};"]


def _write_field(field: Field, software: str, hardware: str, placed: PlacedRegister) -> str:
    """Write a field in one line."""
    properties = f'sw = {software}; hw = {hardware}; desc = "{field.description}";'
    if effect := _EFFECTS.get(placed.register.on_write):
        properties += f" onwrite = {effect};"
    reset = "" if placed.reset is None else f" = {(placed.reset & field.mask) >> field.low:#x}"
    return f"field {{ {properties} }} {field.name}[{field.low + field.width - 1}:{field.low}]{reset};"


def _write_numbers(numbers: Numbers) -> list[str]:
    """Write an array: a register file for every dimension but the last, which is a register."""
    software = _software(numbers.readable, numbers.writable)
    hardware = {"r": "w", "w": "r", "rw": "rw"}[software]
    last = numbers.dimensions[-1]
    inner = [
        f'desc = "{numbers.description} Format {numbers.format}, sign extended.";',
        f"field {{ sw = {software}; hw = {hardware}; }} value[{WORD - 1}:0];",
    ]
    outer = numbers.dimensions[:-1]
    name = last.name if outer else numbers.name
    place = "0x0" if outer else f"{numbers.address:#x}"
    lines = ["reg {", *_indent(inner), f"}} {name}s[{last.count}] @ {place} += {last.stride:#x};"]
    if not outer:
        lines[-1] = f"}} {numbers.name}[{last.count}] @ {place} += {last.stride:#x};"
    for position, dimension in reversed(list(enumerate(outer))):
        name = numbers.name if position == 0 else f"{dimension.name}s"
        place = f"{numbers.address:#x}" if position == 0 else "0x0"
        end = f"}} {name}[{dimension.count}] @ {place} += {dimension.stride:#x};"
        lines = ["regfile {", *_indent(lines), end]
    return lines
