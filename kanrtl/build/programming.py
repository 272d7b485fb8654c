"""Bitstreams on their way into a board."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..boards import Board
from ..errors import InputError, join_choices
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..file_content import read_bytes
from ..tools.flashers import find_flasher

__all__ = ["LONGEST_SECONDS", "Programming", "looks_like_bitstream", "plan_programming"]

LONGEST_SECONDS = 600
"""For which a board may be programmed: into a slow flash memory it takes some minutes."""

_BEGINNINGS = (b"\xff\x00", b"LSCC", b"\x7e\xaa\x99\x7e")
"""Those of the bitstreams of Lattice's tools and of the open ones."""

_SUFFIXES = (".bit", ".bin")


@dataclass(frozen=True)
class Programming:
    """What loads a bitstream into a board.

    Attributes
    ----------
    board : str
        The name of the board.
    bitstream : str
        The path of the file.
    tool : str
        The name of the program.
    arguments : tuple of str
        What it is told.
    kept : bool
        Whether the board has the design again after its power was off.
    """

    board: str
    bitstream: str
    tool: str
    arguments: tuple[str, ...]
    kept: bool

    @property
    def command(self) -> str:
        """The command, as a shell takes it."""
        return shlex.join([self.tool, *self.arguments])

    def run(self, timeout: float = LONGEST_SECONDS) -> None:
        """Load it, in so many seconds at most.

        Raises
        ------
        ToolError
            If the program is missing or fails, as where there is no board, or does not end.
        """
        find_flasher(self.tool).run(self.arguments, timeout)

    def to_json(self) -> dict[str, Any]:
        """All of it, in types that JSON has."""
        return {**asdict(self), "arguments": list(self.arguments), "command": self.command}


def looks_like_bitstream(path: Path) -> bool:
    """Whether a file is meant as a bitstream, by its first bytes; where it has none or is not there, by its name."""
    head = b""
    with suppress(OSError):
        if path.is_file():  # what is read of a pipe is gone
            with path.open("rb") as file:
                head = file.read(4)
    return head.startswith(_BEGINNINGS) or path.suffix.lower() in _SUFFIXES


def plan_programming(board: Board, bitstream: Path) -> Programming:
    """Say how to load a bitstream into a board.

    Raises
    ------
    InputError
        If the file cannot be read, is no bitstream, is one for another part, or is cut short.
    """
    check_bitstream(board, bitstream, "BITSTREAM")
    name = str(bitstream)
    # A name is not to be taken for an option.
    arguments = (*board.flasher_options, f"./{name}" if name.startswith("-") else name)
    return Programming(board.name, name, board.flasher, arguments, board.keeps_bitstream)


_LARGEST = 1 << 26
"""Bytes of a bitstream; the largest of the chips takes few millions."""


def check_bitstream(board: Board, path: Path, field: str) -> None:
    """Check that a file is a whole bitstream for a board's part, as far as its family says.

    Raises
    ------
    InputError
        If it is not, or cannot be read; the message calls the file ``field``.
    """
    given = f"{field} = {str(path)!r}"
    try:
        content = read_bytes(path, _LARGEST)
    except InputError as error:
        raise InputError(f"{given}: {error}") from None
    except OSError as error:
        raise InputError(f"{given}: {error.strerror}; name a file that can be read") from None
    part = Device.parse(board.device)
    family = FAMILIES[part.family]
    if family.read_bitstream is None:
        return
    wanted = f"{board.name} has an {part.name}; give one that kanrtl build --board {board.name} makes"
    head = family.read_bitstream(content)
    if head is None:
        readers = {other.title: other.read_bitstream for other in FAMILIES.values() if other is not family}
        others = [title for title, read in readers.items() if read is not None and read(content)]
        what = f"is a bitstream for {others[0]}" if others else f"is no bitstream for {family.title}"
        raise InputError(f"{given}: {what}; {wanted}")
    if part.die not in head.dies:
        dies = f"the die {join_choices(head.dies)}" if head.dies else "a die that is not known"
        raise InputError(f"{given}: is for {dies}, not {part.die}; {wanted}")
    package = part.nextpnr_options[part.nextpnr_options.index("--package") + 1]
    if head.package not in (None, package):
        raise InputError(f"{given}: is for the package {head.package}, not {package}; {wanted}")
    if not head.whole:
        raise InputError(f"{given}: is cut short; build it again")
