"""Simulated boards for other programs: on a pseudo-terminal, or on a TCP port."""

from __future__ import annotations

import os
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from ..errors import InputError, cut
from ..link.layout import WIRE_BITS
from ..simulators.native_serial import NativeSerial

__all__ = ["PseudoTerminal", "ServedPort", "TcpPort", "serve"]

STRETCH = 2000
"""Clock cycles between two looks at what a host sends."""

QUIET, QUIET_BYTES = 100_000, 3
"""Clock cycles after the last byte either way, and time of so many bytes on the line, for which a board is simulated
on: the last one may still be on its way, and so may the first of an answer."""

MOST_BYTES = 1 << 12
"""Bytes that are taken of a host, and wait for a simulated line, at once: a hundredth of a second at 3 Mbaud. Further
ones wait where they are, as a line takes no more than its rate, and a host that is gone would go on through them."""

PAUSE = 0.1
"""Seconds for which a board stands still between two looks at whether to end."""


class ServedPort(ABC):
    """Where a host finds a board.

    Attributes
    ----------
    address : str
        What :func:`kanrtl.connect` takes.
    """

    address: str

    @abstractmethod
    def read(self, timeout: float) -> bytes:
        """Give what a host has sent; where it has sent nothing, wait for so many seconds at most, and give nothing."""

    @abstractmethod
    def write(self, content: bytes) -> None:
        """Send bytes to the host. As on a line, what nobody takes is lost."""

    @abstractmethod
    def close(self) -> None:
        """End it."""


class PseudoTerminal(ServedPort):
    """A pseudo-terminal, which a program opens as if it were a serial port.

    Raises
    ------
    InputError
        If the operating system has none.
    """

    def __init__(self) -> None:
        if not hasattr(os, "openpty"):
            raise InputError("serve: there are no pseudo-terminals here; give --tcp HOST:PORT")
        import tty  # not there where there are no pseudo-terminals

        # The other side is kept open, so that one host can follow another.
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.address = f"serial://{os.ttyname(self._theirs)}"

    def read(self, timeout: float) -> bytes:
        if not select.select([self._ours], [], [], timeout)[0]:
            return b""
        return os.read(self._ours, MOST_BYTES)

    def write(self, content: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self._ours, content)

    def close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)


class TcpPort(ServedPort):
    """A TCP port, which has one host after another.

    Parameters
    ----------
    host, port
        Where to listen; 0 for any port that is free.

    Raises
    ------
    InputError
        If that is not possible.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            # What the socket would refuse too, but not close.
            host.encode("idna")
        except UnicodeError:
            raise InputError(f"--tcp = {cut(f'{host}:{port}')}: {cut(host)} is no name of a host; correct it") from None
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._server = socket.create_server((host, port), family=family)
            # Connections have it from here: what the operating system holds of a host that is gone is still read.
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MOST_BYTES)
        except OSError as error:
            # Errors of names are not those of the system: there is no other word than the error's own, before the
            # address that create_server adds.
            told = (error.strerror or str(error)).partition(" (while attempting")[0]
            raise InputError(f"--tcp = '{host}:{port}': {told}") from None
        self._host: socket.socket | None = None
        self.address = f"tcp://{f'[{host}]' if ':' in host else host}:{self._server.getsockname()[1]}"

    def read(self, timeout: float) -> bytes:
        if not select.select([self._host or self._server], [], [], timeout)[0]:
            return b""
        if self._host is None:
            self._host, _ = self._server.accept()
            self._host.setblocking(False)
            self._host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return b""
        content = b""
        with suppress(OSError):
            content = self._host.recv(MOST_BYTES)
        if not content:
            self._leave()
        return content

    def write(self, content: bytes) -> None:
        with suppress(BlockingIOError):
            try:
                if self._host is not None:
                    self._host.send(content)
            except ConnectionError:
                self._leave()

    def _leave(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None

    def close(self) -> None:
        self._leave()
        self._server.close()


def serve(simulation: NativeSerial, port: ServedPort, ended: Callable[[], bool] = lambda: False) -> None:
    """Let a simulated board talk to those who come to a port, until ``ended``. It stands still while nobody does."""
    quiet = QUIET + round(QUIET_BYTES * WIRE_BITS * simulation.cycles_per_bit)
    until = simulation.cycles + quiet
    while not ended():
        content = b""
        if simulation.waiting < MOST_BYTES:
            content = port.read(0 if simulation.cycles < until else PAUSE)
        if content:
            simulation.feed(content)
        answer = simulation.run(STRETCH) if content or simulation.cycles < until or simulation.waiting else b""
        if answer:
            port.write(answer)
        if content or answer or simulation.waiting:
            until = simulation.cycles + quiet
