"""The boards that kanrtl knows, one file each: clock, pins, part, and what fits.

A file has a list ``BOARDS``; nothing else has to know of it.
"""

from importlib import import_module

from ..discovery import modules_of
from ._board import Board, Resource

__all__ = ["BOARDS", "Board", "Resource", "get"]

# Large parts first: that is how they are listed.
_FIRST = (
    "ulx3s",
    "orangecrab",
    "ecpix5",
    "colorlight",
    "icepi_zero",
    "icesugar_pro",
    "icebreaker",
    "icesugar",
    "upduino",
)
BOARDS: dict[str, Board] = {
    board.name: board
    for module in modules_of(__path__, first=_FIRST, besides=["_board"])
    for board in import_module(f"{__name__}.{module}").BOARDS
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
