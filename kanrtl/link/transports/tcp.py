"""TCP connections: ``tcp://host:port``."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from urllib.parse import SplitResult

from ...errors import InputError, LinkError
from ..transport import Transport
from . import read_option

__all__ = ["TcpSocket", "open_wire"]

TIMEOUT = 5.0
"""Seconds for a connection to be made, and for which it may take no byte."""

MOST_BYTES = 1 << 16


class TcpSocket(Transport):
    """A TCP connection.

    Parameters
    ----------
    name
        Its address.
    connection
        The socket, connected.
    """

    # One who listens may take a second connection, and not read it before the first has ended.
    requirements = (*Transport.requirements, "no other host is connected")

    def __init__(self, name: str, connection: socket.socket) -> None:
        self.name = name
        self._connection = connection
        connection.settimeout(TIMEOUT)
        # What is sent is complete: nothing is gained by waiting for more.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, content: bytes) -> None:
        try:
            self._connection.sendall(content)
        except OSError as error:
            raise LinkError(f"{self.name}: {error.strerror or error}") from None

    def receive(self, timeout: float) -> bytes:
        try:
            if not select.select([self._connection], [], [], timeout)[0]:
                return b""
            content = self._connection.recv(MOST_BYTES)
        except OSError as error:
            raise LinkError(f"{self.name}: {error.strerror or error}") from None
        if not content:
            raise LinkError(f"{self.name}: the other side has closed the connection")
        return content

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()


def open_wire(name: str, parts: SplitResult) -> TcpSocket:
    """Connect to a host by its address, whole and in its parts.

    Raises
    ------
    InputError
        If there can be no such host, or nobody listens there.
    """
    read_option(name, parts)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or "@" in parts.netloc or parts.path not in ("", "/"):
        raise InputError(f"address = {name!r}: give host and port, as in tcp://localhost:4000")
    try:
        return TcpSocket(name, socket.create_connection((host, port), TIMEOUT))
    except UnicodeError:
        raise InputError(f"address = {name!r}: {host!r} is no name of a host; correct it") from None
    except OSError as error:
        found = isinstance(error, ConnectionRefusedError)
        mend = f"start what listens there, such as kanrtl serve --tcp {host}:{port}" if found else "correct the host"
        raise InputError(f"address = {name!r}: {error.strerror or error}; {mend}") from None
