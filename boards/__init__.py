"""The boards that kanrtl knows, one file each: clock, pins, part, and what fits."""

from . import (
    colorlight,
    ecpix5,
    hx8k_b_evn,
    icebreaker,
    icepi_zero,
    icestick,
    icesugar,
    icesugar_pro,
    orangecrab,
    ulx3s,
    upduino,
)
from ._board import Board, Resource

__all__ = ["BOARDS", "Board", "Resource", "get"]

BOARDS: dict[str, Board] = {
    board.name: board
    for module in (
        ulx3s,
        orangecrab,
        ecpix5,
        colorlight,
        icepi_zero,
        icesugar_pro,
        icebreaker,
        icesugar,
        upduino,
        hx8k_b_evn,
        icestick,
    )
    for board in module.BOARDS
}
"""Every board by its name."""


def get(name: str) -> Board:
    """The board called ``name``.

    Raises
    ------
    ValueError
        If there is none. The line lists those that there are.
    """
    try:
        return BOARDS[name]
    except KeyError:
        raise ValueError(f"board: {name!r} is not known; choose one of {', '.join(BOARDS)}") from None
