"""The primitives of all families: what a designer calls them, and how paths lead through them."""

import re
from collections.abc import Iterable
from functools import cache

from .cell import Cell
from .families import FAMILIES
from .family import UntimedBlock

_SEQUENTIAL = frozenset({"block memory", "single-port memory", "register", "clock"})

_PATH_INPUTS = {kind: inputs for family in FAMILIES.values() for kind, inputs in family.path_inputs.items()}

UNTIMED: dict[str, UntimedBlock] = {
    kind: block for family in FAMILIES.values() for kind, block in family.untimed.items()
}
"""The blocks that nextpnr takes for registered though they may not be, by the cell."""


@cache
def name_primitive(kind: str) -> str:
    """What a hardware designer calls a cell of this ``kind``, such as ``block memory`` for ``DP16KD``.

    A kind that is not known is its own name.
    """
    named = ((name, kinds) for family in FAMILIES.values() for name, kinds in family.primitives.items())
    return next((name for name, kinds in named if re.fullmatch(kinds, kind)), kind)


def is_sequential(cell: Cell) -> bool:
    """Whether no path leads through ``cell``, whatever its parameters are."""
    return name_primitive(cell.kind) in _SEQUENTIAL


def path_inputs(cell: Cell) -> set[str]:
    """The inputs of ``cell`` from which a path leads to its outputs, within one cycle."""
    if cell.kind in _PATH_INPUTS:
        return _PATH_INPUTS[cell.kind](cell)
    if cell.kind in UNTIMED:
        timing = UNTIMED[cell.kind].read(cell)
        return set() if timing.registered_output or timing.inner else set(timing.open_inputs)
    return set() if is_sequential(cell) else set(cell.inputs)


def note_unverified(cells: Iterable[Cell]) -> list[str]:
    """Which of ``cells`` nextpnr times nothing inside of, in words; there is no bound for these."""
    known = list(cells)
    return list(dict.fromkeys(note for family in FAMILIES.values() for note in family.note_unverified(known)))
