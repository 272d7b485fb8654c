"""A register map in CMSIS-SVD (Arm), which debuggers and generators of device crates read."""

from __future__ import annotations

from xml.etree import ElementTree

from ..register import WORD, Field, OnWrite
from ..register_map import BYTES, Numbers, PlacedRegister
from .described_map import DescribedMap

__all__ = ["write_svd"]


def write_svd(described: DescribedMap) -> str:
    """Write the map as a device with one peripheral; arrays are nested clusters."""
    device = ElementTree.Element(
        "device",
        {
            "schemaVersion": "1.3",
            "xmlns:xs": "http://www.w3.org/2001/XMLSchema-instance",
            "xs:noNamespaceSchemaLocation": "CMSIS-SVD.xsd",
        },
    )
    width = str(WORD)
    for tag, text in {
        "vendor": "kanrtl",
        "name": described.name,
        "version": "1.0",
        "description": described.title,
        "addressUnitBits": "8",
        "width": width,
        "size": width,
    }.items():
        _add(device, tag, text)
    peripheral = _add(_add(device, "peripherals"), "peripheral")
    _add(peripheral, "name", described.name)
    _add(peripheral, "description", described.title)
    _add(peripheral, "baseAddress", f"{described.base:#x}")
    block = _add(peripheral, "addressBlock")
    for tag, text in {"offset": "0x0", "size": f"{described.size:#x}", "usage": "registers"}.items():
        _add(block, tag, text)
    registers = _add(peripheral, "registers")
    for placed in described.map.registers:
        _add_register(registers, placed)
    for numbers in described.map.arrays:
        _add_numbers(registers, numbers)
    ElementTree.indent(device)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(device, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, tag: str, text: str | None = None) -> ElementTree.Element:
    """Add an element."""
    element = ElementTree.SubElement(parent, tag)
    element.text = text
    return element


def _access(readable: bool, writable: bool) -> str:
    return ("read-write" if writable else "read-only") if readable else "write-only"


_MODIFIED: dict[OnWrite, str] = {"clear": "clear", "clear_ones": "oneToClear", "modify": "modify"}
"""The words of SVD for writes that do not store their data."""


def _add_register(parent: ElementTree.Element, placed: PlacedRegister) -> None:
    """Add a register with its fields."""
    register = placed.register
    element = _add(parent, "register")
    for tag, text in {
        "name": placed.name,
        "description": register.description,
        "addressOffset": f"{placed.address:#x}",
        "size": str(WORD),
        "access": _access(register.readable, register.writable),
    }.items():
        _add(element, tag, text)
    if placed.reset is not None:
        _add(element, "resetValue", f"{placed.reset:#x}")
    fields = _add(element, "fields")
    written = _MODIFIED.get(register.on_write)
    for field in register.fields:
        _add_field(fields, field, written)


def _add_field(parent: ElementTree.Element, field: Field, written: str | None) -> None:
    """Add a field, and what a write does to it where it does not become what is written."""
    element = _add(parent, "field")
    for tag, text in {
        "name": field.name,
        "description": field.description,
        "bitOffset": str(field.low),
        "bitWidth": str(field.width),
    }.items():
        _add(element, tag, text)
    if written is not None:
        _add(element, "modifiedWriteValues", written)


def _add_numbers(parent: ElementTree.Element, numbers: Numbers) -> None:
    """Add an array: a cluster for every dimension but the last, which is a register."""
    offset, stem = numbers.address, numbers.name
    for dimension in numbers.dimensions[:-1]:
        cluster = _add(parent, "cluster")
        _add_dimension(cluster, dimension.count, dimension.stride)
        _add(cluster, "name", f"{stem}_{dimension.name}[%s]")
        _add(cluster, "description", numbers.description)
        _add(cluster, "addressOffset", f"{offset:#x}")
        parent, offset = cluster, 0
    last = numbers.dimensions[-1]
    register = _add(parent, "register")
    _add_dimension(register, last.count, last.stride)
    for tag, text in {
        "name": f"{stem}_{last.name}[%s]",
        "description": f"{numbers.description} Format {numbers.format}, sign extended.",
        "addressOffset": f"{offset:#x}",
        "size": str(8 * BYTES),
        "access": _access(numbers.readable, numbers.writable),
    }.items():
        _add(register, tag, text)


def _add_dimension(element: ElementTree.Element, count: int, stride: int) -> None:
    """Say that there are several of an element."""
    _add(element, "dim", str(count))
    _add(element, "dimIncrement", f"{stride:#x}")
