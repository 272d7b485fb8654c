"""The sites of the multipliers of an ECP5 on its die."""

from dataclasses import dataclass

from .device import Device

__all__ = ["Site", "multiplier_sites"]

# By die: rows, and the columns where four multipliers begin; the same for all lines and packages of nextpnr 0.9.
_DIES = {
    "85k": ((10, 34, 58), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)),
    "45k": ((22, 46), (4, 13, 22, 31, 42, 51, 60, 69, 78)),
    "25k": ((13,), (4, 13, 22, 33, 42, 51, 60)),
}

# Columns from the first, and the number in a pair of DSP slices.
_OF_FOUR = ((0, 0), (1, 1), (4, 4), (5, 5))


@dataclass(frozen=True)
class Site:
    """A site of a MULT18X18D.

    Attributes
    ----------
    x, y : int
        Column and row, in tiles.
    name : str
        The site as nextpnr's attribute ``BEL`` takes it.
    """

    x: int
    y: int
    name: str


def multiplier_sites(device: Device) -> list[Site]:
    """All sites of multipliers of an ECP5."""
    die = device.die.rpartition("-")[2]
    rows, columns = _DIES["25k" if die == "12k" else die]
    return [
        Site(column + beside, row, f"X{column + beside}/Y{row}/MULT18_{number}")
        for row in rows
        for column in columns
        for beside, number in _OF_FOUR
    ]
