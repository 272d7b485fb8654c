"""A register map as tables in Markdown."""

from __future__ import annotations

from .described_map import DescribedMap

__all__ = ["write_markdown"]


def write_markdown(described: DescribedMap) -> str:
    """Write the map as a table of registers, and one of arrays."""
    lines = [
        f"{described.title}.",
        "",
        "| address | register | access | bits | what it is |",
        "| --- | --- | --- | --- | --- |",
    ]
    for placed in described.map.registers:
        register = placed.register
        access = _access(register.readable, register.writable)
        lines.append(
            f"| `{described.base + placed.address:#06x}` | `{placed.name}` | {access} | | {register.description} |"
        )
        if len(register.fields) > 1:
            for field in register.fields:
                bits = f"{field.low}" if field.width == 1 else f"{field.low + field.width - 1}:{field.low}"
                lines.append(f"| | | | {bits} | `{field.name}`: {field.description} |")
    if described.map.arrays:
        lines += ["", "| address | array | access | format | steps in bytes |", "| --- | --- | --- | --- | --- |"]
    for numbers in described.map.arrays:
        indices = "".join(f"[{dimension.count}]" for dimension in numbers.dimensions)
        steps = ", ".join(f"{dimension.name} {dimension.stride:#x}" for dimension in numbers.dimensions)
        access = _access(numbers.readable, numbers.writable)
        address = f"{described.base + numbers.address:#06x}"
        lines.append(f"| `{address}` | `{numbers.name}{indices}` | {access} | `{numbers.format}` | {steps} |")
    return "\n".join(lines) + "\n"


def _access(readable: bool, writable: bool) -> str:
    return "read" * readable + ", " * (readable and writable) + "write" * writable
