"""Wires by their addresses: a TCP connection, a pseudo-terminal, and what cannot be opened."""

import errno
import os
import re
import socket
import threading
import tty
from typing import Any

import pytest
from serial import SerialException
from serial.tools.list_ports_common import ListPortInfo

from kanrtl import InputError, LinkError, connect
from kanrtl.link.host_link import HostLink
from kanrtl.link.transports import open_transport


def receive_all(transport: object, count: int) -> bytes:
    """So many bytes, however they come."""
    content = b""
    while len(content) < count:
        part = transport.receive(5.0)  # type: ignore[attr-defined]
        assert part
        content += part
    return content


def test_a_tcp_connection() -> None:
    with socket.create_server(("localhost", 0)) as server:
        address = f"tcp://localhost:{server.getsockname()[1]}"
        transport = open_transport(address)
        other, _ = server.accept()
        with other:
            assert transport.name == address
            transport.send(b"to the device\0")
            assert other.recv(14, socket.MSG_WAITALL) == b"to the device\0"
            assert transport.receive(0) == transport.receive(0.01) == b""
            other.sendall(bytes(range(256)))
            assert receive_all(transport, 256) == bytes(range(256))
        with pytest.raises(LinkError) as failure:
            transport.receive(1.0)
        assert str(failure.value) == f"{address}: the other side has closed the connection"
        transport.close()


def test_a_second_host_is_told_that_there_may_be_another() -> None:
    """A server that takes one connection at a time leaves others waiting."""
    with socket.create_server(("localhost", 0)) as server:
        transport = open_transport(f"tcp://localhost:{server.getsockname()[1]}")
        line = "that the rate is the one it was built for, and that no other host is connected$"
        with pytest.raises(LinkError, match=line):
            HostLink(transport, patience=0.05)
        transport.close()


def test_a_pseudo_terminal() -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    address = f"serial://{os.ttyname(theirs)}?baud=115200"
    transport = open_transport(address)
    assert transport.name == address
    everything = bytes(range(256))
    transport.send(everything)
    found = b""
    while len(found) < 256:
        found += os.read(ours, 256)
    assert found == everything
    assert transport.receive(0) == transport.receive(0.01) == b""
    writer = threading.Thread(target=os.write, args=(ours, everything))
    writer.start()
    assert receive_all(transport, 256) == everything
    writer.join()
    with pytest.raises(InputError, match=r"^address = 'serial://.*': "):  # one host at a time
        open_transport(address)
    transport.close()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("usb://board", "must begin with serial:// or tcp://"),
        ("serial://", "names no port; give one such as serial:///dev/ttyUSB0"),
        ("serial:///dev/none", r"there is no such port; (give /dev/.*|there is none; plug the board in)"),
        ("tcp://localhost:1", r"Connection refused; start what listens there, such as kanrtl serve --tcp localhost:1"),
        ("serial:///dev/none?rate=3", r"'rate=3' is not known; only \?baud= is known"),
        ("serial:///dev/none?baud=fast", "baud = 'fast' is no rate; give bits a second, such as 3000000"),
        ("tcp://localhost", "give host and port, as in tcp://localhost:4000"),
        ("tcp://localhost:99999", "give host and port, as in tcp://localhost:4000"),
        ("tcp://a..b:4000", "'a..b' is no name of a host; correct it"),
        (f"tcp://{'a' * 64}:4000", f"'{'a' * 64}' is no name of a host; correct it"),
        ("tcp://localhost:4000?baud=3", "'baud=3' is not known; leave it out"),
        ("serial:///dev/none?baud=9600#junk", "'#junk' is not known; leave it out"),
        ("tcp://localhost:4000#junk", "'#junk' is not known; leave it out"),
        ("tcp://user@localhost:4000", "give host and port, as in tcp://localhost:4000"),
        ("tcp://[", ".*; give one such as serial:///dev/ttyUSB0"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, line: str) -> None:
    with pytest.raises(InputError) as failure:
        connect(address)
    told = str(failure.value)
    assert told.startswith(f"address = {address!r}: ")
    assert re.fullmatch(line, told.removeprefix(f"address = {address!r}: "))


@pytest.mark.parametrize(
    ("error", "ports", "line"),
    [
        (SerialException(errno.ENOENT, "none"), ["/dev/ttyUSB1", "/dev/ttyACM0"], "give /dev/ttyACM0 or /dev/ttyUSB1"),
        (SerialException(errno.ENOENT, "none"), [], "there is none; plug the board in"),
        (SerialException(errno.EACCES, "denied"), [], "join the group that may, such as dialout, and log in again"),
        (ValueError("Not a valid baudrate: 7"), [], "Not a valid baudrate: 7"),
    ],
)
def test_a_port_that_cannot_be_opened_says_what_to_do(
    error: Exception, ports: list[str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("kanrtl.link.transports.serial.serial_for_url", refuse)
    monkeypatch.setattr("kanrtl.link.transports.serial.comports", lambda: [ListPortInfo(port) for port in ports])
    with pytest.raises(InputError, match=rf"^address = 'serial:///dev/ttyUSB7': (.*; )?{re.escape(line)}$"):
        connect("serial:///dev/ttyUSB7")


def test_a_rate_of_thousands_of_digits() -> None:
    with pytest.raises(InputError, match=r"^address = .*99\.\.\.: baud = .*99\.\.\. is no rate; give bits a second"):
        connect(f"serial:///dev/none?baud={'9' * 5000}")


def test_what_does_not_go_with_an_address() -> None:
    with pytest.raises(InputError, match=r"^trace: 'tcp://localhost:1' has no signals to be seen; "):
        connect("tcp://localhost:1", trace="a.vcd")
    with pytest.raises(InputError, match=r"^backend = 'pysim': 'tcp://localhost:1' is one already; "):
        connect("tcp://localhost:1", "pysim")
