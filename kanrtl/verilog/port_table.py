"""A table of the numbers that ports carry: bits, name and format, one line for each."""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import data

__all__ = ["align_rows", "list_fields"]


def align_rows(rows: list[tuple[str, str, str]]) -> list[str]:
    """Write one line for each row of bits, name and format, in columns."""
    bits_width, name_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [f"  {bits:<{bits_width}}  {name:<{name_width}}  {format}".rstrip() for bits, name, format in rows]


def list_fields(shape: ShapeLike, name: str, offset: int = 0) -> Iterator[tuple[str, str, str]]:
    """List bits, name and format of every number in a payload that is called ``name`` and begins at bit ``offset``."""
    if isinstance(shape, data.Layout):
        for key, field in shape:
            inner = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}".lstrip(".")
            yield from list_fields(field.shape, inner, offset + field.offset)
    else:
        width = Shape.cast(shape).width
        bits = f"[{offset + width - 1}:{offset}]" if width > 1 else f"[{offset}]"
        yield bits, name, "" if isinstance(shape, int) else str(shape)
