"""Registers of 32 bits, and their fields of bits: the words in which a register map is described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["WORD", "Field", "OnWrite", "Register"]

OnWrite = Literal["store", "clear", "clear_ones", "modify"]
"""What a write does: the data are stored; whatever they are clears the register; ones clear their bits; something else,
so that other data are read than were written."""

WORD = 32
"""Bits of a register."""


@dataclass(frozen=True)
class Field:
    """Some bits of a register that are one number.

    Attributes
    ----------
    name : str
        A lower-case identifier.
    low, width : int
        The lowest of the bits, and how many they are.
    description : str
        A phrase or a sentence, in one line.
    signed : bool
        The number is in two's complement.
    """

    name: str
    low: int
    width: int
    description: str
    signed: bool = False

    @property
    def mask(self) -> int:
        """The bits of the field, in their position."""
        return ((1 << self.width) - 1) << self.low

    def put(self, value: int) -> int:
        """Give ``value`` in the bits of the field; raise :exc:`ValueError` where they do not hold it."""
        least, most = (-(1 << self.width - 1), (1 << self.width - 1) - 1) if self.signed else (0, (1 << self.width) - 1)
        if not least <= value <= most:
            raise ValueError(f"{self.name} = {value}: must be from {least} to {most}")
        return (value << self.low) & self.mask

    def get(self, word: int) -> int:
        """Give the number in a word."""
        code = (word & self.mask) >> self.low
        return code - (1 << self.width) if self.signed and code >> (self.width - 1) else code


@dataclass(frozen=True)
class Register:
    """A word of 32 bits; bits of no field are zero.

    Attributes
    ----------
    name : str
        A lower-case identifier.
    description : str
        A sentence, in one line.
    fields : tuple of Field
        From the lowest bits up.
    readable, writable : bool
        What can be done with it.
    on_write : {"store", "clear", "clear_ones", "modify"}
        What a write does, where it can be written.
    """

    name: str
    description: str
    fields: tuple[Field, ...]
    readable: bool = True
    writable: bool = False
    on_write: OnWrite = "store"

    def pack(self, **values: int) -> int:
        """Give the word in which the fields have ``values``, and those that are not named are zero.

        Raises :exc:`ValueError` where a field does not hold its value, and :exc:`KeyError` where there is none."""
        fields = {field.name: field for field in self.fields}
        return sum(fields[name].put(value) for name, value in values.items())

    def unpack(self, word: int) -> dict[str, int]:
        """Give the values of all fields in a word, by name."""
        return {field.name: field.get(word) for field in self.fields}


def one_field(
    name: str,
    description: str,
    width: int = WORD,
    signed: bool = False,
    writable: bool = False,
    on_write: OnWrite = "store",
) -> Register:
    """Give a register with a single field ``value`` in its low bits."""
    field = Field("value", 0, width, description, signed)
    return Register(name, description, (field,), writable=writable, on_write=on_write)
