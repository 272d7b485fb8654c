"""The numbers of a stream in whole bytes, as AXI4-Stream carries them: lowest byte first, sign extended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from amaranth.hdl import Cat, Const, Shape, ShapeLike, Value
from amaranth.lib import data

from ..numeric.fixed import Format

__all__ = ["ByteField", "ByteLayout"]


@dataclass(frozen=True)
class ByteField:
    """A number of a payload, packed to the bit and in whole bytes.

    Attributes
    ----------
    name : str
        An identifier, such as ``x_0``.
    low, width : int
        Its bits in the packed payload: the lowest, and how many.
    first, count : int
        Its bytes: the first, and how many.
    signed : bool
        Whether it is sign extended; else zeros fill its bytes up.
    format : Format or None
        That of a fixed-point number.
    """

    name: str
    low: int
    width: int
    first: int
    count: int
    signed: bool
    format: Format | None


@dataclass(frozen=True)
class ByteLayout:
    """Where the numbers of a payload lie in bytes.

    Attributes
    ----------
    fields : tuple of ByteField
        In the order of the payload.
    """

    fields: tuple[ByteField, ...]

    @classmethod
    def of(cls, shape: ShapeLike, name: str) -> Self:
        """The layout of a payload whose numbers are called ``name``, or by what they are called in it."""
        fields: list[ByteField] = []
        first = 0
        for label, low, inner in _leaves(shape, name, 0):
            plain = Shape.cast(inner)
            format = inner if isinstance(inner, Format) else None
            count = -(-plain.width // 8)
            fields.append(ByteField(label, low, plain.width, first, count, plain.signed, format))
            first += count
        return cls(tuple(fields))

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.fields[-1].first + self.fields[-1].count

    def widen(self, payload: Value) -> Value:
        """The bytes of a packed payload, in hardware."""
        packed = Value.cast(payload)
        parts: list[Value] = []
        for field in self.fields:
            number = packed[field.low : field.low + field.width]
            fill = number[-1] if field.signed else Const(0, 1)
            parts += [number, fill.replicate(8 * field.count - field.width)]
        return Cat(parts)

    def narrow(self, content: Value) -> Value:
        """The packed payload of bytes, in hardware; bits above those of a number are not looked at."""
        packed = sorted(self.fields, key=lambda field: field.low)
        return Cat(content[8 * field.first : 8 * field.first + field.width] for field in packed)

    def to_bytes(self, codes: Mapping[str, int]) -> bytes:
        """The bytes of numbers by name; those that are not named are zero."""
        return b"".join(
            (codes.get(field.name, 0) & ((1 << 8 * field.count) - 1)).to_bytes(field.count, "little")
            for field in self.fields
        )

    def from_bytes(self, content: bytes) -> dict[str, int]:
        """The numbers in bytes, by name."""
        return {
            field.name: int.from_bytes(content[field.first : field.first + field.count], "little", signed=field.signed)
            for field in self.fields
        }


def _leaves(shape: ShapeLike, name: str, low: int) -> Iterator[tuple[str, int, ShapeLike]]:
    """List name, lowest bit and shape of every number of a payload."""
    if isinstance(shape, data.Layout):
        for key, field in shape:
            inner = f"{name}_{key}" if isinstance(key, int) else str(key)
            yield from _leaves(field.shape, inner, low + field.offset)
    else:
        yield name, low, shape
