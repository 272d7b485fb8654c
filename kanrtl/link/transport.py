"""What carries bytes between a host and a device: the protocol knows none in particular."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

__all__ = ["Transport"]


class Transport(ABC):
    """A wire: bytes both ways, which may be damaged or lost, but do not overtake each other.

    Attributes
    ----------
    name : str
        Its address, for messages.
    requirements : tuple of str
        What has to be so for a device to answer, for messages.
    """

    name: str
    requirements: tuple[str, ...] = (
        "the board is loaded with a bitstream that has a link",
        "the rate is the one it was built for",
    )

    @abstractmethod
    def send(self, content: bytes) -> None:
        """Send bytes.

        Raises
        ------
        LinkError
            If the wire has ended.
        """

    @abstractmethod
    def receive(self, timeout: float) -> bytes:
        """Give what has come; where nothing has, wait for so many seconds at most, and give nothing.

        Raises
        ------
        LinkError
            If the wire has ended.
        """

    def now(self) -> float:
        """The time in seconds, from any start."""
        return time.monotonic()

    @abstractmethod
    def close(self) -> None:
        """End it."""
