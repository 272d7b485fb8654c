"""A register map, and what it is called where it is used."""

from __future__ import annotations

from dataclasses import dataclass

from ..register_map import RegisterMap

__all__ = ["DescribedMap"]


@dataclass(frozen=True)
class DescribedMap:
    """A register map with a name, a place on a bus, and a sentence on what is behind it.

    Attributes
    ----------
    map : RegisterMap
        What lies where.
    name : str
        An identifier, which all names begin with.
    base : int
        The address of the first byte on the bus, where the format has one.
    title : str
        What is behind the map, in one line.
    """

    map: RegisterMap
    name: str
    base: int
    title: str

    @property
    def size(self) -> int:
        """Bytes from the first of the map to the last."""
        return 1 << self.map.address_width
