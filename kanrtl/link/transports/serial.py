"""Serial ports and pseudo-terminals: ``serial:///dev/ttyUSB0``, ``serial://COM3``, with ``?baud=`` the rate."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from urllib.parse import SplitResult

from serial import Serial, SerialException, serial_for_url
from serial.tools.list_ports import comports

from ...errors import InputError, LinkError, cut, join_choices
from ..layout import BAUD
from ..transport import Transport
from . import read_option

__all__ = ["SerialPort", "open_wire"]

WRITE_TIMEOUT = 5.0
"""Seconds for which a port may take no byte."""


class SerialPort(Transport):
    """A serial port.

    Parameters
    ----------
    name
        Its address.
    port
        The port, open.
    """

    def __init__(self, name: str, port: Serial) -> None:
        self.name = name
        self._port = port

    def send(self, content: bytes) -> None:
        try:
            self._port.write(content)
        except (SerialException, OSError) as error:
            raise LinkError(f"{self.name}: {error}") from None

    def receive(self, timeout: float) -> bytes:
        try:
            self._port.timeout = timeout
            content = self._port.read(max(1, self._port.in_waiting))
            return bytes(content + self._port.read(self._port.in_waiting))
        except (SerialException, OSError) as error:
            raise LinkError(f"{self.name}: {error}") from None

    def close(self) -> None:
        with suppress(SerialException, OSError):
            self._port.close()


def open_wire(name: str, parts: SplitResult) -> SerialPort:
    """Open a serial port by its address, whole and in its parts.

    Raises
    ------
    InputError
        If there is no such port, it is in use, or it cannot have the rate.
    """
    device, baud = parts.netloc + parts.path, read_option(name, parts, "baud")
    if not device:
        raise InputError(f"address = {name!r}: names no port; give one such as serial:///dev/ttyUSB0")
    # Python refuses to read integers of thousands of digits.
    if baud is not None and not (baud.isdecimal() and len(baud) < 20 and int(baud)):
        raise InputError(f"address = {cut(name)}: baud = {cut(baud)} is no rate; give bits a second, such as 3000000")
    rate = BAUD if baud is None else int(baud)
    # Two hosts would take each other's answers.
    more = {"exclusive": True} if os.name == "posix" else {}
    try:
        port = serial_for_url(device, baudrate=rate, timeout=0, write_timeout=WRITE_TIMEOUT, **more)
    except (SerialException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"address = {name!r}: {_explain(error)}") from None
    # An adapter keeps what has come for 16 ms otherwise; what is no adapter does not know of it.
    with suppress(AttributeError, NotImplementedError, OSError, ValueError):
        port.set_low_latency_mode(True)
    return SerialPort(name, port)


def _explain(error: Exception) -> str:
    """Why a port cannot be opened, with the mend where there is one."""
    reason = getattr(error, "errno", None)
    if reason == errno.ENOENT:
        ports = sorted(port.device for port in comports())
        there = f"give {join_choices(ports)}" if ports else "there is none; plug the board in"
        return f"there is no such port; {there}"
    if reason == errno.EACCES:
        return "may not be opened; join the group that may, such as dialout, and log in again"
    return str(error)
